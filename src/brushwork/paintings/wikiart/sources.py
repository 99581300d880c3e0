"""WikiArt as a download in style folders, or as a catalogue of URLs."""

import csv
import gzip
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from brushwork.errors import UserError
from brushwork.paintings import catalogue, listing
from brushwork.paintings.names import artist_and_title, name_key, repaired
from brushwork.paintings.styles import REPORT, folder_name, style_key
from brushwork.paintings.wikiart import download
from brushwork.paintings.wikiart.candidates import Candidate, Source

log = logging.getLogger(__name__)


def folder(root: Path, split: Path | None, seed: int) -> Source:
    """A download in style folders, ArtGAN's or Kaggle's. Broken file names are repaired as far as possible.

    `split` is a folder with ArtGAN's style_train.csv and style_val.csv; files that they do not list are left out.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root.resolve()}: name the download's folder of style folders with --root")
    style_of = {painting.path: folder_name(painting.style) for painting in catalogue.scan(root).paintings}
    listed = dict.fromkeys(style_of, ("", "")) if split is None else _matched(style_of, _artgan_split(split), root)
    by_style = defaultdict(list)
    for path, (listed_path, part) in sorted(listed.items()):
        style, stem = style_of[path], repaired(PurePosixPath(listed_path or path).stem)
        new = Candidate(f"{style}/{stem}.jpg", *artist_and_title(stem), path, root / path, path, part)
        by_style[style].append(new)
    candidates = [
        members[i]
        for style, members in sorted(by_style.items())
        for i in catalogue.style_rng(seed, style).permutation(len(members))
    ]
    return Source(root.resolve().name, candidates, _read_files)


def _matched(found: Iterable[str], part_of: Mapping[str, str], root: Path) -> dict[str, tuple[str, str]]:
    """For each file that the split lists, its path there and its part."""

    def key(path: str) -> tuple[str, str]:
        return style_key(path.partition("/")[0]), name_key(PurePosixPath(path).stem)

    by_key = {key(path): path for path in part_of}
    by_file = {path: path if path in part_of else by_key.get(key(path)) for path in found}
    missing, unlisted = listing.differences(part_of.keys(), {by_file[path] or path for path in found})
    if missing:
        log.warning("%d paintings of the split are not in %s, the first %s", len(missing), root, missing[0])
    if unlisted:
        log.warning("%d files are not in the split and left out, the first %s", len(unlisted), unlisted[0])
    return {path: (listed, part_of[listed]) for path, listed in by_file.items() if listed is not None}


def _artgan_split(folder: Path) -> dict[str, str]:
    """The part of each path in ArtGAN's split."""
    part_of = {}
    for part in ("train", "val"):
        path = folder / f"style_{part}.csv"
        if not path.is_file():
            raise UserError(f"there is no {path.resolve()}: --split names the folder of ArtGAN's CSV files")
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            part_of.update((row[0], part) for row in csv.reader(file) if row)
    return part_of


def _read_files(batch: Sequence[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
    for candidate in batch:
        try:
            yield candidate, candidate.place.read_bytes()
        except OSError as error:
            yield candidate, UserError(f"{candidate.place} cannot be read ({error.strerror})")


CATALOGUE_COLUMNS = ("image_id", "image_url", "label", "_split")
REPORT_ROWS = 4005


def url_catalogue(path: Path, seed: int) -> Source:
    """The 4005 rows that the report uses of a catalogue of URLs, drawn by numpy's permutation as there.

    The catalogue's part "test" is "val" here, since the report validates on it. UserError for another kind of file.
    """
    if not path.is_file():
        raise UserError(f"there is no catalogue {path.resolve()}: name its CSV (or .csv.gz) with --csv")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        order = np.random.RandomState(seed).permutation(len(rows))[:REPORT_ROWS]
        candidates = [_catalogue_candidate(rows[i]) for i in order]
    except KeyError as error:
        raise UserError(f"{path} has no column {error}; it needs {', '.join(CATALOGUE_COLUMNS)}") from None
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise UserError(f"{path} is not a catalogue of URLs with labels 0 to {len(REPORT) - 1}: {error}") from None
    return Source(path.name.split(".")[0], candidates, download.reader(), threads=download.CONNECTIONS)


def _catalogue_candidate(row: Mapping[str, str]) -> Candidate:
    stem, url = repaired(row["image_id"].replace("/", "-")), row["image_url"]
    label, split = int(row["label"]), row["_split"]
    if label < 0 or split not in ("train", "test"):
        raise ValueError(f"label {label}, _split {split}")
    part = "train" if split == "train" else "val"
    return Candidate(f"{REPORT[label]}/{stem}.jpg", *artist_and_title(stem), url, url, url, part)
