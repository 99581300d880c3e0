"""Which paintings train, validate and test: the strategies, their checks, and the hash of a split."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from brushwork import files
from brushwork.errors import UserError
from brushwork.paintings import listing
from brushwork.paintings.catalogue import Catalogue, Painting, style_rng
from brushwork.paintings.listing import PARTS

log = logging.getLogger(__name__)

# For each painting of a catalogue, in its order, "train", "val", "test", "known" or "unused".
Parts = list[str]
HELD_OUT = ("val", "test", "known")  # what a network is scored on: see `folds` and `known` for the last
SPLITS = (
    "auto",
    "random",
    "artist_disjoint",
    "given",
)  # auto: given where the data were made with a split, else random
MAX_UNKNOWN = 0.2  # share of paintings without a known artist, for an artist-disjoint split


class Fractions(NamedTuple):
    """The shares of the paintings for validation and for the test; the rest trains."""

    val: float
    test: float = 0.0


def draw(
    name: str, catalogue: Catalogue, fractions: Fractions, seed: int, together: Sequence[Sequence[int]] = ()
) -> Parts:
    """Split by the strategy's name; UserError if the data do not allow it.

    `together` are groups of positions of near duplicates. A group on several sides of a random split moves to train;
    artists who share one stay together in an artist-disjoint split; a given split is not changed.
    """
    if name == "given":
        if fractions.test and "test" not in {painting.part for painting in catalogue.paintings}:
            log.warning("split.test_fraction=%g is ignored: the parts are given, and none is a test", fractions.test)
        return given(catalogue, fractions.val, seed, together)
    if name == "artist_disjoint":
        return artist_disjoint(catalogue.paintings, fractions, seed, together)
    parts = random(catalogue.paintings, fractions, seed)
    for group in together:
        if len({parts[i] for i in group}) > 1:
            for i in group:
                parts[i] = "train"
    return parts


def draw_among(
    chosen: Sequence[int],
    name: str,
    catalogue: Catalogue,
    fractions: Fractions,
    seed: int,
    together: Sequence[Sequence[int]] = (),
) -> dict[int, str]:
    """As `draw`, of the paintings at some positions alone: {position in the catalogue: part}."""
    position = {i: k for k, i in enumerate(chosen)}
    groups = [[position[i] for i in group if i in position] for group in together]
    only = replace(catalogue, paintings=[catalogue.paintings[i] for i in chosen])
    return dict(zip(chosen, draw(name, only, fractions, seed, groups), strict=True))


def random(paintings: list[Painting], fractions: Fractions, seed: int) -> Parts:
    """A stratified random split, each style drawn by (seed, style) alone; UserError if one is too small."""
    parts, names = ["train"] * len(paintings), PARTS if fractions.test else PARTS[:2]
    for style, count in sorted(Counter(painting.style for painting in paintings).items()):
        if count < len(names):
            raise UserError(
                f"style {style} has {count} painting{'s' * (count > 1)}, too few to split into "
                f"{', '.join(names[:-1])} and {names[-1]}: add paintings, or leave it out with data.styles"
            )
        members = [i for i, painting in enumerate(paintings) if painting.style == style]
        test = max(round(count * fractions.test), 1) if fractions.test else 0
        val = min(max(round(count * fractions.val), 1), count - 1 - test)
        for position, i in enumerate(style_rng(seed, style).permutation(members)[: val + test]):
            parts[i] = "val" if position < val else "test"
    return parts


def artist_disjoint(
    paintings: list[Painting], fractions: Fractions, seed: int, together: Sequence[Sequence[int]] = ()
) -> Parts:
    """A split with no artist in two parts; paintings of unknown artists are unused.

    Local search: artists are assigned at random by `seed`; then, in turn, each moves to where the sum over parts and
    styles of (share of the style's paintings - requested share)^2 is smallest, until none moves. The shares are
    approximate, and logged. UserError if too many artists are unknown, or a style has too few.
    """
    require_artists(paintings)
    names = PARTS if fractions.test else PARTS[:2]
    unit_of = artist_units(paintings, together)
    styles, units = sorted({painting.style for painting in paintings}), sorted(set(unit_of.values()))
    count = Counter((unit_of[p.artist], p.style) for p in paintings if p.artist is not None)
    for style in styles:
        artists = [unit for unit in units if count[unit, style]]
        if len(artists) < len(names):
            raise UserError(
                f"style {style}: all its paintings are by {', '.join(artists) or 'unknown artists'}, too few for "
                f"{len(names)} disjoint parts: add artists, leave it out with data.styles, or use split=random"
            )
    target = [1 - fractions.val - fractions.test, fractions.val, fractions.test][: len(names)]
    counts = np.array([[count[unit, style] for style in styles] for unit in units])
    part_of = {unit: names[part] for unit, part in zip(units, _search(counts, target, seed), strict=True)}
    parts = ["unused" if p.artist is None else part_of[unit_of[p.artist]] for p in paintings]
    if empty := [part for part in names[1:] if part not in parts]:
        raise UserError(
            f"split=artist_disjoint: {empty[0]} stays empty, since each style has few artists with many paintings: "
            f"raise split.{empty[0]}_fraction, add artists, or use split=random"
        )
    _log_shares(paintings, parts, names)
    return parts


def require_artists(paintings: list[Painting]) -> None:
    """UserError where more than MAX_UNKNOWN of the paintings have no known artist."""
    unknown = sum(painting.artist is None for painting in paintings) / max(len(paintings), 1)
    if unknown > MAX_UNKNOWN:
        raise UserError(
            f"split=artist_disjoint needs to know the artists, but {unknown:.0%} of the paintings have none in their "
            f"file name ({MAX_UNKNOWN:.0%} at most): use data that names them (artist_title.jpg, as ArtGAN, or "
            f"scripts/prepare_wikiart.py --source artificio), or split=random"
        )


def _search(counts: np.ndarray, target: list[float], seed: int) -> np.ndarray:
    """The part of each unit, (units,): the local search of `artist_disjoint`. `counts` is (units, styles)."""
    shares = counts / counts.sum(axis=0)
    rng = np.random.default_rng(seed)
    side = rng.choice(len(target), len(counts), p=target)
    moved = True
    while moved:
        moved = False
        for unit in rng.permutation(len(counts)):
            others = np.arange(len(counts)) != unit
            without = np.stack([shares[(side == part) & others].sum(0) for part in range(len(target))])
            gaps = without - np.array(target)[:, None]  # (parts, styles)
            change = ((gaps + shares[unit]) ** 2 - gaps**2).sum(axis=1)  # (parts,), if the unit were there
            best = int(change.argmin())
            if change[best] < change[side[unit]] - 1e-12:
                side[unit], moved = best, True
    return side


def artist_units(paintings: list[Painting], together: Iterable[Sequence[int]]) -> dict[str, str]:
    """Each artist's unit, named by its first artist: artists who share a near duplicate are one unit."""
    unit_of = {painting.artist: painting.artist for painting in paintings if painting.artist is not None}
    for group in together:
        units = {unit_of[paintings[i].artist] for i in group if paintings[i].artist is not None}
        for artist, unit in unit_of.items():
            if unit in units:
                unit_of[artist] = min(units)
    return unit_of


def _log_shares(paintings: list[Painting], parts: Parts, names: Sequence[str]) -> None:
    known = sum(part != "unused" for part in parts)
    for name in names:
        members = [p for p, part in zip(paintings, parts, strict=True) if part == name]
        counts, artists = Counter(p.style for p in members).values(), len({p.artist for p in members})
        line = "split: %s has %d paintings (%.1f%%) by %d artists, %d to %d per style"
        log.info(
            line,
            name,
            len(members),
            100 * len(members) / known,
            artists,
            min(counts, default=0),
            max(counts, default=0),
        )
    if known < len(paintings):
        log.warning("split: %d paintings of unknown artists are unused", len(paintings) - known)


def given(
    catalogue: Catalogue, val_fraction: float = 0.2, seed: int = 0, together: Sequence[Sequence[int]] = ()
) -> Parts:
    """The parts that the paintings have of their own; those without one are unused.

    Where none validates, a random share of the training part does. UserError without a training part.
    """
    source = catalogue.parts_from or catalogue.root.resolve() / listing.CATALOGUE
    if not catalogue.parts_from:
        raise UserError(
            f"split=given: {catalogue.root.resolve()} has no split of its own (folders train/ and val/, or a table "
            f"with a column part): name one with split.file=PATH, or use split=random"
        )
    parts = [painting.part or "unused" for painting in catalogue.paintings]
    if "train" not in parts:
        raise UserError(f"{source} has no painting with part=train: use split=random, or a source with a split")
    if "unused" in parts:
        log.warning("split: %d paintings have no part in %s and are unused", parts.count("unused"), source)
    if "val" not in parts:
        counts = Counter(p.style for p, part in zip(catalogue.paintings, parts, strict=True) if part == "train")
        train = [i for i, part in enumerate(parts) if part == "train" and counts[catalogue.paintings[i].style] > 1]
        for i, part in draw_among(train, "random", catalogue, Fractions(val_fraction), seed, together).items():
            parts[i] = part
        line = "split: %s has no validation part: %d of %d training paintings validate (split.val_fraction, split.seed)"
        log.info(line, source, parts.count("val"), len(train))
    return parts


def thin(parts: Parts, paintings: list[Painting], fraction: float, seed: int) -> Parts:
    """The parts with a share of each style's training paintings only, at least one; the others become unused.

    Each style is drawn by (seed, style) alone; a smaller share is a subset of a larger one.
    """
    thinned = list(parts)
    for style in sorted({painting.style for painting in paintings}):
        members = [i for i, painting in enumerate(paintings) if painting.style == style and parts[i] == "train"]
        for i in style_rng(seed, style).permutation(members)[max(1, round(fraction * len(members))) :]:
            thinned[i] = "unused"
    return thinned


def check(catalogue: Catalogue, parts: Parts) -> None:
    """Warn of classes without held-out paintings; UserError for one without a training painting, or a single class."""
    if len(catalogue.class_names) < 2:
        raise UserError(
            f"there is one style, {catalogue.class_names[0]}: name two or more with data.styles, or a table "
            f"of the pictures' styles with data.table"
        )
    counts = Counter((painting.style, part) for painting, part in zip(catalogue.paintings, parts, strict=True))
    for style in catalogue.class_names:
        if not counts[style, "train"]:
            raise UserError(
                f"style {style} has no painting to train on ({counts[style, 'val']} to validate): "
                f"change the split, or leave it out with data.styles"
            )
        for part in ("val", "test") if "test" in parts else ("val",):
            if not counts[style, part]:
                log.warning("style %s has no painting in %s: its recall is n/a", style, part)


def split_hash(catalogue: Catalogue, parts: Parts) -> str:
    """A hash of which relative path is in which part."""
    return files.short_hash([[p.path, part] for p, part in zip(catalogue.paintings, parts, strict=True)])
