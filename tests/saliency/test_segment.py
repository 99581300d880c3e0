"""Mask and box from a map: of objects that are known."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from brushwork import images
from brushwork.errors import UserError
from brushwork.models import predictor
from brushwork.saliency import methods, segment
from brushwork.saliency.display.render import outlined

cv2 = pytest.importorskip("cv2", reason="OpenCV is an extra: pip install '.[box]'")
DISC = (20, 30, 59, 69)  # left, top, right, bottom; all inside


def disc_on_grass(specks: bool = False) -> tuple[Image.Image, np.ndarray]:
    """A red disc on green noise, and a map as gradients are: scattered pixels, mostly on the disc."""
    random = np.random.default_rng(0)
    grass = random.normal([60, 140, 60], 20, (96, 112, 3)).clip(0, 255).astype(np.uint8)
    photo = Image.fromarray(grass)
    draw = ImageDraw.Draw(photo)
    draw.ellipse(DISC, fill=(200, 40, 40))
    if specks:
        draw.rectangle((90, 10, 99, 19), fill=(200, 40, 40))  # of the same colour, and smaller
    inside = np.asarray(photo)[..., 0] > 150
    saliency = random.random((96, 112)) * np.where(inside, 1.0, 0.2)
    saliency[5, 5] = 2.0  # a wild pixel of the grass
    return photo, saliency.astype(np.float32)


@pytest.mark.parametrize("specks", [False, True])
def test_mask_and_box_of_a_disc(specks: bool) -> None:
    photo, saliency = disc_on_grass(specks)
    found = segment.segment(photo, saliency)
    disc = Image.new("L", photo.size)
    ImageDraw.Draw(disc).ellipse(DISC, fill=1)
    disc = np.asarray(disc, bool)
    assert (found.mask & disc).sum() / (found.mask | disc).sum() > 0.97
    assert found.box == pytest.approx((20, 30, 60, 70), abs=1)
    assert ndimage.label(found.mask, np.ones((3, 3)))[1] == 1  # one piece
    rows, columns = np.nonzero(found.mask)
    assert found.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_the_same_each_time() -> None:
    photo, saliency = disc_on_grass()
    first = segment.segment(photo, saliency)
    cv2.setRNGSeed(7)
    second = segment.segment(photo, saliency)
    assert np.array_equal(first.mask, second.mask)
    assert first.box == second.box


def test_seeds_are_the_papers_quantiles() -> None:
    saliency = np.random.default_rng(0).permutation(1000).reshape(20, 50).astype(np.float32)
    foreground, background = segment._seeds(saliency)
    assert sorted(saliency[foreground]) == list(range(950, 1000))
    assert sorted(saliency[background]) == list(range(300))


@pytest.mark.parametrize(
    "values",
    [
        [0] * 999 + [1],  # one pixel: fewer than a colour model takes
        [0] * 100 + [1] * 900,
        [0] * 500 + [1] * 500,
    ],
)
def test_maps_of_few_values(values: list[int]) -> None:
    saliency = np.array(values, np.float32).reshape(20, 50)
    foreground, background = segment._seeds(saliency)
    assert foreground.any()
    assert background.any()
    assert not (foreground & background).any()
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 50, 3), np.uint8))
    found = segment.segment(photo, saliency)
    assert found is None or found.mask.any()


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_map_with_a_defect_has_no_object(value: float) -> None:
    assert segment.segment(Image.new("RGB", (50, 20)), np.full((20, 50), value)) is None


def test_where_all_is_of_the_background_there_is_no_object() -> None:
    """Salient pixels have no colours of their own."""
    random = np.random.default_rng(0)
    photo = Image.fromarray(random.integers(90, 110, (96, 96, 3), np.uint8))
    assert segment.segment(photo, random.random((96, 96)).astype(np.float32)) is None


def test_sizes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected photo to be of the map's size \(50, 20\), but got \(20, 50\)"):
        segment.segment(Image.new("RGB", (20, 50)), np.zeros((20, 50)))


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"^masks and boxes need OpenCV: pip install '\.\[box\]'$"):
        segment.opencv()


def test_outline_and_box_are_drawn_on_the_photo() -> None:
    photo, saliency = disc_on_grass()
    found = segment.segment(photo, saliency)
    before, after = np.asarray(photo), np.asarray(outlined(photo, found.mask, found.box))
    assert after.shape == before.shape
    left, top, right, bottom = found.box
    changed = (before != after).any(2)
    assert changed[top, left:right].all()  # the box's edges, just inside
    assert changed[top:bottom, right - 1].all()
    assert not changed[found.mask & ndimage.binary_erosion(found.mask, iterations=3)].any()
    assert not changed[:top, :].any()
    assert not changed[:, right:].any()


def test_a_real_photo(shared: Path) -> None:
    """The doberman fills most of the picture's height; its box must lie over it."""
    squeezenet = predictor.imagenet("squeezenet1_1", str(shared / "weights/squeezenet1_1-imagenet.pth"))
    image = squeezenet.transform(images.load_rgb(shared / "data/photos/assignment/doberman.jpg"))
    _, saliency, _ = methods.logits_and_maps(["gradient"], squeezenet.network, image[None])
    found = segment.segment(squeezenet.shown(image), saliency["gradient"][0].numpy())
    left, top, right, bottom = found.box
    assert left <= 112 < right
    assert bottom - top > 100
