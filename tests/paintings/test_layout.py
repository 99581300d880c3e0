"""How people keep their pictures: parts, artists, other makers' folders, links (faults 39 to 43)."""

import logging
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import catalogue, layout
from brushwork.paintings.datamodule import WikiArtDataModule
from tests.paintings.conftest import fill


def in_parts(root: Path, pictures: list[Path], *folders: str) -> Path:
    names = [f"{folder}/a-{n}_{folder.replace('/', '-')}.jpg" for folder in folders for n in range(4)]
    return fill(root, pictures, *names)


@pytest.mark.parametrize(
    "folders",
    [
        ("train/Baroque", "train/Cubism", "val/Baroque", "val/Cubism", "test/Baroque", "test/Cubism"),
        ("Training/Baroque", "Training/Cubism", "valid/baroque", "valid/cubism", "Testing/Baroque", "Testing/Cubism"),
        tuple(f"{style}/x/{part}" for part in ("train", "val", "test") for style in ("Baroque", "Cubism")),
        ("Baroque/train", "Cubism/train", "Baroque/val", "Cubism/val", "Baroque/test", "Cubism/test"),
        (
            "train/Baroque/monet",
            "train/Cubism/gris",
            "dev/Baroque/dix",
            "dev/Cubism/x",
            "test/Baroque/y",
            "test/Cubism/z",
        ),
    ],
)
def test_parts_with_styles_inside(
    tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture, folders: tuple[str, ...]
) -> None:
    caplog.set_level(logging.INFO)
    data = WikiArtDataModule(in_parts(tmp_path, pictures, *folders))
    assert data.split_name == "given"
    assert data.class_names == ["Baroque", "Cubism"]
    assert Counter(data.parts) == {"train": 8, "val": 8, "test": 8}
    for painting, part in zip(data.catalogue.paintings, data.parts, strict=True):
        assert next(filter(None, map(layout.part_named, painting.path.split("/")))) == part
    assert caplog.text.count("split=given: the parts by the folders") == 1
    assert "remove" not in caplog.text

    caplog.clear()
    pooled = WikiArtDataModule(tmp_path, split="random", val_fraction=0.5)
    assert Counter(pooled.parts) == {"train": 12, "val": 12}
    assert re.search(r"split=random: the parts by the folders .* are pooled \(split=given uses them\)", caplog.text)


def test_a_split_without_a_validation_part(tmp_path: Path, pictures: list[Path]) -> None:
    root = in_parts(tmp_path, pictures, "train/Baroque", "train/Cubism", "test/Baroque", "test/Cubism")
    splits = [WikiArtDataModule(root, val_fraction=0.25, split_seed=seed) for seed in (0, 0, 1)]
    assert Counter(splits[0].parts) == {"train": 6, "val": 2, "test": 8}
    for data in splits:
        for painting, part in zip(data.catalogue.paintings, data.parts, strict=True):
            assert (part == "test") == painting.path.startswith("test/")
    assert splits[0].parts == splits[1].parts != splits[2].parts


def test_a_limit_keeps_each_part(tmp_path: Path, pictures: list[Path]) -> None:
    names = [f"{part}/{style}/a_{part}{n}.jpg" for part in ("train", "val", "test") for style in "AB" for n in range(4)]
    root = fill(tmp_path, pictures, *names)
    for limit, expected in [(2, (1, 1, 0)), (3, (1, 1, 1)), (4, (1, 1, 1)), (9, (3, 3, 3)), (50, (4, 4, 4))]:
        data = WikiArtDataModule(root, limit_per_style=limit)
        counts = Counter((p.style, part) for p, part in zip(data.catalogue.paintings, data.parts, strict=True))
        for style in "AB":
            kept = [counts[style, part] for part in ("train", "val", "test")]
            assert sum(kept) == min(limit, 12)
            assert all(count >= least for count, least in zip(kept, expected, strict=True))


def test_a_style_with_one_training_painting_trains(tmp_path: Path, pictures: list[Path]) -> None:
    """Where a validation part is drawn, it is not of that one."""
    names = [*(f"train/A/a_{n}.jpg" for n in range(5)), "train/B/b_0.jpg", "test/A/a_9.jpg", "test/B/b_9.jpg"]
    data = WikiArtDataModule(fill(tmp_path, pictures, *names))
    assert Counter(data.parts) == {"train": 5, "val": 1, "test": 2}
    assert {p.style for p in data.part("train")} == {"A", "B"}


def test_pictures_without_a_style_are_counted(
    tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Competitions' test folders have no styles."""
    root = in_parts(tmp_path, pictures, "train/Baroque", "train/Cubism")
    fill(root, pictures, "test/001.jpg", "test/002.jpg")
    assert len(catalogue.scan(root).paintings) == 8
    assert "2 pictures of no style are left out: test/001.jpg, test/002.jpg" in caplog.text


def test_parts_beside_other_folders_are_refused(tmp_path: Path, pictures: list[Path]) -> None:
    root = in_parts(tmp_path, pictures, "train/Baroque", "test/Baroque", "Cubism")
    with pytest.raises(UserError, match=r"has the parts train, test, and beside them Cubism: move these"):
        catalogue.scan(root)


@pytest.mark.parametrize("beside", ["annotations/x", "eval/Dots", "extra"])
def test_one_part_beside_other_folders_is_refused(tmp_path: Path, pictures: list[Path], beside: str) -> None:
    """The part would be a class, and its styles artists."""
    root = in_parts(tmp_path, pictures, "train/Dots", "train/Waves", beside)
    with pytest.raises(UserError, match=f"has the parts train, and beside them {beside.split('/')[0]}: move these"):
        catalogue.scan(root)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("train2017", "test2017"),
        ("wikiart_train", "wikiart_test"),
        ("TrainImages", "Test"),
    ],
)
@pytest.mark.parametrize("styles", [("Baroque", "Cubism"), ("Dots", "Waves")])
def test_names_of_parts_have_other_words(
    tmp_path: Path, pictures: list[Path], train: str, test: str, styles: tuple[str, str]
) -> None:
    """Known styles or not, what is for the test neither trains nor is recommended as the root."""
    data = WikiArtDataModule(in_parts(tmp_path, pictures, *(f"{part}/{s}" for part in (train, test) for s in styles)))
    assert data.class_names == list(styles)
    assert Counter(data.parts) == {"train": 6, "val": 2, "test": 8}
    assert all(painting.path.startswith(f"{test}/") for painting in data.part("test"))


def test_styles_inside_of_several_folders(tmp_path: Path, pictures: list[Path]) -> None:
    """Naming one of them would advise to leave the others out."""
    root = in_parts(
        tmp_path, pictures, *(f"{artist}/{s}" for artist in ("Degas", "Dix") for s in ("Baroque", "Cubism"))
    )
    with pytest.raises(
        UserError, match=r"\(Baroque, Cubism, \.\.\.\) are inside of each of Degas, Dix: .*Style/Artist"
    ):
        catalogue.scan(root)


def test_style_and_artist(tmp_path: Path, pictures: list[Path]) -> None:
    names = ["Baroque/Jan Steen/01.jpg", "Baroque/jan-steen_02.jpg", "Cubism/Unknown artist/3.jpg", "Cubism/漢/4.jpg"]
    found = catalogue.scan(fill(tmp_path, pictures, *names, "Cubism/juan-gris/still/juan-gris_x-1914.jpg"))
    assert found.class_names == ["Baroque", "Cubism"]
    assert {p.path.rpartition("/")[2]: p.artist for p in found.paintings} == {
        "01.jpg": "jan-steen",
        "jan-steen_02.jpg": "jan-steen",
        "3.jpg": None,
        "4.jpg": "漢",
        "juan-gris_x-1914.jpg": "juan-gris",
    }


@pytest.mark.parametrize(
    ("folders", "inner"),
    [
        (["wikiart/Baroque", "wikiart/Cubism"], "wikiart"),
        (["wikiart/wikiart/Dots", "wikiart/wikiart/Waves"], "wikiart/wikiart"),
        (["data/train/Dots", "data/test/Dots"], "data"),
        (["wikiart/Baroque", "wikiart/Cubism", "my photos"], "wikiart"),
    ],
)
def test_one_level_too_high(tmp_path: Path, pictures: list[Path], folders: list[str], inner: str) -> None:
    root = in_parts(tmp_path, pictures, *folders)
    with pytest.raises(UserError) as caught:
        catalogue.scan(root)
    assert str(caught.value).startswith(f"the styles are in {root.resolve()}/{inner} (")
    assert str(caught.value).endswith(f"use that, data.root={root}/{inner}")
    catalogue.scan(root / inner)


def test_one_folder_between_parts_and_styles(tmp_path: Path, pictures: list[Path]) -> None:
    root = in_parts(tmp_path, pictures, "train/images/Dots", "train/images/Waves", "test/images/Dots")
    with pytest.raises(UserError, match=r"the styles are in .*/images \(Dots, Waves, \.\.\.\): move them a folder up"):
        catalogue.scan(root)


def test_folders_of_systems_are_ignored(tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    root = in_parts(tmp_path, pictures, "Baroque", "Cubism")
    for name in [
        *("__MACOSX/Baroque/._a.jpg", "@eaDir/x.jpg", ".Trashes/x.jpg", "$RECYCLE.BIN/x.jpg", "#recycle/x.jpg"),
        *("System Volume Information/x.jpg", "lost+found/x.jpg", "Baroque/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg"),
        *("@Recycle/x.jpg", "FOUND.000/x.jpg", "Baroque/.AppleDouble/x.jpg", "__pycache__/x.jpg"),
    ]:
        fill(root, pictures, name)
    for name in ("desktop.ini", "Baroque/Thumbs.db", "Baroque/.DS_Store", "Cubism/ehthumbs.db", "Icon\r"):
        (root / name).write_bytes(b"x")
    found = catalogue.scan(root)
    assert (found.class_names, len(found.paintings)) == (["Baroque", "Cubism"], 8)
    assert caplog.text == ""
    fill(root, pictures, "Baroque/@artist_x.jpg", "Baroque/__y.jpg", "$Pop/a_b.jpg", "#art/a_b.jpg")
    assert len(catalogue.scan(root).paintings) == 12  # people's own


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "it is empty"),
        ([".DS_Store", "Thumbs.db"], "system files only"),
        (["a_b.heic", "c_d.HEIC", "notes.txt"], "2 .heic, 1 .txt (convert .heic to JPEG to use them)"),
        (["deeper/a_b.pdf"], "1 .pdf (convert .pdf to JPEG to use them)"),
        (["link.jpg"], "1 broken links"),
    ],
)
@pytest.mark.parametrize("part", ["", "train/"])
def test_an_empty_style_is_refused_by_name(
    tmp_path: Path, pictures: list[Path], files: list[str], reason: str, part: str
) -> None:
    root = in_parts(tmp_path, pictures, f"{part}Baroque", f"{part}Cubism")
    empty = root / part / "Neoclassicism"
    empty.mkdir()
    for name in files:
        (empty / name).parent.mkdir(exist_ok=True)
        (empty / name).symlink_to("gone.jpg") if name == "link.jpg" else (empty / name).write_bytes(b"x")
    with pytest.raises(UserError) as caught:
        catalogue.scan(root)
    assert f"/Neoclassicism holds no painting ({reason}): fill it, remove it, or name data.styles" in str(caught.value)
    assert catalogue.scan(root, styles=["Baroque", "Cubism"]).class_names == ["Baroque", "Cubism"]


def test_other_extensions_of_known_formats(tmp_path: Path, pictures: list[Path]) -> None:
    names = [f"Baroque/a_{n}.{kind}" for n, kind in enumerate(["jfif", "JPE", "pjpeg", "mpo", "Jpg", "jif"])]
    root = in_parts(fill(tmp_path, pictures, *names), pictures, "Cubism")
    assert len(WikiArtDataModule(root).catalogue.paintings) == 10


def test_links(tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    """Broken ones are left out and counted, whatever data.on_bad_image says; good ones are followed, and end."""
    root = in_parts(tmp_path / "root", pictures, "Baroque", "Cubism")
    fill(tmp_path / "elsewhere", pictures, "a_1.jpg", "a_2.jpg")
    (root / "Dada").symlink_to(tmp_path / "elsewhere")
    (root / "Baroque/good_x.jpg").symlink_to(pictures[9])
    (root / "Baroque/gone_x.jpg").symlink_to(tmp_path / "gone.jpg")
    (root / "Cubism/itself_x.jpg").symlink_to("itself_x.jpg")
    (root / "Cubism/up").symlink_to(root)
    data = WikiArtDataModule(root, on_bad_image="raise")
    assert Counter(p.style for p in data.catalogue.paintings) == {"Baroque": 5, "Cubism": 4, "Dada": 2}
    assert caplog.text.count("3 broken links are left out: Baroque/gone_x.jpg, Cubism/itself_x.jpg, Cubism/up") == 1


def test_only_pictures(tmp_path: Path, pictures: list[Path]) -> None:
    fill(tmp_path, pictures, "1.jpg", "2.jpg")
    with pytest.raises(UserError, match=r"has 2 pictures but no style folders: .*\(data\.table=PATH\)"):
        catalogue.scan(tmp_path)


def test_names_in_another_unicode_form(tmp_path: Path, pictures: list[Path]) -> None:
    """macOS decomposes the names of files."""
    root = in_parts(tmp_path, pictures, unicodedata.normalize("NFD", "Naïve_Art"), "Cubism")
    assert len(catalogue.scan(root, styles=["Naïve Art", "cubism"]).paintings) == 8


def test_a_link_to_a_style_that_is_gone(tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    """As an empty folder: a class is not lost with a disk that is not there."""
    root = in_parts(tmp_path, pictures, "Baroque", "Cubism")
    (root / "notes.txt").symlink_to(tmp_path / "gone.txt")
    (root / "Rococo").symlink_to(tmp_path / "gone")
    with pytest.raises(UserError, match=r"Rococo holds no painting \(1 broken links\)"):
        catalogue.scan(root)
    assert catalogue.scan(root, styles=["Baroque", "Cubism"]).class_names == ["Baroque", "Cubism"]
    assert "2 broken links are left out: Rococo, notes.txt" in caplog.text
