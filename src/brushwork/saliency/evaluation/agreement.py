"""How alike two maps are: of one image, of two classes, of different images."""

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from brushwork.saliency import maps, methods


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
    return (_unit_ranks(first) * _unit_ranks(second)).sum(1)


def between_images(found: np.ndarray) -> np.ndarray:
    """How alike a method's maps are whatever the image: what `rank_correlation` finds where there is nothing to find.

    b_i = mean over the other images j of rho(M_i, M_j). From -1 to 1, near 0 for maps that follow their images; a
    method that marks the middle of everything has more. It is the floor beside which a correlation of two maps of
    the same image is read.

    Args:
        found: (count, height, width), a map of each image by one method.

    Returns:
        (count,) float64; NaN where a map is the same everywhere or not finite, which counts for no other, and where
        no other is left.
    """
    ranks = _unit_ranks(found)
    others = np.nansum(ranks, axis=0) - ranks
    count = np.isfinite(ranks).all(1).sum() - 1
    with np.errstate(invalid="ignore"):
        return (ranks * others).sum(1) / count


def mean(values: np.ndarray) -> float | None:
    """The mean of those that are numbers, or None."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def class_contrast(
    method: str,
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    of_targets: np.ndarray | None = None,
    *,
    batch_size: int = 8,
) -> np.ndarray:
    """Whether a map hangs on the class it is asked for: how unlike the map of another class is.

    1 - rho(M_target, M_other), the other being the class in the middle of the image's ranking by score: neither the
    lookalike that comes second nor the one that fits least. From 0 (the same map whatever the class) over 1 (nothing
    in common) to 2; higher is better, up to 1. After the class sensitivity of Rebuffi et al. 2020 ("There
    and Back Again"), who take the map of the least likely class.

    Args:
        method: a name of `methods.METHODS`.
        images: (count, 3, height, width), as the model takes them.
        targets: (count,) int64.
        of_targets: (count, height, width), the maps of the targets where they are at hand.

    Returns:
        (count,) float64; NaN where a map is the same everywhere or not finite.

    Raises:
        ValueError: the model knows one class only, or as `maps.class_saliency`.
    """
    if of_targets is None:
        of_targets = methods.in_batches(method, model, images, targets, batch_size)
    others = torch.cat(
        [
            _middle_class(model, part, of)
            for part, of in zip(images.split(batch_size), targets.split(batch_size), strict=True)
        ]
    )
    return 1 - rank_correlation(of_targets, methods.in_batches(method, model, images, others, batch_size))


def _middle_class(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """(batch,) int64 on the CPU: the class at place num_classes // 2, the best being 0, with the target in front."""
    device = next(model.parameters()).device
    with maps.without_a_trace(model, images.to(device)) as pixels, torch.no_grad():
        logits = model(pixels)
        targets = maps.checked(targets, logits)
        if logits.shape[1] < 2:
            raise ValueError("expected a model of two classes or more, but got one: there is no other")
        logits.scatter_(1, targets[:, None], torch.inf)
        return logits.argsort(dim=1, descending=True, stable=True)[:, logits.shape[1] // 2].cpu()


def _unit_ranks(found: np.ndarray) -> np.ndarray:
    """(batch, height * width): the ranks of each map's pixels, shifted and scaled to mean 0 and length 1, or NaN."""
    flat = found.reshape(len(found), -1)
    ranks = rankdata(flat, axis=1, nan_policy="propagate")
    ranks[~np.isfinite(flat).all(1)] = np.nan
    ranks -= ranks.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return ranks / np.sqrt((ranks**2).sum(1, keepdims=True))
