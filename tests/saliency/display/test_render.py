"""Maps as pictures: the scale, the colours, and what can't be shown."""

import matplotlib
import numpy as np
import pytest
from PIL import Image

from brushwork.saliency.display import render


def test_clipped_at_the_99th_percentile() -> None:
    values = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    values[0, 0] = 1e9  # one wild pixel must not dim the rest
    assert render.scale(values) == pytest.approx(np.percentile(values, 99))
    pixels = np.asarray(render.picture(values))
    colors = matplotlib.colormaps["inferno"]
    brightest = (np.array(colors(1.0)[:3]) * 255).round()
    assert pixels[0, 0] == pytest.approx(brightest, abs=1)
    assert pixels[99, 99] == pytest.approx(brightest, abs=1)
    half = int(render.scale(values) / 2)
    assert pixels[half // 100, half % 100] == pytest.approx(np.array(colors(0.5)[:3]) * 255, abs=2)


def test_colours_are_even() -> None:
    """Lightness rises with the map, as in grey print."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(2, 0)
    lightness = np.asarray(render.picture(ramp, 1.0).convert("L"), float)[0]
    assert (np.diff(lightness) > -1.5).all()
    assert lightness[0] < 3
    assert lightness[-1] > 240


def test_a_scale_of_its_own() -> None:
    values = np.array([[0.0, 1.0]], np.float32)
    dim = np.asarray(render.picture(values, brightest=4.0), float)
    assert dim[0, 1].sum() < np.asarray(render.picture(values, brightest=1.0), float)[0, 1].sum()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((64, 80)), "zero everywhere"),
        (np.full((64, 80), 0.25), "constant: 0.25"),
        (None, "not a finite number"),
    ],
)
def test_a_map_with_a_defect_is_a_labelled_grey_panel(values: np.ndarray | None, reason: str) -> None:
    if values is None:
        values = np.random.default_rng(0).random((64, 80))
        values[3, 4] = np.nan
    assert render.defect(values) == reason
    photo = Image.new("RGB", (80, 64), "red")
    for panel in (render.picture(values), render.picture(values, photo=photo)):
        assert panel.size == (80, 64)
        pixels = np.asarray(panel)
        assert (pixels[0, 0] == render._BLANK).all()
        assert (pixels == 255).any()  # its label
        assert (pixels[..., 0] == pixels[..., 1]).all()


def test_a_map_over_a_photo_shows_the_photo_where_the_map_is_dark() -> None:
    values = np.zeros((10, 10), np.float32)
    values[5:] = np.linspace(0.5, 1, 10)
    pixels = np.asarray(render.picture(values, photo=Image.new("RGB", (10, 10), (200, 100, 0))), float)
    assert np.ptp(pixels[0, 0]) == 0  # grey
    assert pixels[9, 9].sum() > pixels[0, 0].sum()
    assert np.ptp(pixels[9, 0]) > 50  # coloured


def test_a_scale_for_anything() -> None:
    assert render.scale(np.zeros((3, 3))) == 1.0
    assert render.scale(np.full((3, 3), np.nan)) == 1.0
    sparse = np.zeros((100, 100))
    sparse[0, 0] = 2.0
    assert render.scale(sparse) == 2.0
