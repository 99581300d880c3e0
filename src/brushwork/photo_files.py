"""Photos among files and folders, and a unique name for the results of each."""

import itertools
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from brushwork import files, images
from brushwork.errors import UserError

log = logging.getLogger(__name__)

_STEM_BYTES = 200


def find(inputs: Iterable[Path]) -> list[Path]:
    """The given files, and the photos in given folders, which are searched recursively and sorted by path.

    Hidden files are skipped; other files that are not images are counted in a warning. Raises a UserError where an
    input does not exist, or a folder has no photo.
    """
    found, ignored, broken = [], [], []
    for given in inputs:
        if given.is_file():
            found.append(given)
            continue
        if not given.is_dir():
            raise UserError(f"there is no file or folder {given.resolve()}: name photos, or a folder of photos")
        paths = sorted(given.rglob("*"))
        broken += [path for path in paths if path.is_symlink() and not path.exists()]
        paths = [path for path in paths if path.is_file()]
        shown = [path for path in paths if not any(map(images.is_hidden, path.relative_to(given).parts))]
        photos = [path for path in shown if images.is_image_file(path.name)]
        if not photos:
            raise UserError(f"{given.resolve()} has no photo ({', '.join(images.EXTENSIONS)}): name another folder")
        found += photos
        ignored += [path.name for path in shown if not images.is_image_file(path.name)]
    if broken:
        log.warning("%d broken links are left out: %s", len(broken), ", ".join(map(str, broken[:10])))
    if ignored:
        log.warning("ignored files that are no images: %s", images.count_others(ignored))
    return found


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
