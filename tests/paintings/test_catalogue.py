"""What a folder of paintings may hold (FAULTS 1, 2, 7 to 10, 12, 17)."""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from brushwork.errors import UserError
from brushwork.paintings import catalogue, listing
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.checks import facts


def test_scan(paintings: Path) -> None:
    found = catalogue.scan(paintings)
    assert found.class_names == ["Dots", "Facets", "Waves"]
    assert len(found.paintings) == 30
    assert found.paintings == sorted(found.paintings, key=lambda painting: painting.path)
    first = found.paintings[0]
    assert (first.path, first.style, first.artist) == ("Dots/artist-dots-0_00.jpg", "Dots", "artist-dots-0")
    assert first.bytes == (paintings / first.path).stat().st_size
    assert found.label(found.paintings[-1]) == 2


@pytest.mark.parametrize(
    ("name", "artist"),
    [
        ("claude-monet_water-lilies.jpg", "claude-monet"),
        ("josé_a_b.jpg", "josé"),
        ("unknown_00-12.jpg", None),
        ("IMG1234.jpg", None),
        ("_x.jpg", None),
    ],
)
def test_artist(name: str, artist: str | None) -> None:
    assert Painting(f"Style_With_Underscore/{name}", "Style_With_Underscore", 1).artist == artist


def test_data_hash_is_of_paths_and_sizes(paintings: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(paintings, tmp_path / "elsewhere"))
    before = catalogue.scan(paintings).data_hash
    assert catalogue.scan(moved).data_hash == before
    (moved / "Dots/artist-dots-0_00.jpg").rename(moved / "Dots/artist-dots-0_99.jpg")
    assert catalogue.scan(moved).data_hash != before


def test_what_is_no_painting_is_ignored_and_counted(
    paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    for name in ("Dots/._artist_x.jpg", "Dots/Thumbs.db", "Dots/notes.txt", "Dots/list.csv", "Dots/more.txt"):
        (root / name).write_bytes(b"x")
    (root / ".ipynb_checkpoints").mkdir()
    (root / ".ipynb_checkpoints/x_y.jpg").write_bytes(b"x")
    found = catalogue.scan(root)
    assert found.data_hash == catalogue.scan(paintings).data_hash
    assert "ignored files that are no images: 2 .txt, 1 .csv" in caplog.text


def test_other_image_formats_are_read(paintings: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    for kind in ("webp", "tif", "avif", "PNG"):
        Image.new("RGB", (40, 40)).save(root / f"Dots/new_{kind}.{kind}")
    found, _, bad = facts.read_good(catalogue.scan(root), 89, skip=False)
    assert len(found.paintings) == 34
    assert bad == []


def test_limit_per_style_is_drawn_by_seed(paintings: Path) -> None:
    def paths(seed: int) -> list[str]:
        return [painting.path for painting in catalogue.limited(catalogue.scan(paintings), 4, seed).paintings]

    assert len(paths(0)) == 12
    assert paths(0) == paths(0) != paths(1)


def test_styles_in_any_spelling(paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    root = tmp_path / "root"
    shutil.copytree(paintings / "Dots", root / "Art_Nouveau_Modern")
    shutil.copytree(paintings / "Waves", root / "Post_Impressionism")
    found = catalogue.scan(root, styles=["Art_Nouveau", "post-impressionism"])
    assert found.class_names == ["Art_Nouveau_Modern", "Post_Impressionism"]
    assert "Art_Nouveau is read from the folder Art_Nouveau_Modern" in caplog.text


def test_an_exact_name_is_taken_before_an_alias(paintings: Path, tmp_path: Path) -> None:
    for name in ("Art_Nouveau", "Art_Nouveau_Modern"):
        shutil.copytree(paintings / "Dots", tmp_path / name)
    found = catalogue.scan(tmp_path, styles=["Art_Nouveau", "Art_Nouveau_Modern"])
    assert found.class_names == ["Art_Nouveau", "Art_Nouveau_Modern"]


def test_spellings_of_one_style(paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("Baroque", "baroque", "Cubism"):
        shutil.copytree(paintings / "Dots", tmp_path / name)
    assert catalogue.scan(tmp_path).class_names == ["Baroque", "Cubism", "baroque"]
    assert "Baroque, baroque are spellings of one style, and two classes: merge the folders" in caplog.text
    assert catalogue.scan(tmp_path, styles=["Baroque"]).class_names == ["Baroque"]
    with pytest.raises(UserError, match=r"data\.styles: BAROQUE may be Baroque or baroque: give the name of one"):
        catalogue.scan(tmp_path, styles=["BAROQUE"])


def test_unknown_style(paintings: Path) -> None:
    with pytest.raises(UserError, match=r"unknown style in data\.styles 'Dot': did you mean 'Dots'"):
        catalogue.scan(paintings, styles=["Dot"])


def test_missing_and_empty_folders_name_the_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = re.escape(str(tmp_path))
    with pytest.raises(UserError, match=rf"no paintings at {here}/data/wikiart: .*data\.root=.*experiment=demo"):
        catalogue.scan(Path("data/wikiart"))
    Path("empty").mkdir()
    with pytest.raises(UserError, match=rf"{here}/empty holds no style folders"):
        catalogue.scan(Path("empty"))
    Path("file").write_text("x")
    with pytest.raises(UserError, match=rf"{here}/file is a file"):
        catalogue.scan(Path("file"))
    Path("text/Style").mkdir(parents=True)
    Path("text/Style/readme.txt").write_text("x")
    with pytest.raises(UserError, match=rf"{here}/text/Style holds no painting"):
        catalogue.scan(Path("text"))


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Nobody's rights, where the tests run with the superuser's, who may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.parametrize(
    ("closed", "message"),
    [("Dots/artist-dots-0_00.jpg", r"artist-dots-0_00\.jpg: no permission to read"), (".", "no permission")],
)
def test_unreadable(
    tmp_path: Path,
    paintings: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    closed: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative path needs no permission for the folders above
    tmp_path.chmod(0o755)
    root = Path(shutil.copytree(paintings, "root"))
    root.chmod(0o755)
    (root / closed).chmod(0)
    facts.inspect(paintings / "Dots/artist-dots-0_00.jpg")  # what it imports may be closed to others than the superuser
    request.getfixturevalue("unprivileged")
    with pytest.raises(UserError, match=message):
        facts.read_good(catalogue.scan(root), 89, skip=False)


def test_bad_images_stop_or_are_left_out(paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    (root / "Dots/artist_page.jpg").write_text("<html>")
    cut = root / "Waves/artist-waves-0_00.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    found = catalogue.scan(root)
    with pytest.raises(UserError, match=r"artist_page\.jpg: not an image.*1 more bad file.*on_bad_image=skip"):
        facts.read_good(found, 89, skip=False)
    good, _, bad = facts.read_good(found, 89, skip=True)
    assert [path for path, _ in bad] == ["Dots/artist_page.jpg", "Waves/artist-waves-0_00.jpg"]
    assert "truncated" in bad[1][1].lower()
    assert len(good.paintings) == 29
    assert "2 bad files are left out" in caplog.text


def test_tiny_pictures_are_reported(paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    Image.new("RGB", (1, 1)).save(root / "Dots/artist_dot.png")
    Image.new("RGB", (4000, 3)).save(root / "Dots/artist_line.png")
    good, _, _ = facts.read_good(catalogue.scan(root), 89, skip=False)
    assert len(good.paintings) == 32
    assert "2 paintings have a side under 32 pixels: Dots/artist_dot.png, Dots/artist_line.png" in caplog.text


def test_names_that_are_not_text(paintings: Path, tmp_path: Path) -> None:
    """File names are bytes: one that is no UTF-8 is scanned, hashed and drawn like any other."""
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    source = root / "Dots/artist-dots-0_00.jpg"
    source.rename(os.fsdecode(bytes(root) + b"/Dots/jos\xe9_x.jpg"))
    found, _, bad = facts.read_good(catalogue.limited(catalogue.scan(root), 10), 89, skip=False)
    assert len(found.paintings) == 30
    assert bad == []
    assert len(found.data_hash) == 16


def test_compared_with_its_catalogue(paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows without a file, files without a row (FAULTS 11)."""
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    rows = [
        dict.fromkeys(listing.COLUMNS, "") | {"path": p.path, "style": p.style} for p in catalogue.scan(root).paintings
    ]
    listing.write(root, rows)
    catalogue.scan(root)
    assert caplog.text == ""
    (root / "Dots/artist-dots-0_00.jpg").rename(root / "Dots/artist_new.jpg")
    assert len(catalogue.scan(root).paintings) == 30
    assert "1 listed paintings have no file: Dots/artist-dots-0_00.jpg" in caplog.text
    assert "1 files are not listed: Dots/artist_new.jpg" in caplog.text
    caplog.clear()
    catalogue.scan(root, styles=["Waves"])
    assert caplog.text == ""
    for path in list((root / "Waves").iterdir())[:3]:
        path.unlink()
    with pytest.raises(UserError, match=r"catalogue.csv lists 30 paintings of these styles, but 4 have no file"):
        catalogue.scan(root)


def test_a_style_that_its_table_lists_is_gone(
    paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A class is not lost unsaid with its folder: ours is refused, others' tables may list more than was downloaded."""
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    rows = [{"path": p.path, "style": p.style} for p in catalogue.scan(root).paintings]
    shutil.rmtree(root / "Dots")
    listing.write(root, [dict.fromkeys(listing.COLUMNS, "") | row for row in rows])
    with pytest.raises(UserError, match=r"lists 30 paintings .*but 10 have no file .*the others in data.style"):
        catalogue.scan(root)
    assert len(catalogue.scan(root, styles=["Waves"]).class_names) == 1
    (root / "catalogue.csv").rename(root / "labels.csv")
    assert "Dots" not in catalogue.scan(root).class_names
    assert "labels.csv: 10 listed paintings have no file: Dots/" in caplog.text
