"""Pointing game, energy and overlap by hand."""

import numpy as np
import pytest

from brushwork.saliency.evaluation.localisation import box_iou, energy, pointing

MASK = np.array([[1, 1, 0], [0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("saliency", "hit", "share"),
    [
        ([[5, 1, 1], [1, 1, 1]], 1, 0.6),
        ([[4, 1, 5], [0, 0, 0]], 0, 0.5),
        ([[4, 0, 4], [4, 0, 0]], 1 / 3, 1 / 3),  # three share the maximum
        ([[2, 2, 2], [2, 2, 2]], 1 / 3, 1 / 3),  # an even map: the object's share
        ([[0, 0, 0], [0, 0, 0]], 1 / 3, 1 / 3),
    ],
)
def test_by_hand(saliency: list[list[float]], hit: float, share: float) -> None:
    saliency = np.array(saliency, np.float32)
    assert pointing(saliency, MASK) == pytest.approx(hit)
    assert energy(saliency, MASK) == pytest.approx(share)
    assert energy(saliency / 1e6, MASK) == pytest.approx(share)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_map_that_is_no_number(value: float) -> None:
    saliency = np.ones((2, 3), np.float32)
    saliency[1, 0] = value
    assert np.isnan([pointing(saliency, MASK), energy(saliency, MASK)]).all()


@pytest.mark.parametrize(
    ("box", "overlap"),
    [((0, 0, 4, 2), 1), ((2, 0, 6, 2), 4 / 12), ((4, 0, 6, 2), 0), ((9, 9, 10, 10), 0), ((1, 0, 2, 1), 1 / 8)],
)
def test_boxes(box: tuple[int, int, int, int], overlap: float) -> None:
    assert box_iou((0, 0, 4, 2), box) == pytest.approx(overlap)
    assert box_iou(box, (0, 0, 4, 2)) == pytest.approx(overlap)
