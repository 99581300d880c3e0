"""Fonts that have the characters of a name: DejaVu Sans, which matplotlib brings, and what is installed beside it."""

import functools
import logging
import re
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FT2Font
from PIL import ImageFont

log = logging.getLogger(__name__)

_DEJAVU = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
_reported: set[str] = set()  # characters that no font has


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """The characters that a font can draw at any size; none of one that can't be read."""
    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap() if font.scalable else ())
    except Exception:  # of FreeType, of any kind
        return frozenset()


def fallbacks(text: str) -> list[FontEntry]:
    """Installed fonts for the characters that DejaVu Sans lacks. One log line a process names some that no font has."""
    lacking = {c for c in text if c.isprintable() and ord(c) not in _characters(str(_DEJAVU))} - _reported
    found = []
    if lacking:

        def rank(entry: FontEntry) -> tuple[bool, str]:
            return not re.search("CJK|Noto Sans|Unicode", entry.name), entry.fname  # those for many scripts first

        entries = (entry for entry in font_manager.fontManager.ttflist if "Last Resort" not in entry.name)  # boxes
        for entry in sorted(entries, key=rank):
            if has := {c for c in lacking if ord(c) in _characters(entry.fname)}:
                found.append(entry)
                lacking -= has
            if not lacking:
                break
        if lacking and not _reported:
            some = "".join(sorted(lacking)[:10])
            log.warning(
                "no installed font has %s: pictures show boxes for such characters (fonts-noto-cjk has many)", some
            )
        _reported.update(lacking)
    return found


@functools.cache
def _sized(path: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size)


def for_line(text: str, size: int) -> ImageFont.FreeTypeFont:
    """For Pillow, which draws a line with one font: DejaVu Sans, or the fallback with the most of its characters."""
    paths = [str(_DEJAVU), *(entry.fname for entry in fallbacks(text))]
    return _sized(max(paths, key=lambda path: sum(ord(c) in _characters(path) for c in text)), size)
