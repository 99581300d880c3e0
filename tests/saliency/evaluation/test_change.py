"""How maps change, from made-up maps."""

import numpy as np
import pytest

from brushwork.saliency.evaluation import agreement, change


def test_what_is_not_known_has_no_correlation() -> None:
    maps = np.random.default_rng(0).random((3, 5, 5))
    bad = maps.copy()
    bad[1] = 0.0  # no order
    found = change.correlations(maps, previous=bad, start=None)
    assert found["previous"] == pytest.approx([1, np.nan, 1], nan_ok=True)
    assert np.isnan(found["start"]).all()
    assert agreement.mean(found["previous"]) == pytest.approx(1)
    assert agreement.mean(found["start"]) is None
    assert np.isnan(change.correlations(maps[:1])["others"]).all()  # there is no other painting


def test_between_networks() -> None:
    maps = np.random.default_rng(0).random((2, 5, 5))
    assert change.between([maps]) is None
    assert change.between([maps, 2 * maps, -maps]) == pytest.approx((1 - 1 - 1) / 3)


def test_a_strip_of_a_long_training() -> None:
    """At most so many columns, evenly spaced but for the last; what is left out is never asked for again."""
    gone: set[int] = set()
    for last in range(0, 200, 3):
        steps = change.shown(last, 3, 9)
        assert len(steps) <= 9
        assert (steps[0], steps[-1]) == (0, last)
        assert len(set(np.diff(steps[:-1]))) <= 1
        assert not gone & set(steps)
        gone |= set(range(0, last, 3)) - set(steps)
    assert len(steps) >= 5
