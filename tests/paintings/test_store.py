"""The painting store: what it holds is what the files hold."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from brushwork import images, row_store
from brushwork.errors import UserError
from brushwork.paintings import catalogue, demo, store
from brushwork.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def root(paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paintings to change, and an empty cache."""
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(paintings, tmp_path / "root"))


def pictures(root: Path, preprocessing: Preprocessing = PREPROCESSING, styles: list[str] | None = None) -> torch.Tensor:
    found = catalogue.scan(root, styles)
    return store.open_pictures(found, preprocessing, 89)[torch.arange(len(found.paintings))]


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
def test_pictures_are_those_of_the_files(root: Path, how: str) -> None:
    found = pictures(root, Preprocessing(32, PREPROCESSING.mean, PREPROCESSING.std, how))
    paintings = catalogue.scan(root).paintings
    assert found.shape == (len(paintings), 32, 32, 3)
    for picture, painting in zip(found, paintings, strict=True):
        assert np.array_equal(picture, images.resize(images.load_rgb(root / painting.path), 32, how))


def test_choices_of_styles_share_a_store(root: Path) -> None:
    all_of_them = pictures(root)
    some = pictures(root, styles=["Facets", "Waves"])
    assert torch.equal(some, all_of_them[10:])
    assert [listed.rows for listed in row_store.listed()] == [30]


def test_a_new_and_a_changed_painting(root: Path) -> None:
    before = pictures(root)
    demo.paint("Dots", 99, 40).save(root / "Dots/artist-dots-0_000.jpg")  # sorts before all others
    first = root / "Facets/artist-facets-0_00.jpg"
    content, status = first.read_bytes(), first.stat()
    Image.new("RGB", (40, 40), (9, 9, 9)).save(first)
    after = pictures(root)
    assert [listed.rows for listed in row_store.listed()] == [32]
    assert (after[11] == 9).all()
    kept = [i for i in range(31) if i not in (1, 11)]
    assert torch.equal(after[kept], before[[i - (i > 1) for i in kept]])
    first.write_bytes(content)
    os.utime(first, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert torch.equal(pictures(root)[11], before[10])


def test_a_painting_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "Dots/artist_page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"artist_page\.jpg: not an image"):
        pictures(root)
    (root / "Dots/artist_page.jpg").unlink()
    assert len(pictures(root)) == 30
