"""The demo's paintings: seeded, in range, all different, safe to paint twice."""

from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from brushwork.paintings import demo


@pytest.mark.parametrize("style", demo.PAINTERS)
def test_painter(style: str) -> None:
    picture = demo.PAINTERS[style](default_rng(0), 96)
    assert picture.shape == (96, 96, 3)
    assert np.isfinite(picture).all()
    assert np.array_equal(demo.paint(style, 1), demo.paint(style, 1))
    assert not np.array_equal(demo.paint(style, 1), demo.paint(style, 2))


def test_paint_all_paints_what_is_missing(tmp_path: Path) -> None:
    demo.paint_all(tmp_path, 2)
    paths = sorted(tmp_path.rglob("*.jpg"))
    assert len(paths) == 2 * len(demo.PAINTERS)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    paths[0].unlink()
    demo.paint_all(tmp_path, 2)
    assert paths[0].read_bytes() == before[paths[0]][0]
    assert all(path.stat().st_mtime_ns == before[path][1] for path in paths[1:])
    assert not list(tmp_path.rglob("*.tmp"))
