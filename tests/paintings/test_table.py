"""Tables of paintings as people have them (faults 44 and 45)."""

import csv
import logging
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import catalogue, matching, table
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.paintings.described import Painting
from tests.paintings.conftest import fill

KAGGLE = ["filename", "artist", "genre", "description", "phash", "width", "height", "genre_count", "subset"]


def write(path: Path, *rows: list[object], encoding: str = "utf-8", **dialect: str) -> Path:
    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file, **dialect).writerows(rows)
    return path


def files_of(*styles: str, count: int = 4) -> list[str]:
    return [f"{style}/a-{n}_{style.lower()}-{n}.jpg" for style in styles for n in range(count)]


def test_kaggles_copy(tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    """Its classes.csv is the catalogue and the split; a painting in two genres is in the one of its folder."""
    caplog.set_level(logging.INFO)
    names = files_of("Art_Nouveau_Modern", "Baroque", count=6)
    subsets = ["train", "train", "train", "test", "train", "uncertain artist"] * 2
    rows = [
        [
            name,
            "Jan Steen",
            str(["Rococo", name.partition("/")[0].replace("_", " ")]),
            *"x0111",
            subset,
        ]
        for name, subset in zip(names, subsets, strict=True)
    ]
    write(fill(tmp_path, pictures, *names) / "classes.csv", KAGGLE, *rows)
    data = WikiArtDataModule(tmp_path, val_fraction=0.25)
    assert data.split_name == "given"
    assert data.class_names == ["Art_Nouveau_Modern", "Baroque"]
    assert Counter(data.parts) == {"train": 6, "val": 2, "test": 2, "unused": 2}
    assert {painting.artist for painting in data.catalogue.paintings} == {"jan-steen"}
    assert {painting.genre for painting in data.catalogue.paintings} == {""}  # there, genre means style
    assert "2 paintings have the part 'uncertain artist', which trains and tests nothing" in caplog.text
    assert "has no validation part: 2 of 8 training paintings validate" in caplog.text
    drawn = WikiArtDataModule(tmp_path, split="random")
    assert "unused" not in drawn.parts


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (["file", "style", "artist", "part", "year"], {}),
        (["Image Path", "Class", "Painter", "_split", "Date"], {}),
        (
            ["Datei", "Stil", "Maler", "Teil", "Jahr"],
            {"file": "Datei", "style": "Stil", "artist": "Maler", "part": "Teil", "date": "Jahr"},
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_flat_folder_with_a_table(
    tmp_path: Path, pictures: list[Path], header: list[str], columns: dict[str, str], encoding: str
) -> None:
    names = [f"{n:03}.jpg" for n in range(12)]
    styles = ["Baroque", "Pop $Art$", "現代"]
    rows = [
        [name, styles[i % 3], "" if i == 5 else f"Painter {i % 4}", "train" if i < 9 else "val", 1900 + i]
        for i, name in enumerate(names[:11])
    ]
    path = write(fill(tmp_path, pictures, *names) / "labels.csv", header, *rows, encoding=encoding, delimiter=";")
    data = WikiArtDataModule(tmp_path, table=path if columns else None, columns=columns)
    assert data.class_names == ["Baroque", "Pop_Art", "現代"]  # folder names
    by_path = {painting.path: painting for painting in data.catalogue.paintings}
    assert set(by_path) == set(names[:11])
    assert by_path["005.jpg"].artist is None
    first = by_path["001.jpg"]
    assert (first.style, first.artist, first.part, first.date) == ("Pop_Art", "painter-1", "train", "1901")
    assert Counter(data.parts) == {"train": 9, "val": 2}


def test_a_table_of_other_classes_names_the_styles(
    tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Folders that are not styles: artists, say."""
    caplog.set_level(logging.INFO)
    names = files_of("monet", "picasso", "renoir")
    rows = [[name, "Cubism" if "picasso" in name else "Impressionism"] for name in names]
    write(fill(tmp_path, pictures, *names) / "table.csv", ["path", "style"], *rows)
    found = catalogue.scan(tmp_path)
    assert Counter(painting.style for painting in found.paintings) == {"Impressionism": 8, "Cubism": 4}
    assert "the styles are those of its column style" in caplog.text


def test_an_empty_column_of_artists_says_nothing(tmp_path: Path, pictures: list[Path]) -> None:
    names = files_of("Baroque", "Cubism")
    root = fill(tmp_path, pictures, *names)
    write(root / "catalogue.csv", ["path", "style", "artist"], *[[name, name.split("/")[0], ""] for name in names])
    assert {painting.artist for painting in catalogue.scan(root).paintings} == {f"a-{n}" for n in range(4)}


def test_numbers_and_genres_do_not_replace_styles(tmp_path: Path, pictures: list[Path]) -> None:
    names = files_of("Baroque", "Cubism")
    fill(tmp_path, pictures, *names)
    for header, cell in [(["file", "label"], "7"), (["file", "genre"], "portrait")]:
        write(tmp_path / "table.csv", header, *[[name, cell] for name in names])
        assert catalogue.scan(tmp_path).class_names == ["Baroque", "Cubism"]


@pytest.mark.parametrize(
    "changed",
    [
        lambda name: name.replace("-", "_"),
        lambda name: unicodedata.normalize("NFD", name),
        lambda name: unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode(),
        str.upper,
        lambda name: f"wikiart/{name}",
        lambda name: f"C:\\data\\{name}".replace("/", "\\"),
        lambda name: name.replace(".jpg", ".png"),
    ],
)
def test_a_list_with_other_spellings(tmp_path: Path, pictures: list[Path], changed: object) -> None:
    """ArtGAN's lists, whose names a copy of the pictures has otherwise (--split, split.file)."""
    names = [f"{style}/josé-{n}_été-{n}.jpg" for style in ("Art_Nouveau_Modern", "Baroque") for n in range(8)]
    root = fill(tmp_path / "root", pictures, *names)
    for part, start in [("train", 0), ("val", 1)]:
        write(tmp_path / f"style_{part}.csv", *[[changed(name), i] for i, name in enumerate(names) if i % 4 == start])
    data = WikiArtDataModule(root, split="given", split_file=tmp_path / "style_val.csv")
    expected = {name: {0: "train", 1: "val"}.get(i % 4, "unused") for i, name in enumerate(names)}
    assert {p.path: part for p, part in zip(data.catalogue.paintings, data.parts, strict=True)} == expected
    assert WikiArtDataModule(root, split_file=tmp_path).parts == data.parts


def test_what_is_not_clear_is_not_matched() -> None:
    assert matching.match(["Baroque/a_b.jpg", "Baroque/ab_.jpg"], ["Baroque/ab.jpg"]) == {}
    assert matching.match(["a.jpg"], ["Baroque/a.jpg", "Cubism/a.jpg"]) == {}
    assert matching.match(["Baroque/1-2.jpg", "Baroque/12.jpg"], ["Baroque/12.jpg"]) == {
        "Baroque/12.jpg": "Baroque/12.jpg"
    }
    assert matching.match(["Baroque/a.jpg"], ["Cubism/a.jpg"]) == {}  # another painting
    assert matching.match(["x/漢.jpg"], ["x/字.jpg"]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no table"),
        ("path,style\na,b\n", "is no split: name a table of files"),
        ("path,part\nBaroque/x.jpg,train\n", "lists none of the paintings (its first: Baroque/x.jpg)"),
        ("path,part\nBaroque/a-0_baroque-0.jpg,tarin\n", "unknown part in"),
        ("path,part\na.jpg,train\na.jpg,test\n", "a.jpg is in train and in test"),
        ("style,part\nBaroque,train\n", "has no column of files (it has style, part)"),
        ("", "has no rows"),
        ("PK\x03\x04\0\0part", "it is no text: save the table as CSV"),
    ],
)
def test_a_table_that_is_no_split(tmp_path: Path, pictures: list[Path], text: str | None, message: str) -> None:
    root = fill(tmp_path / "root", pictures, *files_of("Baroque", "Cubism"))
    if text is not None:
        (tmp_path / "split.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        WikiArtDataModule(root, split_file=tmp_path / "split.csv").setup("fit")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_a_split_goes_with_given(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split\.file=x\.csv goes with split=given, not with split=random"):
        WikiArtDataModule(tmp_path, split="random", split_file="x.csv")


def test_a_table_that_lists_other_pictures_is_not_used(
    tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    root = fill(tmp_path, pictures, *files_of("Baroque", "Cubism"))
    write(root / "other.csv", ["file", "style"], *[[f"{n}.jpg", "x"] for n in range(20)])
    found = catalogue.scan(root)
    assert (len(found.paintings), found.class_names) == (8, ["Baroque", "Cubism"])
    assert "lists 0 of 8 pictures and is not used" in caplog.text
    with pytest.raises(UserError, match=r"other\.csv lists none of the files in"):
        catalogue.scan(root, table=root / "other.csv")


def test_several_tables(tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    """Only the names of known ones tell which is meant."""
    caplog.set_level(logging.INFO)
    names = [f"{n}.jpg" for n in range(6)]
    root = fill(tmp_path, pictures, *names)
    for stem in ("a", "b"):
        write(root / f"{stem}.csv", ["file", "style"], *[[name, f"{stem}{i % 2}"] for i, name in enumerate(names)])
    with pytest.raises(UserError, match="has 6 pictures but no style folders"):
        catalogue.scan(root)
    assert "has several tables of pictures (a.csv, b.csv), none is used" in caplog.text
    assert catalogue.scan(root, table=root / "b.csv").class_names == ["b0", "b1"]
    (root / "b.csv").rename(root / "classes.csv")
    assert catalogue.scan(root).class_names == ["b0", "b1"]


def test_columns_that_are_not_there(tmp_path: Path, pictures: list[Path]) -> None:
    root = fill(tmp_path, pictures, *files_of("Baroque", "Cubism"))
    path = write(root / "table.csv", ["file", "style"], ["Baroque/a-0_baroque-0.jpg", "Baroque"])
    with pytest.raises(UserError, match=r"has no column 'stil' \(data\.columns\.style\); it has file, style"):
        catalogue.scan(root, table=path, columns={"style": "stil"})
    with pytest.raises(UserError, match=r"unknown key of data\.columns 'styles': did you mean 'style'"):
        WikiArtDataModule(root, columns={"styles": "stil"})


def test_artgans_lists(shared: Path) -> None:
    listed = table.read(shared / "reference/artgan")
    assert Counter(row.part for row in listed.rows) == {"train": 57025, "val": 24421}
    assert not listed.disagreeing
    assert table.read(shared / "reference/artgan/style_val.csv").rows == listed.rows


def test_the_artist_of_a_table() -> None:
    """A table knows better than a name; where its artist is the name's, the name's spelling stays."""
    assert Painting("Baroque/IMG_01.jpg", "Baroque", 1).artist == "IMG"
    assert Painting("Baroque/IMG_01.jpg", "Baroque", 1, listed_artist="").artist is None


def test_numbers_of_artists_do_not_replace_names(tmp_path: Path, pictures: list[Path]) -> None:
    """Kaggle's wclasses.csv numbers 128 artists, and 0 stands for all others."""
    names = files_of("Baroque", "Cubism")
    fill(tmp_path, pictures, *names)
    write(tmp_path / "wclasses.csv", ["file", "artist", "style"], *([name, 0, 139] for name in names))
    assert {painting.artist for painting in catalogue.scan(tmp_path).paintings} == {f"a-{n}" for n in range(4)}
    photos = [f"{style}/IMG_{n}.jpg" for style in ("Baroque", "Cubism") for n in (1, 2)]  # say nothing of artists
    files = fill(tmp_path / "other", pictures, *photos)
    rows = [[path.relative_to(files), number] for number, path in enumerate(sorted(files.rglob("*.jpg")))]
    found = catalogue.scan(files, table=write(tmp_path / "numbers.csv", ["file", "artist"], *rows))
    assert {painting.artist for painting in found.paintings} == {"0", "1", "2", "3"}


def test_numbered_classes_of_one_folder(tmp_path: Path, pictures: list[Path]) -> None:
    names = [f"images/{n}.jpg" for n in range(8)]
    rows = [[f"{n}.jpg", n % 2] for n in range(8)]
    write(fill(tmp_path, pictures, *names) / "labels.csv", ["file", "label"], *rows)
    assert [(p.path, p.style) for p in catalogue.scan(tmp_path).paintings if p.style == "1"] == [
        (f"images/{n}.jpg", "1") for n in (1, 3, 5, 7)
    ]


@pytest.mark.parametrize("nothing", ["nan", "NULL", "None", ""])
def test_empty_cells_name_no_style(
    tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture, nothing: str
) -> None:
    rows = [[f"{n}.jpg", style] for n, style in enumerate(["Baroque", "Cubism", nothing])]
    write(fill(tmp_path, pictures, "0.jpg", "1.jpg", "2.jpg") / "labels.csv", ["file", "style"], *rows)
    assert catalogue.scan(tmp_path).class_names == ["Baroque", "Cubism"]
    assert "1 pictures of no style are left out: 2.jpg" in caplog.text


def test_a_column_of_parts_without_one(tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    """0 and 1 may be either way round."""
    names = files_of("Baroque", "Cubism")
    rows = [[name, int(number % 4 == 0)] for number, name in enumerate(names)]
    write(fill(tmp_path, pictures, *names) / "labels.csv", ["file", "split"], *rows)
    assert WikiArtDataModule(tmp_path).split_name == "random"
    assert "labels.csv says no parts, train, val or test, but 0, 1: it gives no split" in caplog.text
    assert "trains and tests nothing" not in caplog.text


def test_a_table_that_contradicts_the_folders(
    tmp_path: Path, pictures: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"{part}/{name}" for part in ("train", "test") for name in files_of("Baroque", "Cubism")]
    rows = [[name, "test" if "a-0" in name else "train"] for name in names]
    labels = write(fill(tmp_path, pictures, *names) / "labels.csv", ["file", "part"], *rows)
    assert all(painting.path.startswith("test/") for painting in WikiArtDataModule(tmp_path).part("test"))
    assert "labels.csv: 8 files are in other parts than their folders, which count (split.file=" in caplog.text
    assert all("a-0" in painting.path for painting in WikiArtDataModule(tmp_path, split_file=labels).part("test"))


@pytest.mark.parametrize("where", ["train.csv", "train/metadata.csv"])
def test_a_table_for_each_part(tmp_path: Path, pictures: list[Path], where: str) -> None:
    """Kaggle's train.csv and test.csv, Hugging Face's metadata.csv in train/ and test/: names recur in both parts."""
    counts = {"train": 6, "test": 4}
    fill(tmp_path, pictures, *(f"{part}/{n}.jpg" for part, count in counts.items() for n in range(count)))
    for part, count in counts.items():
        styles = ["Baroque", "Cubism"] if part == "train" else ["Cubism", "Baroque"]
        rows = [[f"{n}.jpg", styles[n % 2]] for n in range(count)]
        write(tmp_path / where.replace("train", part), ["file_name", "style"], *rows)
    data = WikiArtDataModule(tmp_path, val_fraction=0.3)
    assert Counter(data.parts) == {"train": 4, "val": 2, "test": 4}
    style_of = {painting.path: painting.style for painting in data.catalogue.paintings}
    assert (style_of["train/0.jpg"], style_of["test/0.jpg"]) == ("Baroque", "Cubism")
    assert {painting.path for painting in data.part("test")} == {f"test/{n}.jpg" for n in range(4)}


def test_other_tables_in_the_folders_of_parts(tmp_path: Path, pictures: list[Path]) -> None:
    names = [f"{part}/{name}" for part in ("train", "test") for name in files_of("Baroque", "Cubism")]
    write(fill(tmp_path, pictures, *names) / "train/counts.csv", ["style", "count"], ["Baroque", 4])
    assert catalogue.scan(tmp_path).class_names == ["Baroque", "Cubism"]


def test_named_columns_of_the_table_in_the_root(tmp_path: Path, pictures: list[Path]) -> None:
    rows = [[f"{n}.jpg", style] for n, style in enumerate(["Baroque", "Cubism"])]
    write(fill(tmp_path, pictures, "0.jpg", "1.jpg") / "labels.csv", ["Datei", "Stil"], *rows)
    columns = {"file": "Datei", "style": "Stil"}
    assert catalogue.scan(tmp_path, columns=columns).class_names == ["Baroque", "Cubism"]
    # They are not those of a run's split.csv.
    split = write(tmp_path / "split.csv", ["path", "part"], ["0.jpg", "train"], ["1.jpg", "val"])
    data = WikiArtDataModule(tmp_path, table=tmp_path / "labels.csv", columns=columns, split_file=split)
    assert [painting.part for painting in data.unchecked_catalogue.paintings] == ["train", "val"]


def test_a_table_without_styles_where_folders_have_none(tmp_path: Path, pictures: list[Path]) -> None:
    fill(tmp_path, pictures, "images/0.jpg", "images/1.jpg")
    labels = write(tmp_path / "labels.csv", ["file", "Epoche"], ["0.jpg", "Baroque"], ["1.jpg", "Cubism"])
    with pytest.raises(UserError, match=r"labels.csv has no column of styles, .* data.columns.style=HEADER"):
        catalogue.scan(tmp_path, table=labels)
    assert len(catalogue.scan(tmp_path, table=labels, columns={"style": "Epoche"}).class_names) == 2
