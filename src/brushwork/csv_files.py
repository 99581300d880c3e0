"""CSV files: written atomically, and read as spreadsheets and other programs write them."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brushwork import files

_DELIMITERS = ",;\t|"
_LONGEST = 2**26  # characters of a cell: descriptions of paintings exceed the csv module's limit
_BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
]


def write(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV atomically; a column that a row lacks stays empty, what is no column is left out."""
    header = dict(zip(columns := list(columns), columns, strict=True))
    files.write_text(path, lines(columns, [header, *rows]))


def lines(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The lines of a CSV for `read`, without a heading."""
    text, columns = io.StringIO(), list(columns)
    options = {"restval": "", "extrasaction": "ignore", "lineterminator": "\n"}
    plain = csv.DictWriter(text, columns, **options)
    quoting = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL, **options)
    for row in rows:  # Python's writer leaves a carriage return without quotes, and its reader ends the row there
        (quoting if any("\r" in str(value) for value in row.values()) else plain).writerow(row)
    return text.getvalue()


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a header, all values as text; a cell that a row lacks is None. See `read_rows`."""
    header, *rows = read_rows(path) or [[]]
    names = [name.strip() for name in header]
    return [dict(zip(names, [*row, *[None] * (len(names) - len(row))], strict=False)) for row in rows]


def read_rows(path: Path) -> list[list[str]]:
    """The lines of a table, without empty ones, as lists of cells.

    UTF-8 or UTF-16, with or without a byte-order mark, gzipped or not; commas, semicolons, tabs or bars between cells,
    by the first line; any line ends; line breaks inside quotes. Bytes that are no UTF-8 become lone surrogates, as in
    Python's file names. Raises csv.Error or OSError (EOFError) where the file is no such table.
    """
    content = path.read_bytes()
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    text = _decoded(content)
    if "\0" in text:  # a spreadsheet's own file, a database
        raise csv.Error("it is no text: save the table as CSV")
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own first line
        delimiter, text = first.strip()[-1], rest
    else:
        delimiter = _delimiter(first)
    csv.field_size_limit(_LONGEST)
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(map(str.strip, row))]
    if text.count('"') % 2 and (long := next((row for row in rows if any(c.count("\n") > 3 for c in row)), None)):
        raise csv.Error(f"a quotation mark is not closed, perhaps in the row of {long[0][:60].splitlines()[0]}")
    return rows


def _decoded(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.removeprefix(mark).decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
    if b"\0" in content[:2]:  # UTF-16 without a mark: the first character is ASCII
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le", "replace")
    return content.decode("utf-8", "surrogateescape")


def _delimiter(line: str) -> str:
    """The separator that is most frequent outside of quotes in a table's first line."""
    unquoted = "".join(line.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)
