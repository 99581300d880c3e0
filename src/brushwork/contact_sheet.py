"""Pictures in a grid, each with a caption, for TensorBoard and the figures."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from brushwork import fonts, images
from brushwork.errors import UserError
from brushwork.readable import readable

_BORDER = 6  # pixels around each picture


class Cell(NamedTuple):
    """A picture (None: an empty cell), and lines of text under it."""

    picture: Image.Image | None
    caption: str = ""


def sheet(
    rows: Sequence[Sequence[Cell]], side: int = 160, titles: Sequence[str] = (), text_size: int = 12
) -> Image.Image:
    """Draw rows of cells, each picture fitted into a square of `side` pixels with its proportions kept.

    `titles` has one for each column. `text_size` is in pixels; what is too long for its column ends in an ellipsis.
    """
    line, column_width = text_size + 4, side + 2 * _BORDER
    y = line * max((len(heading.splitlines()) for heading in titles), default=0) + (_BORDER if titles else 0)
    heights = [side + 2 * _BORDER + line * max(len(cell.caption.splitlines()) for cell in row) for row in rows]
    page = Image.new("RGB", (max(map(len, rows)) * column_width, y + sum(heights)), "white")
    draw = ImageDraw.Draw(page)

    def write(text: str, column: int, y: int) -> None:
        for number, words in enumerate(text.splitlines()):
            place, words = (column * column_width + _BORDER, y + number * line), readable(words)
            letters = fonts.for_line(words, text_size)
            draw.text(place, shortened(words, letters, side), "black", letters)

    for column, heading in enumerate(titles):
        write(heading, column, _BORDER)
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            if cell.picture is not None:
                scale = side / max(cell.picture.size)
                size = tuple(max(1, round(length * scale)) for length in cell.picture.size)
                fitted = cell.picture.resize(size, Image.Resampling.BILINEAR)
                left = column * column_width + _BORDER + (side - fitted.width) // 2
                page.paste(fitted, (left, y + _BORDER + (side - fitted.height) // 2))
            write(cell.caption, column, y + _BORDER + side + 2)
        y += height
    return page


def pick(groups: Sequence[str], count: int, seed: int) -> list[int]:
    """`count` positions (or all), drawn by `seed`, the groups in turn: paintings of every style.

    >>> sorted(["a", "a", "a", "b", "c"][i] for i in pick(["a", "a", "a", "b", "c"], 3, seed=0))
    ['a', 'b', 'c']
    """
    order = np.random.default_rng(seed).permutation(len(groups)).tolist()
    seen = defaultdict(itertools.count)
    turns = {position: (next(seen[groups[position]]), groups[position]) for position in order}
    return sorted(order, key=turns.__getitem__)[:count]


def title(path: str) -> str:
    """A painting's title from its path.

    >>> title("Baroque/caravaggio_bacchus-1595.jpg")
    'caravaggio: bacchus 1595'
    """
    return readable(Path(path).stem).replace("_", ": ", 1).replace("_", " ").replace("-", " ")


def samples(root: Path, paintings: Sequence[tuple[str, str]], per_style: int, max_megapixels: float) -> Image.Image:
    """Sample paintings of each style with titles (report, figure 1); `paintings` are (path under `root`, style).

    One that can't be read is an empty cell; UserError where none can.
    """
    styles = [style for _, style in paintings]
    chosen = [paintings[i] for i in pick(styles, per_style * len(set(styles)), seed=0)]
    cells, problem = [], None
    for path, style in sorted(chosen, key=lambda painting: painting[::-1]):
        try:
            picture = images.load_rgb(root / path, max_megapixels)
        except UserError as error:
            picture, problem = None, error
        cells.append(Cell(picture, f"{style}\n{title(path)}"))
    if problem and not any(cell.picture for cell in cells):
        raise problem
    return in_columns(cells, columns=2 * per_style, side=160)


def in_columns(cells: Sequence[Cell], columns: int, **options: Any) -> Image.Image:
    """A sheet of `columns` columns; `options` as for `sheet`."""
    return sheet([cells[start : start + columns] for start in range(0, len(cells), columns)], **options)


def shortened(text: str, letters: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, or as much of it and an ellipsis as `width` pixels hold."""
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
