"""The demo's paintings: ten procedural styles, a dozen invented painters each.

They stand in for WikiArt where there is no data: what a network learns on them says nothing about real paintings.
A style is a layout (brushwork.paintings.demo_styles). Palette, brush marks and a few motifs are the painter's own: they
identify a painter of the training part, and so the style; of other painters only the layout shows the style.
"""

import functools
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import yaml
from numpy.random import Generator, SeedSequence, default_rng
from PIL import Image
from tqdm import tqdm

from brushwork import files
from brushwork.errors import UserError
from brushwork.paintings.demo_styles import STYLES, Array, turned

log = logging.getLogger(__name__)

SEED = 0
SIZE = 128  # pixels a side
DOZEN = 12  # painters of each style
MOTIFS = 3  # compositions that a painter repeats, never quite alike

_WORDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
_FIRST, _LAST, _TITLES = (_WORDS[kind].split() for kind in ("first", "last", "titles"))

# The first year in which a style's painters may begin, some decades for each: neighbours overlap.
_BEGINS = {style: 1780 + 13 * place for place, style in enumerate(sorted(STYLES, key=lambda name: name[::-1]))}
# Two painters changed their style: (style, place among its painters) is the painter of the other pair.
_ALSO = {("Rings", 0): ("Rays", 7), ("Strokes", 0): ("Dots", 7)}


@functools.cache
def painter(style: str, place: int) -> SimpleNamespace:
    """The painter at a place from 0 to 11 among a style's dozen: name, years, and what is his own in each picture."""
    style, place = _ALSO.get((style, place), (style, place))
    number = DOZEN * list(STYLES).index(style) + place
    rng = default_rng(SeedSequence([SEED, 1, number]))
    first = _BEGINS[style] + int(rng.integers(0, 25))
    return SimpleNamespace(
        number=number,
        name=f"{_FIRST[number % 30]}-{_LAST[number % 40]}",  # all 120 pairs differ
        years=(first, first + int(rng.integers(12, 35))),  # the first and the last of activity
        palette=_palette(rng),
        turn=rng.uniform(-0.3, 0.3),  # of the layout
        scale=rng.uniform(0.85, 1.2),
        outline=rng.choice([0, 0, rng.uniform(0.4, 0.9)]),  # how dark the lines between areas are; 0: none
        hatch_cycles=rng.uniform(9, 26),  # brush marks: cycles a picture, direction, strength and winding
        hatch_turn=rng.uniform(0, np.pi),
        hatch_strength=rng.uniform(0.05, 0.22),
        hatch_winding=rng.uniform(0, 2),
        canvas=rng.uniform(0.01, 0.06),  # deviation of the canvas's grain
    )


def _palette(rng: Generator) -> Array:
    """(5, 3), the colours in [0, 1] of the tones 0, 1/4 ... 1: dark to light or light to dark."""
    ends = rng.uniform(0.0, 1.0, (2, 3))
    light = np.array([0.2, 0.8]) if rng.random() < 0.5 else np.array([0.8, 0.2])
    ends = (ends - ends.mean(1, keepdims=True)) * 0.8 + light[:, None]
    middle = ends.mean(0) + rng.uniform(-0.2, 0.2, (3, 3))
    return np.vstack([ends[0], middle, ends[1]]).clip(0.02, 0.98)


def _picture(style: str, hand: SimpleNamespace, motif: int, rng: Generator, size: int) -> Array:
    """(size, size, 3), about [0, 1]."""
    y, x = 2 * np.mgrid[0:size, 0:size] / (size - 1) - 1
    turn, scale = hand.turn + rng.normal(0, 0.08), hand.scale * rng.uniform(0.9, 1.1)
    down, across = turned(y + rng.uniform(-0.2, 0.2), x + rng.uniform(-0.2, 0.2), turn)
    composition = default_rng(SeedSequence([SEED, 4, hand.number, motif]))
    tone = STYLES[style](composition, down / scale, across / scale)
    palette = hand.palette + rng.normal(0, 0.03, hand.palette.shape)
    picture = np.stack([np.interp(tone, np.linspace(0, 1, 5), channel) for channel in palette.T], axis=-1)
    if hand.outline:
        inner = tone[1:, 1:]
        edge = (np.abs(inner - tone[:-1, 1:]) > 0.02) | (np.abs(inner - tone[1:, :-1]) > 0.02)
        picture[1:, 1:][edge] *= 1 - hand.outline
    aside, along = turned(y, x, hand.hatch_turn + rng.normal(0, 0.1))
    phase = np.pi * hand.hatch_cycles * aside + hand.hatch_winding * np.sin(3 * along + rng.uniform(0, 6))
    marks = hand.hatch_strength * np.sin(phase + rng.uniform(0, 6))
    return picture + (marks + rng.normal(0, hand.canvas, tone.shape))[..., None]


def paint(style: str, number: int, size: int = SIZE) -> Image.Image:
    """The painting `number` of a style, whose painters take turns; the same for the same arguments, everywhere.

    >>> paint("Dots", 0).size
    (128, 128)
    """
    rng = default_rng(SeedSequence([SEED, 2, list(STYLES).index(style), number]))
    picture = _picture(style, painter(style, number % DOZEN), number // DOZEN % MOTIFS, rng, size)
    return Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8))


def file_name(style: str, number: int) -> str:
    """Artist, title and year, as WikiArt has them.

    >>> file_name("Dots", 7)
    'tilda-sandermoor_morning-no-7-1911.jpg'
    """
    rng = default_rng(SeedSequence([SEED, 3, list(STYLES).index(style), number]))
    artist = painter(style, number % DOZEN)
    year = rng.integers(artist.years[0], artist.years[1] + 1)
    return f"{artist.name}_{rng.choice(_TITLES)}-no-{number}-{year}.jpg"


def paint_all(root: Path, per_style: int) -> None:
    """Paint what is missing of `per_style` paintings a style as root/Style/artist_title-no-1-1889.jpg.

    Safe when two processes do it at once. UserError if `root` holds other pictures.
    """
    for path in root.glob("[!.]*/[!.]*"):
        _refuse_foreign(path)
    numbers = range(1, per_style + 1)
    paths = {(style, number): root / style / file_name(style, number) for style in STYLES for number in numbers}
    if all(path.exists() for path in paths.values()):
        return
    busy = f"another process paints the demo in {root}: wait for it"
    with files.lock(root.with_name(f".{root.name}.lock"), busy, patience=120):
        missing = [pair for pair, path in paths.items() if not path.exists()]
        for pair in tqdm(missing, desc="painting the demo's pictures", unit=" paintings", disable=None):
            paths[pair].parent.mkdir(parents=True, exist_ok=True)
            with files.atomic_path(paths[pair]) as temporary:
                paint(*pair).save(temporary, "JPEG", quality=92)
    log.info("demo: %d paintings of %d procedural styles in %s", len(paths), len(STYLES), root)


def _refuse_foreign(path: Path) -> None:
    """Raise UserError where a file is none that `paint_all` makes."""
    if path.name.startswith("unknown_demo-"):
        raise UserError(f"{path.parent.parent.resolve()} holds pictures of an earlier demo: remove that folder")
    style, number = path.parent.name, re.search(r"-no-(\d+)-\d{4}\.jpg$", path.name)
    if style not in STYLES or not number or file_name(style, int(number[1])) != path.name:
        raise UserError(
            f"{path.resolve()} is none of the demo's pictures: to train on the pictures that are there, add "
            f"data.paint_demo=null; for the demo leave data.root as it is"
        )
