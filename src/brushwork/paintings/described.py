"""What the pictures of a folder are: what the names of their folders say, joined with a table that lists them."""

import difflib
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from brushwork.errors import UserError, unknown
from brushwork.paintings import matching, table
from brushwork.paintings.layout import PARTS, Layout, Picture, part_named
from brushwork.paintings.names import artist_and_title, slug
from brushwork.paintings.styles import folder_name, style_key
from brushwork.paintings.table import Row, Table

log = logging.getLogger(__name__)

_UNKNOWN = {"", "unknown", "unknown artist", "anonymous", "n/a", "none", "nan"}  # artists in tables


@dataclass(frozen=True)
class Painting:
    """One painting: `path` is relative to the data root, with "/"; `bytes` is the file's size.

    listed_artist: by a table or a folder, "" where they say that it is unknown; None where they say nothing.
    part: "train", "val" or "test" by a table or a folder, or "". date, genre: as a table has them, or "".
    """

    path: str
    style: str
    bytes: int
    listed_artist: str | None = None
    part: str = ""
    date: str = ""
    genre: str = ""

    @property
    def artist(self) -> str | None:
        """Of a table or a folder, else the file name's part before the first "_"; None if unknown."""
        if self.listed_artist is not None:
            return self.listed_artist or None
        return artist_and_title(self.path.rsplit("/", 1)[-1])[0] or None


@dataclass(frozen=True)
class Description:
    """The paintings that a layout and its table describe.

    listed: the table, or None. missing: its rows without a file. unlisted: paintings that it does not list.
    unnamed: pictures whose style nobody says. parts_from: what says the parts, "" where nothing does.
    by_table: the styles are the table's.
    """

    paintings: list[Painting]
    listed: Table | None = None
    missing: list[Row] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    parts_from: str = ""
    by_table: bool = False


def describe(found: Layout, path: Path | None = None, columns: Mapping[str, str | None] | None = None) -> Description:
    """Join a layout with the table at `path` (None: the one in its root, if any); see `table.read` for `columns`.

    The folders' styles count, unless the table has other ones for most files: it then names the styles.

    Raises:
        UserError: the table can't be read, lists none of the files, or has no styles where the folders have none.
    """
    listed, row_of = _table(found, path, columns)
    by_table = listed is not None and _names_styles(listed, row_of, found)
    if by_table:
        log.info("%s: the styles are those of its column %s", listed.path, listed.style_column or "of classes")
    elif path is not None and len({picture.style for picture in found.pictures}) == 1 and not listed.style_column:
        raise UserError(
            f"{path.resolve()} has no column of styles, and {found.root.resolve()} no folders of them: name it with "
            f"data.columns.style=HEADER, or call it style"
        )
    paintings, unnamed = [], []
    for picture in found.pictures:
        row = row_of.get(picture.path)
        style = _style(picture, row, by_table)
        if style is None:
            unnamed.append(picture.path)
            continue
        paintings.append(
            Painting(
                picture.path,
                style,
                picture.bytes,
                _artist(picture, row),
                picture.part or (row and part_named(row.part or "")) or "",
                (row and row.date) or "",
                (row and row.genre) or "",
            )
        )
    parts_from = f"the folders {', '.join(found.part_folders)}" if found.part_folders else ""
    if listed is None:
        return Description(paintings, unnamed=unnamed, parts_from=parts_from)
    _report_other_parts(listed, row_of)
    _report_contradicted_parts(listed, row_of, found)
    if not parts_from and any(painting.part for painting in paintings):
        parts_from = str(listed.path)
    return Description(
        paintings,
        listed,
        _without_a_file(listed, row_of),
        [painting.path for painting in paintings if painting.path not in row_of],
        unnamed,
        parts_from,
        by_table,
    )


def given_parts(
    paths: Collection[str], path: Path, columns: Mapping[str, str | None] | None = None
) -> tuple[dict[str, Row], list[Row]]:
    """The row of each path in a table of parts, and the rows without a path: see `table.read` for the tables.

    Raises:
        UserError: the table says no parts, an unknown one, or two of one file.
    """
    try:
        given = table.read(path, columns)
    except UserError as error:
        try:  # the columns may be those of the data's table, and the split a run's
            given = table.read(path)
        except UserError:
            raise error from None
    _refuse_misspelled_parts(given)
    if not any(part_named(row.part or "") for row in given.rows):
        raise UserError(
            f"{path.resolve()} is no split: name a table of files (column path or file) and their parts (column part "
            f"or split: train, val, test), such as a run's split.csv, ArtGAN's style_train.csv, Kaggle's classes.csv"
        )
    part_of = {row.file: row.part for row in given.rows}
    for row in given.disagreeing:
        if row.part != part_of[row.file]:
            raise UserError(f"{path}: {row.file} is in {part_of[row.file]} and in {row.part}: remove one of the rows")
    row_of = _matched(given, paths)
    _report_other_parts(given, row_of)
    return row_of, _without_a_file(given, row_of)


def with_parts(paintings: list[Painting], path: Path, columns: Mapping[str, str | None] | None) -> list[Painting]:
    """The paintings with the parts of a table in place of their own: see `given_parts`. UserError if it has none."""
    row_of, missing = given_parts([painting.path for painting in paintings], path, columns)
    if not row_of:
        raise UserError(
            f"{path.resolve()} lists none of the paintings (its first: {missing[0].file}): name the split of these"
        )
    if missing:
        log.warning("split: %d files of %s are not among the paintings: %s, ...", len(missing), path, missing[0].file)
    part_of = {name: part_named(row.part or "") or "" for name, row in row_of.items()}
    return [replace(painting, part=part_of.get(painting.path, "")) for painting in paintings]


def _table(
    found: Layout, path: Path | None, columns: Mapping[str, str | None] | None
) -> tuple[Table | None, dict[str, Row]]:
    """The table of a layout, and the row of each path that it lists."""
    where = path or table.find(found.root, columns)
    if where is None:
        return None, {}
    listed = table.read(where, columns)
    _refuse_misspelled_parts(listed)
    if listed.disagreeing:
        file = listed.disagreeing[0].file
        log.warning("%s has %d files in rows that differ, the first counts: %s", where, len(listed.disagreeing), file)
    row_of = _matched(listed, [picture.path for picture in found.pictures])
    if path is not None and not row_of:
        first = f" (its first: {listed.rows[0].file})" if listed.rows else ""
        raise UserError(f"{path.resolve()} lists none of the files in {found.root.resolve()}{first}: name another one")
    if path is None and where.name != "catalogue.csv" and 2 * len(row_of) < min(len(listed.rows), len(found.pictures)):
        log.info("%s lists %d of %d pictures and is not used", where, len(row_of), len(found.pictures))
        return None, {}
    return listed, _with_named_artists(listed, row_of)


def _with_named_artists(listed: Table, row_of: dict[str, Row]) -> dict[str, Row]:
    """Without the artists of a column that is empty, or of numbers, one of them perhaps of all unknown ones, where
    files name more."""
    if not any(row.artist for row in row_of.values()):
        return {path: replace(row, artist=None) for path, row in row_of.items()}
    numbers = {row.artist for row in row_of.values() if row.artist}
    named = {artist_and_title(path.rsplit("/", 1)[-1])[0] for path in row_of} - {""}
    if len(named) <= len(numbers) or not all(map(str.isdecimal, numbers)):
        return row_of
    log.info("%s: its artists are numbers, the %d names in the files are used", listed.path, len(named))
    return {path: replace(row, artist=None) for path, row in row_of.items()}


def _matched(listed: Table, paths: Collection[str]) -> dict[str, Row]:
    """The row of each path, and a line that counts the names which only look alike."""
    rows = {row.file: row for row in listed.rows}
    row_of = {path: rows[name] for path, name in matching.match(rows, paths).items()}
    changed = [path for path, row in row_of.items() if matching.stem(path) != matching.stem(row.file)]
    if changed:
        line = "%s: %d of %d names differ from the files' in signs, accents or case, and were matched: %s is %s"
        log.info(line, listed.path, len(changed), len(row_of), row_of[changed[0]].file, changed[0])
    return row_of


def _without_a_file(listed: Table, row_of: Mapping[str, Row]) -> list[Row]:
    used = {row.file for row in row_of.values()}
    return [row for row in listed.rows if row.file not in used]


def _names_styles(listed: Table, row_of: Mapping[str, Row], found: Layout) -> bool:
    """Whether the table's classes are the styles: where no folder says them, or most of them are others."""
    style_of = {picture.path: picture.style for picture in found.pictures}
    named = {path: row.styles for path, row in row_of.items() if row.styles}
    if not named:
        return False
    in_folders = [path for path in named if style_of[path] is not None]
    if 2 * len(in_folders) < len(named):
        return True
    agree = sum(style_key(style_of[path]) in map(style_key, named[path]) for path in in_folders)
    if 2 * agree >= len(in_folders):
        if agree < len(in_folders):
            line = "%s: %d classes are others than the files' folders, whose names are used"
            log.warning(line, listed.path, len(in_folders) - agree)
        return False
    numbers = all(name.lstrip("-").isdecimal() for names in named.values() for name in names)
    if numbers:  # of classes; they name the styles where one folder, images/, holds all pictures
        in_one = len({style_of[path] for path in in_folders}) == 1
        return in_one and len(set(named.values())) > 1 and listed.style_column != "genre"
    return listed.style_column not in (None, "genre")


def _style(picture: Picture, row: Row | None, by_table: bool) -> str | None:
    if not by_table:
        return picture.style
    if row is None or not row.styles:
        return None
    # A painting in several classes is in the one of its folder.
    same = [picture.style for name in row.styles if picture.style and style_key(name) == style_key(picture.style)]
    return (same or [folder_name(row.styles[0]) or row.styles[0]])[0]


def _artist(picture: Picture, row: Row | None) -> str | None:
    if row is not None and row.artist is not None:
        named = row.artist
    elif picture.artist is not None:
        named = picture.artist
    else:
        return None
    by_name = artist_and_title(picture.path.rsplit("/", 1)[-1])[0]
    if named.strip().lower() in _UNKNOWN:
        return ""
    return by_name if slug(by_name) == slug(named) else slug(named) or named.strip()


def _refuse_misspelled_parts(listed: Table) -> None:
    for part in {row.part for row in listed.rows if part_named(row.part or "") is None}:
        if difflib.get_close_matches(part.lower(), PARTS, cutoff=0.75):
            raise unknown(f"part in {listed.path}", part, PARTS)


def _report_other_parts(listed: Table, row_of: Mapping[str, Row]) -> None:
    others = Counter(row.part for row in row_of.values() if part_named(row.part or "") is None)
    if others and not any(part_named(row.part or "") for row in row_of.values()):
        shown = ", ".join(part for part, _ in others.most_common(5))
        log.warning("%s says no parts, train, val or test, but %s: it gives no split", listed.path, shown)
        return
    for part, count in others.most_common():
        log.warning("%s: %d paintings have the part '%s', which trains and tests nothing", listed.path, count, part)


def _report_contradicted_parts(listed: Table, row_of: Mapping[str, Row], found: Layout) -> None:
    part_of = {path: part_named(row.part or "") for path, row in row_of.items()}
    others = [p for p in found.pictures if p.part and part_of.get(p.path) not in (None, "", p.part)]
    if others:
        line = "%s: %d files are in other parts than their folders, which count (split.file=%s: the table): %s is in %s"
        log.warning(line, listed.path, len(others), listed.path, others[0].path, part_of[others[0].path])
