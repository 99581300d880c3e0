"""The paintings of a data set, by style: listed, selected, and compared with the table that lists them."""

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brushwork import files, images
from brushwork.errors import UserError, unknown
from brushwork.paintings import layout
from brushwork.paintings.described import Description, Painting, describe
from brushwork.paintings.layout import PARTS, Layout
from brushwork.paintings.listing import CATALOGUE
from brushwork.paintings.styles import style_key

log = logging.getLogger(__name__)

MAX_MISSING = 0.1  # share of catalogue.csv's paintings that may have no file


@dataclass(frozen=True)
class Catalogue:
    """All paintings of a data set, sorted by style and path; a class index is a position in `class_names`.

    parts_from: what says the paintings' own parts, a table's path or "the folders test, train"; "" where nothing does.
    """

    root: Path
    paintings: list[Painting]
    class_names: list[str]
    parts_from: str = ""

    def label(self, painting: Painting) -> int:
        return self.class_names.index(painting.style)

    @property
    def data_hash(self) -> str:
        """A hash of the relative paths and sizes."""
        return files.short_hash([[painting.path, painting.bytes] for painting in self.paintings])

    @property
    def is_split(self) -> bool:
        """Whether the data were made with a split; that of a prepared catalogue.csv is used on request only."""
        return bool(self.parts_from) and Path(self.parts_from).name != CATALOGUE


def scan(
    root: Path,
    styles: list[str] | None = None,
    table: Path | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> Catalogue:
    """List the paintings under `root` (see `layout.Layout` for how they may lie, `described.describe` for its table).

    Hidden files and folders are ignored; other files that are no images, and links to nothing, are counted and logged.
    UserError if the folder, one of the styles, or a style's paintings are missing.

    Args:
        styles: the styles to use, in any spelling ("Post-Impressionism" finds Post_Impressionism); None: all folders.
        table: lists the files; None: the one in `root`, if there is one. columns: the headers of its columns.
    """
    return listed(layout.read(root), styles, table, columns)


def listed(
    found: Layout,
    styles: list[str] | None = None,
    table: Path | None = None,
    columns: Mapping[str, str | None] | None = None,
    allow_empty: bool = False,
) -> Catalogue:
    """The paintings of a layout, as `scan`; `allow_empty`: a style may have none, as long as another one has some."""
    root, described = found.root, describe(found, table, columns)
    by_style = defaultdict(list)
    for painting in described.paintings:
        by_style[painting.style].append(painting)
    names = sorted({*by_style, *([] if described.by_table else found.styles)})
    if not names:
        raise UserError(
            f"{root.resolve()} has {len(described.unnamed)} pictures but no style folders: sort them into some "
            f"(Style/artist_title.jpg), or add a table with the columns file and style (data.table=PATH)"
        )
    selected = names if styles is None else _select(names, styles)
    by_key = defaultdict(list)
    for name in selected:
        by_key[style_key(name)].append(name)
    for same in by_key.values():
        if len(same) > 1:
            log.warning("%s: %s are spellings of one style, and two classes: merge the folders", root, ", ".join(same))
    paintings = []
    for style in sorted(selected):
        members = by_style[style]
        if not members and not (allow_empty and described.paintings):
            raise UserError(
                f"{root.resolve() / style} holds no painting ({found.why_empty(style)}): "
                f"fill it, remove it, or name data.styles"
            )
        paintings += members
    _report(found, described, set(selected), is_all=styles is None)
    return Catalogue(root, paintings, sorted(selected), described.parts_from)


def limited(whole: Catalogue, per_style: int | None, seed: int = 0, by_part: bool = False) -> Catalogue:
    """At most so many paintings of each style, drawn by `seed`; None: all.

    `by_part`: of each part about its share, and at least one where that is possible, the training part's first.
    """
    if per_style is None:
        return whole
    kept = []
    for style in whole.class_names:
        members = [painting for painting in whole.paintings if painting.style == style]
        if len(members) > per_style:
            drawn = [members[i] for i in style_rng(seed, style).permutation(len(members))]
            if by_part:
                drawn = _by_part(drawn, per_style)
            taken = set(drawn[:per_style])
            members = [painting for painting in members if painting in taken]
        kept += members
    return replace(whole, paintings=kept)


def _by_part(drawn: list[Painting], limit: int) -> list[Painting]:
    """So reordered that the first `limit` paintings have each part's share."""
    counts = Counter(painting.part for painting in drawn if painting.part)
    quota = {part: max(1, limit * counts[part] // counts.total()) for part in PARTS if counts[part]}
    first, rest = [], []
    for painting in drawn:
        within = quota.get(painting.part, 0) > 0
        if within:
            quota[painting.part] -= 1
        (first if within else rest).append(painting)
    one_each = [next(p for p in first if p.part == part) for part in PARTS if counts[part]]
    used = [painting for painting in rest if painting.part]
    return [*one_each, *(p for p in first if p not in one_each), *used, *(p for p in rest if not p.part)]


def _report(found: Layout, described: Description, styles: set[str], is_all: bool) -> None:
    """Log what is left out, and the differences between the files and the table that lists them.

    Of a table's rows those of `styles` count; where these are all that there are, also those of styles without a file.
    UserError if too many paintings of a prepared catalogue.csv are missing.
    """
    root = found.root
    # Beside style folders lie tables and notes, but pictures would be missed.
    others = [path for path in found.others if "/" in path or path.lower().endswith(images.UNREADABLE)]
    if others:
        log.warning("%s: ignored files that are no images: %s", root, images.count_others(others))
    for what, paths in [("broken links", found.broken), ("pictures of no style", described.unnamed)]:
        if paths:
            log.warning("%s: %d %s are left out: %s", root, len(paths), what, ", ".join(paths[:10]))
    if described.listed is None:
        return
    path, keys = described.listed.path, {style_key(style) for style in styles}
    prepared = path.name == CATALOGUE

    def is_used(row_styles: tuple[str, ...] | None, file: str) -> bool:
        named = row_styles or tuple(file.split("/")[:-1])
        return is_all or not named or any(style_key(name) in keys for name in named)

    missing = sorted(row.file for row in described.missing if is_used(row.styles, row.file))
    used = {painting.path for painting in described.paintings if painting.style in styles}
    unlisted = sorted(used.intersection(described.unlisted))
    for what, paths in [("listed paintings have no file", missing), ("files are not listed", unlisted)]:
        if paths:
            log.warning("%s: %d %s: %s", path, len(paths), what, ", ".join(paths[:10]))
    listed = len(missing) + len(used) - len(unlisted)
    if prepared and len(missing) > MAX_MISSING * listed:
        raise UserError(
            f"{path.resolve()} lists {listed} paintings of these styles, but {len(missing)} have no file "
            f"(first {missing[0]}): fetch them again with scripts/prepare_wikiart.py, or name the others in data.styles"
        )


def style_rng(seed: int, style: str) -> np.random.Generator:
    """A generator for one style, independent of which other styles there are."""
    return np.random.default_rng([seed, *style.encode("utf-8", "surrogateescape")])


def _select(names: list[str], styles: list[str]) -> list[str]:
    selected = {}
    for style in styles:
        same = [style] if style in names else [name for name in names if style_key(name) == style_key(style)]
        if not same:
            raise unknown("style in data.styles", style, names)
        if len(same) > 1:
            raise UserError(
                f"data.styles: {style} may be {' or '.join(same)}: give the name of one, or merge the folders"
            )
        name = same[0]
        if name != style:
            log.info("data.styles: %s is read from the folder %s", style, name)
        selected[name] = None
    return list(selected)
