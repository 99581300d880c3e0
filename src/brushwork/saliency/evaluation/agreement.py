"""Agreement of maps, by rank correlation: of one image, of two classes, of different images or networks."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from brushwork.saliency import maps, methods


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of the pixels of two maps (batch, height, width) (Adebayo et al. 2018, section 3).

    (batch,) float64 from 1 (the same order) over 0 (unrelated) to -1; NaN where a map is constant or not finite.

    >>> rank_correlation(np.array([[[1, 2, 3, 4]]]), np.array([[[1, 4, 9, 16]]]))
    array([1.])
    """
    if first.shape != second.shape:
        raise ValueError(f"expected two maps of one shape, but got {first.shape} and {second.shape}")
    return (_unit_ranks(first) * _unit_ranks(second)).sum(1)


def between_images(found: np.ndarray) -> np.ndarray:
    """The chance level of `rank_correlation`: the mean correlation of each map (count, height, width) of a method with
    those of the other images. Near 0 for maps that follow their images; a method that always marks the centre has more.

    (count,) float64; NaN where a map is constant or not finite (it counts for no other), or there is no other.
    """
    ranks = _unit_ranks(found)
    others = np.nansum(ranks, axis=0) - ranks
    count = np.isfinite(ranks).all(1).sum() - 1
    with np.errstate(invalid="ignore"):
        return (ranks * others).sum(1) / count


def between_networks(networks: Sequence[np.ndarray]) -> float | None:
    """The mean rank correlation of maps (count, height, width) of the same images, over pairs of networks and images;
    None for fewer than two networks, or where no pair of maps has a correlation."""
    pairs = [rank_correlation(one, other) for one, other in combinations(networks, 2)]
    return mean(np.concatenate(pairs)) if pairs else None


def mean(values: np.ndarray) -> float | None:
    """The mean of the finite values; None where there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def class_contrast(name: str, model: nn.Module, images: Tensor, targets: Tensor, of_targets: np.ndarray) -> np.ndarray:
    """How much a method's maps depend on the class: 1 - `rank_correlation` of the target's map and another class's.

    The other class is the median of the image's ranking by score: neither the similar class that comes second nor the
    least likely one (which Rebuffi et al. 2020, "There and Back Again", take for their class sensitivity). From 0 (the
    same map) over 1 (nothing in common) to 2; higher is better, up to 1. (batch,) float64, NaN where a map is constant
    or not finite. `of_targets` (batch, height, width) are the method's maps of the targets (batch,).
    """
    with maps.preserved_state(model, images) as pixels, torch.no_grad():
        logits = model(pixels)
        if logits.shape[1] < 2:
            raise ValueError("expected a model of two classes or more, but got one")
        # The class at rank num_classes // 2, the best being 0, with the target in front.
        logits.scatter_(1, maps.checked_targets(targets, logits)[:, None], torch.inf)
        others = logits.argsort(dim=1, descending=True, stable=True)[:, logits.shape[1] // 2]
    return 1 - rank_correlation(of_targets, methods.METHODS[name](model, images, others).cpu().numpy())


def _unit_ranks(found: np.ndarray) -> np.ndarray:
    """(batch, height * width): the ranks of each map's pixels, shifted and scaled to mean 0 and length 1, or NaN."""
    flat = found.reshape(len(found), -1)
    ranks = rankdata(flat, axis=1, nan_policy="propagate")
    ranks[~np.isfinite(flat).all(1)] = np.nan
    ranks -= ranks.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return ranks / np.sqrt((ranks**2).sum(1, keepdims=True))
