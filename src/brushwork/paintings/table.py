"""Tables of paintings as people have them: which files they are, which column says what."""

import csv
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from brushwork import csv_files, images
from brushwork.errors import UserError, one_line
from brushwork.paintings.layout import part_named

log = logging.getLogger(__name__)

# What headers call each column, the likelier names first, without case, spaces and underscores. Kaggle's copy of
# WikiArt has the style in `genre`; where there is another class column, that is a genre.
NAMES = {
    "file": (
        *("file", "path", "filename", "filepath", "relativepath", "image", "imagepath", "imagefile", "imagename"),
        *("img", "imgpath", "picture", "photo", "painting", "imageid", "name", "id"),
    ),
    "style": (
        "style",
        "artstyle",
        "stylename",
        "class",
        "classname",
        "movement",
        "category",
        "label",
        "labels",
        "target",
        "genre",
    ),
    "artist": ("artist", "artistname", "painter", "author", "creator"),
    "part": ("part", "split", "subset", "partition", "set"),
    "date": ("date", "year", "creationyear", "creationdate", "completionyear", "dated"),
    "genre": ("genre",),
}
SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
_NOTHING = ("", "nan", "null", "none", "n/a", "<na>")  # as programs write an empty cell


@dataclass(frozen=True)
class Row:
    """What a table says of one file; None where it has no such column.

    styles: the names in the class column, several where it has a list.
    """

    file: str
    styles: tuple[str, ...] | None = None
    artist: str | None = None
    part: str | None = None
    date: str | None = None
    genre: str | None = None


@dataclass(frozen=True)
class Table:
    """The rows of one table, or of one for each part, the first of each file.

    style_column: the header of the class column. disagreeing: later rows that say something else of a file.
    """

    path: Path
    rows: list[Row]
    style_column: str | None = None
    disagreeing: list[Row] = field(default_factory=list)


def read(path: Path, columns: Mapping[str, str | None] | None = None) -> Table:
    """Read a table with a column of files: of any program's CSV dialect, ArtGAN's headerless lists included.

    Args:
        path: a file; of style_train.csv, style_val.csv the others of its kind are read too, their names are the parts;
            or a folder with such files, or with one file of the same name in each of its folders train/, test/.
        columns: {a key of `NAMES`: the header that it has here}; others are found by `NAMES`.

    Raises:
        UserError: there is no such table, no column of files, no such header.
    """
    rows: dict[str, Row] = {}
    style_column, disagreeing = None, []
    lists = [(one, *_rows(one, columns or {}, part)) for part, one in _of_all_parts(path)]
    for found, header in _with_folders(path, lists):
        style_column = style_column or header
        for row in found:
            if rows.setdefault(row.file, row) != row:
                disagreeing.append(row)
    return Table(path, list(rows.values()), style_column, disagreeing)


def _with_folders(
    path: Path, lists: Sequence[tuple[Path, list[Row], str | None]]
) -> Iterator[tuple[list[Row], str | None]]:
    """The rows of the parts' tables. Names are in the table's folder; those in two tables, in the parts' folders."""
    folder = path if path.is_dir() else path.parent
    counts = Counter(name for _, rows, _ in lists for name in {row.file for row in rows})
    twice = max(counts.values(), default=0) > 1 and not any("/" in name for name in counts)
    parts = {part_named(one.name): one.name for one in sorted(folder.iterdir()) if one.is_dir()} if twice else {}
    for one, rows, header in lists:
        inside = one.parent.name if one.parent != folder else parts.get(_part_of(one))
        yield rows if inside is None else [replace(row, file=f"{inside}/{row.file}") for row in rows], header


def find(root: Path, columns: Mapping[str, str | None] | None = None) -> Path | None:
    """The one table in `root` that has files and their classes or parts; None if there is none, or several.

    `columns` as in `read`: tables without these headers are others.
    """
    candidates: dict[str, Path] = {}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.name.lower().endswith(SUFFIXES) and not images.is_hidden(path.name) and path.is_file():
            try:
                rows, _ = _rows(path, columns or {}, _part_of(path) or "")
            except UserError:
                continue
            if any(row.styles or row.part for row in rows):
                kind = _kind(path)
                candidates.setdefault(path.name if kind is None else kind, path)
    for kind in ("catalogue.csv", "classes.csv", "style_", ""):
        if kind in candidates:
            return candidates[kind]
    if len(candidates) > 1:
        names = ", ".join(path.name for path in candidates.values())
        log.info("%s has several tables of pictures (%s), none is used: data.table=PATH names one", root, names)
    if not candidates and root.is_dir() and _in_part_folders(root):
        with suppress(UserError):
            return root if any(row.styles for row in read(root, columns).rows) else None
    return next(iter(candidates.values())) if len(candidates) == 1 else None


def _of_all_parts(path: Path) -> list[tuple[str, Path]]:
    """The files of a table, with the part that each is of by its name, or ""."""
    folder, kind = (path, None) if path.is_dir() else (path.parent, _kind(path))
    if not path.exists():
        raise UserError(f"there is no table {path.resolve()}: name a CSV with a column of files")
    if path.is_file() and kind is None:
        return [("", path)]
    kinds: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for one in sorted(folder.iterdir()):
        if one.name.lower().endswith(SUFFIXES) and (part := _part_of(one)) and one.is_file():
            kinds[_kind(one)].append((part, one))
    if kind is None and len(kinds) > 1:
        kind = "style_"  # ArtGAN's folder has style_train.csv, genre_train.csv, artist_train.csv
    of_kind = kinds.get(kind, []) if kind is not None else next(iter(kinds.values()), [])
    if path.is_file() and len(of_kind) < 2:  # a lone train.csv is a table
        return [("", path)]
    if not of_kind and (inside := _in_part_folders(folder)):
        return inside
    if not of_kind:
        raise UserError(
            f"{path.resolve()} is a folder without tables of the parts (style_train.csv, style_val.csv): name a table"
        )
    return of_kind


def _in_part_folders(folder: Path) -> list[tuple[str, Path]]:
    """The part and the table of each folder of a part, as Hugging Face's metadata.csv; none if names differ."""
    inside = [
        (part, one)
        for of_part in sorted(folder.iterdir())
        if of_part.is_dir() and not images.is_hidden(of_part.name) and (part := part_named(of_part.name))
        for one in sorted(of_part.iterdir())
        if one.name.lower().endswith(SUFFIXES) and not images.is_hidden(one.name) and one.is_file()
    ]
    return inside if len({one.name for _, one in inside}) == 1 else []


def _part_of(path: Path) -> str | None:
    """The part that a file's name says: of style_train.csv, train."""
    words = re.split(r"[_.\- ]", path.name.split(".")[0].lower())
    return next((part for word in words if word and (part := part_named(word))), None)


def _kind(path: Path) -> str | None:
    """A file's name without its part, of style_train.csv "style_"; None where it says no part."""
    if _part_of(path) is None:
        return None
    words = re.split(r"([_.\- ])", path.name.split(".")[0].lower())
    return "".join(word for word in words if not (word and part_named(word)))


def _rows(path: Path, columns: Mapping[str, str | None], part: str) -> tuple[list[Row], str | None]:
    try:
        lines = csv_files.read_rows(path)
    except (OSError, EOFError, csv.Error) as error:
        raise UserError(f"{path.resolve()} cannot be read ({one_line(error)}): name a CSV") from None
    if not lines:
        raise UserError(f"{path.resolve()} has no rows: name a table with a column of files")
    if images.is_image_file(lines[0][0].strip()):  # ArtGAN's lists have no header: a path, then a class's number
        classes = [tuple(_readable(cell.strip()) for cell in line[1:2]) for line in lines]
        return [Row(line[0].strip(), of, part=part or None) for line, of in zip(lines, classes, strict=True)], None
    header = [name.strip() for name in lines[0]]
    position = {key: _position(path, header, key, columns.get(key)) for key in NAMES}
    if position["file"] is None:
        raise UserError(
            f"{path.resolve()} has no column of files (it has {', '.join(header)}): "
            f"name it with data.columns.file=NAME, or call it file"
        )
    if position["genre"] == position["style"]:
        position["genre"] = None

    def row(cells: Sequence[str]) -> Row:
        values = {key: cells[i].strip() if i < len(cells) else "" for key, i in position.items() if i is not None}
        values["file"] = re.sub(r"^(\./)+", "", values["file"])
        text = {key: values[key] if key == "file" else _readable(values[key]) for key in values}
        styles = _classes(text.pop("style")) if "style" in text else None
        return Row(**{"part": part or None} | text, styles=styles)

    style = position["style"]
    rows = [row(line) for line in lines[1:]]
    return [row for row in rows if row.file], None if style is None else header[style]


def _position(path: Path, header: Sequence[str], key: str, name: str | None) -> int | None:
    """The position of a column: of the given name, else of the likeliest one."""
    if name is not None:
        if name not in header:
            raise UserError(f"{path.resolve()} has no column '{name}' (data.columns.{key}); it has {', '.join(header)}")
        return header.index(name)
    words = [re.sub(r"[\W_]", "", title).lower() for title in header]
    return next((words.index(word) for word in NAMES[key] if word in words), None)


def _classes(cell: str) -> tuple[str, ...]:
    """The names in a cell, which may be a list as Python writes it.

    >>> _classes("['Art Nouveau', 'Baroque']"), _classes("Baroque")
    (('Art Nouveau', 'Baroque'), ('Baroque',))
    """
    if cell.startswith("[") and cell.endswith("]"):
        quoted = re.findall(r"""(['"])(.*?)\1(?=\s*[,\]])""", cell)
        return tuple(name for _, name in quoted) or tuple(map(str.strip, cell[1:-1].split(",")))
    return () if cell.lower() in _NOTHING else (cell,)


def _readable(cell: str) -> str:
    """Text that is no UTF-8, as Windows programs write it, with its accents."""
    return cell.encode("utf-8", "surrogateescape").decode("cp1252", "replace") if _has_surrogates(cell) else cell


def _has_surrogates(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)
