"""The object that a map points at: its mask and box, by colour models and OpenCV's graph cut."""

from types import ModuleType
from typing import NamedTuple

import numpy as np
from PIL import Image

from brushwork.errors import UserError
from brushwork.saliency.display import render

FOREGROUND, BACKGROUND = 0.95, 0.30  # quantiles of the map above and below which pixels give the two colour models
_ITERATIONS = 10  # of fitting them: after one, a box depends more on the initialisation of OpenCV's k-means
_COMPONENTS = 5  # of each of OpenCV's colour models: it needs as many pixels


class Segment(NamedTuple):
    """An object that was found."""

    mask: np.ndarray  # (height, width) bool, one connected piece
    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels of the map; the last two are just outside


def segment(photo: Image.Image, saliency_map: np.ndarray) -> Segment | None:
    """The object that a map points at (Simonyan, Vedaldi, Zisserman 2014, section 3.2), or None.

    A colour model (Gaussian mixture) of the foreground is fitted to the pixels above the map's 95% quantile, one of the
    background to those below its 30% quantile. A graph cut by these two then labels all pixels, the former too
    (as fixed labels, a gradient's scattered pixels would stay specks), and the largest piece is the object. It is
    deterministic; but where the object has the background's colours, rounding of the map may change the result.

    `photo` is the network's input, of the size of the map (height, width) (else a ValueError). A map with a defect
    (`render.defect`) has no object. Raises a UserError where OpenCV is not installed.
    """
    cv2 = opencv()
    if photo.size != saliency_map.shape[::-1]:
        raise ValueError(f"expected photo to be of the map's size {saliency_map.shape[::-1]}, but got {photo.size}")
    if render.defect(saliency_map) is not None:
        return None
    pixels = np.array(photo.convert("RGB"))  # (height, width, 3)
    foreground, background = _seeds(saliency_map)
    cv2.setRNGSeed(0)  # of its k-means
    models = np.zeros((1, 13 * _COMPONENTS)), np.zeros((1, 13 * _COMPONENTS))  # background, foreground: filled in place
    seeds = [np.repeat(of, -(-_COMPONENTS // len(of)), axis=0) for of in (pixels[background], pixels[foreground])]
    labels = np.repeat(np.uint8([cv2.GC_BGD, cv2.GC_FGD]), [len(of) for of in seeds])
    strip = np.concatenate(seeds)  # as a picture of one row
    cv2.grabCut(strip[None], labels[None], None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    labels = np.full(saliency_map.shape, cv2.GC_PR_BGD, np.uint8)
    cv2.grabCut(pixels, labels, None, *models, 1, cv2.GC_EVAL_FREEZE_MODEL)
    _, pieces, facts, _ = cv2.connectedComponentsWithStats((labels == cv2.GC_PR_FGD).astype(np.uint8))
    if len(facts) == 1:  # the background alone
        return None
    largest = 1 + facts[1:, cv2.CC_STAT_AREA].argmax()
    left, top, width, height = facts[largest, :4].tolist()
    return Segment(pieces == largest, (left, top, left + width, top + height))


def opencv() -> ModuleType:
    """OpenCV, which is an extra; raises a UserError where it is not installed."""
    try:
        import cv2
    except ModuleNotFoundError:
        raise UserError("masks and boxes need OpenCV: pip install '.[box]'") from None
    return cv2


def _seeds(saliency_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Foreground and background pixels, (height, width) bool each: neither is empty, even with equal values."""
    high, low = np.quantile(saliency_map, [FOREGROUND, BACKGROUND])
    # The largest value may stand on more than 5% of the pixels.
    foreground = saliency_map > high if (saliency_map > high).any() else saliency_map >= high
    return foreground, (saliency_map <= low) & ~foreground
