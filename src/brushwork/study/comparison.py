"""Is the difference between two arms real? All figures of a comparison, as plain values, and in words.

Compared is the last epoch: the best one was chosen on the paintings it is scored on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tqdm import tqdm

from brushwork import run_folder, statistics
from brushwork.errors import UserError
from brushwork.statistics import LEVEL, McNemar, Spread
from brushwork.study import answers, arms
from brushwork.study.answers import Answers
from brushwork.study.arms import Arm

ONE_POINT = 0.01  # the difference for which the number of seeds is stated


@dataclass(frozen=True)
class Quantity:
    """A figure of a run; None where it has none."""

    label: str
    read: Callable[[dict[str, Any]], float | None]
    digits: int = 3
    has_interval: bool = True  # worth showing


QUANTITIES = (
    Quantity("validation accuracy, last epoch", lambda result: result["last"]["val/accuracy"]),
    Quantity("validation accuracy, best epoch", lambda result: result["best"]["val/accuracy"]),
    Quantity("epoch of the peak", lambda result: result["best"]["epoch"], 1, False),
    Quantity("balanced accuracy, last epoch", lambda result: result["last"].get("val/balanced_accuracy")),
    *(
        Quantity(label, lambda result, name=name: result["baselines"][name])
        for name, label in run_folder.BASELINES.items()
    ),
    Quantity("test accuracy, last epoch", lambda result: result["test"] and result["test"]["last"]["accuracy"]),
    Quantity("test accuracy, best epoch", lambda result: result["test"] and result["test"]["best"]["accuracy"]),
    *(
        Quantity(f"test: {label}", lambda result, name=name: result["test"] and result["test"]["baselines"][name])
        for name, label in run_folder.BASELINES.items()
    ),
    Quantity("seconds", lambda result: result["seconds"], 0, False),
    Quantity("images/s in training", lambda result: result["images_per_second"], 0, False),
)
LAST = QUANTITIES[0]


@dataclass(frozen=True)
class Difference:
    """An arm's last epoch against that of the reference, in accuracy: positive where the arm is better.

    seeds: those that both arms have; all that is by seed is in their order.
    over_seeds: the mean difference, with the interval that other seeds leave; `p` by the paired t test.
    over_paintings: the interval that other paintings leave, drawn by artist.
    mcnemar: first is the reference. What is by painting is None where the arms were scored on different ones.
    p_corrected, mcnemar_corrected: by Holm, over all arms that are held against the reference.
    seeds_needed: for a difference of ONE_POINT, at a level divided by the number of these arms; None where unknown,
        or more than statistics.MOST_SEEDS.
    """

    arm: str
    reference: str
    seeds: list[int]
    by_seed: list[float]
    over_seeds: Spread
    p: float | None
    over_paintings: tuple[float, float] | None
    mcnemar: list[McNemar] | None
    seeds_needed: int | None
    p_corrected: float | None = None
    mcnemar_corrected: list[float] | None = None

    @property
    def shown(self) -> bool:
        """Whether it is called real: the corrected p is below LEVEL, and other paintings leave its sign too."""
        others = self.over_paintings
        real_on_others = others is None or not others[0] <= 0 <= others[1]
        return self.p_corrected is not None and self.p_corrected < LEVEL and real_on_others


@dataclass(frozen=True)
class Comparison:
    """All figures of a comparison; the first arm is the reference.

    spreads: of each quantity's label and each arm; None where a run lacks it.
    over_paintings: of each arm's last accuracy, the interval that other paintings leave, drawn by artist.
    answers: of each arm; None where its runs were scored on different paintings.
    same_paintings: whether all arms were scored on the same.
    """

    arms: list[Arm]
    spreads: dict[str, list[Spread | None]]
    over_paintings: list[tuple[float, float] | None]
    differences: list[Difference]
    warnings: list[str]
    answers: list[Answers | None] = field(repr=False)
    same_paintings: bool


def compare(compared: Sequence[Arm]) -> Comparison:
    """Hold each arm against the first.

    Raises:
        UserError: a run can't be compared, or arms have no seed in common.
    """
    for run in [run for arm in compared for run in arm.runs]:
        if not run.result["last"] or run.result["last"]["val/accuracy"] is None:
            raise UserError(f"the last epoch of {run.folder} was not validated: leave this run out")
    bar = tqdm(compared, desc="reading answers", unit=" arms", leave=False, disable=None)
    given = [answers.read(arm) for arm in bar]
    same = answers.on_same_paintings(given)
    differences = [
        difference(compared[0], arm, given[0] if same else None, given[position] if same else None, len(compared) - 1)
        for position, arm in enumerate(compared[1:], 1)
    ]
    return Comparison(
        arms=list(compared),
        spreads={
            quantity.label: spreads
            for quantity in QUANTITIES
            if any(spreads := [_spread(arm, quantity) for arm in compared])
        },
        over_paintings=[one and statistics.cluster_interval(one.right.mean(0), one.artists.tolist()) for one in given],
        differences=corrected(differences),
        warnings=arms.warnings(compared),
        answers=given,
        same_paintings=same,
    )


def _spread(arm: Arm, quantity: Quantity) -> Spread | None:
    values = [quantity.read(run.result) for run in arm.runs]
    return None if None in values else statistics.spread(values)


def difference(reference: Arm, arm: Arm, theirs: Answers | None, ours: Answers | None, comparisons: int) -> Difference:
    """An arm against the reference, on their common seeds; its p values are not corrected yet.

    Args:
        theirs, ours: the answers of both, on the same paintings; None where they are not.
        comparisons: so many differences will be corrected together.

    Raises:
        UserError: the arms have no seed in common.
    """
    pairs = [(reference.seeds.index(seed), arm.seeds.index(seed)) for seed in arm.seeds if seed in reference.seeds]
    if not pairs:
        raise UserError(
            f"{reference.name} ({arms.named(reference.seeds)}) and {arm.name} ({arms.named(arm.seeds)}) have no seed "
            f"in common: train the same ones"
        )
    by_seed = [LAST.read(arm.runs[j].result) - LAST.read(reference.runs[i].result) for i, j in pairs]
    over_seeds = statistics.spread(by_seed)
    over_paintings, tests = None, None
    if theirs is not None and ours is not None:
        first, second = (
            one.right[list(rows)] for one, rows in zip((theirs, ours), zip(*pairs, strict=True), strict=True)
        )
        change = second.mean(0) - first.mean(0)  # (paintings,)
        over_paintings = statistics.cluster_interval(change, ours.artists.tolist())
        tests = [statistics.mcnemar(a, b) for a, b in zip(first, second, strict=True)]
    return Difference(
        arm=arm.name,
        reference=reference.name,
        seeds=[arm.seeds[j] for _, j in pairs],
        by_seed=by_seed,
        over_seeds=over_seeds,
        p=statistics.paired_p(by_seed),
        over_paintings=over_paintings,
        mcnemar=tests,
        seeds_needed=over_seeds.deviation
        and statistics.seeds_needed(over_seeds.deviation, ONE_POINT, LEVEL / comparisons),
    )


def corrected(differences: list[Difference]) -> list[Difference]:
    """With the p values corrected by Holm: each seed's McNemar test over the differences that have this seed."""
    over_seeds = statistics.holm([one.p for one in differences])
    by_seed = {}
    for seed in {seed for one in differences for seed in one.seeds}:
        tests = [
            one.mcnemar[one.seeds.index(seed)].p if one.mcnemar is not None and seed in one.seeds else None
            for one in differences
        ]
        by_seed[seed] = statistics.holm(tests)
    return [
        replace(
            one,
            p_corrected=over_seeds[position],
            mcnemar_corrected=one.mcnemar and [by_seed[seed][position] for seed in one.seeds],
        )
        for position, one in enumerate(differences)
    ]
