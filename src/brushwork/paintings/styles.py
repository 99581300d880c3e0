"""The names of styles: one folder name for all spellings."""

import functools
import unicodedata

# fmt: off
# The report's ten, in the order of its catalogue's labels 0 to 9.
REPORT = (
    "Art_Nouveau_Modern", "Baroque", "Expressionism", "Impressionism", "Neoclassicism", "Post_Impressionism",
    "Realism", "Romanticism", "Surrealism", "Symbolism",
)

# ArtGAN's 27, in the order of its labels 0 to 26.
ARTGAN = (
    "Abstract_Expressionism", "Action_painting", "Analytical_Cubism", "Art_Nouveau_Modern", "Baroque",
    "Color_Field_Painting", "Contemporary_Realism", "Cubism", "Early_Renaissance", "Expressionism", "Fauvism",
    "High_Renaissance", "Impressionism", "Mannerism_Late_Renaissance", "Minimalism", "Naive_Art_Primitivism",
    "New_Realism", "Northern_Renaissance", "Pointillism", "Pop_Art", "Post_Impressionism", "Realism", "Rococo",
    "Romanticism", "Symbolism", "Synthetic_Cubism", "Ukiyo_e",
)
# fmt: on

# Other names of styles in downloads, as keys of `style_key`.
ALIASES = {"art_nouveau": "art_nouveau_modern"}


@functools.cache
def style_key(name: str) -> str:
    """What all spellings of a style's name share.

    >>> style_key("Art Nouveau (Modern)"), style_key("Art_Nouveau"), style_key("Naïve Art (Primitivism)")
    ('art_nouveau_modern', 'art_nouveau_modern', 'naive_art_primitivism')
    """
    letters = (c for c in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(c))
    key = "_".join("".join(c if c.isalnum() else " " for c in letters).split())
    return ALIASES.get(key, key)


_FOLDERS = {style_key(name): name for name in (*ARTGAN, *REPORT)}


def folder_name(name: str) -> str:
    """The folder of a style: ArtGAN's name where it has one, else the given name's words joined by "_".

    >>> folder_name("post-impressionism"), folder_name("Magic Realism")
    ('Post_Impressionism', 'Magic_Realism')
    """
    words = "".join(c if c.isalnum() else " " for c in unicodedata.normalize("NFC", name)).split()
    return _FOLDERS.get(style_key(name), "_".join(words))
