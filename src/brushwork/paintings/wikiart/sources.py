"""WikiArt as a download in style folders, or as a catalogue of URLs."""

import csv
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from brushwork import csv_files
from brushwork.errors import UserError
from brushwork.paintings import catalogue, matching
from brushwork.paintings.described import Painting, given_parts
from brushwork.paintings.layout import part_named
from brushwork.paintings.names import artist_and_title, repaired, year_in
from brushwork.paintings.styles import REPORT, folder_name
from brushwork.paintings.table import read as read_table
from brushwork.paintings.wikiart import download
from brushwork.paintings.wikiart.candidates import Candidate, Source

log = logging.getLogger(__name__)


def folder(
    root: Path,
    split: Path | None,
    seed: int,
    table: Path | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> Source:
    """A download in folders, ArtGAN's, Kaggle's or any (see `catalogue.scan`). Broken file names are repaired.

    `split` is a table of files and parts, or the folder of ArtGAN's, whose genre lists are read too; files that it
    does not list are left out.

    Raises:
        UserError: there is no such folder; the split lists no painting of a style that the folder has.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root.resolve()}: name the download's folder of style folders with --root")
    found = catalogue.scan(root, table=table, columns=columns)
    paintings = {painting.path: painting for painting in found.paintings}
    listed = {path: ("", painting.part) for path, painting in paintings.items()}
    if split is not None:
        listed = _matched(paintings, split, root, columns)
    genres = _artgan_genres(split, paintings)
    by_style = defaultdict(list)
    for path, (listed_path, part) in sorted(listed.items()):
        painting = paintings[path]
        style, stem = folder_name(painting.style) or painting.style, repaired(PurePosixPath(listed_path or path).stem)
        artist, title = artist_and_title(stem)
        if painting.listed_artist and painting.listed_artist != artist:  # Style/Artist/title.jpg, or a table's
            artist, title = painting.listed_artist, title if artist else stem
            stem = f"{artist}_{title}"
        date = painting.date or year_in(stem)
        genre = painting.genre or genres.get(path, "")
        new = Candidate(f"{style}/{stem}.jpg", artist, title, path, root / path, path, part, date, genre)
        by_style[style].append(new)
    candidates = [
        members[i]
        for style, members in sorted(by_style.items())
        for i in catalogue.style_rng(seed, style).permutation(len(members))
    ]
    return Source(root.resolve().name, candidates, _read_files)


def _matched(
    paintings: Mapping[str, Painting], split: Path, root: Path, columns: Mapping[str, str | None] | None
) -> dict[str, tuple[str, str]]:
    """For each file that the split lists, its path there and its part."""
    row_of, missing = given_parts(paintings, split, columns)
    if missing:
        log.warning("%d paintings of the split are not in %s, the first %s", len(missing), root, missing[0].file)
    if unlisted := sorted(paintings.keys() - row_of.keys()):
        log.warning("%d files are not in the split and left out, the first %s", len(unlisted), unlisted[0])
    kept = {paintings[path].style for path in row_of}
    if dropped := sorted({painting.style for painting in paintings.values()} - kept):
        raise UserError(
            f"{split.resolve()} lists no painting of {', '.join(dropped)}, which {root.resolve()} has: "
            f"name another --split, or move the folder away"
        )
    return {path: (row.file, part_named(row.part or "") or "") for path, row in row_of.items()}


def _artgan_genres(split: Path | None, paintings: Mapping[str, Painting]) -> dict[str, str]:
    """The genre of each path in ArtGAN's genre_train.csv and genre_val.csv, where the folder of the split has them."""
    lists = None if split is None else (split if split.is_dir() else split.parent) / "genre_train.csv"
    if lists is None or not lists.is_file():
        return {}
    names = lists.with_name("genre_class.txt")
    lines = names.read_text(encoding="utf-8").split("\n") if names.is_file() else []
    name_of = dict(line.split(maxsplit=1) for line in lines if line.strip())
    rows = {row.file: row for row in read_table(lists).rows}
    matched = matching.match(rows, paintings)
    number_of = {path: rows[listed].styles[0] for path, listed in matched.items() if rows[listed].styles}
    return {path: name_of.get(number, number) for path, number in number_of.items()}


def _read_files(batch: Sequence[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
    for candidate in batch:
        try:
            yield candidate, candidate.place.read_bytes()
        except OSError as error:
            yield candidate, UserError(f"{candidate.place} cannot be read ({error.strerror})")


def urls(name: str) -> Source:
    """What reads pictures from URLs; it offers no candidates of its own."""
    return Source(name, [], download.reader(), threads=download.CONNECTIONS)


CATALOGUE_COLUMNS = ("image_id", "image_url", "label", "_split")
REPORT_ROWS = 4005


def url_catalogue(path: Path, seed: int) -> Source:
    """The 4005 rows that the report uses of a catalogue of URLs, drawn by numpy's permutation as there.

    The catalogue's part "test" is "val" here, since the report validates on it. UserError for another kind of file.
    """
    if not path.is_file():
        raise UserError(f"there is no catalogue {path.resolve()}: name its CSV (or .csv.gz) with --csv")
    try:
        rows = csv_files.read(path)
        order = np.random.RandomState(seed).permutation(len(rows))[:REPORT_ROWS]
        candidates = [_catalogue_candidate(rows[i]) for i in order]
    except KeyError as error:
        raise UserError(f"{path} has no column {error}; it needs {', '.join(CATALOGUE_COLUMNS)}") from None
    except (OSError, EOFError, ValueError, IndexError, csv.Error) as error:
        raise UserError(f"{path} is not a catalogue of URLs with labels 0 to {len(REPORT) - 1}: {error}") from None
    return Source(path.name.split(".")[0], candidates, download.reader(), threads=download.CONNECTIONS)


def _catalogue_candidate(row: Mapping[str, str]) -> Candidate:
    stem, url = repaired(row["image_id"].replace("/", "-")), row["image_url"]
    label, split = int(row["label"]), row["_split"]
    if label < 0 or split not in ("train", "test"):
        raise ValueError(f"label {label}, _split {split}")
    part = "train" if split == "train" else "val"
    path = f"{REPORT[label]}/{stem}.jpg"
    return Candidate(path, *artist_and_title(stem), url, url, url, part, date=year_in(stem))
