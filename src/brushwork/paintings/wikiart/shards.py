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
from brushwork.paintings.wikiart.offers import Offer, Source, Unavailable

REPOSITORIES = {"artificio": "Artificio/WikiArt", "huggan": "huggan/wikiart"}
LABELS = ("artist", "title", "style")
ANSWER_TIMEOUT = 10.0  # seconds: `datasets` itself would try for half a minute
_UNKNOWN_ARTISTS = {"", "unknown", "unknown artist"}


def shards(name: str, parquet: Sequence[Path], seed: int) -> Source:
    """The paintings of a data set of Parquet shards; the shards are taken in an order drawn by seed.

    One reads the columns of labels, which are small, until one has chosen; then the chosen pictures alone, by
    row groups. `place` is (shard, row group, row in it).

    Args:
        parquet: the shards where they are on disk; none streams them from Hugging Face.

    Raises:
        UserError: there is no such data set, or it can't be reached, or has other columns.
    """
    # Arrow, the hub's client and the HTTP library under it, which changes with the version, each raise their own
    # errors: hence `except Exception` throughout.
    datasets.logging.set_verbosity(logging.CRITICAL)  # what goes wrong is told once, by us
    for path in parquet:
        if not path.is_file():
            raise UserError(f"there is no file {path.resolve()}: --parquet names the shards of {REPOSITORIES[name]}")
    if not parquet:
        _check_reachable(REPOSITORIES[name])
    everything = _stream(name, parquet)
    for column in ("style", "image"):
        if column not in (everything.column_names or ()):
            has = ", ".join(everything.column_names or ()) or "none"
            raise UserError(f"{REPOSITORIES[name]} as given has no column '{column}' (it has {has}): name other shards")
    labels = [column for column in LABELS if column in everything.column_names]
    streams = {"labels": _stream(name, parquet, labels), "images": _stream(name, parquet, ["image"])}
    streams["images"] = streams["images"].cast_column("image", datasets.Image(decode=False))

    @functools.lru_cache(maxsize=64)  # each finds its row groups by reading the end of a shard
    def row_groups(columns: str, shard: int) -> IterableDataset:
        stream = streams[columns]
        return stream.shard(stream.num_shards, shard).reshard()

    def offers() -> Iterator[Offer]:
        for shard in np.random.default_rng(seed).permutation(everything.num_shards).tolist():
            try:
                groups = row_groups("labels", shard)
                row_number = itertools.count()
                for group in range(groups.num_shards):
                    for number, row in enumerate(groups.shard(groups.num_shards, group)):
                        where = f"{shard:02}-{next(row_number):05}"
                        artist, title, style = (_text(row, groups.features, column) for column in LABELS)
                        if style:
                            yield _offer(name, artist, title, style, where, (shard, group, number))
            except Exception as error:
                where = parquet[shard] if parquet else f"{REPOSITORIES[name]} (shard {shard})"
                raise _unreadable(where, error) from None

    def read(batch: Sequence[Offer]) -> Iterator[tuple[Offer, bytes | UserError]]:
        shard, group, _ = batch[0].place
        wanted = {offer.place[2]: offer for offer in batch}
        try:
            groups = row_groups("images", shard)
            for number, row in enumerate(groups.shard(groups.num_shards, group)):
                if number in wanted:
                    content = (row["image"] or {}).get("bytes")
                    yield wanted.pop(number), content or UserError("the row holds no picture")
                if not wanted:
                    return
        except Exception as error:
            for offer in wanted.values():
                yield offer, Unavailable(f"the shard cannot be read ({one_line(error)})")

    style = everything.features["style"]
    styles = [folder_name(label) for label in style.names] if isinstance(style, ClassLabel) else None
    return Source(REPOSITORIES[name], offers(), read, styles=styles)


def _stream(name: str, parquet: Sequence[Path], columns: Sequence[str] | None = None) -> IterableDataset:
    columns = list(columns) if columns else None
    try:
        if parquet:
            files = [str(path) for path in parquet]
            return datasets.load_dataset("parquet", data_files=files, columns=columns, split="train", streaming=True)
        return datasets.load_dataset(REPOSITORIES[name], columns=columns, split="train", streaming=True)
    except Exception as error:
        raise _unreadable(parquet[0] if parquet else REPOSITORIES[name], error) from None


def _check_reachable(repository: str) -> None:
    try:
        huggingface_hub.HfApi().dataset_info(repository, timeout=ANSWER_TIMEOUT)
    except Exception as error:
        raise UserError(
            f"{repository} on {huggingface_hub.constants.ENDPOINT} cannot be reached ({one_line(error)}): name its "
            f"shards on disk with --parquet, or another --source"
        ) from None


def _unreadable(what: object, error: Exception) -> UserError:
    return UserError(f"{what} cannot be read ({one_line(error)}): fetch it again, or run this again later")


def _text(row: Mapping[str, object], features: datasets.Features, column: str) -> str:
    """A label as text, whether the shards hold text or numbers; "" where there is none."""
    value, feature = row.get(column), features.get(column)
    if value is None or value == -1:  # -1: ClassLabel's "no label"
        return ""
    if isinstance(feature, ClassLabel):
        return feature.int2str(value)
    if column == "style" and isinstance(value, int):
        return ARTGAN[value]
    return str(value).strip()


def _offer(name: str, artist: str, title: str, style: str, where: str, place: tuple[int, int, int]) -> Offer:
    stem = file_stem("" if artist.lower() in _UNKNOWN_ARTISTS else artist, title, where)
    source = f"{REPOSITORIES[name]}#{where}"
    return Offer(f"{folder_name(style)}/{stem}.jpg", artist_and_title(stem)[0], title, source, place, place[:2])
