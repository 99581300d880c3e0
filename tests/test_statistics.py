"""Each statistic against a table computed by hand or printed in a book."""

import math

import numpy as np
import pytest

from brushwork import statistics


def test_mean_and_interval_of_five_numbers() -> None:
    """Mean 14, deviations -4 -2 0 2 4: variance 40/4; t of 4 degrees of freedom, 97.5 %: 2.776 (any table)."""
    found = statistics.spread([10, 12, 14, 16, 18])
    assert (found.mean, found.seeds) == (14, 5)
    assert found.deviation == pytest.approx(math.sqrt(10))
    half = 2.776 * math.sqrt(10) / math.sqrt(5)
    assert found.interval == pytest.approx((14 - half, 14 + half), abs=1e-3)


def test_without_spread_there_is_no_interval() -> None:
    assert statistics.spread([0.4]) == statistics.Spread(0.4, None, None, 1)
    assert statistics.spread([0.4, 0.4, 0.4]) == statistics.Spread(pytest.approx(0.4), 0.0, None, 3)
    assert statistics.paired_p([0.1]) is None
    assert statistics.paired_p([0.1, 0.1]) is None


def test_paired_t_test() -> None:
    """Differences 1, 2, 3: t = 2 / (1 / sqrt 3) = 3.4641; of 2 degrees of freedom p = 1 - t / sqrt(t^2 + 2)."""
    t = 2 * math.sqrt(3)
    assert statistics.paired_p([1, 2, 3]) == pytest.approx(1 - t / math.sqrt(t**2 + 2))
    assert statistics.paired_p([-1, -2, -3]) == pytest.approx(statistics.paired_p([1, 2, 3]))


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(8, 2, 112 / 1024), (2, 8, 112 / 1024), (5, 5, 1), (0, 6, 2 / 64), (0, 0, 1), (1, 9, 22 / 1024)],
)
def test_mcnemar_by_binomial_coefficients(only_first: int, only_second: int, p: float) -> None:
    """8 against 2: twice (1 + 10 + 45) / 2^10 = 0.109375. Where both are right or both wrong does not matter."""
    first = np.array([True] * only_first + [False] * only_second + [True] * 30 + [False] * 7)
    second = np.array([False] * only_first + [True] * only_second + [True] * 30 + [False] * 7)
    found = statistics.mcnemar(first, second)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    assert found.p == pytest.approx(p)


def test_holm_by_hand() -> None:
    """Sorted 0.005 0.01 0.03 0.04, times 4 3 2 1: 0.02 0.03 0.06 0.04, of which the last is raised to 0.06."""
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.9]) == [1, 1]
    assert statistics.holm([0.2]) == [0.2]
    assert statistics.holm([None, 0.02, None]) == [None, 0.02, None]


def test_the_bootstrap_is_the_analytic_interval_where_each_painting_has_its_artist() -> None:
    values = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], 4000, p=[0.1, 0.75, 0.15])
    low, high = statistics.cluster_interval(values, [f"artist {i}" for i in range(4000)])
    half = 1.96 * values.std(ddof=1) / math.sqrt(4000)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.04 * half)
    assert statistics.cluster_interval(values, [""] * 4000) == pytest.approx((low, high), abs=0.08 * half)


def test_artists_with_equal_answers_count_once() -> None:
    """Each of 400 values ten times, by one artist: as wide as 400 paintings, sqrt 10 times wider than 4000."""
    values = np.repeat(np.random.default_rng(4).choice([-1.0, 0.0, 1.0], 400), 10)
    artists = [str(i // 10) for i in range(4000)]
    low, high = statistics.cluster_interval(values, artists)
    half = 1.96 * values[::10].std(ddof=1) / math.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.06 * half)
    one_low, one_high = statistics.cluster_interval(values, [""] * 4000)
    assert (high - low) / (one_high - one_low) == pytest.approx(math.sqrt(10), rel=0.06)
    assert statistics.cluster_interval(values, artists) == (low, high)  # seeded
    assert statistics.cluster_interval(values, ["rembrandt"] * 4000) is None


def test_artists_of_different_sizes_are_weighed_by_their_paintings() -> None:
    """Two artists, 3 paintings right and 1 wrong: the mean is 0.75, or 1, or 0, in a quarter of all draws each."""
    assert statistics.cluster_interval(np.array([1.0, 1, 1, 0]), ["a", "a", "a", "b"]) == (0, 1)


@pytest.mark.parametrize(("effect", "seeds"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_seeds_needed_as_published(effect: float, seeds: int) -> None:
    """Pairs for a power of 0.8, two-sided 0.05, by Cohen's d: the usual tables of the paired t test (G*Power)."""
    assert statistics.seeds_needed(deviation=1, difference=effect) == seeds


def test_seeds_needed_at_the_ends() -> None:
    assert statistics.seeds_needed(deviation=1e-6, difference=1) == 2
    assert statistics.seeds_needed(deviation=1, difference=0.001) is None
    guenther = (2.576 + 0.8416) ** 2 / 0.5**2 + 2.576**2 / 2  # the normal approximation, corrected: 50.03
    assert statistics.seeds_needed(deviation=1, difference=0.5, level=0.01) == math.ceil(guenther)
