"""How the maps of a few paintings change while a network trains: rank correlations, and which epochs a strip shows."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from brushwork.saliency.evaluation.agreement import between_images, mean, rank_correlation


def correlations(maps: np.ndarray, **others: np.ndarray | None) -> dict[str, np.ndarray]:
    """The rank correlation of each painting's map with the other maps of the same painting, by the others' names.

    `others` besides is the floor, `agreement.between_images`: what maps of different paintings by the same network have
    in common (a dark border, the grid of its strides).

    Args:
        maps: (paintings, height, width).
        others: of the same shape, or None where they are not known.

    Returns:
        (paintings,) each; NaN where it is not known, a map has a defect, or there is one painting only.
    """
    unknown = np.full(len(maps), np.nan)
    found = {name: unknown if other is None else rank_correlation(maps, other) for name, other in others.items()}
    return found | {"others": between_images(maps)}


def between(networks: Sequence[np.ndarray]) -> float | None:
    """The mean rank correlation of several networks' maps of the same paintings, over pairs of networks and paintings.

    Args:
        networks: (paintings, height, width) of each. None of fewer than two, or where no pair of maps has one.
    """
    pairs = [rank_correlation(one, other) for one, other in combinations(networks, 2)]
    return mean(np.concatenate(pairs)) if pairs else None


def shown(last: int, every: int, at_most: int) -> list[int]:
    """Evenly spaced steps of 0, `every`, 2 `every`, ... and the last, at most so many; what it leaves out at one time
    it never asks for again.

    >>> shown(4, 1, 6), shown(6, 1, 6), shown(7, 1, 6)
    ([0, 1, 2, 3, 4], [0, 2, 4, 6], [0, 2, 4, 6, 7])
    """
    while len(steps := sorted({*range(0, last + 1, every), last})) > at_most:
        every *= 2
    return steps
