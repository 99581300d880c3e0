"""Pairs of arms, chosen before any run, compared at each amount of data; and where their order changes."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tqdm import tqdm

from brushwork.study import arms, difference
from brushwork.study.difference import Difference
from brushwork.study.finetune_or_scratch.grid import PRETRAINED, RANDOM, REDRAWN, Panel, Side


class Pair(NamedTuple):
    """An arm and its reference, chosen before any run, so that none is picked by its accuracy."""

    question: str
    arm: Side
    reference: Side


FINE_TUNED = Pair("fine-tuned against from scratch", (PRETRAINED, "full"), (RANDOM, "full"))
FROZEN = Pair("frozen features: pretrained against random", (PRETRAINED, "head_only"), (RANDOM, "head_only"))
SCALE = Pair("does the scale alone help? redrawn against random", (REDRAWN, "full"), (RANDOM, "full"))
WORTH = Pair("fine-tuned against frozen features", (PRETRAINED, "full"), (PRETRAINED, "head_only"))
UPPER = Pair("upper layers against all", (PRETRAINED, "upper"), (PRETRAINED, "full"))
PAIRS = (FINE_TUNED, FROZEN, SCALE, WORTH, UPPER)


class Gain(NamedTuple):
    """The difference of a pair, trained on so many paintings."""

    paintings: int
    difference: Difference


@dataclass(frozen=True)
class Crossover:
    """Where the mean gain changes sign.

    paintings: by linear interpolation in log2(paintings), between two amounts of data with runs.
    rises: from a loss to a gain; else from a gain to a loss.
    by_seed: {seed: the same for its own gains; None where those don't change sign in this direction}.
    before, after: whether a gain or loss on this side is significant, up to the next change of sign.
    """

    paintings: float
    rises: bool
    by_seed: dict[int, float | None]
    before: bool
    after: bool

    @property
    def is_significant(self) -> bool:
        return self.before or self.after


class Result(NamedTuple):
    """A pair in a panel.

    gains: from few paintings to many.
    missing: {a side of the pair: fractions of the data at which it lacks runs, or seeds that the other side has}.
    """

    gains: list[Gain]
    crossovers: list[Crossover]
    missing: dict[Side, list[float]]


PanelResults = tuple[Panel, dict[Pair, Result]]  # a panel and the results of PAIRS in it


def compare(panels: Sequence[Panel]) -> list[PanelResults]:
    """Compare the pairs of each panel: a pair is a question of its own, its p values corrected over its amounts of
    data. With a correction over all 15 gains of a panel three seeds could hardly detect even 15 points."""
    bar = tqdm(panels, desc="comparing arms", unit=" panels", leave=False, disable=None)
    return [(panel, {pair: _compare(panel, pair) for pair in PAIRS}) for panel in bar]


def _compare(panel: Panel, pair: Pair) -> Result:
    own, other = ({point.fraction: point for point in panel.lines.get(side, [])} for side in (pair.arm, pair.reference))
    both = [one for one in own if one in other and not {*own[one].arm.seeds}.isdisjoint(other[one].arm.seeds)]
    two_arms = [(other[one].arm, own[one].arm) for one in both]
    found = [difference.between(*two, len(both), arms.on_same_paintings(two)) for two in two_arms]
    gains = [
        Gain(own[fraction].paintings, one) for fraction, one in zip(both, difference.corrected(found), strict=True)
    ]
    lacking = [fraction for fraction in panel.amounts if fraction not in both]
    missing = {  # two arms without a common seed are both missing
        pair.arm: [one for one in lacking if one not in own or one in other],
        pair.reference: [one for one in lacking if one not in other or one in own],
    }
    return Result(gains, crossovers(gains), {side: some for side, some in missing.items() if some})


def crossovers(gains: Sequence[Gain]) -> list[Crossover]:
    """Where the mean gain changes sign, between the amounts of data with runs; never beyond them."""
    paintings = [gain.paintings for gain in gains]
    changes = sign_changes(paintings, [gain.difference.over_seeds.mean for gain in gains])
    by_seed = [dict(zip(gain.difference.seeds, gain.difference.by_seed, strict=True)) for gain in gains]
    seeds = sorted(set.intersection(*map(set, by_seed))) if gains else []
    of_seeds = {seed: sign_changes(paintings, [values[seed] for values in by_seed]) for seed in seeds}
    significant = [gain.paintings for gain in gains if gain.difference.is_significant]
    edges = [0.0, *(place for place, _ in changes), math.inf]
    return [
        Crossover(
            place,
            rises,
            {seed: next((at for at, up in own if up == rises), None) for seed, own in of_seeds.items()},
            before=any(edges[number] < amount <= place for amount in significant),
            after=any(place < amount < edges[number + 2] for amount in significant),
        )
        for number, (place, rises) in enumerate(changes)
    ]


def sign_changes(paintings: Sequence[int], differences: Sequence[float]) -> list[tuple[float, bool]]:
    """Where differences change sign, by linear interpolation in log2(paintings), and whether they rise there. A zero
    between the two signs is the place itself.

    >>> sign_changes([64, 256], [0.1, -0.1])
    [(128.0, False)]
    >>> sign_changes([64, 128, 256], [-0.1, 0, 0.3]), sign_changes([64, 256], [0.2, 0.1])
    ([(128.0, True)], [])
    """
    found = []
    nonzero = [position for position, difference in enumerate(differences) if difference]
    for before, after in itertools.pairwise(nonzero):
        if differences[before] * differences[after] < 0:
            following = before + 1  # the first zero, or `after` itself
            low, high = math.log2(paintings[before]), math.log2(paintings[following])
            part = differences[before] / (differences[before] - differences[following])
            found.append((2 ** (low + part * (high - low)), differences[after] > 0))
    return found
