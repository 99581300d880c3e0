"""WikiArt as Parquet shards, on Hugging Face or on disk: labels are streamed first, then the chosen pictures."""

import functools
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
from datasets import ClassLabel, IterableDataset

from brushwork.errors import UserError, one_line
from brushwork.paintings.names import artist_and_title, file_stem
from brushwork.paintings.styles import ARTGAN, folder_name
from brushwork.paintings.wikiart.candidates import Candidate, Source, Unavailable

REPOSITORIES = {"artificio": "Artificio/WikiArt", "huggan": "huggan/wikiart"}
LABELS = ("artist", "title", "style", "date", "genre")
TIMEOUT = 10.0  # seconds: `datasets` itself would try for half a minute
_UNKNOWN_ARTISTS = {"", "unknown", "unknown artist"}


def shards(name: str, parquet: Sequence[Path], seed: int) -> Source:
    """The paintings of a data set in Parquet shards, which are listed in an order drawn by seed.

    The small label columns are read until enough paintings are chosen, then the chosen pictures alone, by row groups.
    `place` is (shard, row group, row in it). `parquet` are the shards on disk; none: streamed from Hugging Face.
    UserError if the data set does not exist, is not reachable, or lacks a column.
    """
    # Arrow, the hub's client and the HTTP library under it, which changes with the version, each raise their own
    # errors: hence `except Exception` throughout.
    datasets.logging.set_verbosity(logging.CRITICAL)  # our errors say the same
    repository = REPOSITORIES[name]
    for path in parquet:
        if not path.is_file():
            raise UserError(f"there is no file {path.resolve()}: --parquet names the shards of {repository}")
    if not parquet:
        try:
            huggingface_hub.HfApi().dataset_info(repository, timeout=TIMEOUT)
        except Exception as error:
            raise UserError(
                f"{repository} on {huggingface_hub.constants.ENDPOINT} is not reachable ({one_line(error)}): name its "
                f"shards on disk with --parquet, or another --source"
            ) from None
    columns = _stream(repository, parquet).column_names or []
    for column in ("style", "image"):
        if column not in columns:
            has = ", ".join(columns) or "none"
            raise UserError(f"{repository} as given has no column '{column}' (it has {has}): name other shards")
    labels = _stream(repository, parquet, [column for column in LABELS if column in columns])
    pictures = _stream(repository, parquet, ["image"]).cast_column("image", datasets.Image(decode=False))

    @functools.lru_cache(maxsize=64)  # each call reads the footer of a shard
    def row_groups(stream: IterableDataset, shard: int) -> IterableDataset:
        return stream.shard(stream.num_shards, shard).reshard()

    def candidates() -> Iterator[Candidate]:
        for shard in np.random.default_rng(seed).permutation(labels.num_shards).tolist():
            try:
                groups = row_groups(labels, shard)
                row_number = itertools.count()
                for group in range(groups.num_shards):
                    for number, row in enumerate(groups.shard(groups.num_shards, group)):
                        identifier = f"{shard:02}-{next(row_number):05}"
                        artist, title, style, date, genre = (_text(row, groups.features, name) for name in LABELS)
                        if style:
                            artist = "" if artist.lower() in _UNKNOWN_ARTISTS else artist
                            stem, source = file_stem(artist, title, identifier), f"{repository}#{identifier}"
                            path, artist = f"{folder_name(style)}/{stem}.jpg", artist_and_title(stem)[0]
                            place = shard, group, number
                            yield Candidate(path, artist, title, source, place, place[:2], "", date, genre)
            except Exception as error:
                raise _unreadable(parquet[shard] if parquet else f"{repository} (shard {shard})", error) from None

    def read(batch: Sequence[Candidate]) -> Iterator[tuple[Candidate, bytes | UserError]]:
        shard, group, _ = batch[0].place
        unread = {candidate.place[2]: candidate for candidate in batch}
        try:
            groups = row_groups(pictures, shard)
            for number, row in enumerate(groups.shard(groups.num_shards, group)):
                if number in unread:
                    content = (row["image"] or {}).get("bytes")
                    yield unread.pop(number), content or UserError("the row has no picture")
                if not unread:
                    return
        except Exception as error:
            for candidate in unread.values():
                yield candidate, Unavailable(f"the shard cannot be read ({one_line(error)})")

    style = labels.features["style"]
    styles = [folder_name(label) for label in style.names] if isinstance(style, ClassLabel) else None
    return Source(repository, candidates(), read, styles=styles)


def _stream(repository: str, parquet: Sequence[Path], columns: list[str] | None = None) -> IterableDataset:
    data = {"path": "parquet", "data_files": [str(path) for path in parquet]} if parquet else {"path": repository}
    try:
        return datasets.load_dataset(**data, columns=columns, split="train", streaming=True)
    except Exception as error:
        raise _unreadable(parquet[0] if parquet else repository, error) from None


def _unreadable(what: object, error: Exception) -> UserError:
    return UserError(f"{what} cannot be read ({one_line(error)}): fetch it again, or run this again later")


def _text(row: Mapping[str, object], features: datasets.Features, column: str) -> str:
    """A label as text, whether the shards have text or numbers; "" for none."""
    value, feature = row.get(column), features.get(column)
    if value is None or value == -1:  # -1: ClassLabel's "no label"
        return ""
    if isinstance(feature, ClassLabel):
        return feature.int2str(value)
    if column == "style" and isinstance(value, int):
        return ARTGAN[value]
    return str(value).strip()
