"""The rank correlation, beside scipy's, and what is made of it, by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from brushwork.saliency.evaluation.agreement import (
    between_images,
    between_networks,
    class_contrast,
    mean,
    rank_correlation,
)


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


def test_between_images_is_the_mean_over_the_others() -> None:
    maps = np.random.default_rng(0).random((5, 6, 7)) + np.linspace(0, 1, 7)
    expected = [
        np.mean([spearmanr(a.ravel(), b.ravel()).statistic for j, b in enumerate(maps) if i != j])
        for i, a in enumerate(maps)
    ]
    assert between_images(maps) == pytest.approx(expected)
    bad = np.concatenate([maps, np.zeros((1, 6, 7)), np.full((1, 6, 7), np.nan)])
    assert between_images(bad)[:5] == pytest.approx(expected)
    assert np.isnan(between_images(bad)[5:]).all()
    assert np.isnan(between_images(maps[:1])).all()
    assert np.isnan(between_images(bad[4:])).all()


def test_between_networks() -> None:
    maps = np.random.default_rng(0).random((2, 5, 5))
    assert between_networks([maps]) is None
    assert between_networks([maps, 2 * maps, -maps]) == pytest.approx((1 - 1 - 1) / 3)
    assert (mean(np.array([1.0, np.nan])), mean(np.array([np.nan]))) == (1.0, None)


class Ranked(nn.Module):
    """Scores 0, 1, ... of the classes; the map of class c is column c of `shapes`, whatever the image."""

    def __init__(self, shapes: Tensor) -> None:
        super().__init__()
        self.shapes = nn.Parameter(shapes)  # (classes, height, width)

    def forward(self, images: Tensor) -> Tensor:
        part = torch.einsum("bhw,chw->bc", images[:, 0], self.shapes)
        return part - part.detach() + torch.arange(len(self.shapes))


@pytest.mark.parametrize(
    ("classes", "target", "other"),
    [(2, 1, 0), (2, 0, 1), (3, 2, 1), (5, 4, 2), (5, 3, 2), (5, 2, 3), (5, 0, 3), (1000, 999, 499), (1000, 10, 500)],
)
def test_class_contrast_is_with_the_class_in_the_middle(classes: int, target: int, other: int) -> None:
    """The best class is the last: from the target in front, place num_classes // 2 of the ranking."""
    shapes = torch.rand(classes, 4, 5, generator=torch.Generator().manual_seed(0))
    images, targets = torch.randn(3, 3, 4, 5), torch.full((3,), target)
    expected = 1 - spearmanr(shapes[target].ravel(), shapes[other].ravel()).statistic
    found = class_contrast("gradient", Ranked(shapes), images, targets, shapes[[target] * 3].numpy())
    assert found == pytest.approx(np.full(3, expected))


def test_a_map_that_is_the_same_for_all_classes_has_no_contrast() -> None:
    shapes = torch.rand(1, 4, 5).repeat(6, 1, 1)
    images, targets = torch.randn(2, 3, 4, 5), torch.tensor([1, 5])
    same = class_contrast("gradient", Ranked(shapes), images, targets, shapes[:2].numpy())
    assert same == pytest.approx([0, 0], abs=1e-6)
    assert class_contrast("gradient", Ranked(-shapes), images, targets, -shapes[:2].numpy()) == pytest.approx([2, 2])
    with pytest.raises(ValueError, match="expected a model of two classes or more"):
        class_contrast("gradient", Ranked(shapes[:1]), images, torch.tensor([0, 0]), shapes[:2].numpy())
