"""The difference between two arms in the accuracy of the last epoch (the best epoch was chosen on the paintings that it
is scored on), whether it is significant, and its text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brushwork import statistics, web_page
from brushwork.errors import UserError
from brushwork.statistics import LEVEL, MOST_SEEDS, Interval, McNemar, Spread
from brushwork.study import arms, predictions
from brushwork.study.arms import Arm

PROBE = "the linear probe of its initial weights"


@dataclass(frozen=True)
class Difference:
    """An arm's accuracy minus that of the reference, on the seeds that both have.

    by_seed: in the order of `seeds`, as is all that is by seed.
    over_seeds: the mean difference and its interval for other seeds; `p` by the paired t test.
    over_paintings: the interval for other paintings, by a bootstrap over artists.
    mcnemar: first is the reference. What is by painting is None where the arms were scored on different paintings.
    seeds_needed: to detect a difference of 1 point; None where unknown, or more than MOST_SEEDS.
    p_corrected, mcnemar_corrected: by Holm, over all arms that are compared with the reference.
    """

    arm: str
    reference: str
    seeds: list[int]
    by_seed: list[float]
    over_seeds: Spread
    p: float | None
    over_paintings: Interval | None
    mcnemar: list[McNemar] | None
    seeds_needed: int | None
    p_corrected: float | None = None
    mcnemar_corrected: list[float] | None = None

    @property
    def outcome(self) -> str:
        """The decision rule: significant where the corrected p is below LEVEL and the interval over paintings, if
        known, excludes zero."""
        if self.over_seeds.interval is None or self.p_corrected is None:
            return "not tested"
        if self.p_corrected >= LEVEL:
            return "not significant"
        includes_zero = self.over_paintings is not None and self.over_paintings[0] <= 0 <= self.over_paintings[1]
        return "significant on these paintings only" if includes_zero else "significant"

    @property
    def is_significant(self) -> bool:
        return self.outcome == "significant"

    @property
    def verdict(self) -> str:
        """What it shows, in a sentence or two."""
        texts = {"points": points, "ends": _ends, "p_value": p_value}
        return sentence("study/verdict.jinja", one=self, level=LEVEL, most_seeds=MOST_SEEDS, **texts)

    @property
    def in_points(self) -> str:
        """The mean over seeds and its interval: "+4.1 [1.2, 7.0]"."""
        return points(self.over_seeds.mean) + (
            f" {in_points(self.over_seeds.interval)}" if self.over_seeds.interval else ""
        )


def between(reference: Arm, arm: Arm, count: int, same_paintings: bool) -> Difference:
    """The difference of an arm from its reference; the p values are not yet corrected.

    So many differences (`count`) will be corrected together. Raises UserError where the arms have no seed in common.
    """
    pairs = [(reference.seeds.index(seed), arm.seeds.index(seed)) for seed in arm.seeds if seed in reference.seeds]
    if not pairs:
        both = " and ".join(f"{one.name} ({arms.named(one.seeds)})" for one in (reference, arm))
        raise UserError(f"{both} have no seed in common: train the same ones")
    by_seed = [arm.runs[j].accuracy - reference.runs[i].accuracy for i, j in pairs]
    correct = None
    if same_paintings:
        correct = reference.predictions.correct[[i for i, _ in pairs]], arm.predictions.correct[[j for _, j in pairs]]
    return _found(arm, [arm.seeds[j] for _, j in pairs], reference.name, by_seed, correct, count)


def from_probe(arm: Arm, count: int) -> Difference | None:
    """The difference of an arm from the linear probe of its initial weights, as `between`; None where a run lacks it,
    or the runs were scored on different paintings."""
    theirs = [predictions.by_initial_probe(run) for run in arm.runs]
    if arm.predictions is None or any(one is None for one in theirs):
        return None
    own, theirs = arm.predictions.correct, np.stack(theirs)  # (seeds, paintings)
    by_seed = (own.mean(1) - theirs.mean(1)).tolist()
    return _found(arm, arm.seeds, PROBE, by_seed, (theirs, own), count)


def _found(
    arm: Arm,
    seeds: list[int],
    reference: str,
    by_seed: list[float],
    correct: tuple[np.ndarray, np.ndarray] | None,
    count: int,
) -> Difference:
    """See `between`. correct: of the reference and of the arm, (seeds, paintings); None for different paintings."""
    over_seeds = statistics.spread(by_seed)
    over_paintings = tests = None
    if correct is not None:
        theirs, own = correct
        over_paintings = statistics.cluster_interval(own.mean(0) - theirs.mean(0), arm.predictions.artists.tolist())
        tests = [statistics.mcnemar(*both) for both in zip(theirs, own, strict=True)]
    deviation, p = over_seeds.deviation, statistics.paired_p(by_seed)
    needed = deviation and statistics.seeds_needed(deviation, 0.01, LEVEL / count)
    return Difference(arm.name, reference, seeds, by_seed, over_seeds, p, over_paintings, tests, needed)


def corrected(differences: Sequence[Difference]) -> list[Difference]:
    """With the p values corrected by Holm: each seed's McNemar test over the differences that have this seed."""
    over_seeds = statistics.holm([one.p for one in differences])
    tests = [dict(zip(one.seeds, one.mcnemar or [], strict=False)) for one in differences]
    seeds = set().union(*tests)
    by_seed = {seed: statistics.holm([of[seed].p if seed in of else None for of in tests]) for seed in seeds}
    return [
        replace(one, p_corrected=p, mcnemar_corrected=one.mcnemar and [by_seed[seed][number] for seed in one.seeds])
        for number, (one, p) in enumerate(zip(differences, over_seeds, strict=True))
    ]


def sentence(template: str, **values: Any) -> str:
    """A template filled in, as a single line."""
    return " ".join(web_page.render(template, **values).split())


def points(accuracy: float) -> str:
    """A difference of accuracies in percentage points.

    >>> points(-0.0123), points(-0.0001)
    ('-1.2', '0.0')
    """
    rounded = round(100 * accuracy, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def _ends(interval: Interval, sign: int = 1, separator: str = " to ") -> str:
    """
    >>> _ends((-0.003, 0.021)), _ends((-0.003, 0.021), -1)
    ('-0.3 to 2.1', '-2.1 to 0.3')
    """
    return separator.join(f"{round(100 * end, 1) + 0.0:.1f}" for end in sorted(sign * end for end in interval))


def in_points(interval: Interval | None) -> str:
    """An interval of accuracies in percentage points: "[-0.3, 2.1]"."""
    return "n/a" if interval is None else f"[{_ends(interval, separator=', ')}]"


def p_value(p: float | None) -> str:
    """A p value as text."""
    return "n/a" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
