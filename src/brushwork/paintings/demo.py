"""The demo's paintings: ten procedural styles that differ in texture, as painting styles do.

They stand in for WikiArt where there is no data: what a network learns on them says nothing about
real paintings. Each painter takes a random generator and a size and returns (size, size, 3) in [0, 1].
Colours are drawn anew for each painting, so that mostly the texture tells the style.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from PIL import Image
from tqdm import tqdm

from brushwork import files
from brushwork.errors import UserError

log = logging.getLogger(__name__)

SEED = 0
SIZE = 128  # pixels a side

Array = np.ndarray


def _colors(rng: Generator, count: int) -> Array:
    """(count, 3) colours in [0.05, 0.95]."""
    return rng.uniform(0.05, 0.95, (count, 3))


def _coordinates(size: int) -> tuple[Array, Array]:
    """Two (size, size) arrays: y and x in [0, 1]."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    return y, x


def _clouds(rng: Generator, size: int, cells: int) -> Array:
    """(size, size) smooth noise in [0, 1] with features of 1 / cells of the picture."""
    coarse = Image.fromarray(rng.random((cells + 1, cells + 1)).astype(np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 1).astype(float)


def _blend(weight: Array, first: Array, second: Array) -> Array:
    return weight[..., None] * first + (1 - weight[..., None]) * second


def _nearest(rng: Generator, size: int, count: int) -> tuple[Array, Array]:
    """For each pixel the nearest of `count` random points, and the distance to it."""
    y, x = _coordinates(size)
    points = rng.random((count, 2))
    distance = np.hypot(y[..., None] - points[:, 0], x[..., None] - points[:, 1])
    return distance.argmin(-1), distance.min(-1)


def soft_gradients(rng: Generator, size: int) -> Array:
    """Colours that flow into one another over the whole picture (colour field painting)."""
    a, b, c = _colors(rng, 3)
    return _blend(_clouds(rng, size, 2), _blend(_clouds(rng, size, 2), a, b), c)


def dots(rng: Generator, size: int) -> Array:
    """Small round dots of pure colour on a light ground (pointillism)."""
    cell, distance = _nearest(rng, size, int(rng.integers(180, 320)))
    colors = _colors(rng, 4)[rng.integers(0, 4, cell.max() + 1)]
    return np.where((distance < 0.022)[..., None], colors[cell], 0.9)


def strokes(rng: Generator, size: int) -> Array:
    """Short parallel brush strokes in one slanting direction (impressionism)."""
    y, x = _coordinates(size)
    angle = rng.uniform(0.3, 1.2) * rng.choice([-1, 1])
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    row = np.floor((across + 2) * rng.uniform(25, 40)).astype(int)
    column = np.floor((along + 2) * rng.uniform(5, 8) + rng.random(200)[row % 200]).astype(int)
    weight = rng.random((64, 64))[row % 64, column % 64]
    a, b = _colors(rng, 2)
    return _blend(weight, a, b)


def facets(rng: Generator, size: int) -> Array:
    """Flat polygons, each shaded from one edge to the other (cubism)."""
    cell, distance = _nearest(rng, size, int(rng.integers(14, 30)))
    a, b = _colors(rng, 2)
    tone = rng.random(cell.max() + 1)[cell]
    return _blend(tone, a, b) * (1 - 1.8 * distance.clip(0, 0.4))[..., None]


def outlined_areas(rng: Generator, size: int) -> Array:
    """Large flat areas with dark outlines (woodcut, cloisonnism)."""
    level = np.floor(_clouds(rng, size, 4) * 4.999).astype(int)
    edge = np.zeros((size, size), bool)
    for axis in (0, 1):
        for shift in (-1, 1):
            edge |= level != np.roll(level, shift, axis)
    return np.where(edge[..., None], 0.03, _colors(rng, 5)[level])


def dark_with_light(rng: Generator, size: int) -> Array:
    """A dark ground with one soft pool of light (tenebrism)."""
    y, x = _coordinates(size)
    centre = rng.uniform(0.25, 0.75, 2)
    light = np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / rng.uniform(0.01, 0.05))
    ground = 0.12 * _clouds(rng, size, 6)
    return _blend(light, _colors(rng, 1)[0] * 0.5 + 0.5, 0.1 * _colors(rng, 1)[0]) + ground[..., None]


def color_grid(rng: Generator, size: int) -> Array:
    """Rectangles of flat colour between straight dark lines (neo-plasticism)."""
    rows, columns = (np.sort(rng.choice(np.arange(8, size - 8), int(rng.integers(3, 6)), False)) for _ in range(2))
    row, column = np.searchsorted(rows, np.arange(size)), np.searchsorted(columns, np.arange(size))
    picture = _colors(rng, 49)[row[:, None] * 7 + column[None, :]]
    for line in rows:
        picture[line - 1 : line + 2] = 0.05
    for line in columns:
        picture[:, line - 1 : line + 2] = 0.05
    return picture


def splatter(rng: Generator, size: int) -> Array:
    """Drops of many sizes thrown on a light ground (action painting)."""
    y, x = _coordinates(size)
    picture = np.full((size, size, 3), rng.uniform(0.8, 0.95))
    colors = _colors(rng, 3) * 0.7
    for radius in 0.006 + rng.exponential(0.02, int(rng.integers(50, 90))):
        centre = rng.random(2)
        picture[np.hypot(y - centre[0], x - centre[1]) < radius] = colors[rng.integers(3)]
    return picture


def waves(rng: Generator, size: int) -> Array:
    """Winding parallel bands (swirls of a night sky)."""
    y, x = _coordinates(size)
    angle = rng.uniform(0, np.pi)
    phase = rng.uniform(7, 14) * (x * np.cos(angle) + y * np.sin(angle)) + 2.5 * _clouds(rng, size, 3)
    a, b = _colors(rng, 2)
    return _blend(0.5 + 0.5 * np.sin(2 * np.pi * phase), a, b)


def grain(rng: Generator, size: int) -> Array:
    """Fine grain over a slow gradient (sand, rough canvas)."""
    a, b = _colors(rng, 2)
    return _blend(_clouds(rng, size, 2), a, b) + rng.normal(0, 0.16, (size, size, 1))


PAINTERS: dict[str, Callable[[Generator, int], Array]] = {
    "Color_Grid": color_grid,
    "Dark_With_Light": dark_with_light,
    "Dots": dots,
    "Facets": facets,
    "Grain": grain,
    "Outlined_Areas": outlined_areas,
    "Soft_Gradients": soft_gradients,
    "Splatter": splatter,
    "Strokes": strokes,
    "Waves": waves,
}


def paint(style: str, number: int, size: int = SIZE) -> Image.Image:
    """The painting `number` of a style; the same for the same arguments, everywhere.

    >>> paint("Dots", 0).size
    (128, 128)
    """
    seed = SeedSequence([SEED, list(PAINTERS).index(style), number])
    picture = PAINTERS[style](default_rng(seed), size)
    return Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))


def paint_all(root: Path, per_style: int) -> None:
    """Paint what is missing of `per_style` paintings a style as root/Style/unknown_demo-0001.jpg.

    The artist is "unknown", as there is none. Safe when two processes do it at once.

    Raises:
        UserError: `root` holds other pictures.
    """
    for path in root.glob("*/*"):
        if not path.parent.name.startswith(".") and not path.name.startswith((".", "unknown_demo-")):
            raise UserError(
                f"{path.resolve()} is none of the demo's pictures: to train on the pictures that are there, add "
                f"data.paint_demo=null; for the demo leave data.root as it is"
            )
    wanted = [(style, number) for style in PAINTERS for number in range(1, per_style + 1)]
    paths = {pair: root / pair[0] / f"unknown_demo-{pair[1]:04}.jpg" for pair in wanted}
    if all(path.exists() for path in paths.values()):
        return
    with files.lock(root / ".lock", f"another process paints the demo in {root}: wait for it", patience=120):
        missing = [pair for pair in wanted if not paths[pair].exists()]
        for style in PAINTERS:
            (root / style).mkdir(parents=True, exist_ok=True)
        for pair in tqdm(missing, desc="painting the demo's pictures", unit=" paintings", disable=None):
            with files.atomic_path(paths[pair]) as temporary:
                paint(*pair).save(temporary, "JPEG", quality=92)
    log.info("demo: %d paintings of %d procedural styles in %s", len(wanted), len(PAINTERS), root)
