"""A disk-backed array that grows by rows, each with a key: expensive results are computed once."""

import json
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from brushwork import files

log = logging.getLogger(__name__)

ABOUT = "about.json"  # what the rows are
ROWS = "rows.bin"  # the rows, concatenated
KEYS = "keys.jsonl"  # a key a line, in the order of the rows: a row counts once its line is complete
LOCK = ".lock"  # held by the process that adds rows

_CHUNK_BYTES = 2**25  # rows are computed, written and committed in chunks of about this size
_SPARE_BYTES = 2**28  # of the disk, left free for the run's other files

Key = Sequence[str | int]


@dataclass(frozen=True)
class Rows:
    """Rows of a store, memory-mapped read-only from its file."""

    values: Tensor  # (rows in the store, *shape)
    position: Tensor  # the row of each requested key, (keys,) int64

    def __getitem__(self, index: Tensor) -> Tensor:
        """Copies of the rows of the keys numbered `index` (batch,): (batch, *shape)."""
        return self.values.index_select(0, self.position[index])

    def to(self, device: torch.device) -> "Rows":
        """The requested rows alone, copied to a device."""
        values = torch.empty(len(self.position), *self.values.shape[1:], dtype=self.values.dtype, device=device)
        for chunk in torch.arange(len(self.position)).split(_rows_per_chunk(self.values[:1].nbytes)):
            values[chunk[0] : chunk[-1] + 1] = self[chunk].to(device)
        return Rows(values, torch.arange(len(self.position), device=device))


class RowStore:
    """Rows of one shape and type, of one `kind` ("pictures") and determined by the JSON values `about`.

    Processes may share it: one adds rows while the others wait or read. A killed process leaves complete rows, and the
    next one continues after them. Rows are never rewritten, so that `Rows` stay valid.
    """

    def __init__(self, kind: str, about: dict[str, Any], shape: Sequence[int], dtype: torch.dtype) -> None:
        self.kind, self.shape, self.dtype = kind, tuple(shape), dtype
        self.about = about | {"kind": kind, "shape": list(shape), "dtype": str(dtype).removeprefix("torch.")}
        self.folder = stores_folder() / f"{kind}-{files.short_hash(self.about)}"
        self.row_bytes = torch.Size(self.shape).numel() * dtype.itemsize

    def open(
        self, keys: Sequence[Key], make: Callable[[list[int]], Tensor], name: str, at_once: int | None = None
    ) -> Rows | None:
        """The rows of `keys`; missing ones are computed and added first. None, after a warning, if that is impossible.

        `make` takes positions in `keys` to their rows (len, *shape), on any device; at most `at_once` of them where
        these take long. `name` is for the bar and the log.
        """
        known = self._known()
        if any(tuple(key) not in known for key in keys):
            try:
                self._complete(keys, make, name, at_once)
            except OSError as error:
                log.warning("%s can't be kept in %s: %s", name, self.folder, error.strerror or error)
                return None
            known = self._known()
        with suppress(OSError):  # in another user's cache
            os.utime(self.folder / ABOUT)  # the time of last use
        # Read-only, since the system reserves memory for a private mapping that can be written to.
        content = np.memmap(self.folder / ROWS, mode="r", shape=(len(known), self.row_bytes))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable.*")
            values = torch.from_numpy(content).view(self.dtype).view(len(known), *self.shape)
        return Rows(values, torch.tensor([known[tuple(key)] for key in keys]))

    def _known(self) -> dict[tuple, int]:
        """The row of each stored key."""
        known, complete = {}, 0
        with suppress(FileNotFoundError, NotADirectoryError):
            complete = (self.folder / ROWS).stat().st_size // self.row_bytes
        for row, line in enumerate(_complete_lines(self.folder)[:complete]):
            try:
                known[tuple(json.loads(line))] = row
            except ValueError:
                log.warning("%s is damaged; the rows from line %d on are computed again", self.folder / KEYS, row + 1)
                break
        return known

    def _complete(
        self, keys: Sequence[Key], make: Callable[[list[int]], Tensor], name: str, at_once: int | None
    ) -> None:
        """Add the rows of missing keys, under the lock."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if files.is_locked(self.folder / LOCK):
            log.info("%s: waiting for the process that writes to %s", name, self.folder)
        with files.lock(self.folder / LOCK, "", patience=-1):
            known = self._known()
            missing = [i for i, key in enumerate(keys) if tuple(key) not in known]
            if not missing:  # another process has added them
                return
            needed, free = len(missing) * self.row_bytes, shutil.disk_usage(self.folder).free
            log.info("%s: %s to compute, %s, kept in %s", name, f"{len(missing):,}", size_of(needed), self.folder)
            if needed + _SPARE_BYTES > free:
                also = f"and a run needs {size_of(_SPARE_BYTES)} besides"
                raise OSError(f"{size_of(free)} are free, {also}; set BRUSHWORK_CACHE to a folder on another disk")
            files.write_json(self.folder / ABOUT, self.about)
            bar = tqdm(total=len(missing), desc=name, unit=" rows", leave=False, disable=None)
            try:
                with bar, open(self.folder / ROWS, "ab") as rows, open(self.folder / KEYS, "ab") as lines:
                    # A killed process may have left an incomplete row or line.
                    rows.truncate(len(known) * self.row_bytes)
                    lines.truncate(sum(map(len, _complete_lines(self.folder)[: len(known)])))
                    for part in torch.tensor(missing).split(min(_rows_per_chunk(self.row_bytes), at_once or len(keys))):
                        chunk = part.tolist()
                        rows.write(make(chunk).cpu().contiguous().view(-1).view(torch.uint8).numpy())
                        rows.flush()
                        os.fsync(rows.fileno())  # before the lines that declare the rows complete
                        lines.writelines(json.dumps(list(keys[i])).encode() + b"\n" for i in chunk)
                        lines.flush()
                        bar.update(len(chunk))
                    os.fsync(lines.fileno())
            except OSError:
                if not known:  # free the disk; rows that another process may have mapped are never truncated
                    (self.folder / KEYS).unlink(missing_ok=True)
                    (self.folder / ROWS).unlink(missing_ok=True)
                raise


def stores_folder() -> Path:
    """The folder of all stores."""
    return files.cache_folder() / "stores"


@dataclass(frozen=True)
class Listed:
    """A store's description."""

    folder: Path
    about: dict[str, Any]
    rows: int
    bytes: int  # on disk
    used: float  # when it was last opened, in seconds since 1970


def listed() -> list[Listed]:
    """All stores, the last used first; `about` of a damaged one is empty."""
    found = []
    for folder in stores_folder().glob("*/"):
        size = sum(file.stat().st_size for file in folder.iterdir())
        about, used = {}, folder.stat().st_mtime
        with suppress(OSError, ValueError):
            about, used = json.loads((folder / ABOUT).read_text(encoding="utf-8")), (folder / ABOUT).stat().st_mtime
        found.append(Listed(folder, about, len(_complete_lines(folder)), size, used))
    return sorted(found, key=lambda store: -store.used)


def clear(folder: Path) -> None:
    """Remove a store; processes that have it open keep their rows. UserError while one is adding to it."""
    with files.lock(folder / LOCK, f"{folder} is being written by another process: wait for it, or stop it", 0):
        shutil.rmtree(folder)


def size_of(size: int) -> str:
    """
    >>> size_of(420_000_000), size_of(12_190_000_000)
    ('420 MB', '12.2 GB')
    """
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _rows_per_chunk(row_bytes: int) -> int:
    return max(1, _CHUNK_BYTES // row_bytes)


def _complete_lines(folder: Path) -> list[bytes]:
    content = b""
    with suppress(FileNotFoundError, NotADirectoryError):
        content = (folder / KEYS).read_bytes()
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
