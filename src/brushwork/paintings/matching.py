"""Which file a list means by a name, where downloads, archives and file systems changed its spelling."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable

from brushwork import images
from brushwork.paintings.names import name_key
from brushwork.paintings.styles import style_key


def match(listed: Iterable[str], found: Iterable[str]) -> dict[str, str]:
    """For each found path, the listed one that means it; paths where that is not clear are left out.

    Ever looser spellings are compared: the path as it is, its last two names (case and Unicode's forms aside), then the
    style and the letters of the name; without folders only where one side has none. A spelling counts where it is one
    path's alone, on both sides.

    >>> match(["Baroque/a_b-c.jpg", "wikiart/Cubism/e_f.jpg"], ["Baroque/a-b-c.jpg", "Cubism/e_f.jpg"])
    {'Cubism/e_f.jpg': 'wikiart/Cubism/e_f.jpg', 'Baroque/a-b-c.jpg': 'Baroque/a_b-c.jpg'}
    """
    matched: dict[str, str] = {}
    left, right = dict.fromkeys(listed), dict.fromkeys(found)
    for key in (str, _end, _style_and(str), _style_and(name_key), _style_and(_letters), _style_and(_ascii_letters)):
        _match_by(key, left, right, matched)
    if not all("/" in path for path in (*left, *right)):
        for key in (_file, _name(str), _name(_letters), _name(_ascii_letters)):
            _match_by(key, left, right, matched)
    return matched


def _match_by(
    key: Callable[[str], object], left: dict[str, None], right: dict[str, None], matched: dict[str, str]
) -> None:
    """Move the pairs that share a key with no other path from `left` and `right` to `matched`."""
    by_key: tuple[dict, dict] = defaultdict(list), defaultdict(list)
    for paths, of_side in zip((left, right), by_key, strict=True):
        for path in paths:
            of_side[key(path)].append(path)
    for value, names in by_key[1].items():
        same = by_key[0].get(value, [])
        if value and len(names) == len(same) == 1:
            matched[names[0]] = same[0]
            del left[same[0]], right[names[0]]


def _names(path: str) -> list[str]:
    return [name for name in path.replace("\\", "/").split("/") if name not in ("", ".")]


def _end(path: str) -> str:
    return unicodedata.normalize("NFC", "/".join(_names(path)[-2:])).casefold()


def _file(path: str) -> str:
    return unicodedata.normalize("NFC", _names(path)[-1]).casefold() if _names(path) else ""


def stem(path: str) -> str:
    """A picture's name without folders and extension.

    >>> stem("Baroque/a.b_c.jpg"), stem("a.b_c")
    ('a.b_c', 'a.b_c')
    """
    name = _names(path)[-1] if _names(path) else ""
    return name.rpartition(".")[0] if images.is_image_file(name) else name


def _name(key: Callable[[str], str]) -> Callable[[str], str]:
    return lambda path: key(stem(path))


def _style_and(key: Callable[[str], str]) -> Callable[[str], tuple[str, str] | None]:
    def both(path: str) -> tuple[str, str] | None:
        folder, name = _names(path)[-2:-1], key(stem(path))
        return (style_key(folder[0]), name) if folder and name else None

    return both


def _letters(name: str) -> str:
    """Letters and digits without accents and case, of any script."""
    decomposed = unicodedata.normalize("NFKD", name)
    return re.sub(r"[\W_]", "", "".join(c for c in decomposed if not unicodedata.combining(c)).casefold())


def _ascii_letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", unicodedata.normalize("NFC", name).lower())
