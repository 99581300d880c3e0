"""The colour-and-texture baseline."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brushwork.paintings import catalogue, color_texture, demo, splits
from brushwork.paintings.splits import Fractions


def test_features_of_plain_pictures() -> None:
    red = color_texture.features(Image.new("RGB", (60, 40), (255, 0, 0)))
    assert red.shape == (124,)
    assert red[:6] == pytest.approx([1, 0, 0, 0, 0, 0])
    assert red[6:14] == pytest.approx([1, 0, 0, 0, 0, 0, 0, 0])  # hue 0
    cubes = red[30:94]
    assert cubes[3 * 16] == pytest.approx(1)
    assert cubes.sum() == pytest.approx(1)


def test_orientations_of_stripes() -> None:
    """Vertical stripes have horizontal gradients, and no others."""
    stripes = np.zeros((128, 128, 3), np.uint8)
    stripes[:, (np.arange(128) // 8) % 2 == 0] = 255
    vertical = color_texture.features(Image.fromarray(stripes))
    horizontal = color_texture.features(Image.fromarray(stripes.transpose(1, 0, 2)))
    assert vertical[94] == pytest.approx(1, abs=1e-3)
    assert horizontal[94] == pytest.approx(0, abs=1e-3)
    assert horizontal[94 + 4] == pytest.approx(1, abs=1e-3)  # a quarter turn on


def test_where_things_are_does_not_matter() -> None:
    picture = np.array(demo.paint("Dots", 0, 128))
    mirrored = Image.fromarray(np.ascontiguousarray(picture[:, ::-1]))
    ours, theirs = color_texture.features(Image.fromarray(picture)), color_texture.features(mirrored)
    assert ours[:94] == pytest.approx(theirs[:94], abs=1e-6)


@pytest.fixture(scope="module")
def tinted(paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paintings, each style with a tint of its own: the demo's styles differ in neither colour nor texture."""
    root = tmp_path_factory.mktemp("tinted")
    for channel, folder in enumerate(sorted(paintings.iterdir())):
        (root / folder.name).mkdir()
        for path in folder.glob("*.jpg"):
            picture = np.array(Image.open(path))
            picture[..., channel] = 128 + picture[..., channel] // 2
            Image.fromarray(picture).save(root / folder.name / path.name)
    return root


def test_it_beats_the_majority_where_colour_and_texture_tell(tinted: Path) -> None:
    found = catalogue.scan(tinted)
    parts = splits.random(found.paintings, Fractions(0.3, 0.2), 0)
    result = color_texture.accuracies(found, parts, 89)
    assert set(result) == {"val", "test"}
    assert result["val"] > 0.6  # chance is 1/3


def test_a_cache_that_cannot_be_written_is_a_warning(
    tinted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "file"))
    found = catalogue.scan(tinted)
    assert color_texture.accuracies(found, splits.random(found.paintings, Fractions(0.3), 0), 89)["val"] > 0.5
    assert "can't be written" in caplog.text


def test_features_are_kept_and_a_damaged_file_is_made_anew(paintings: Path, tmp_path: Path) -> None:
    before = os.environ["BRUSHWORK_CACHE"]
    os.environ["BRUSHWORK_CACHE"] = str(tmp_path)
    try:
        found = catalogue.scan(paintings)
        parts = splits.random(found.paintings, Fractions(0.3), 0)
        first = color_texture.accuracies(found, parts, 89)
        (path,) = tmp_path.iterdir()
        table = np.load(path)
        assert table.shape == (30, 124)
        np.save(path, np.zeros_like(table))  # what is kept is used
        assert color_texture.accuracies(found, parts, 89) != first
        path.write_bytes(path.read_bytes()[:200])
        assert color_texture.accuracies(found, parts, 89) == first
    finally:
        os.environ["BRUSHWORK_CACHE"] = before
