"""Tables as programs write them."""

import csv
import gzip
import os
from pathlib import Path

import pytest

from brushwork import csv_files

ROWS = [
    {"file": "Baroque/josé_x.jpg", "title": 'Bacchus, "the second"\r\nof two'},
    {"file": "漢/a;b.jpg", "title": ""},
]
PLAIN = 'file,title\nBaroque/josé_x.jpg,"Bacchus, ""the second""\r\nof two"\n漢/a;b.jpg,\n'
EXCEL = 'file;title\r\nBaroque/josé_x.jpg;"Bacchus, ""the second""\r\nof two"\r\n"漢/a;b.jpg";\r\n'
TABS = EXCEL.replace(";", "\t").replace("a\tb", "a;b")


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        EXCEL.encode("utf-8-sig"),
        ("sep=;\r\n" + EXCEL).encode("utf-8-sig"),
        TABS.encode("utf-16"),  # Excel's "Unicode text"
        TABS.encode("utf-16-be"),
        TABS.encode("utf-16-le"),
        TABS.encode("utf-32"),
        EXCEL.replace(";", "|").replace("a|b", "a;b").encode(),
        gzip.compress(PLAIN.encode()),
        (PLAIN + "\n\n").replace("title", " title ").encode(),
    ],
    ids=["plain", "excel", "sep", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "bars", "gzip", "spaces"],
)
def test_tables_of_programs(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    assert csv_files.read(tmp_path / "table.csv") == ROWS


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    """Also names of files that are no UTF-8."""
    rows = [*ROWS, {"file": os.fsdecode(b"caf\xe9\n.jpg"), "title": "x"}]
    csv_files.write(tmp_path / "table.csv", ["file", "title"], rows)
    assert csv_files.read(tmp_path / "table.csv") == rows
    with open(tmp_path / "table.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert list(csv.DictReader(file)) == rows


def test_a_quotation_mark_that_is_not_closed(tmp_path: Path) -> None:
    """It would swallow the rows below."""
    path = tmp_path / "table.csv"
    path.write_text('a,b\n1,"x\n' + "2,y\n" * 9)
    with pytest.raises(csv.Error, match="a quotation mark is not closed, perhaps in the row of 1"):
        csv_files.read(path)
    path.write_text('a,b\n5" wide,x\n2,"y\nz"\n')
    assert csv_files.read(path) == [{"a": '5" wide', "b": "x"}, {"a": "2", "b": "y\nz"}]


def test_short_long_and_missing_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1\n1,2,3\n")
    assert csv_files.read(path) == [{"a": "1", "b": None}, {"a": "1", "b": "2"}]
    path.write_text("")
    assert csv_files.read(path) == []
    path.write_text("a,b\n" + "x" * 1_000_000 + ",y\n")
    assert len(csv_files.read(path)[0]["a"]) == 1_000_000
