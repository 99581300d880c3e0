"""Which painting is for training, for validation and for the test, written down and hashed."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from brushwork import files
from brushwork.errors import UserError
from brushwork.paintings import listing
from brushwork.paintings.catalogue import Catalogue, Painting, style_rng
from brushwork.paintings.listing import PARTS

log = logging.getLogger(__name__)

# For each painting of a catalogue, in its order, "train", "val", "test" or "unused".
Parts = list[str]

MOST_UNKNOWN = 0.2  # share of paintings without a known artist, for an artist-disjoint split


@dataclass(frozen=True)
class Fractions:
    """The shares of the paintings that are wanted for validation and for the test; the rest trains."""

    val: float
    test: float = 0.0


def draw(
    name: str, catalogue: Catalogue, fractions: Fractions, seed: int, together: Sequence[Sequence[int]] = ()
) -> Parts:
    """Split by the strategy's name.

    Args:
        together: positions of paintings that show the same picture (near duplicates): a group that would be on
            several sides trains as a whole. A given split stays as given.

    Raises:
        UserError: the data do not allow this split.
    """
    if name == "given":
        return given(catalogue)
    if name == "artist_disjoint":
        parts = artist_disjoint(catalogue.paintings, fractions, seed, together)
        for part in ("val", "test") if fractions.test else ("val",):
            if part not in parts:
                raise UserError(
                    f"split=artist_disjoint: {part} stays empty, since each style has few artists with many paintings: "
                    f"raise split.{part}_fraction, add artists, or use split=random"
                )
        return parts
    parts = random(catalogue.paintings, fractions, seed)
    for group in together:
        if len({parts[i] for i in group}) > 1:
            for i in group:
                parts[i] = "train"
    return parts


SPLITS = ("random", "artist_disjoint", "given")


def random(paintings: list[Painting], fractions: Fractions, seed: int) -> Parts:
    """A stratified random split: of each style the same shares validate and test.

    Each style is drawn by (seed, style) alone: workers, other styles and the run's seed don't matter.

    Raises:
        UserError: a style has too few paintings for the parts that are wanted.
    """
    parts = ["train"] * len(paintings)
    needed = 3 if fractions.test else 2
    for style, count in sorted(Counter(painting.style for painting in paintings).items()):
        if count < needed:
            raise UserError(
                f"style {style} has {count} painting{'s' * (count > 1)}, too few to split into "
                f"{', '.join(PARTS[: needed - 1])} and {PARTS[needed - 1]}: "
                f"add paintings, or leave it out with data.styles"
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
    """A split with no artist on two sides; paintings of unknown artists are left unused.

    Method: artists are dealt out at random by `seed`; then, in turn, each goes where the sum over parts and styles
    of ((paintings - wanted) / paintings of the style)^2 is smallest, until none moves. Whole artists allow no
    exact shares: what came out is logged.

    Args:
        together: artists who share a near duplicate stay on one side.

    Raises:
        UserError: too many artists are unknown, or a style's are too few.
    """
    unknown = sum(painting.artist is None for painting in paintings) / max(len(paintings), 1)
    if unknown > MOST_UNKNOWN:
        raise UserError(
            f"split=artist_disjoint needs to know the artists, but {unknown:.0%} of the paintings have none in their "
            f"file name ({MOST_UNKNOWN:.0%} at most): use data that names them (artist_title.jpg, as ArtGAN, or "
            f"scripts/prepare_wikiart.py --source artificio), or split=random"
        )
    names = PARTS if fractions.test else PARTS[:2]
    unit_of = _units(paintings, together)
    _check_artists(paintings, unit_of, len(names))
    styles = sorted({painting.style for painting in paintings})
    units = sorted(set(unit_of.values()))
    row = {unit: number for number, unit in enumerate(units)}
    counts = np.zeros((len(units), len(styles)))  # paintings of each unit of artists in each style
    for painting in paintings:
        if painting.artist is not None:
            counts[row[unit_of[painting.artist]], styles.index(painting.style)] += 1
    shares = counts / counts.sum(axis=0)
    wanted = np.array([1 - fractions.val - fractions.test, fractions.val, fractions.test])[: len(names), None]

    rng = np.random.default_rng(seed)
    side = rng.choice(len(names), len(units), p=wanted[:, 0])
    moved = True
    while moved:
        moved = False
        for unit in rng.permutation(len(units)):
            others = np.stack(
                [shares[(side == part) & (np.arange(len(units)) != unit)].sum(0) for part in range(len(names))]
            )
            gaps = others - wanted  # (parts, styles) without this unit
            change = ((gaps + shares[unit]) ** 2 - gaps**2).sum(axis=1)  # by the part it could go to
            best = int(change.argmin())
            if change[best] < change[side[unit]] - 1e-12:
                side[unit], moved = best, True
    of_unit = {unit: names[part] for unit, part in zip(units, side, strict=True)}
    parts = ["unused" if p.artist is None else of_unit[unit_of[p.artist]] for p in paintings]
    _log_shares(paintings, parts, unit_of, names)
    return parts


def _check_artists(paintings: list[Painting], unit_of: dict[str, str], needed: int) -> None:
    """Refuse a style whose artists can't be on all sides."""
    artists = defaultdict(Counter)
    for painting in paintings:
        if painting.artist is not None:
            artists[painting.style][unit_of[painting.artist]] += 1
    for style in sorted({painting.style for painting in paintings}):
        found = artists[style]
        if len(found) < needed:
            who = f"by {', '.join(sorted(found))} alone" if found else "by unknown artists"
            raise UserError(
                f"style {style}: its paintings are {who}, so no split keeps its artists apart in {needed} parts: "
                f"add artists, leave the style out with data.styles, or use split=random"
            )


def _units(paintings: list[Painting], together: Iterable[Sequence[int]]) -> dict[str, str]:
    """Each artist's unit, named by its first artist: artists who share a near duplicate are one unit."""
    unit_of = {painting.artist: painting.artist for painting in paintings if painting.artist is not None}
    for group in together:
        units = {unit_of[paintings[i].artist] for i in group if paintings[i].artist is not None}
        for artist, unit in unit_of.items():
            if unit in units:
                unit_of[artist] = min(units)
    return unit_of


def _log_shares(paintings: list[Painting], parts: Parts, unit_of: dict[str, str], names: Sequence[str]) -> None:
    known = sum(part != "unused" for part in parts)
    for name in names:
        of_part = [p for p, part in zip(paintings, parts, strict=True) if part == name]
        styles = Counter(painting.style for painting in of_part)
        log.info(
            "split: %s has %d paintings (%.1f%%) by %d artists, %d to %d a style",
            name,
            len(of_part),
            100 * len(of_part) / known,
            len({painting.artist for painting in of_part}),
            min(styles.values(), default=0),
            max(styles.values(), default=0),
        )
    if known < len(paintings):
        log.warning("split: %d paintings of unknown artists are left unused", len(paintings) - known)


def given(catalogue: Catalogue) -> Parts:
    """The parts that the data's own catalogue.csv names; paintings without a part are left unused.

    Raises:
        UserError: there is no such file, or it names no part for training or none for validation.
    """
    rows = listing.read(catalogue.root)
    where = catalogue.root.resolve() / listing.CATALOGUE
    if rows is None:
        raise UserError(f"split=given reads {where}, which is not there: make it with scripts/prepare_wikiart.py")
    parts = [(rows.get(painting.path) or {}).get("part") or "unused" for painting in catalogue.paintings]
    for name in ("train", "val"):
        if name not in parts:
            raise UserError(f"{where} has no painting with part={name}: use split=random, or a source with a split")
    if "unused" in parts:
        log.warning("split: %d paintings have no part in %s and are left unused", parts.count("unused"), where)
    return parts


def thin(parts: Parts, paintings: list[Painting], fraction: float, seed: int) -> Parts:
    """The parts with a share of each style's training paintings only, one at least; the others are unused.

    Each style is drawn by (seed, style) alone, a smaller share from within a greater one.
    """
    thinned = list(parts)
    for style in sorted({painting.style for painting in paintings}):
        members = [i for i, painting in enumerate(paintings) if painting.style == style and parts[i] == "train"]
        for i in style_rng(seed, style).permutation(members)[max(1, round(fraction * len(members))) :]:
            thinned[i] = "unused"
    return thinned


def check(catalogue: Catalogue, parts: Parts) -> None:
    """Refuse a split in which a class can't be learned; warn where one can't be scored.

    Raises:
        UserError: a class has validation paintings and none to train on, or no painting at all.
    """
    if len(catalogue.class_names) < 2:
        raise UserError(f"there is one style, {catalogue.class_names[0]}: name two or more with data.styles")
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
    """Names the split: which relative path is in which part."""
    return files.short_hash([[p.path, part] for p, part in zip(catalogue.paintings, parts, strict=True)])
