"""Pictures in a grid, each with a caption: what TensorBoard and the figures show of paintings and maps."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from brushwork import images

_BORDER = 6  # pixels around each picture
_PAPER, _INK = "white", "black"


@dataclass(frozen=True)
class Cell:
    """A picture (None leaves the place empty), and lines of text under it."""

    picture: Image.Image | None
    caption: str = ""


@functools.cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: it has the letters of artists' names."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def sheet(
    rows: Sequence[Sequence[Cell]], side: int = 160, titles: Sequence[str] = (), text_size: int = 12
) -> Image.Image:
    """Draw rows of cells, each picture fitted into a square of `side` pixels with its proportions kept.

    Args:
        titles: one above each column.
        text_size: of captions, in pixels; what is too long for its column ends in an ellipsis.
    """
    columns = max(len(row) for row in rows)
    letters = font(text_size)
    line = text_size + 4
    column_width = side + 2 * _BORDER
    title_lines = [title.splitlines() for title in titles]
    top = line * max(map(len, title_lines), default=0) + (_BORDER if titles else 0)
    heights = [side + 2 * _BORDER + line * max(len(cell.caption.splitlines()) for cell in row) for row in rows]
    page = Image.new("RGB", (columns * column_width, top + sum(heights)), _PAPER)
    draw = ImageDraw.Draw(page)

    def write(lines: list[str], column: int, y: int) -> None:
        for number, text in enumerate(lines):
            text = shortened(text, letters, side)
            draw.text((column * column_width + _BORDER, y + number * line), text, _INK, letters)

    for column, lines in enumerate(title_lines):
        write(lines, column, _BORDER)
    y = top
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            if cell.picture is not None:
                fitted = _fit(cell.picture, side)
                left = column * column_width + _BORDER + (side - fitted.width) // 2
                page.paste(fitted, (left, y + _BORDER + (side - fitted.height) // 2))
            write(cell.caption.splitlines(), column, y + _BORDER + side + 2)
        y += height
    return page


def pick(groups: Sequence[str], count: int, seed: int) -> list[int]:
    """`count` positions (or all), drawn by `seed`, the groups in turn: paintings of every style.

    >>> sorted(["a", "a", "a", "b", "c"][i] for i in pick(["a", "a", "a", "b", "c"], 3, seed=0))
    ['a', 'b', 'c']
    """
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    turns, seen = {}, Counter()
    for position in order:
        turns[position] = (seen[groups[position]], groups[position])
        seen[groups[position]] += 1
    return sorted(order, key=turns.__getitem__)[:count]


def title(path: str) -> str:
    """What an ArtGAN file name says.

    >>> title("Baroque/caravaggio_bacchus-1595.jpg")
    'caravaggio: bacchus 1595'
    """
    return Path(path).stem.replace("_", ": ", 1).replace("_", " ").replace("-", " ")


def samples(root: Path, paintings: Sequence[tuple[str, str]], per_style: int, max_megapixels: float) -> Image.Image:
    """Sample paintings of each style with titles (report, figure 1): the same ones for the same paintings.

    Args:
        paintings: (path under `root`, style) of each.
    """
    styles = [style for _, style in paintings]
    chosen = sorted(pick(styles, per_style * len(set(styles)), seed=0), key=lambda i: paintings[i][::-1])
    cells = [
        Cell(images.load_rgb(root / path, max_megapixels), f"{style}\n{title(path)}")
        for path, style in (paintings[i] for i in chosen)
    ]
    return in_columns(cells, columns=2 * per_style, side=160)


def in_columns(cells: Sequence[Cell], columns: int, **options: Any) -> Image.Image:
    """A sheet of `columns` columns; `options` as for `sheet`."""
    return sheet([cells[start : start + columns] for start in range(0, len(cells), columns)], **options)


def _fit(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    size = tuple(max(1, round(length * scale)) for length in picture.size)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)


def shortened(text: str, letters: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or as much of it and an ellipsis as `width` pixels hold."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
