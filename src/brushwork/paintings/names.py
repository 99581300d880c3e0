"""File names of paintings, artist_title.jpg: made, parsed, repaired after broken downloads, and compared."""

import re
import unicodedata

LONGEST = 100  # bytes of an artist or a title: file systems allow 255 in all

# UTF-8 decoded as Latin-1 and then put in lower case, as in ArtGAN's names: "é" became "ã©". In some downloads the
# second character is "_", so that the artist seems to end there.
_MOJIBAKE = re.compile("[\u00e2-\u00fe][\u0080-\u00bf]")
_HALF_MOJIBAKE = re.compile("([\u00e2\u00e3])_(?=.*_)")


def slug(text: str) -> str:
    """
    >>> slug("Joaquín Sorolla"), slug("Study (No. 2)")
    ('joaquín-sorolla', 'study-no-2')
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", text).lower())
    return "-".join(words).encode()[:LONGEST].decode(errors="ignore").strip("-")


def file_stem(artist: str, title: str, identifier: str) -> str:
    """A file name without extension; the unique `identifier` replaces a missing title, and titles of unknown artists.

    >>> file_stem("Claude Monet", "Water Lilies", "03-00012"), file_stem("Claude Monet", "", "03-00012")
    ('claude-monet_water-lilies', 'claude-monet_03-00012')
    >>> file_stem("", "Water Lilies", "03-00012")
    'unknown_03-00012'
    """
    artist, title = slug(artist), slug(title)
    return f"{artist}_{title or identifier}" if artist else f"unknown_{identifier}"


def artist_and_title(stem: str) -> tuple[str, str]:
    """The parts of artist_title; an unknown artist is "".

    >>> artist_and_title("claude-monet_water-lilies_2"), artist_and_title("unknown_03-00012")
    (('claude-monet', 'water-lilies_2'), ('', '03-00012'))
    """
    artist, underscore, title = stem.partition("_")
    return ("" if artist == "unknown" else artist, title) if underscore else ("", stem)


def year_in(stem: str) -> str:
    """The last year in a file's name, as WikiArt has it; "" for none.

    >>> [year_in(f"a_b{end}") for end in ("-1889", "-1912-2", "-1890(1)", "-1503-1506", "-18890")]
    ['1889', '1912', '1890', '1506', '']
    """
    return next(reversed(re.findall(r"[-_](1\d{3}|20[0-2]\d)(?!\d)", stem)), "")


def repaired(stem: str) -> str:
    """A stem with its accents restored as far as possible.

    >>> repaired("joaquã\\xadn-sorolla_aim-of-ibiza"), repaired("joão-da-silva_são-paulo")
    ('joaquín-sorolla_aim-of-ibiza', 'joão-da-silva_são-paulo')
    >>> repaired("eugã_ne-grasset_the-acid-thrower")  # half of the letter is lost: the artist stays in one piece
    'eugã-ne-grasset_the-acid-thrower'
    """

    def original(pair: re.Match) -> str:
        first, second = pair[0]
        try:
            return bytes([ord(first) - 0x20, ord(second)]).decode()
        except UnicodeDecodeError:
            return pair[0]

    stem = _HALF_MOJIBAKE.sub(r"\1-", _MOJIBAKE.sub(original, unicodedata.normalize("NFC", stem)))
    return "_".join(part.strip() for part in stem.split("_"))  # "georges-lacombe" ends with a no-break space


def name_key(stem: str) -> str:
    """What the spellings of one file name share when downloads lose accents, brackets and underscores.

    >>> {name_key(f"{artist}-grasset_youth{n}") for artist in ("eugã_ne", "eugã¨ne", "eugène") for n in ("_1_", "(1)")}
    {'eugne-grassetyouth1'}
    """
    return re.sub("[^a-z0-9-]", "", unicodedata.normalize("NFC", stem).lower())
