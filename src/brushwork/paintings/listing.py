"""catalogue.csv: the paintings of a prepared data set, and where each came from."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from brushwork import csv_files
from brushwork.errors import UserError
from brushwork.paintings.layout import PARTS

CATALOGUE = "catalogue.csv"

# `path` is relative to the root, with "/"; `sha256`, `width` and `height` are of the stored file; `part` may be empty.
COLUMNS = ("path", "style", "artist", "title", "source", "sha256", "width", "height", "part")
OPTIONAL = ("date", "genre")  # newer than the others: as the source says them, or empty


def read(root: Path) -> dict[str, dict[str, str]] | None:
    """The rows of root/catalogue.csv by path, or None if there is no such file.

    UserError if a column is missing, a path is listed twice or leads out of the folder, or a part is unknown.
    """
    return rows_of(root / CATALOGUE) if (root / CATALOGUE).is_file() else None


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a catalogue.csv by path; UserError as `read`."""
    rows = {}
    for line, row in enumerate(csv_files.read(path), start=2):
        problem = ""
        if missing := [column for column in COLUMNS if row.get(column) is None]:
            problem = f"has no {missing[0]}"
        elif (place := PurePosixPath(row["path"])).is_absolute() or ".." in place.parts or not place.name:
            problem = f"has the path '{row['path']}', expected one inside of the folder"
        elif row["path"] in rows:
            problem = f"lists {row['path']} a second time"
        elif row["part"] not in (*PARTS, ""):
            problem = f"has the part '{row['part']}', expected train, val, test or nothing"
        if problem:
            raise UserError(f"{path.resolve()}: line {line} {problem}; correct it, or remove the file")
        rows[row["path"]] = row
    return rows


def write(root: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """Write root/catalogue.csv atomically, sorted by path."""
    csv_files.write(root / CATALOGUE, (*COLUMNS, *OPTIONAL), sorted(rows, key=lambda row: row["path"]))


def differences(listed: Collection[str], found: Collection[str]) -> tuple[list[str], list[str]]:
    """The listed paths without a file, and the files that are not listed, each sorted.

    >>> differences(["Baroque/a_b.jpg", "Baroque/c_d.jpg"], ["Baroque/a_b.jpg", "Realism/e_f.jpg"])
    (['Baroque/c_d.jpg'], ['Realism/e_f.jpg'])
    """
    return sorted(set(listed) - set(found)), sorted(set(found) - set(listed))
