"""An array on disk that grows row by row, each row under a key: what is costly to compute is computed once."""

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
ROWS = "rows.bin"  # the rows, one after the other
KEYS = "keys.jsonl"  # a key a line, in the order of the rows: a row is there when its line is whole
LOCK = ".lock"  # held by the process that adds rows

_CHUNK_BYTES = 2**25  # rows are made, written and counted in so many bytes at a time
_SPARE_BYTES = 2**28  # of the disk, left free for what else a run writes

Key = Sequence[str | int]


@dataclass(frozen=True)
class Rows:
    """Rows of a store, mapped from the file: they take no memory of the process's own, and stay as they are.

    values: (rows in the store, *shape). position: for each key that was asked for, its row (int64).
    """

    values: Tensor
    position: Tensor

    def __getitem__(self, wanted: Tensor) -> Tensor:
        """Copies of the rows of the keys numbered `wanted` (batch,): (batch, *shape)."""
        return self.values.index_select(0, self.position[wanted])

    def to(self, device: torch.device) -> "Rows":
        """The wanted rows alone, in the memory of a device."""
        values = torch.empty(len(self.position), *self.values.shape[1:], dtype=self.values.dtype, device=device)
        step = _rows_a_chunk(self.values.shape[1:], self.values.dtype)
        for chosen in torch.arange(len(self.position)).split(step):
            values[chosen[0] : chosen[-1] + 1] = self[chosen].to(device)
        return Rows(values, torch.arange(len(self.position), device=device))


class RowStore:
    """Rows of one shape and type in a folder of their own under `files.cache_folder()`.

    Several processes may use it at once: one adds rows, the others wait or read. A killed one leaves whole rows, and
    the next goes on from there. Rows are never rewritten, so what was opened stays valid.

    Args:
        kind: what the rows are, for people ("pictures").
        about: plain values that tell them from other rows of the kind; another value is another store.
    """

    def __init__(self, kind: str, about: dict[str, Any], shape: Sequence[int], dtype: torch.dtype) -> None:
        self.kind, self.shape, self.dtype = kind, tuple(shape), dtype
        self.about = about | {"kind": kind, "shape": list(shape), "dtype": str(dtype).removeprefix("torch.")}
        self.folder = stores_folder() / f"{kind}-{files.short_hash(self.about)}"

    @property
    def row_bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize

    def open(self, keys: Sequence[Key], make: Callable[[list[int]], Tensor], name: str) -> Rows | None:
        """The rows of `keys`; those that are missing are made and added first.

        Args:
            make: positions in `keys` to their rows (len, *shape), whatever device they are on.
            name: what the progress bar and the log call it.

        Returns:
            None, after a warning, when there is no room on the disk. What the store held before is as it was.
        """
        known = self._known()
        if any(tuple(key) not in known for key in keys):
            try:
                self._complete(keys, make, name)
            except OSError as error:
                log.warning("%s can't be kept in %s: %s", name, self.folder, error.strerror or error)
                return None
            known = self._known()
        with suppress(OSError):  # in another user's cache
            os.utime(self.folder / ABOUT)  # when it was last used
        # Read-only: of a private mapping that may be written to, the system would keep as much memory free.
        content = np.memmap(self.folder / ROWS, mode="r", shape=(len(known), self.row_bytes))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable.*")
            values = torch.from_numpy(content).view(self.dtype).view(len(known), *self.shape)
        return Rows(values, torch.tensor([known[tuple(key)] for key in keys]))

    def _known(self) -> dict[tuple, int]:
        """The row of each key that is there."""
        try:
            whole = (self.folder / ROWS).stat().st_size // self.row_bytes
        except (FileNotFoundError, NotADirectoryError):
            return {}
        known: dict[tuple, int] = {}
        for row, line in enumerate(_whole_lines(self.folder)[:whole]):
            try:
                known[tuple(json.loads(line))] = row
            except ValueError:
                log.warning("%s is damaged: what it no longer tells is computed again", self.folder / KEYS)
                break
        return known

    def _complete(self, keys: Sequence[Key], make: Callable[[list[int]], Tensor], name: str) -> None:
        """Make and add what is missing, while no other process does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if files.is_locked(self.folder / LOCK):
            log.info("%s: waiting for the process that adds to %s", name, self.folder)
        with files.lock(self.folder / LOCK, "", patience=-1):
            known = self._known()
            missing = [i for i, key in enumerate(keys) if tuple(key) not in known]
            if missing:  # else another process has added them
                need, free = len(missing) * self.row_bytes, shutil.disk_usage(self.folder).free
                log.info("%s: %s to compute, %s, kept in %s", name, f"{len(missing):,}", size_of(need), self.folder)
                if need + _SPARE_BYTES > free:
                    raise OSError(
                        f"{size_of(free)} are free, {size_of(_SPARE_BYTES)} of them for the run itself; "
                        f"BRUSHWORK_CACHE names a folder on another disk"
                    )
                files.write_json(self.folder / ABOUT, self.about)
                self._add(keys, missing, make, name, len(known))

    def _add(
        self, keys: Sequence[Key], missing: list[int], make: Callable[[list[int]], Tensor], name: str, before: int
    ) -> None:
        step = _rows_a_chunk(self.shape, self.dtype)
        try:
            with (
                open(self.folder / ROWS, "ab") as rows,
                open(self.folder / KEYS, "ab") as lines,
                tqdm(total=len(missing), desc=name, unit=" rows", leave=False, disable=None) as bar,
            ):
                rows.truncate(before * self.row_bytes)  # what a killed process left of a row or a line
                lines.truncate(sum(map(len, _whole_lines(self.folder)[:before])))
                for start in range(0, len(missing), step):
                    chosen = missing[start : start + step]
                    rows.write(make(chosen).cpu().contiguous().view(-1).view(torch.uint8).numpy())
                    rows.flush()
                    os.fsync(rows.fileno())  # before the lines that say it is there
                    lines.writelines(json.dumps(list(keys[i])).encode() + b"\n" for i in chosen)
                    lines.flush()
                    bar.update(len(chosen))
                os.fsync(lines.fileno())
        except OSError:
            if before == 0:  # a full disk gets its room back; rows that others may have mapped are never cut off
                (self.folder / KEYS).unlink(missing_ok=True)
                (self.folder / ROWS).unlink(missing_ok=True)
            raise


def stores_folder() -> Path:
    """Where all stores are."""
    return files.cache_folder() / "stores"


@dataclass(frozen=True)
class Listed:
    """A store as a list shows it. bytes: on the disk; used: when it was last opened, in seconds since 1970."""

    folder: Path
    about: dict[str, Any]
    rows: int
    bytes: int
    used: float


def listed() -> list[Listed]:
    """All stores, the one used last first."""
    found = []
    for folder in stores_folder().glob("*/"):
        size = sum(file.stat().st_size for file in folder.iterdir())
        try:
            about, used = json.loads((folder / ABOUT).read_text(encoding="utf-8")), (folder / ABOUT).stat().st_mtime
        except (OSError, ValueError):  # damaged: still to be seen, and cleared
            about, used = {}, folder.stat().st_mtime
        found.append(Listed(folder, about, len(_whole_lines(folder)), size, used))
    return sorted(found, key=lambda store: -store.used)


def clear(folder: Path) -> None:
    """Remove a store. What other processes have open they keep.

    Raises:
        UserError: a process is adding to it.
    """
    with files.lock(folder / LOCK, f"{folder} is being written by another process: wait for it, or stop it", 0):
        shutil.rmtree(folder)


def size_of(size: int) -> str:
    """
    >>> size_of(420_000_000), size_of(12_190_000_000)
    ('420 MB', '12.2 GB')
    """
    return f"{size / 1e6:.0f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _rows_a_chunk(shape: Sequence[int], dtype: torch.dtype) -> int:
    return max(1, _CHUNK_BYTES // (torch.Size(shape).numel() * dtype.itemsize))


def _whole_lines(folder: Path) -> list[bytes]:
    try:
        content = (folder / KEYS).read_bytes()
    except FileNotFoundError:
        return []
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
