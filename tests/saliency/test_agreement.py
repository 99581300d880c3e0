"""The rank correlation, beside scipy's."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from brushwork.saliency.agreement import rank_correlation


def test_equals_scipys_of_each_image() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 20, (3, 9, 7)).astype(np.float32)  # with ties
    second = first + random.integers(0, 20, (3, 9, 7)).astype(np.float32)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert rank_correlation(first, second) == pytest.approx(expected)
    assert rank_correlation(first, 3 * first + 1) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)


def test_what_has_no_order_has_none() -> None:
    maps = np.random.default_rng(0).random((4, 5, 5))
    bad = maps.copy()
    bad[0] = 2.0
    bad[1, 0, 0] = np.nan
    bad[2, 0, 0] = np.inf
    assert np.isnan(rank_correlation(maps, bad)).tolist() == [True, True, True, False]
    with pytest.raises(ValueError, match="expected two maps of one shape"):
        rank_correlation(maps, maps[:, :4])
