"""catalogue.csv: written, read, compared with what is there (FAULTS 11)."""

import csv
import os
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import listing

ROW = {
    "path": "Baroque/caravaggio_bacchus.jpg",
    "style": "Baroque",
    "artist": "caravaggio",
    "title": 'Bacchus, "the second"\nof two',
    "source": "https://example.org/bacchus.jpg",
    "sha256": "00",
    "width": 512,
    "height": 400,
    "part": "val",
}


def test_rows_come_back_sorted_by_path(tmp_path: Path) -> None:
    other = ROW | {"path": "Art_Nouveau_Modern/josé_x.jpg", "part": ""}
    listing.write(tmp_path, [ROW | {"date": "1596"}, other])
    rows = listing.read(tmp_path)
    assert list(rows) == ["Art_Nouveau_Modern/josé_x.jpg", "Baroque/caravaggio_bacchus.jpg"]
    assert rows[ROW["path"]] == {key: str(value) for key, value in ROW.items()} | {"date": "1596", "genre": ""}
    with open(tmp_path / "catalogue.csv", encoding="utf-8", newline="") as file:
        assert ",".join(next(csv.reader(file))) == "path,style,artist,title,source,sha256,width,height,part,date,genre"


def test_none_where_there_is_no_catalogue(tmp_path: Path) -> None:
    assert listing.read(tmp_path) is None
    listing.write(tmp_path, [])
    assert listing.read(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,style\na/b.jpg,a\n", "line 2 has no artist"),
        (",".join(listing.COLUMNS) + "\na/b.jpg,a\n", "line 2 has no artist"),
        (",".join(listing.COLUMNS) + "\na/b.jpg,a,,,,,,,\na/b.jpg,a,,,,,,,\n", "line 3 lists a/b.jpg a second time"),
        (",".join(listing.COLUMNS) + "\na/b.jpg,a,,,,,,,valid\n", "line 2 has the part 'valid'"),
        (
            ",".join(listing.COLUMNS) + "\na/../../b.jpg,a,,,,,,,\n",
            r"line 2 has the path 'a/\.\./\.\./b.jpg'",
        ),
        (
            ",".join(listing.COLUMNS) + "\n/home/b.jpg,a,,,,,,,\n",
            "line 2 has the path '/home/b.jpg', expected",
        ),
    ],
)
def test_a_broken_catalogue_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "catalogue.csv").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        listing.read(tmp_path)
    assert str(tmp_path / "catalogue.csv") in str(caught.value)


def test_a_failed_writing_leaves_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing.write(tmp_path, [ROW])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        listing.write(tmp_path, [ROW, ROW | {"path": "x"}])
    assert list(listing.read(tmp_path)) == [ROW["path"]]
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue.csv"]
