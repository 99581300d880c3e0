"""Where paintings come from: a download in style folders, or a catalogue of URLs."""

import csv
import gzip
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from brushwork.errors import UserError
from brushwork.paintings import catalogue, listing
from brushwork.paintings.names import artist_and_title, name_key, repaired
from brushwork.paintings.styles import REPORT, folder_name, style_key
from brushwork.paintings.wikiart import download
from brushwork.paintings.wikiart.offers import Offer, Source

log = logging.getLogger(__name__)


def folder(root: Path, split: Path | None, seed: int) -> Source:
    """A download with style folders, ArtGAN's or Kaggle's.

    File names that such downloads broke are repaired where that can be known, and kept otherwise.

    Args:
        split: a folder with ArtGAN's style_train.csv and style_val.csv: what they don't list is left out.

    Raises:
        UserError: a folder or file is not there or not what it should be.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root.resolve()}: name the download's folder of style folders with --root")
    found = {painting.path: painting for painting in catalogue.scan(root).paintings}
    listed = dict.fromkeys(found, ("", "")) if split is None else _matched(found, _artgan_split(split), root)
    by_style: dict[str, list[Offer]] = {}
    for path, (listed_path, part) in sorted(listed.items()):
        stem = repaired(PurePosixPath(listed_path or path).stem)
        style = folder_name(found[path].style)
        offer = Offer(f"{style}/{stem}.jpg", *artist_and_title(stem), path, root / path, path, part)
        by_style.setdefault(style, []).append(offer)
    offers = [
        members[i]
        for style, members in sorted(by_style.items())
        for i in catalogue.style_rng(seed, style).permutation(len(members))
    ]
    return Source(root.resolve().name, offers, _read_files)


def _matched(found: Iterable[str], rows: Mapping[str, str], root: Path) -> dict[str, tuple[str, str]]:
    """For each file that the split lists, the path it has there and its part."""

    def key(path: str) -> tuple[str, str]:
        return style_key(path.partition("/")[0]), name_key(PurePosixPath(path).stem)

    by_key = {key(path): path for path in rows}
    by_file = {path: path if path in rows else by_key.get(key(path)) for path in found}
    without_file, without_row = listing.differences(rows.keys(), {by_file[path] or path for path in found})
    if without_file:
        log.warning(
            "the split lists %d paintings that %s lacks, the first %s", len(without_file), root, without_file[0]
        )
    if without_row:
        log.warning("%d files are not in the split and left out, the first %s", len(without_row), without_row[0])
    return {path: (listed, rows[listed]) for path, listed in by_file.items() if listed is not None}


def _artgan_split(where: Path) -> dict[str, str]:
    """The part of each path that ArtGAN's split lists."""
    rows = {}
    for part in ("train", "val"):
        path = where / f"style_{part}.csv"
        if not path.is_file():
            raise UserError(
                f"there is no {path.resolve()}: --split names the folder with style_train.csv, style_val.csv"
            )
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows.update((row[0], part) for row in csv.reader(file) if row)
    return rows


def _read_files(batch: Sequence[Offer]) -> Iterator[tuple[Offer, bytes | UserError]]:
    for offer in batch:
        try:
            yield offer, offer.place.read_bytes()
        except OSError as error:
            yield offer, UserError(f"{offer.place} cannot be read ({error.strerror})")


CATALOGUE_COLUMNS = ("image_id", "image_url", "label", "_split")
REPORT_ROWS = 4005


def url_catalogue(path: Path, seed: int) -> Source:
    """The report's 4005 rows of a catalogue of URLs, and no choice of its own: a permutation by numpy's seed.

    Its held-out part "test" is where the report validates, so it is "val" here.

    Raises:
        UserError: there is no such file, or it has other columns or labels.
    """
    if not path.is_file():
        raise UserError(f"there is no catalogue {path.resolve()}: name its CSV (or .csv.gz) with --csv")
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        order = np.random.RandomState(seed).permutation(len(rows))[:REPORT_ROWS]
        offers = [_catalogue_offer(rows[i]) for i in order]
    except KeyError as error:
        raise UserError(f"{path} has no column {error}; it needs {', '.join(CATALOGUE_COLUMNS)}") from None
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise UserError(f"{path} is not a catalogue of URLs with labels 0 to {len(REPORT) - 1}: {error}") from None
    return Source(path.name.split(".")[0], offers, download.reader(), per_style=False, threads=download.CONNECTIONS)


def _catalogue_offer(row: Mapping[str, str]) -> Offer:
    stem, url = repaired(row["image_id"].replace("/", "-")), row["image_url"]
    label, split = int(row["label"]), row["_split"]
    if label < 0 or split not in ("train", "test"):
        raise ValueError(f"label {label}, _split {split}")
    part = "train" if split == "train" else "val"
    return Offer(f"{REPORT[label]}/{stem}.jpg", *artist_and_title(stem), url, url, url, part)
