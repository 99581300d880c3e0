"""Names of files and styles as text that any terminal, page, figure and log takes."""

import re

# Half of a surrogate pair (Python's stand-in for a byte that is not UTF-8), what moves a cursor or ends a line, and
# what reverses the text after it.
_UNREADABLE = re.compile("[\ud800-\udfff\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def readable(text: str, keep: str = "") -> str:
    r"""The text with escapes for bytes that are not UTF-8 and for control characters, but for those in `keep`.

    >>> readable("caf\udce9\n")
    'caf\\xe9\\n'
    >>> readable("two\nlines\x1b[2J", keep="\n")
    'two\nlines\\x1b[2J'
    """
    return _UNREADABLE.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def shortened(text: str, length: int) -> str:
    """The text, or its start and an ellipsis.

    >>> shortened("Neoclassicism", 8), shortened("Cubism", 8)
    ('Neoclas…', 'Cubism')
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode()
