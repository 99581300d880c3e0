"""The demo's styles: ten ways to lay out a picture, without colour.

A style takes a random generator and two (size, size) arrays, y and x, which are the centred coordinates of the
pixels: about [-1, 1], turned and scaled by the painter's habit. It returns tones in [0, 1], (size, size): what is
ground, what is figure, and which figure. The painter decides what colour a tone is, how edges look, and what the
brush leaves (brushwork.paintings.demo).
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

Array = np.ndarray
Style = Callable[[Generator, Array, Array], Array]


def _centre(rng: Generator, reach: float) -> Array:
    """(y, x) within `reach` of the middle."""
    return rng.uniform(-reach, reach, 2)


def _tones(rng: Generator, count: int) -> Array:
    """(count,) tones, neighbours in the list always far apart."""
    return (np.arange(count) % 2) * 0.6 + rng.uniform(0, 0.4, count)


def turned(y: Array, x: Array, angle: float) -> tuple[Array, Array]:
    """The coordinates across and along a direction, by its angle to the x axis."""
    return y * np.cos(angle) - x * np.sin(angle), x * np.cos(angle) + y * np.sin(angle)


def _bands(rng: Generator, distance: Array) -> Array:
    """Bands of tones by the distance in widths of a band."""
    return _tones(rng, 32)[np.minimum(distance, 31).astype(int)]


def _nearest(rng: Generator, y: Array, x: Array, count: int, apart: float) -> tuple[Array, Array]:
    """For each pixel the nearest of some `count` random points, none closer than `apart`, and the distance to it."""
    points = np.empty((0, 2))
    for point in rng.uniform(-1.3, 1.3, (count, 2)):
        if not len(points) or np.hypot(*(points - point).T).min() > apart:
            points = np.vstack([points, point])
    squares = (y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2
    return squares.argmin(-1), np.sqrt(squares.min(-1))


def color_grid(rng: Generator, y: Array, x: Array) -> Array:
    """Rectangles between lines from edge to edge (neo-plasticism)."""
    row, column = (np.searchsorted(np.cumsum(rng.uniform(0.3, 0.7, 8)) - 2.2, along) for along in (y, x))
    tones = rng.random((9, 9)) * 0.5 + 0.5 * (np.indices((9, 9)).sum(0) % 2)
    return tones[row, column]


def dots(rng: Generator, y: Array, x: Array) -> Array:
    """Round dots all over a plain ground (pointillism)."""
    cell, distance = _nearest(rng, y, x, 90, 0.3)
    return np.where(distance < rng.uniform(0.11, 0.14), 0.6 + 0.4 * rng.random(90)[cell], 0.1)


def facets(rng: Generator, y: Array, x: Array) -> Array:
    """Polygons that meet at sharp corners (cubism)."""
    cell, _ = _nearest(rng, y, x, int(rng.integers(25, 40)), 0.25)
    return rng.random(40)[cell]


def horizons(rng: Generator, y: Array, x: Array) -> Array:
    """Layers of land, one behind the other, under an empty sky (landscape)."""
    tone, level = np.full(y.shape, rng.uniform(0, 0.25)), rng.uniform(-0.4, 0.0)
    for layer in _tones(rng, 5)[1:]:
        hill = level + 0.07 * np.sin(rng.uniform(2, 5) * x + rng.uniform(0, 6))
        tone = np.where(y > hill, layer, tone)
        level += rng.uniform(0.2, 0.4)
    return tone


def portraits(rng: Generator, y: Array, x: Array) -> Array:
    """Head and shoulders before a plain ground (portrait)."""
    (top, middle), near, ground = _centre(rng, 0.4), rng.uniform(0.7, 1.4), rng.uniform(0, 0.2)
    y, x, lean, width = (y - top) / near, (x - middle) / near, rng.uniform(-0.4, 0.4), rng.uniform(0.2, 0.7)
    body = (y > 0.3) & (np.abs(x) < 0.3 + width * np.sqrt(np.clip(y - 0.3, 0, None)))
    head = ((y + 0.15) / 0.45) ** 2 + ((x + lean * (y - 0.3)) / rng.uniform(0.25, 0.4)) ** 2 < 1
    return np.where(head, rng.uniform(0.8, 1), np.where(body, rng.uniform(0.45, 0.65), ground))


def rays(rng: Generator, y: Array, x: Array) -> Array:
    """Wedges from one point to all edges (rayonism)."""
    centre, count = _centre(rng, 0.35), 2 * int(rng.integers(6, 10))
    turn = np.arctan2(y - centre[0], x - centre[1]) / (2 * np.pi) + rng.random()
    return _tones(rng, count)[np.floor(turn * count).astype(int) % count]


def rings(rng: Generator, y: Array, x: Array) -> Array:
    """Rings around one point (orphism)."""
    centre = _centre(rng, 0.35)
    return _bands(rng, np.hypot(y - centre[0], x - centre[1]) / rng.uniform(0.16, 0.22) + rng.random())


def squares(rng: Generator, y: Array, x: Array) -> Array:
    """Squares within squares (homage to the square)."""
    centre = _centre(rng, 0.25)
    distance = np.maximum(np.abs(y - centre[0]), np.abs(x - centre[1]))
    return _bands(rng, distance / rng.uniform(0.2, 0.27) + rng.random())


def strokes(rng: Generator, y: Array, x: Array) -> Array:
    """Short bars in many directions on a plain ground (impressionism)."""
    tone = np.full(y.shape, 0.1)
    for row in np.arange(-1.3, 1.4, 0.42):
        for column in np.arange(-1.3, 1.4, 0.42):
            turn = rng.uniform(0, np.pi)
            aside, along = turned(y - row - rng.uniform(-0.1, 0.1), x - column - rng.uniform(-0.1, 0.1), turn)
            tone[(np.abs(along) < 0.25) & (np.abs(aside) < 0.07)] = rng.uniform(0.6, 1)
    return tone


def waves(rng: Generator, y: Array, x: Array) -> Array:
    """Winding bands side by side (swirls of a night sky)."""
    aside, along = turned(y, x, rng.choice([0, np.pi / 2]) + rng.uniform(-0.4, 0.4))
    band = (aside + rng.uniform(0.16, 0.24) * np.sin(rng.uniform(4, 6) * along + rng.uniform(0, 6))) * 5 + rng.random()
    return _tones(rng, 32)[np.floor(band).astype(int) % 32]


_ALL = (color_grid, dots, facets, horizons, portraits, rays, rings, squares, strokes, waves)
STYLES: dict[str, Style] = {style.__name__.title(): style for style in _ALL}
