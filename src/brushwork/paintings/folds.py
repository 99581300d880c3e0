"""Folds: paintings in K parts, each of which is the test part of one run, so that every painting is scored once."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from brushwork.errors import UserError
from brushwork.paintings import splits
from brushwork.paintings.catalogue import Catalogue, Painting
from brushwork.paintings.splits import Fractions, Parts

log = logging.getLogger(__name__)

Units = list[list[int]]  # positions of paintings that stay together


class Fold(NamedTuple):
    """One of so many folds; numbers count from 0."""

    number: int
    count: int


def draw(
    name: str, catalogue: Catalogue, fold: Fold, val_fraction: float, seed: int, together: Sequence[Sequence[int]] = ()
) -> Parts:
    """The fold is the test part; of the others' paintings a share validates, drawn as without folds.

    `name` is "artist_disjoint" (folds of whole artists, who share near duplicates with nobody in another fold; unknown
    artists are unused) or "random" (of whole groups of near duplicates). Which painting is in which fold does not
    depend on the fold that is tested. UserError where a style is not in all folds.
    """
    paintings = catalogue.paintings
    by_artist = name == "artist_disjoint"
    if by_artist:
        splits.require_artists(paintings)
    units = _artists(paintings, together) if by_artist else _pictures(len(paintings), together)
    styles = [painting.style for painting in paintings]
    fold_of = assign(units, styles, fold.count, seed)
    _check(units, styles, fold_of, fold, "artists" if by_artist else "pictures")
    _log_balance(paintings, fold_of, fold)
    parts = ["unused"] * len(paintings)
    others = [i for i, number in enumerate(fold_of) if number not in (None, fold.number)]
    drawn = splits.draw_among(others, name, catalogue, Fractions(val_fraction), seed, together)
    for i, number in enumerate(fold_of):
        parts[i] = "test" if number == fold.number else drawn.get(i, "unused")
    return parts


def assign(units: Units, styles: Sequence[str], count: int, seed: int) -> list[int | None]:
    """The fold of each painting, None for one in no unit: whole units, balanced by style.

    The units, largest first and equal ones in an order drawn by `seed`, go one by one to the fold where the sum over
    styles of (share of the style's paintings)^2 grows least, of equal folds to the one with the fewest paintings.
    """
    _, style = np.unique(styles, return_inverse=True)  # (paintings,)
    counts = np.stack([np.bincount(style[unit], minlength=style.max() + 1) for unit in units])  # (units, styles)
    totals, filled = counts.sum(axis=0), np.zeros((count, counts.shape[1]), int)  # (styles,), (folds, styles)
    weights = counts / np.maximum(totals, 1) ** 2
    order = np.random.default_rng(seed).permutation(len(units))
    largest_first = order[np.argsort(-(counts / np.maximum(totals, 1)).sum(axis=1)[order], kind="stable")]
    fold_of: list[int | None] = [None] * len(styles)
    for unit in largest_first.tolist():
        fold = int(np.lexsort((filled.sum(axis=1), filled @ weights[unit]))[0])
        filled[fold] += counts[unit]
        for i in units[unit]:
            fold_of[i] = fold
    return fold_of


def _artists(paintings: list[Painting], together: Sequence[Sequence[int]]) -> Units:
    unit_of, members = splits.artist_units(paintings, together), defaultdict(list)
    for i, painting in enumerate(paintings):
        if painting.artist is not None:
            members[unit_of[painting.artist]].append(i)
    return [members[name] for name in sorted(members)]


def _pictures(count: int, together: Sequence[Sequence[int]]) -> Units:
    grouped = {i for group in together for i in group}
    return [*(sorted(group) for group in together if group), *([i] for i in range(count) if i not in grouped)]


def _check(units: Units, styles: Sequence[str], fold_of: list[int | None], fold: Fold, what: str) -> None:
    """UserError for a style that is not in all folds, or can't be both trained and validated beside this one."""
    advice = "or leave it out with data.styles" + (", or use split=random" if what == "artists" else "")
    for style in sorted(set(styles)):
        found = [fold_of[unit[0]] for unit in units if any(styles[i] == style for i in unit)]  # of each unit
        if (filled := len(set(found))) < fold.count:
            fewer = f"use split.folds={filled} or fewer, " if filled > 1 else ""
            raise UserError(
                f"split.folds={fold.count}: style {style} has {len(found)} {what}, which fill {filled} of "
                f"{fold.count} folds: {fewer}add paintings, {advice}"
            )
        if len(found) - found.count(fold.number) < 2:
            raise UserError(
                f"split.fold={fold.number}: the other folds have style {style} by one of its {len(found)} {what}, too "
                f"few to train and to validate: use more folds, add paintings, {advice}"
            )


def _log_balance(paintings: list[Painting], fold_of: list[int | None], fold: Fold) -> None:
    used = [(painting, number) for painting, number in zip(paintings, fold_of, strict=True) if number is not None]
    names = sorted({painting.style for painting, _ in used})
    table = np.zeros((fold.count, len(names)), int)  # (folds, styles)
    for painting, number in used:
        table[number, names.index(painting.style)] += 1
    shares, sizes = 100 * table / table.sum(axis=0), table.sum(axis=1)
    log.info(
        "split: fold %d is the test part, of %d folds with %d to %d paintings; of a style's paintings a fold has "
        "%.1f%% to %.1f%%",
        fold.number,
        fold.count,
        sizes.min(),
        sizes.max(),
        shares.min(),
        shares.max(),
    )
    if len(used) < len(paintings):
        log.warning("split: %d paintings of unknown artists are unused", len(paintings) - len(used))
