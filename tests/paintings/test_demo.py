"""The demo's paintings: seeded, in range, all different, by painters of their own; safe to paint twice."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from brushwork.errors import UserError
from brushwork.paintings import demo
from brushwork.paintings.names import artist_and_title


@pytest.mark.parametrize("style", demo.STYLES)
def test_style(style: str) -> None:
    y, x = 2 * np.mgrid[0:96, 0:96] / 95 - 1
    for seed in range(20):
        tone = demo.STYLES[style](default_rng(seed), y, x)
        assert tone.shape == (96, 96)
        assert tone.min() >= 0 and tone.max() <= 1
        assert tone.std() > 0.05


@pytest.mark.parametrize("style", demo.STYLES)
def test_paint(style: str) -> None:
    assert demo.paint(style, 0, 64).size == (64, 64)
    assert np.array_equal(demo.paint(style, 1), demo.paint(style, 1))
    assert not np.array_equal(demo.paint(style, 1), demo.paint(style, 2))
    assert not np.array_equal(demo.paint(style, 1), demo.paint(style, 1 + demo.DOZEN))  # by the same painter


def test_file_names() -> None:
    """Each style has a dozen artists; a file name tells one, and a year in which he was active."""
    styles_of = Counter()
    for style in demo.STYLES:
        years = {demo.painter(style, place).name: demo.painter(style, place).years for place in range(demo.DOZEN)}
        assert len(years) == 12
        styles_of.update(list(years))
        names = [demo.file_name(style, number) for number in range(1, 101)]
        assert len(set(names)) == 100
        parsed = [artist_and_title(name.removesuffix(".jpg")) for name in names]
        assert {artist for artist, _ in parsed} == set(years)
        for artist, title in parsed:
            first, last = years[artist]
            assert first <= int(title.rsplit("-", 1)[1]) <= last
    assert Counter(styles_of.values()) == {1: 116, 2: 2}


def test_periods_overlap() -> None:
    """A year tells something of the style, and not all: for each style some other was painted in its time."""
    spans = {}
    for style in demo.STYLES:
        years = [demo.painter(style, place).years for place in range(1, demo.DOZEN)]
        spans[style] = (min(first for first, _ in years), max(last for _, last in years))
    for style, (first, last) in spans.items():
        others = [other for name, other in spans.items() if name != style]
        assert any(start <= last and first <= end for start, end in others)
        assert any(start > last or first > end for start, end in others)


def test_colours_tell_the_painter_and_not_the_style() -> None:
    """The picture nearest in colour is by the same painter, in most cases; with his own left out, in any style."""
    made = [(style, number) for style in demo.STYLES for number in range(4 * demo.DOZEN)]
    pictures = [np.asarray(demo.paint(style, number, 32)) for style, number in made]
    cubes = [(picture // 32).astype(int).reshape(-1, 3) @ (64, 8, 1) for picture in pictures]
    colors = np.sqrt([np.bincount(cube, minlength=512) / cube.size for cube in cubes])  # Hellinger distances
    painters = np.array([demo.painter(style, number % demo.DOZEN).name for style, number in made])
    styles = np.array([style for style, _ in made])
    likeness = colors @ colors.T - 9 * np.eye(len(made))
    assert (painters[likeness.argmax(1)] == painters).mean() > 0.7  # chance is 1/120
    by_others = likeness - 9 * (painters[:, None] == painters)
    assert (styles[by_others.argmax(1)] == styles).mean() < 0.25  # chance is 1/10


def test_paint_all_paints_what_is_missing(tmp_path: Path) -> None:
    demo.paint_all(tmp_path, 2)
    paths = sorted(tmp_path.rglob("*.jpg"))
    assert len(paths) == 2 * len(demo.STYLES)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    paths[0].unlink()
    demo.paint_all(tmp_path, 2)
    assert paths[0].read_bytes() == before[paths[0]][0]
    assert all(path.stat().st_mtime_ns == before[path][1] for path in paths[1:])
    assert not list(tmp_path.rglob("*.tmp"))
    demo.paint_all(tmp_path, 1)  # those of a larger demo are no strangers


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unknown_demo-0001.jpg", "of an earlier demo: remove that folder"),
        ("claude-monet_water-lilies-1906.jpg", "is none of the demo's pictures"),
        ("claude-monet_study-no-7-1906.jpg", "is none of the demo's pictures"),
    ],
)
def test_foreign_pictures_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "Dots").mkdir()
    (tmp_path / "Dots" / name).write_bytes(b"")
    with pytest.raises(UserError, match=message):
        demo.paint_all(tmp_path, 2)
    assert len(list(tmp_path.rglob("*.jpg"))) == 1
