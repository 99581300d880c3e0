"""How alike two maps are."""

import numpy as np
from scipy.stats import rankdata


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of the pixels of two maps of each image (Adebayo et al. 2018, section 3).

    rho = the correlation of the pixels' ranks, equal values sharing their mean rank. From 1 (the same order of the
    pixels) over 0 (none in common) to -1; a map's scale does not count.

    Args:
        first, second: (batch, height, width).

    Returns:
        (batch,) float64; NaN where a map is the same everywhere or not finite.

    Raises:
        ValueError: the shapes differ.

    >>> rank_correlation(np.array([[[1, 2, 3, 4]]]), np.array([[[1, 4, 9, 16]]]))
    array([1.])
    """
    if first.shape != second.shape:
        raise ValueError(f"expected two maps of one shape, but got {first.shape} and {second.shape}")
    ranks = []
    for maps in (first, second):
        flat = maps.reshape(len(maps), -1)
        rank = rankdata(flat, axis=1, nan_policy="propagate")
        rank[~np.isfinite(flat).all(1)] = np.nan
        ranks.append(rank - rank.mean(1, keepdims=True))
    with np.errstate(invalid="ignore"):
        return (ranks[0] * ranks[1]).sum(1) / np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
