"""Photos among files, folders, globs and lists, and a unique name for the results of each."""

import glob
import itertools
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from brushwork import files, images
from brushwork.errors import UserError

log = logging.getLogger(__name__)

_STEM_BYTES = 200


class Found(NamedTuple):
    """A photo: its path, and its name as given or, of a folder's photos, below that folder."""

    path: Path
    name: str


def find(inputs: Iterable[Path], out: Path | None = None) -> list[Path]:
    """The paths of `found`."""
    return [one.path for one in found(inputs, out)]


def found(inputs: Iterable[Path], out: Path | None = None) -> list[Found]:
    """The given files, the photos in given folders, which are searched recursively and sorted by path, and what a glob
    matches that no shell has expanded (`**` too); `-` is a list on standard input, a path a line or after a zero byte.

    Hidden files are skipped, and what lies in `out`, a folder of results below a given one; other files that are no
    images are counted in a warning. A file of the list is taken without a look: what reads it says that it is missing.
    Where two photos would share their names, all have the given folders in front. Raises a UserError where another
    input does not exist, or a folder has no photo.
    """
    photos: list[Found] = []
    ignored: list[str] = []
    for given in inputs:
        if str(given) == "-":
            for path in _listed(sys.stdin.buffer.read()):
                photos += _outside(out, path, _in_folder(path, ignored)) if path.is_dir() else [Found(path, str(path))]
        elif given.is_file():
            photos.append(Found(given, str(given)))
        elif given.is_dir():
            photos += _outside(out, given, _in_folder(given, ignored))
        elif glob.has_magic(str(given)):
            photos += _outside(out, given, _matching(given, ignored))
        else:
            raise UserError(f"there is no file or folder {given.resolve()}: name photos, or a folder of photos")
    if ignored:
        log.warning("ignored files that are no images: %s", images.count_others(ignored))
    if len({photo.name for photo in photos}) < len(photos):
        return [Found(photo.path, str(photo.path)) for photo in photos]
    return photos


def _listed(content: bytes) -> list[Path]:
    """The paths in a list: a line each, or separated by zero bytes (find -print0)."""
    lines = content.split(b"\0") if b"\0" in content else content.replace(b"\r\n", b"\n").split(b"\n")
    paths = [Path(files.expanded(os.fsdecode(line))) for line in lines if line.strip()]
    if not paths:
        raise UserError("the list on standard input is empty: write a path a line")
    return paths


def _outside(out: Path | None, given: Path, photos: list[Found]) -> list[Found]:
    """Without the pictures of an interrupted command, which goes on with the photos that it began with."""
    if out is None or given.absolute().is_relative_to(out.absolute()):
        return photos
    return [photo for photo in photos if not photo.path.absolute().is_relative_to(out.absolute())]


def _in_folder(folder: Path, ignored: list[str]) -> list[Found]:
    paths = sorted(folder.rglob("*"))
    broken = [path for path in paths if path.is_symlink() and not path.exists()]
    if broken:
        log.warning("%d broken links are left out: %s", len(broken), ", ".join(map(str, broken[:10])))
    names = [(path, path.relative_to(folder)) for path in paths if path.is_file()]
    shown = [(path, name) for path, name in names if not any(map(images.is_hidden, name.parts))]
    photos = [Found(path, str(name)) for path, name in shown if images.is_image_file(path.name)]
    if not photos:
        raise UserError(f"{folder.resolve()} has no photo ({', '.join(images.EXTENSIONS)}): name another folder")
    ignored += [path.name for path, _ in shown if not images.is_image_file(path.name)]
    return photos


def _matching(pattern: Path, ignored: list[str]) -> list[Found]:
    """What a shell would take for a glob; under `**`, files alone, since it matches the folders between as well."""
    paths = [Path(path) for path in sorted(glob.glob(str(pattern), recursive=True))]
    photos = []
    for path in paths:
        if path.is_dir() and "**" not in pattern.parts:
            photos += _in_folder(path, ignored)
        elif path.is_file() and not images.is_hidden(path.name):
            if images.is_image_file(path.name):
                photos.append(Found(path, str(path)))
            else:
                ignored.append(path.name)
    if not photos:
        raise UserError(f"no photo matches {pattern}: name photos, or a folder of photos")
    return photos


def stems(paths: Iterable[Path]) -> list[str]:
    """A unique name for each photo's results: the file's stem, with a number if it is taken.

    One that leaves no room for what is added to it (`_METHOD.npy`), of the 255 bytes of a file's name, is cut short and
    has a hash.

    >>> stems([Path("a/cat.jpg"), Path("b/cat.jpg"), Path("cat.png"), Path("cat_2.jpg")])
    ['cat', 'cat_2', 'cat_3', 'cat_2_2']
    """
    names: dict[str, None] = {}
    for path in paths:
        stem, content = path.stem, os.fsencode(path.stem)
        if len(content) > _STEM_BYTES:
            start = content[: _STEM_BYTES - 9].decode("utf-8", "ignore")  # no half of a character
            stem = f"{start}-{files.short_hash(stem)[:8]}"
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        names[next(name for name in itertools.chain([stem], numbered) if name not in names)] = None
    return list(names)
