"""Photos among files and folders, and a unique name for the results of each."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from brushwork import images
from brushwork.errors import UserError

log = logging.getLogger(__name__)


def find(inputs: Iterable[Path]) -> list[Path]:
    """The photos among files and folders, these searched recursively and sorted by path.

    Hidden files are ignored; other files that are no images are counted and logged.

    Raises:
        UserError: an input does not exist, or a folder has no photo.
    """
    found, ignored = [], Counter()
    for given in inputs:
        if given.is_file():
            found.append(given)
            continue
        if not given.is_dir():
            raise UserError(f"there is no file or folder {given.resolve()}: name photos, or a folder of photos")
        before = len(found)
        for path in sorted(given.rglob("*")):
            hidden = any(map(images.is_hidden, path.relative_to(given).parts))
            if hidden or not path.is_file():
                continue
            if images.is_image_file(path.name):
                found.append(path)
            else:
                ignored[path.suffix.lower() or "without extension"] += 1
        if len(found) == before:
            raise UserError(f"{given.resolve()} has no photo ({', '.join(images.EXTENSIONS)}): name another folder")
    if ignored:
        log.warning(
            "ignored files that are no images: %s", ", ".join(f"{n} {kind}" for kind, n in ignored.most_common())
        )
    return found


def stems(paths: Iterable[Path]) -> list[str]:
    """A unique name for each photo's results: the file's stem, numbered where it is taken.

    >>> stems([Path("a/cat.jpg"), Path("b/cat.jpg"), Path("cat.png"), Path("cat_2.jpg")])
    ['cat', 'cat_2', 'cat_3', 'cat_2_2']
    """
    taken, names = set(), []
    for path in paths:
        name, number = path.stem, 1
        while name in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name)
        names.append(name)
    return names
