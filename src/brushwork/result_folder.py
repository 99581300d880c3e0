"""A folder of results that an interrupted command goes on filling: nothing is replaced unasked, no settings mixed."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brushwork import csv_files, files
from brushwork.errors import UserError

ABOUT, LOCK = "about.json", ".lock"


def refuse_to_replace(
    out: Path, pictures: Sequence[str], others: Iterable[str], inputs: Iterable[Path], overwrite: bool, resume: bool
) -> None:
    """Raises a UserError that names a file which would be overwritten without --overwrite; inputs never are.

    Args:
        pictures: names of PNG files that will be written, each of which might be one of the `inputs`.
        others: names of the other results.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out.resolve()} is a file: choose another --out")
    given = {path.resolve() for path in inputs} if pictures else set()
    for name in pictures:
        if (out / name).resolve() in given:
            raise UserError(f"{out / name} is one of the photos: choose another --out")
    existing = [name for name in (*pictures, *others) if (out / name).exists()]
    if existing and not overwrite and not (resume and (out / ABOUT).exists()):
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        alternatives = "choose another --out, --resume (an interrupted run), or --overwrite"
        raise UserError(f"{out.resolve()} holds {existing[0]}{more} already: {alternatives}")


def begin(out: Path, about: Mapping[str, Any], results: Iterable[str], resume: bool) -> None:
    """Writes the settings into the folder and removes earlier `results`; raises a UserError where a resumed run's
    settings differ."""
    about = json.loads(json.dumps(about))  # as it is read back
    if resume and (out / ABOUT).exists():
        before = json.loads((out / ABOUT).read_text(encoding="utf-8"))
        for key in before | about:
            if before.get(key) != about.get(key):
                differ = f"was begun with {key} {before.get(key)}, not {about.get(key)}"
                raise UserError(f"{out.resolve()} {differ}: resume with the same, or choose another --out")
        return
    for name in results:
        (out / name).unlink(missing_ok=True)
    files.write_json(out / ABOUT, about)


def whole_rows(table: Path) -> list[dict[str, str]]:
    """The rows of a table without a last one that a killed process left half written; none where there is no table."""
    if not table.exists():
        return []
    rows = csv_files.read(table)
    is_torn = not table.read_bytes().endswith(b"\n") or (rows and None in rows[-1].values())
    return rows[:-1] if is_torn else rows


def append(table: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows to a table that has its heading."""
    text = csv_files.lines(columns, rows)
    with naming(table), open(table, "a", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Gives an OSError the file's name, which one of writing (a full disk) does not have."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
