"""Fine-tune or train from scratch? Pairs of arms that were named beforehand, held against each other at each amount of
data, and where their order changes."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from brushwork.study import answers, comparison
from brushwork.study.answers import Answers
from brushwork.study.arms import Arm
from brushwork.study.comparison import Difference
from brushwork.study.data_grid import PRETRAINED, RANDOM, REDRAWN, Grid, Line, Panel, Point

Side = tuple[str, str]  # initial weights, tuning


@dataclass(frozen=True)
class Pair:
    """An arm and what it is held against, chosen before any run: none is picked by its accuracy."""

    question: str
    arm: Side
    reference: Side


FINE_TUNED = Pair("fine-tuned against from scratch", (PRETRAINED, "full"), (RANDOM, "full"))
FROZEN = Pair("frozen features: pretrained against random", (PRETRAINED, "head_only"), (RANDOM, "head_only"))
SCALE = Pair("does the scale alone help? redrawn against random", (REDRAWN, "full"), (RANDOM, "full"))
WORTH = Pair("fine-tuned against frozen features", (PRETRAINED, "full"), (PRETRAINED, "head_only"))
UPPER = Pair("upper layers against all", (PRETRAINED, "upper"), (PRETRAINED, "full"))
PAIRS = (FINE_TUNED, FROZEN, SCALE, WORTH, UPPER)


@dataclass(frozen=True)
class Gain:
    """What the arm of a pair gains over its reference, trained on so many paintings."""

    paintings: int
    difference: Difference


@dataclass(frozen=True)
class Crossover:
    """Where the mean gain changes sign.

    paintings: by linear interpolation in log2(paintings), between two amounts that were trained on.
    rises: from a loss to a gain; else from a gain to a loss.
    by_seed: {seed: the same of its own gains; None where those don't change sign that way}.
    shown_before, shown_after: whether a gain or loss is shown on this side, as far as it keeps its sign.
    """

    paintings: float
    rises: bool
    by_seed: dict[int, float | None]
    shown_before: bool
    shown_after: bool

    @property
    def is_called(self) -> bool:
        return self.shown_before or self.shown_after


@dataclass(frozen=True)
class Missing:
    """An arm without finished runs, or without a seed that both sides have, at some fractions of the data."""

    side: Side
    fractions: list[float]


@dataclass(frozen=True)
class Result:
    """A pair in a panel: its gains from few paintings to many, where they change sign, what runs it lacks."""

    pair: Pair
    gains: list[Gain]
    crossovers: list[Crossover]
    missing: list[Missing]


@dataclass(frozen=True)
class Answered:
    """A panel and its pairs, in the order of PAIRS."""

    panel: Panel
    results: list[Result]

    def of(self, pair: Pair) -> Result:
        return self.results[PAIRS.index(pair)]


def answer(grid: Grid) -> list[Answered]:
    """Hold the pairs of each panel against each other.

    A pair is a question of its own, asked beforehand: in each panel its p values are corrected over its amounts of
    data. Over all 15 gains of a panel three seeds could hardly show even 15 points.

    Raises:
        UserError: a run's predictions can't be read.
    """
    bar = tqdm(grid.panels, desc="holding arms against each other", unit=" panels", leave=False, disable=None)
    return [_answered(panel) for panel in bar]


def _answered(panel: Panel) -> Answered:
    sides = [(panel.line(*pair.arm), panel.line(*pair.reference)) for pair in PAIRS]
    read: dict[str, Answers | None] = {}

    def given(point: Point) -> Answers | None:
        key = f"{point.arm.name} {point.fraction}"
        if key not in read:
            read[key] = answers.read(point.arm)
        return read[key]

    results = []
    for pair, (arm, reference) in zip(PAIRS, sides, strict=True):
        held = _common(arm, reference)
        differences = comparison.corrected(
            [
                comparison.difference(against.arm, point.arm, given(against), given(point), len(held))
                for point, against in held
            ]
        )
        gains = [Gain(point.paintings, one) for (point, _), one in zip(held, differences, strict=True)]
        results.append(Result(pair, gains, crossovers(gains), _missing(panel, pair, held)))
    return Answered(panel, results)


def _common(arm: Line | None, reference: Line | None) -> list[tuple[Point, Point]]:
    """The points of two lines at the same amount of data with a seed in common."""
    if arm is None or reference is None:
        return []
    others = {point.fraction: point for point in reference.points}
    return [
        (point, others[point.fraction])
        for point in arm.points
        if point.fraction in others and _share_seed(point.arm, others[point.fraction].arm)
    ]


def _share_seed(first: Arm, second: Arm) -> bool:
    return not set(first.seeds).isdisjoint(second.seeds)


def _missing(panel: Panel, pair: Pair, held: Sequence[tuple[Point, Point]]) -> list[Missing]:
    """What would have to be trained for a gain at each amount of the panel; of two arms without a common seed both."""
    reached = {point.fraction for point, _ in held}
    lacking = [fraction for fraction in panel.amounts if fraction not in reached]
    has = {side: _fractions(panel.line(*side)) for side in (pair.arm, pair.reference)}
    no_common_seed = set.intersection(*has.values())
    found = []
    for side, fractions in has.items():
        needed = [fraction for fraction in lacking if fraction not in fractions or fraction in no_common_seed]
        if needed:
            found.append(Missing(side, needed))
    return found


def _fractions(line: Line | None) -> set[float]:
    return {point.fraction for point in line.points} if line else set()


def crossovers(gains: Sequence[Gain]) -> list[Crossover]:
    """Where the mean gain changes sign, between the amounts that were trained on; never beyond them."""
    paintings = [gain.paintings for gain in gains]
    changes = sign_changes(paintings, [gain.difference.over_seeds.mean for gain in gains])
    seeds = sorted(set.intersection(*({*gain.difference.seeds} for gain in gains))) if gains else []
    found = []
    for number, (place, rises) in enumerate(changes):
        low = changes[number - 1][0] if number else 0
        high = changes[number + 1][0] if number + 1 < len(changes) else math.inf
        by_seed = {}
        for seed in seeds:
            own = [gain.difference.by_seed[gain.difference.seeds.index(seed)] for gain in gains]
            by_seed[seed] = next((at for at, up in sign_changes(paintings, own) if up == rises), None)
        before = any(low < gain.paintings <= place and gain.difference.shown for gain in gains)
        after = any(place < gain.paintings < high and gain.difference.shown for gain in gains)
        found.append(Crossover(place, rises, by_seed, before, after))
    return found


def sign_changes(paintings: Sequence[int], differences: Sequence[float]) -> list[tuple[float, bool]]:
    """Where differences change sign, by linear interpolation in log2(paintings), and whether they rise there.

    A zero on the way from one sign to the other is the place itself.

    Args:
        paintings: from few to many.

    >>> sign_changes([64, 256], [0.1, -0.1])
    [(128.0, False)]
    >>> sign_changes([64, 128, 256], [-0.1, 0, 0.3]), sign_changes([64, 256], [0.2, 0.1])
    ([(128.0, True)], [])
    """
    found = []
    nonzero = [position for position, difference in enumerate(differences) if difference]
    for before, after in itertools.pairwise(nonzero):
        if differences[before] * differences[after] < 0:
            way = before + 1  # the first zero, or `after` itself
            low, high = math.log2(paintings[before]), math.log2(paintings[way])
            part = differences[before] / (differences[before] - differences[way])
            found.append((2 ** (low + part * (high - low)), differences[after] > 0))
    return found
