"""Exactly the paintings that somebody's catalogue.csv lists: a data set that is handed on without its pictures."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from brushwork import csv_files, files
from brushwork.errors import UserError
from brushwork.paintings import listing
from brushwork.paintings.wikiart.candidates import Candidate, Source, listed_as
from brushwork.paintings.wikiart.fetch import SETTINGS

log = logging.getLogger(__name__)

DIFFERING = "differing.csv"
DIFFERING_COLUMNS = ("path", "source", "sha256", "listed_sha256")
# How a row's `source` begins, by the --source that has it; a folder's paintings are named by their path in it.
_BEGINNINGS = {"artificio": "Artificio/WikiArt#", "huggan": "huggan/wikiart#", "catalogue": "http"}


@dataclass(frozen=True)
class Like:
    """The rows of a catalogue.csv by `source`, the --source that has them, and the longer side at most, in pixels."""

    path: Path
    rows: dict[str, dict[str, str]]
    source: str
    longest_side: int | None

    @property
    def styles(self) -> int:
        return len({row["style"] for row in self.rows.values()})


def read(path: Path) -> Like:
    """Read a catalogue.csv that scripts/prepare_wikiart.py wrote; beside it, prepared.json has the size of the files.

    Raises:
        UserError: there is no such catalogue, it lists nothing, paintings of several sources, or one without a size.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path.resolve()}: --like names the catalogue.csv of a prepared data set")
    rows = {row["source"]: row for row in listing.rows_of(path).values()}
    for row in rows.values():
        if not (row["width"].isdecimal() and row["height"].isdecimal()):
            raise UserError(
                f"{path.resolve()}: {row['path']} has the size '{row['width']}' by '{row['height']}': --like names a "
                f"catalogue.csv that scripts/prepare_wikiart.py wrote"
            )
    kinds = {next((kind for kind, start in _BEGINNINGS.items() if name.startswith(start)), "folder") for name in rows}
    if len(kinds) != 1:
        raise UserError(
            f"{path.resolve()} lists paintings of {', '.join(sorted(kinds)) or 'no source'}: name one of one source"
        )
    settings = path.with_name(SETTINGS)
    if settings.is_file():
        longest_side = json.loads(settings.read_text(encoding="utf-8")).get("longest_side")
    else:
        longest_side = max(int(row[side]) for row in rows.values() for side in ("width", "height"))
    return Like(path, rows, kinds.pop(), longest_side)


def candidates(like: Like, source: Source) -> tuple[Source, list[Candidate]]:
    """The listed candidates of a source, under their listed names; those that it has no longer can't be read."""
    if like.source == "catalogue":
        found = {url: Candidate("", "", "", url, url, url) for url in like.rows}
    else:
        found = {}
        bar = tqdm(source.candidates, f"finding in {source.name}", unit=" paintings", leave=False, disable=None)
        for candidate in bar:
            if candidate.source in like.rows:
                found[candidate.source] = candidate
            if len(found) == len(like.rows):
                break
    gone = like.rows.keys() - found.keys()
    if gone:
        log.warning("%s has %d of the %d listed paintings no longer", source.name, len(gone), len(like.rows))
    found |= {name: Candidate("", "", "", name, None, None) for name in gone}

    def read_those_left(batch: Sequence[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
        if batch[0].place is None:
            return ((candidate, UserError("no longer in the source")) for candidate in batch)
        return source.read(batch)

    listed = [listed_as(found[name], row) for name, row in like.rows.items()]
    return Source(source.name, listed, read_those_left, threads=source.threads), listed


def report_differing(like: Like, out: Path) -> None:
    """List the files whose bytes are not those of the catalogue in differing.csv."""
    rows = [
        row | {"listed_sha256": like.rows[row["source"]]["sha256"]}
        for row in (listing.read(out) or {}).values()
        if row["sha256"] != like.rows[row["source"]]["sha256"]
    ]
    if rows:
        csv_files.write(out / DIFFERING, DIFFERING_COLUMNS, rows)
        log.warning(
            "%d files have the listed size but other bytes, as another version of the JPEG encoder writes them: %s",
            len(rows),
            out / DIFFERING,
        )
    else:
        (out / DIFFERING).unlink(missing_ok=True)


def settings(like: Like) -> dict[str, object]:
    """What a folder of these paintings was prepared with."""
    return {"like": files.short_hash(sorted(row["sha256"] for row in like.rows.values()))}
