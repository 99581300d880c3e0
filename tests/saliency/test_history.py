"""How maps change, from made-up maps."""

import numpy as np
import pytest

from brushwork.saliency import history


def test_correlations_that_are_not_known() -> None:
    """Of a map with a defect, of one that is not there, and of a single painting."""
    maps = np.random.default_rng(0).random((3, 5, 5))
    bad = maps.copy()
    bad[1] = 0.0  # no order
    found = history.MapHistory(["a", "b", "c"], "gradient", 1)
    assert set(found.add(0, bad, "", "")) == {"others"}
    means = found.add(1, maps, "", "")
    assert set(means) == {"previous", "start", "others"}
    assert means["previous"] == means["start"] == pytest.approx(1)
    assert ["previous" in row for row in found.rows] == [False] * 3 + [True, False, True]
    alone = history.MapHistory(["a"], "gradient", 1)
    assert alone.add(0, maps[:1], "", "") == {}


def test_a_strip_of_a_long_training() -> None:
    """At most so many columns, evenly spaced but for the last; a step once left out is never needed again."""
    gone: set[int] = set()
    for last in range(0, 200, 3):
        steps = history.shown(last, 3, 9)
        assert len(steps) <= 9
        assert (steps[0], steps[-1]) == (0, last)
        assert len(set(np.diff(steps[:-1]))) <= 1
        assert not gone & set(steps)
        gone |= set(range(0, last, 3)) - set(steps)
    assert len(steps) >= 5
