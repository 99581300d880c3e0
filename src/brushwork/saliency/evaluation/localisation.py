"""Localisation: how much of a map lies on the annotated object. Maps (height, width), masks (height, width) bool."""

import numpy as np
import torch
import torchvision

Box = tuple[int, int, int, int]


def pointing(saliency: np.ndarray, mask: np.ndarray) -> float:
    """Whether the map's maximum lies on the object (Zhang et al. 2016, "Top-down Neural Attention", section 4.1).

    1 or 0, higher is better; where several pixels share the maximum, the share of them on the object. The mean over
    images is the pointing game's accuracy, here without the paper's tolerance of 15 pixels. NaN for non-finite maps.
    """
    return float(mask[saliency == saliency.max()].mean()) if np.isfinite(saliency).all() else float("nan")


def energy(saliency: np.ndarray, mask: np.ndarray) -> float:
    """The share of a map's sum that lies on the object (Wang et al. 2020, "Score-CAM", section 4.3).

    From 0 to 1, higher is better; a constant map gets `mask.mean()`. NaN for a map that is not finite.
    """
    whole = saliency.sum(dtype=np.float64)
    if not np.isfinite(whole):
        return float("nan")
    return float(saliency[mask].sum(dtype=np.float64) / whole) if whole else float(mask.mean())


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes (left, top, right, bottom), from 0 (disjoint) to 1 (equal).

    >>> box_iou((0, 0, 2, 2), (1, 0, 3, 2))
    0.3333333333333333
    """
    boxes = (torch.tensor([box], dtype=torch.float64) for box in (first, second))
    return torchvision.ops.box_iou(*boxes).item()
