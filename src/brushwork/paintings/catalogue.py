"""The paintings of a data set: style folders in the ArtGAN layout Style/artist_title.jpg."""

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

MAX_MISSING = 0.1  # share of catalogue.csv's paintings that may have no file

ALTERNATIVES = (
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
        """The file name's part before the first "_"; None if there is none, or it is "unknown"."""
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
        """A hash of the relative paths and sizes."""
        return files.short_hash([[painting.path, painting.bytes] for painting in self.paintings])


def scan(root: Path, styles: list[str] | None = None, limit_per_style: int | None = None, seed: int = 0) -> Catalogue:
    """List the paintings under `root`, one folder a style.

    Hidden files and folders are ignored; other files that are no images are counted and logged. UserError if the
    folder, one of the styles, or a style's paintings are missing.

    Args:
        styles: the styles to use, in any spelling ("Post-Impressionism" finds Post_Impressionism); None: all folders.
        limit_per_style: at most so many of each style, drawn by `seed`.
    """
    folders = style_folders(root) if styles is None else _select(style_folders(root), styles)
    paintings, ignored = [], Counter()
    for style, folder in sorted(folders.items()):
        found = []
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if images.is_hidden(entry.name):
                continue
            if entry.is_file() and images.is_image_file(entry.name):
                found.append(Painting(f"{style}/{entry.name}", style, entry.stat().st_size))
            else:
                ignored[Path(entry.name).suffix.lower() or "without extension"] += 1
        if not found:
            raise UserError(f"{folder.resolve()} holds no painting: fill it, remove it, or name data.styles")
        kept = range(len(found))
        if limit_per_style is not None and len(found) > limit_per_style:
            kept = sorted(style_rng(seed, style).permutation(len(found))[:limit_per_style])
        paintings += [found[i] for i in kept]
    if ignored:
        counts = ", ".join(f"{count} {kind}" for kind, count in ignored.most_common())
        log.warning("%s: ignored files that are no images: %s", root, counts)
    if limit_per_style is None:
        _compare_with_listing(root, paintings, set(folders))
    return Catalogue(root, paintings, sorted(folders))


def _compare_with_listing(root: Path, paintings: list[Painting], styles: set[str]) -> None:
    """Warn of differences between the folders and catalogue.csv; refuse if too many listed paintings are missing."""
    if (rows := listing.read(root)) is None:
        return
    path, listed = root / listing.CATALOGUE, [name for name, row in rows.items() if row["style"] in styles]
    missing, unlisted = listing.differences(listed, [painting.path for painting in paintings])
    for what, paths in [("listed paintings have no file", missing), ("files are not listed", unlisted)]:
        if paths:
            log.warning("%s: %d %s: %s", path, len(paths), what, ", ".join(paths[:10]))
    if len(missing) > MAX_MISSING * len(listed):
        raise UserError(
            f"{path.resolve()} lists {len(listed)} paintings of these styles, but {len(missing)} have no file "
            f"(first {missing[0]}): fetch them again with scripts/prepare_wikiart.py"
        )


def style_rng(seed: int, style: str) -> np.random.Generator:
    """A generator for one style, independent of which other styles there are."""
    return np.random.default_rng([seed, *style.encode("utf-8", "surrogateescape")])


def style_folders(root: Path) -> dict[str, Path]:
    """The folders under `root` that are neither hidden nor empty, by name; UserError if there are none."""
    where = root.resolve()
    try:
        entries = [entry for entry in os.scandir(root) if entry.is_dir() and not entry.name.startswith(".")]
        folders = {entry.name: Path(entry.path) for entry in entries if any(os.scandir(entry))}
    except FileNotFoundError:
        raise UserError(f"no paintings at {where}: {ALTERNATIVES}") from None
    except NotADirectoryError:
        raise UserError(f"{where} is a file, not a folder of style folders: {ALTERNATIVES}") from None
    except PermissionError as error:
        raise UserError(f"no permission to read {error.filename}: change that, or name data.root") from None
    if not folders:
        raise UserError(f"{where} holds no style folders: {ALTERNATIVES}")
    return folders


def _select(folders: dict[str, Path], styles: list[str]) -> dict[str, Path]:
    by_key, selected = {style_key(name): name for name in folders}, {}
    for style in styles:
        name = style if style in folders else by_key.get(style_key(style))
        if name is None:
            raise unknown("style in data.styles", style, sorted(folders))
        if name != style:
            log.info("data.styles: %s is read from the folder %s", style, name)
        selected[name] = folders[name]
    return selected
