"""Which pictures a network has seen in training: those of its run's split, by content."""

import csv
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from brushwork import csv_files, files, images, run_folder
from brushwork.errors import UserError
from brushwork.inference import run_data

log = logging.getLogger(__name__)

_SEEN = ("train", "val")


def parts(checkpoint: Path, paths: Sequence[Path], root: Path | None = None) -> list[str]:
    """The part of the checkpoint's run that each picture was in, "train" or "val", else "".

    By the content's SHA-256, of files of equal size; where all of the run's paintings are gone (`root`: where they are
    now) by the files' names, and where its folder is gone not at all, each with a warning.
    """
    try:
        data = run_data.of_checkpoint(checkpoint, root)
    except UserError:
        return _by_name(checkpoint, paths)
    part_of: dict[int, list[tuple[Path, str]]] = defaultdict(list)  # by size
    for part in _SEEN:
        for painting in data.part(part):
            part_of[_size(data.root / painting.path)].append((data.root / painting.path, part))
    gone = len(part_of.pop(-1, ()))
    if not part_of:
        return _by_name(checkpoint, paths)
    if gone:
        log.warning(
            "%d paintings that %s was trained on are gone from %s: whether they are among these pictures is not known",
            *(gone, checkpoint, data.root.resolve()),
        )
    sizes = [_size(path) for path in paths]
    likely = sorted({path for size in set(sizes) for path, _ in part_of.get(size, [])})
    digests = dict(images.in_threads(_digest, likely, "comparing with the training part", "paintings"))
    by_digest = {digests[path]: part for size in set(sizes) for path, part in reversed(part_of.get(size, []))}
    by_digest.pop("", None)
    own = [path for path, size in zip(paths, sizes, strict=True) if size in part_of]
    found = dict(images.in_threads(_digest, own, "comparing with the training part", "pictures"))
    return [by_digest.get(found.get(path, ""), "") for path in paths]


def warning(checkpoint: Path, found: Sequence[str]) -> str | None:
    """What the pictures' `parts` mean for their scores; None where there is nothing to say."""
    counts = Counter(found)
    if not counts["train"] and not counts["val"]:
        return None
    those = [f"{counts['train']:,} are in the training part"] if counts["train"] else []
    those += (
        [f"{counts['val']:,} are in the validation part, on which its best epoch was chosen"] if counts["val"] else []
    )
    return f"of these {len(found):,} pictures {' and '.join(those)} of {checkpoint}: for them this is no test"


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return -1


def _digest(path: Path) -> str:
    with suppress(OSError):
        return files.sha256(path)
    return ""


def _by_name(checkpoint: Path, paths: Sequence[Path]) -> list[str]:
    split = run_data.folder_of(checkpoint) / run_folder.SPLIT
    try:
        rows = csv_files.read(split)
        part_of = {os.path.basename(row["path"]): row["part"] for row in rows if row["part"] in _SEEN}  # noqa: PTH119
    except (OSError, EOFError, KeyError, csv.Error):
        log.warning("whether %s was trained on these pictures is not known: %s is missing", checkpoint, split)
        return [""] * len(paths)
    log.warning(
        "the paintings that %s was trained on are gone: pictures are compared with them by file name only, which may "
        "miss some and take others for them",
        checkpoint,
    )
    return [part_of.get(path.name, "") for path in paths]
