"""Saliency maps as pictures."""

import matplotlib
import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from brushwork import fonts

COLORS = "inferno"  # perceptually uniform
PERCENTILE = 99  # of a map's values is brightest, so that a single pixel does not dim the rest
_BLANK = (96, 96, 96)
_EDGE, _BOX = (255, 255, 0), (255, 0, 255)  # colours that are rare in photos


def scale(maps: np.ndarray) -> float:
    """The value shown brightest: the 99th percentile of the finite values, or the maximum where that is zero."""
    values = maps[np.isfinite(maps)]
    if not len(values):
        return 1.0
    return float(np.percentile(values, PERCENTILE)) or float(values.max()) or 1.0


def defect(saliency_map: np.ndarray) -> str | None:
    """Why a map can't be shown: it is constant, or not finite. Else None."""
    if not np.isfinite(saliency_map).all():
        return "not a finite number"
    if saliency_map.min() == saliency_map.max():
        return "zero everywhere" if saliency_map.max() == 0 else f"constant: {saliency_map.max():.3g}"
    return None


def picture(saliency_map: np.ndarray, brightest: float | None = None, photo: Image.Image | None = None) -> Image.Image:
    """A map (height, width) in colours, black for 0 and bright from `brightest` on (None: its own `scale`); over a
    photo (the network's input, of the map's size) in grey, of which less shows where the map is salient. One with a
    defect is a grey panel that names it."""
    if (problem := defect(saliency_map)) is not None:
        height, width = saliency_map.shape
        panel = Image.new("RGB", (width, height), _BLANK)
        place, letters = (width / 2, height / 2), fonts.for_line("", max(8, width // 16))
        ImageDraw.Draw(panel).text(place, f"no map:\n{problem}", "white", letters, anchor="mm", align="center")
        return panel
    intensity = (saliency_map / (scale(saliency_map) if brightest is None else brightest)).clip(0, 1)
    colors = matplotlib.colormaps[COLORS]
    if photo is None:
        return Image.fromarray(colors(intensity, bytes=True)[..., :3])
    grey = np.asarray(photo.convert("L"), np.float32)[..., None] * 0.75
    weight = np.sqrt(intensity)[..., None]  # makes faint values visible
    mixed = (1 - weight) * grey + weight * colors(0.25 + 0.75 * intensity, bytes=True)[..., :3]
    return Image.fromarray(mixed.round().astype(np.uint8))


def outlined(photo: Image.Image, mask: np.ndarray, box: tuple[int, int, int, int]) -> Image.Image:
    """The photo with the edge of a mask (height, width) and a box around it (see `segment.Segment`) drawn on it."""
    pixels = np.array(photo.convert("RGB"))
    pixels[mask & ~binary_erosion(mask)] = _EDGE
    drawn = Image.fromarray(pixels)
    left, top, right, bottom = box
    ImageDraw.Draw(drawn).rectangle((left, top, right - 1, bottom - 1), outline=_BOX, width=2)
    return drawn
