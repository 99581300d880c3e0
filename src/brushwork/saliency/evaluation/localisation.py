"""Does a map lie on the object? Against a mask that people drew."""

import numpy as np
import torch
import torchvision

Box = tuple[int, int, int, int]


def pointing(saliency: np.ndarray, mask: np.ndarray) -> float:
    """Whether the map's maximum lies on the object (Zhang et al. 2016, "Top-down Neural Attention", section 4.1).

    1 or 0, higher is better; where several pixels share the maximum, the share of them that lies on the object. Over
    many images the mean is the pointing game's accuracy, here without the paper's tolerance of 15 pixels.

    Args:
        saliency: (height, width).
        mask: (height, width) bool.

    Returns:
        The object's share of the picture for a map that is the same everywhere; NaN for one that is not finite.
    """
    if not np.isfinite(saliency).all():
        return float("nan")
    return float(mask[saliency == saliency.max()].mean())


def energy(saliency: np.ndarray, mask: np.ndarray) -> float:
    """The share of a map that lies on the object (Wang et al. 2020, "Score-CAM", section 4.3).

    sum of M(i, j) on the object / sum of M(i, j). From 0 to 1, higher is better; an even map gets the object's share
    of the picture, `mask.mean()`. Unlike the pointing game it counts all pixels.

    Args, result as for `pointing`; the map is never negative.
    """
    whole = saliency.sum(dtype=np.float64)
    if not np.isfinite(whole):
        return float("nan")
    return float(saliency[mask].sum(dtype=np.float64) / whole) if whole else float(mask.mean())


def box_iou(first: Box, second: Box) -> float:
    """How well two boxes (left, top, right, bottom) cover each other: intersection over union.

    From 0 (apart) to 1 (the same), higher is better; a found box commonly counts as right from 0.5 on (Everingham et
    al. 2010, "The PASCAL Visual Object Classes Challenge").

    >>> box_iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    boxes = (torch.tensor([box], dtype=torch.float64) for box in (first, second))
    return torchvision.ops.box_iou(*boxes).item()
