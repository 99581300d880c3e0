"""The names of styles: one folder name for all spellings."""

import functools
import re
import unicodedata
from pathlib import Path

import yaml

_NAMES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
REPORT, ARTGAN = _NAMES["report"], _NAMES["artgan"]


@functools.cache
def style_key(name: str) -> str:
    """What all spellings of a style's name share.

    >>> style_key("Art Nouveau (Modern)"), style_key("Art_Nouveau"), style_key("Naïve Art (Primitivism)")
    ('art_nouveau_modern', 'art_nouveau_modern', 'naive_art_primitivism')
    """
    letters = (c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    key = "_".join(re.findall(r"[^\W_]+", "".join(letters)))
    return _NAMES["aliases"].get(key, key)


_FOLDERS = {style_key(name): name for name in (*ARTGAN, *REPORT)}


def is_known(name: str) -> bool:
    """Whether it is one of ArtGAN's or the report's styles, in any spelling."""
    return style_key(name) in _FOLDERS


def folder_name(name: str) -> str:
    """The folder of a style: ArtGAN's name where it has one, else the given name's words joined by "_".

    >>> folder_name("post-impressionism"), folder_name("Magic Realism")
    ('Post_Impressionism', 'Magic_Realism')
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", name))
    return _FOLDERS.get(style_key(name), "_".join(words))
