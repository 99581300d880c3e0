"""What each painting's file contains: read in parallel, cached by the file's identity."""

import csv
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

import imagehash
from PIL import Image, ImageOps

from brushwork import csv_files, files, images
from brushwork.errors import UserError
from brushwork.paintings.catalogue import Catalogue, Painting

log = logging.getLogger(__name__)

_VERSION = 1  # of the meaning of the cache's columns: a new one reads every painting again
_HASH_SIDE = 16  # a perceptual hash has the square of this in bits
_THUMBNAIL = 96  # pixels: hashes are computed of 64 x 64; a JPEG of 800 and more is decoded at an eighth
_BLANK = 8  # levels of 256: a picture whose channels vary by less is blank


@dataclass(frozen=True)
class Facts:
    """What one file contains; one that cannot be read has a `reason` and nothing else.

    `width` and `height` are of the upright picture, `mode` and `format` Pillow's names. `print` and `mirrored` are the
    perceptual hashes (DCT, 256 bits, hexadecimal) of the picture and its mirror image; "" if it is blank or tiny.
    """

    reason: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    turned: bool = False
    print: str = ""
    mirrored: str = ""


_COLUMNS = ("path", "bytes", "mtime_ns", *(field.name for field in fields(Facts) if field.name != "reason"))


def inspect(path: Path, max_megapixels: float = 89) -> Facts:
    """The facts of one file, which is decoded to its end."""
    try:
        small = images.thumbnail(path, _THUMBNAIL, max_megapixels)
    except UserError as error:
        return Facts(reason=str(error))

    def header(image: Image.Image) -> tuple[int, tuple[int, int], str, str]:
        return images.orientation(image), image.size, image.mode, image.format

    orientation, size, mode, kind = images.read(path, header, max_megapixels)
    width, height = size[::-1] if orientation in range(5, 9) else size
    is_blank = all(high - low < _BLANK for low, high in small.getextrema())
    if is_blank or min(width, height) < images.MIN_SIDE:
        hashes = "", ""
    else:
        hashes = (str(imagehash.phash(picture, _HASH_SIDE)) for picture in (small, ImageOps.mirror(small)))
    return Facts("", width, height, mode, kind, orientation in range(2, 9), *hashes)


def cache_path(root: Path) -> Path:
    """The cache file of the facts of the files under `root`."""
    return files.cache_folder() / f"facts-{_VERSION}-{files.short_hash(str(root.resolve()))}.csv"


def read(root: Path, paintings: Sequence[Painting], max_megapixels: float = 89) -> list[Facts]:
    """The facts of each painting, in their order; only new and changed files are opened.

    They are cached, also when interrupted, but not of unreadable files: these may be repaired, or the limit changed.
    """
    identities, cached = {p.path: _identity(root / p.path) for p in paintings}, _load(cache_path(root))
    unchanged = {path: known for path, (identity, known) in cached.items() if identities.get(path) == identity}
    facts = {path: known for path, known in unchanged.items() if known.width * known.height / 1e6 <= max_megapixels}
    unread = [path for path in identities if path not in facts]

    def inspected(path: str) -> Facts:
        return inspect(root / path, max_megapixels)

    try:
        facts.update(images.in_threads(inspected, unread, "reading paintings", "paintings"))
    finally:
        if unread:
            cached |= {path: (identities[path], known) for path, known in facts.items() if not known.reason}
            _save(cache_path(root), cached)
    return [facts[painting.path] for painting in paintings]


def read_good(
    catalogue: Catalogue, max_megapixels: float, skip: bool
) -> tuple[Catalogue, list[Facts], list[tuple[str, str]]]:
    """Read every painting once, before training; UserError if one is unreadable, unless `skip`.

    Returns:
        The catalogue of the readable files (class names unchanged), their facts, and (path, reason) of the others.
    """
    facts = list(zip(catalogue.paintings, read(catalogue.root, catalogue.paintings, max_megapixels), strict=True))
    bad = [(painting.path, known.reason) for painting, known in facts if known.reason]
    good = {painting: known for painting, known in facts if not known.reason}
    if bad and not skip:
        more = f" ({len(bad) - 1} more bad files)" if len(bad) > 1 else ""
        raise UserError(f"{bad[0][1]}{more}; or leave bad files out with data.on_bad_image=skip")
    if bad:
        log.warning("%d bad files are left out, the first: %s", len(bad), bad[0][1])
    tiny = [painting.path for painting, known in good.items() if min(known.width, known.height) < images.MIN_SIDE]
    if tiny:
        log.warning("%d paintings have a side under %d pixels: %s", len(tiny), images.MIN_SIDE, ", ".join(tiny[:10]))
    return replace(catalogue, paintings=list(good)), list(good.values()), bad


def identities(catalogue: Catalogue) -> list[tuple[str, int, int]]:
    """Each painting's path, bytes and mtime in ns, by which a changed file is recognised."""
    return [(painting.path, *_identity(catalogue.root / painting.path)) for painting in catalogue.paintings]


def _identity(path: Path) -> tuple[int, int]:
    """A file's size and mtime in ns; zeros if it cannot be accessed (`inspect` then reports why)."""
    with suppress(OSError):
        return (status := path.stat()).st_size, status.st_mtime_ns
    return 0, 0


def _load(cache: Path) -> dict[str, tuple[tuple[int, int], Facts]]:
    cached = {}
    try:
        for row in csv_files.read(cache):
            path, identity = row.pop("path"), (int(row.pop("bytes")), int(row.pop("mtime_ns")))
            row |= {"width": int(row["width"]), "height": int(row["height"]), "turned": row["turned"] == "True"}
            cached[path] = identity, Facts(**row)
        return cached
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        log.warning("the cache file %s is damaged (%s): all paintings are read again", cache, error)
        return {}


def _save(cache: Path, cached: dict[str, tuple[tuple[int, int], Facts]]) -> None:
    rows = (
        {"path": path, "bytes": size, "mtime_ns": mtime_ns, **vars(known)}
        for path, ((size, mtime_ns), known) in cached.items()
    )
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        csv_files.write(cache, _COLUMNS, rows)
    except OSError as error:
        log.warning("the cache file %s can't be written (%s): paintings are read each time", cache, error.strerror)
