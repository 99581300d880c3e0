"""Atomic writes, locks between processes, content hashes."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from brushwork.errors import UserError

# A lock outlives a killed process for as long as its data-loading workers do: they notice within 5 s.
LOCK_PATIENCE = 8.0


def cache_folder() -> Path:
    """Where what is costly to compute again is kept: BRUSHWORK_CACHE, else ~/.cache/brushwork."""
    return Path(os.environ.get("BRUSHWORK_CACHE") or Path.home() / ".cache" / "brushwork")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    When the block fails (a full disk, an interrupt) the temporary file is removed, and what stood at
    `path` before is as it was.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process left; only where no other process writes."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically. File names that are not valid UTF-8 keep their bytes."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def lock(path: Path, refusal: str, patience: float | None = None) -> Iterator[None]:
    """Hold the lock at `path`; the system frees it when the process ends, however it ends.

    Raises:
        UserError: with the text `refusal`, when another process holds it for longer than `patience` s
            (by default LOCK_PATIENCE).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=LOCK_PATIENCE if patience is None else patience)
    except Timeout:
        raise UserError(refusal) from None
    try:
        yield
    finally:
        held.release()


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock at `path`."""
    if not path.exists():
        return False
    probe = FileLock(path)
    try:
        probe.acquire(timeout=0)
    except Timeout:
        return True
    probe.release()
    return False


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(value: object) -> str:
    """16 hexadecimal digits that name a JSON-able value.

    >>> short_hash({"b": 1, "a": 2}) == short_hash({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
