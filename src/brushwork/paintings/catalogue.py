"""What paintings there are: style folders in the ArtGAN layout Style/artist_title.jpg."""

import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brushwork import files, images
from brushwork.errors import UserError, unknown
from brushwork.paintings import listing
from brushwork.paintings.names import artist_and_title
from brushwork.paintings.styles import style_key

log = logging.getLogger(__name__)

MOST_GONE = 0.1  # share of catalogue.csv's paintings that may have no file

WAYS_ON = (
    "put style folders there (Style/artist_title.jpg), name another folder with data.root=PATH, "
    "or try the demo, which needs no data: python train.py experiment=demo"
)


@dataclass(frozen=True)
class Painting:
    """One painting: `path` is relative to the data root, with "/"; `bytes` is the file's size."""

    path: str
    style: str
    bytes: int

    @property
    def artist(self) -> str | None:
        """The file name's part before the first "_"; None where it is missing or "unknown"."""
        return artist_and_title(self.path.rsplit("/", 1)[-1])[0] or None


@dataclass(frozen=True)
class Catalogue:
    """All paintings of a data set, sorted by path; a class index is a position in `class_names`."""

    root: Path
    paintings: list[Painting]
    class_names: list[str]

    def label(self, painting: Painting) -> int:
        return self.class_names.index(painting.style)

    @property
    def data_hash(self) -> str:
        """Names the data: relative paths and sizes, whatever the folder is called."""
        return files.short_hash([[painting.path, painting.bytes] for painting in self.paintings])


def scan(root: Path, styles: list[str] | None = None, limit_per_style: int | None = None, seed: int = 0) -> Catalogue:
    """List the paintings under `root`, one folder a style.

    Hidden files and folders are ignored; other files that are no images are counted and logged.

    Args:
        styles: the styles to take, in any spelling ("Post-Impressionism" finds Post_Impressionism);
            None takes every folder.
        limit_per_style: at most so many of each style, drawn by `seed`.

    Raises:
        UserError: there is no such folder, no painting in it, or no such style.
    """
    folders = style_folders(root)
    if styles is not None:
        folders = _choose(folders, styles)
    paintings, ignored = [], Counter()
    for style in sorted(folders):
        found = []
        for entry in os.scandir(folders[style]):
            if images.is_hidden(entry.name):
                continue
            if entry.is_file() and images.is_named_as_one(entry.name):
                found.append(Painting(f"{style}/{entry.name}", style, entry.stat().st_size))
            else:
                ignored[Path(entry.name).suffix.lower() or "without extension"] += 1
        found.sort(key=lambda painting: painting.path)
        if limit_per_style is not None and len(found) > limit_per_style:
            kept = style_rng(seed, style).permutation(len(found))[:limit_per_style]
            found = [found[i] for i in sorted(kept)]
        if not found:
            raise UserError(f"{folders[style].resolve()} holds no painting: fill it, remove it, or name data.styles")
        paintings += found
    if ignored:
        counts = ", ".join(f"{count} {kind}" for kind, count in ignored.most_common())
        log.warning("%s: ignored what is no image: %s", root, counts)
    if limit_per_style is None:
        _compare_with_listing(root, paintings, set(folders))
    return Catalogue(root, paintings, sorted(folders))


def _compare_with_listing(root: Path, paintings: list[Painting], styles: set[str]) -> None:
    """Warn of what is in catalogue.csv or in the folders alone; refuse when too much of the catalogue is gone."""
    rows = listing.read(root)
    if rows is None:
        return
    listed = [path for path, row in rows.items() if row["style"] in styles]
    gone, unlisted = listing.differences(listed, [painting.path for painting in paintings])
    for count, what, paths in [
        (len(gone), "listed paintings have no file", gone),
        (len(unlisted), "files are not listed", unlisted),
    ]:
        if count:
            log.warning("%s: %d %s: %s", root / listing.CATALOGUE, count, what, ", ".join(paths[:10]))
    if len(gone) > MOST_GONE * len(listed):
        raise UserError(
            f"{(root / listing.CATALOGUE).resolve()} lists {len(listed)} paintings of these styles, but {len(gone)} "
            f"have no file (first {gone[0]}): fetch them again with scripts/prepare_wikiart.py"
        )


def style_rng(seed: int, style: str) -> np.random.Generator:
    """Draws for one style that no other style's presence changes."""
    return np.random.default_rng([seed, *style.encode("utf-8", "surrogateescape")])


def style_folders(root: Path) -> dict[str, Path]:
    """The folders under `root` that hold something, by name.

    Raises:
        UserError: there is no such folder, or nothing in it.
    """
    where = root.resolve()
    try:
        folders = {
            entry.name: Path(entry.path)
            for entry in os.scandir(root)
            if entry.is_dir() and not entry.name.startswith(".") and any(os.scandir(entry))
        }
    except FileNotFoundError:
        raise UserError(f"no paintings at {where}: {WAYS_ON}") from None
    except NotADirectoryError:
        raise UserError(f"{where} is a file, not a folder of style folders: {WAYS_ON}") from None
    except PermissionError as error:
        raise UserError(f"{error.filename} may not be read: check its permissions, or name data.root") from None
    if not folders:
        raise UserError(f"{where} holds no style folders: {WAYS_ON}")
    return folders


def _choose(folders: dict[str, Path], styles: list[str]) -> dict[str, Path]:
    by_key = {style_key(name): name for name in folders}
    chosen = {}
    for wanted in styles:
        name = wanted if wanted in folders else by_key.get(style_key(wanted))
        if name is None:
            raise unknown("style in data.styles", wanted, sorted(folders))
        if name != wanted:
            log.info("data.styles: %s is read from the folder %s", wanted, name)
        chosen[name] = folders[name]
    return chosen
