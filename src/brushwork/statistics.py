"""Intervals and tests for results of several seeds on the same paintings: pure functions of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from scipy import stats

LEVEL = 0.05  # of a test; intervals are of 1 - LEVEL
POWER = 0.8
MOST_SEEDS = 1000  # nobody trains more
_RESAMPLES = 9999
Interval = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """A mean over seeds. `interval` is None for one seed or equal values, `deviation` for one seed."""

    mean: float
    deviation: float | None
    interval: Interval | None
    seeds: int


def spread(values: Sequence[float]) -> Spread:
    """Mean, standard deviation (n - 1) and the 95% interval of the mean by Student's t.

    >>> found = spread([0.3, 0.4, 0.5])
    >>> f"{found.mean:.2f} ± {found.deviation:.2f} [{found.interval[0]:.3f}, {found.interval[1]:.3f}]"
    '0.40 ± 0.10 [0.152, 0.648]'
    """
    array = np.asarray(values, float)
    mean, count = float(array.mean()), len(array)
    if count == 1 or np.ptp(array) < 1e-12:
        return Spread(mean, None if count == 1 else 0.0, None, count)
    deviation = float(array.std(ddof=1))
    low, high = stats.t.interval(1 - LEVEL, count - 1, mean, deviation / np.sqrt(count))
    return Spread(mean, deviation, (float(low), float(high)), count)


def paired_p(differences: Sequence[float]) -> float | None:
    """The p value of the paired t test, from each seed's difference; None without spread."""
    return None if spread(differences).interval is None else float(stats.ttest_1samp(differences, 0).pvalue)


def named_clusters(clusters: Sequence[str]) -> list[str]:
    """The clusters of some paintings, an empty name as a cluster of its own.

    >>> len(set(named_clusters(["a", "", "a", ""])))
    3
    """
    return [name or f"\0{position}" for position, name in enumerate(clusters)]


def cluster_interval(values: np.ndarray, clusters: Sequence[str]) -> Interval | None:
    """The 95% interval of a mean over paintings, by a seeded percentile bootstrap of whole clusters; None for one.

    Paintings by one artist are alike: drawn one by one, they would give too narrow an interval.

    Args:
        values: (paintings,), each painting's mean over seeds.
        clusters: (paintings,), the artist of each; an empty name is a cluster of its own.
    """
    _, cluster = np.unique(named_clusters(clusters), return_inverse=True)
    sums, counts = np.bincount(cluster, values), np.bincount(cluster)  # (clusters,)
    if len(counts) == 1:
        return None
    found = stats.bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
        n_resamples=_RESAMPLES,
        batch=max(1, 1_000_000 // len(counts)),  # bounds the memory
        vectorized=True,
        paired=True,
        confidence_level=1 - LEVEL,
        method="percentile",
        rng=0,
    ).confidence_interval
    return float(found.low), float(found.high)


def sign_test(better: int, worse: int) -> float:
    """The exact two-sided p value of a sign test; equal pairs are not counted.

    >>> sign_test(8, 2)
    0.109375
    """
    return float(stats.binomtest(better, better + worse).pvalue) if better + worse else 1.0


@dataclass(frozen=True)
class McNemar:
    """Paintings that only one of two networks got right, and the exact two-sided p value (McNemar 1947)."""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """McNemar's exact test of two networks on the same paintings, from whether each was right: (paintings,) bool.

    >>> mcnemar(np.array([True] * 8 + [False] * 2), np.array([False] * 8 + [True] * 2))
    McNemar(only_first=8, only_second=2, p=0.109375)
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(only_first, only_second, sign_test(only_first, only_second))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """The p values of several comparisons, corrected (Holm 1979); None stays None and is not counted.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted(p for p in ps if p is not None)
    factors = range(len(known), 0, -1)
    corrected = list(accumulate((min(1.0, factor * p) for factor, p in zip(factors, known, strict=True)), max))
    return [None if p is None else corrected[known.index(p)] for p in ps]


def seeds_needed(deviation: float, difference: float, level: float = LEVEL) -> int | None:
    """The number of seeds with which a paired t test detects a true mean difference with a probability of POWER.

    `deviation` is the standard deviation of the seeds' differences. None for more than MOST_SEEDS.

    >>> seeds_needed(deviation=2, difference=1)
    34
    """
    seeds = np.arange(2, MOST_SEEDS + 1)
    critical = stats.t.isf(level / 2, seeds - 1)
    # By the noncentral t, which does not converge far out, where the power is 1 anyway. Detections with the wrong sign
    # are neglected.
    power = stats.nct.sf(critical, seeds - 1, np.minimum(100, difference / deviation * np.sqrt(seeds)))
    enough = np.flatnonzero(power >= POWER)
    return int(seeds[enough[0]]) if len(enough) else None
