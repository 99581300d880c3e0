"""A table of text, its first row the heading, as the terminal and Markdown show it."""

import re
from collections.abc import Iterator

from brushwork.readable import readable
from brushwork.terminal import WIDTH

Table = list[list[str]]


def plain(table: Table, width: int = WIDTH) -> Iterator[str]:
    """A table's lines for the terminal; columns that `width` can't hold follow below, under the first column again."""
    table = [[readable(cell) for cell in row] for row in table]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(widths)):
        if blocks[-1] and sum(widths[c] + 2 for c in (*blocks[-1], column)) + widths[0] > width:
            blocks.append([])
        blocks[-1].append(column)
    for number, block in enumerate(blocks):
        if number:
            yield ""
        for row in table:
            yield "  ".join(f"{row[column]:<{widths[column]}}" for column in (0, *block)).rstrip()


def markdown(table: Table) -> str:
    """A table as Markdown; its first row is the heading."""
    table = [[cell(text) for text in row] for row in table]
    lines = [table[0], ["---"] * len(table[0]), *table[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: object) -> str:
    r"""Text for a cell of a Markdown table: no name in it ends the cell, or is taken for HTML.

    >>> cell("a|b"), cell("<script>"), cell("p < 0.1")
    ('a\\|b', '\\<script>', 'p < 0.1')
    """
    return re.sub(r"\||<(?=[a-zA-Z/!?])", r"\\\g<0>", readable(str(text)))
