"""Atomic writes, cache files, locks between processes, content hashes."""

import hashlib
import json
import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from brushwork.errors import UserError

log = logging.getLogger(__name__)
T = TypeVar("T")

# $NAME, or ${NAME} in capitals: ${name} is Hydra's, and a shell sets the variable "_".
_VARIABLE = re.compile(r"\$(?:([A-Za-z]\w*)|\{([A-Z][A-Z0-9_]*)\})", re.ASCII)

# In seconds: the data-loading workers of a killed process hold its lock until they notice, within 5 s.
LOCK_PATIENCE = 8.0


def cache_folder() -> Path:
    """The folder of cached results: BRUSHWORK_CACHE, else ~/.cache/brushwork."""
    return Path(os.environ.get("BRUSHWORK_CACHE") or Path.home() / ".cache" / "brushwork")


def expanded(path: str | os.PathLike[str]) -> str:
    """A path with `~` and environment variables as a shell takes them; as it is where a file with a `$` has its name.

    >>> os.environ["PAINTINGS"] = "/data"
    >>> expanded("$PAINTINGS/C$_$"), expanded("imagenet")
    ('/data/C$_$', 'imagenet')
    """
    text = os.fspath(path)
    if "$" in text and not os.path.lexists(text):
        text = _VARIABLE.sub(lambda found: os.environ.get(found[1] or found[2], found[0]), text)
    return os.path.expanduser(text)  # noqa: PTH111 (pathlib's raises for an unknown user)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to `path` when the block succeeds.

    When it fails (a full disk, an interrupt) the temporary file is removed and `path` is unchanged.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex[:16]}.tmp")  # without the name, which may have all of 255 bytes
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:  # of a full disk it names the temporary file, or none
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed processes; no other process may be writing to the folder."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically; file names in it that are not valid UTF-8 keep their bytes."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically; NaN and infinite numbers raise ValueError."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def cached(path: Path, load: Callable[[Path], T], compute: Callable[[], T], save: Callable[[Path, T], object]) -> T:
    """What `load` reads from `path`; where there is no intact file, what `compute` returns, saved for next time.

    A damaged file, or a folder that cannot be written to, gives a warning and a new computation.
    """
    try:
        return load(path)
    except FileNotFoundError:
        pass
    except (OSError, EOFError, TypeError, ValueError) as error:
        log.warning("the cache file %s is damaged (%s): it is rebuilt", path, error)
    value = compute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            save(temporary, value)
    except OSError as error:
        log.warning("the cache file %s can't be written (%s): its content is computed each time", path, error.strerror)
    return value


@contextmanager
def lock(path: Path, refusal: str, patience: float | None = None) -> Iterator[None]:
    """Hold the lock at `path`; the system releases it when the process ends, even if it is killed.

    UserError(refusal), when another process still holds it after `patience` s (None: LOCK_PATIENCE; -1: no limit).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(path).acquire(timeout=LOCK_PATIENCE if patience is None else patience)
    except Timeout:
        raise UserError(refusal) from None
    with held:
        yield


def is_locked(path: Path) -> bool:
    """Whether a running process holds the lock at `path`."""
    try:
        with FileLock(path, timeout=0) if path.exists() else nullcontext():
            return False
    except Timeout:
        return True


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(value: object) -> str:
    """16 hexadecimal digits that identify a JSON-able value.

    >>> short_hash({"b": 1, "a": 2}) == short_hash({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
