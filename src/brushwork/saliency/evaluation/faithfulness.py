"""Faithfulness: how the class probability changes when pixels are removed or inserted in the map's order."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn
from torch.nn.functional import conv2d

from brushwork.saliency import maps

KINDS = ("deletion", "insertion")
_KERNEL, _DEVIATION = 11, 5  # of the blur, in pixels


def curve(
    model: nn.Module,
    image: Tensor,
    saliency: np.ndarray,
    target: int,
    kind: str = "deletion",
    *,
    step: int | None = None,
    batch_size: int = 8,
) -> np.ndarray:
    """The probability of a class while pixels change in falling order of a map (Petsiuk et al. 2018, section 4.1).

    (steps + 1,) float64: p_k = softmax(S(I_k))_c, where the k * `step` most salient pixels, at last all, have changed
    in I_k. Deletion starts from the image and sets pixels to zero of the normalised image, the mean colour; a good map
    makes p fall at once. Insertion starts from the blurred image and restores the image's pixels; there p should rise.

    As in the paper's published code, the blur (11 x 11 pixels, deviation 5) pads with zeros. Unlike there, equal
    values of the map are in random order: plateaus, as Grad-CAM and occlusion have, would else start from one corner.

    Args:
        image: (3, height, width), as the model takes it: normalised, on its device.
        saliency: (height, width), finite. target: the class c.
        step: pixels that change at a time; None takes the image's width, 224 of 224 x 224 as in the paper.
    """
    if kind not in KINDS:
        raise ValueError(f"expected kind to be one of {', '.join(KINDS)}, but got {kind}")
    if saliency.shape != (size := tuple(image.shape[1:])) or not np.isfinite(saliency).all():
        raise ValueError(f"expected a finite map of the image's {size}, but got {saliency.dtype} of {saliency.shape}")
    step = step or image.shape[2]
    changed = np.arange(-(-saliency.size // step) + 1) * step  # pixels, before each pass
    with maps.preserved_state(model, image[None]) as pixels, torch.no_grad():
        first, last = (pixels, torch.zeros_like(pixels)) if kind == "deletion" else (_blurred(pixels), pixels)
        order = torch.from_numpy(_ranks(saliency, seed=0)).to(pixels.device)  # (height, width)
        probabilities = []
        for counts in torch.from_numpy(changed).to(pixels.device).split(batch_size):
            mask = order < counts[:, None, None, None]  # (batch, 1, height, width)
            logits = model(torch.where(mask, last, first))
            probabilities.append(logits.softmax(1).gather(1, maps.checked_targets(target, logits)[:, None])[:, 0])
    return torch.cat(probabilities).cpu().double().numpy()


def area(curve: np.ndarray) -> float:
    """The area under a `curve` by the trapezoid rule, its steps spread evenly over [0, 1].

    >>> area(np.array([1.0, 0.5, 0.0]))
    0.5
    """
    return float(np.trapezoid(curve, dx=1 / (len(curve) - 1)))


def random_map(height: int, width: int, seed: int) -> np.ndarray:
    """A baseline, (height, width) float32 uniform in [0, 1)."""
    return np.random.default_rng(seed).random((height, width), np.float32)


def centre_map(height: int, width: int) -> np.ndarray:
    """A baseline, (height, width) float32 from 0 to 1: a centred Gaussian, its deviation a quarter of each side."""
    rows, columns = (np.exp(-(np.linspace(-2, 2, 2 * side + 1)[1::2] ** 2) / 2) for side in (height, width))
    return np.outer(rows, columns).astype(np.float32)


def _ranks(saliency: np.ndarray, seed: int) -> np.ndarray:
    """(height, width) int64: 0 for the most salient pixel; equal ones in random order."""
    order = np.random.default_rng(seed).permutation(saliency.size)
    return np.lexsort((order, -saliency.ravel())).argsort().reshape(saliency.shape)


def _blurred(pixels: Tensor) -> Tensor:
    """(1, 3, height, width). The kernel adds up to 1: what of the Gaussian lies outside is folded back in."""
    dot = np.zeros((_KERNEL, _KERNEL))
    dot[_KERNEL // 2, _KERNEL // 2] = 1
    kernel = torch.as_tensor(gaussian_filter(dot, _DEVIATION), dtype=pixels.dtype, device=pixels.device)
    channels = pixels.shape[1]
    return conv2d(pixels, kernel.expand(channels, 1, -1, -1), padding=_KERNEL // 2, groups=channels)
