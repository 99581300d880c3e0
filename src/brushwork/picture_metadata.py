"""A picture file without its metadata: for files whose pixels are sound, and whose metadata Pillow fails on."""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator

_ORIENTATION = 0x0112  # a tag of EXIF and TIFF
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff])", re.DOTALL)
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_WEBP_METADATA = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # and their flags in the chunk VP8X
# Tags that TIFF's decoders use: size, compression, strips and tiles, colours, tables of JPEG and fax.
_TIFF_PIXELS = {*range(256, 260), 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, *range(322, 326), 332}
_TIFF_PIXELS |= {336, 338, 339, 347, *range(512, 522), 529, 530, 531, 532}
# The type of an entry in AVIF's list of items, by the version of that entry.
_AVIF_METADATA = re.compile(rb"(infe(?:\x02.{7}|\x03.{9}))(?:Exif|mime)", re.DOTALL)

_Parts = tuple[bytes, list[bytes]]  # the content that is kept, and the pieces that are left out


def removed(content: bytes) -> tuple[bytes, int] | None:
    """The content of a JPEG, PNG, WebP, TIFF, GIF or AVIF file without metadata, and its orientation (1 to 8).

    What the pixels depend on is kept as it is, faults included. None where nothing can be left out.
    """
    if content.startswith(b"\xff\xd8\xff"):
        kept, dropped = _jpeg(content)
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        kept, dropped = _png(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kept, dropped = _webp(content)
    elif content.startswith((b"II*\0", b"MM\0*")):
        kept, dropped = _tiff(content)
    elif content.startswith(b"GIF8") and len(content) > 13:
        kept, dropped = _gif(content)
    elif content[4:8] == b"ftyp":  # AVIF turns pictures by properties of its own
        kept, dropped = _AVIF_METADATA.sub(rb"\1skip", content), []
    else:
        return None
    return None if kept == content else (kept, _orientation(dropped))


def tiff_orientation(content: bytes) -> int | None:
    """The orientation in EXIF data (from its "II" or "MM" on) or in a TIFF file, if it can be had (1 to 8)."""
    number = _reader(content)
    for entry in _tiff_entries(content):
        if number(entry, 2) == _ORIENTATION:
            value = number(entry + 8, 4 if number(entry + 2, 2) == 4 else 2)  # type 4: 32 bits
            return value if value in range(1, 9) else None
    return None


def _orientation(dropped: Iterable[bytes]) -> int:
    for piece in dropped:
        header = re.search(rb"II\*\0|MM\0\*", piece[:32])
        if header and (found := tiff_orientation(piece[header.start() :])):
            return found
    for piece in dropped:
        if found := re.search(rb"tiff:Orientation(?:=[\"']|>)([1-8])", piece):
            return int(found[1])
    return 1


def _jpeg(content: bytes) -> _Parts:
    """Without APPn and comments before the first scan, but for what libjpeg takes the colours from: JFIF and Adobe."""
    kept, dropped, position = [content[:2]], [], 2
    while marker := _JPEG_MARKER.search(content, position):  # as libjpeg does, over whatever lies between
        kind, position = marker[1][0], marker.end()
        if kind == 0xDA:  # a scan
            return b"".join([*kept, b"\xff\xda", content[position:]]), dropped
        if kind == 0x01 or 0xD0 <= kind <= 0xD8:  # these have no length
            continue
        length = max(2, int.from_bytes(content[position : position + 2]))
        body = content[position + 2 : position + length]
        is_jfif = kind == 0xE0 and body[:5] == b"JFIF\0" and len(body) >= 14
        is_adobe = kind == 0xEE and body[:5] == b"Adobe" and len(body) >= 12
        if (0xE0 <= kind <= 0xEF or kind == 0xFE) and not (is_jfif or is_adobe):
            dropped.append(body)
        else:
            kept.append(bytes([0xFF, kind]) + content[position : position + length])
        position += length
    return content, dropped


def _png(content: bytes) -> _Parts:
    """Without the chunks that no pixel depends on; tRNS, an ancillary chunk that they do depend on, has a new sum."""
    kept, dropped, position = [content[:8]], [], 8
    while position + 8 <= len(content):
        length, kind = int.from_bytes(content[position : position + 4]), content[position + 4 : position + 8]
        chunk = content[position : position + 12 + length]
        if kind == b"tRNS":
            chunk = chunk[: 8 + length] + zlib.crc32(chunk[4 : 8 + length]).to_bytes(4)
        (kept if kind in _PNG_PIXELS else dropped).append(chunk)
        position += 12 + length
    return b"".join(kept), dropped


def _webp(content: bytes) -> _Parts:
    kept, dropped, position = [], [], 12
    while position + 8 <= len(content):
        length, kind = int.from_bytes(content[position + 4 : position + 8], "little"), content[position : position + 4]
        chunk = content[position : position + 8 + length + length % 2]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([chunk[8] & ~sum(_WEBP_METADATA.values())]) + chunk[9:]
        (dropped if kind in _WEBP_METADATA else kept).append(chunk)
        position += len(chunk)
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body, dropped


def _tiff(content: bytes) -> _Parts:
    """With the first directory's entries for pixels alone, written over it: what they point to stays in its place."""
    number, entries = _reader(content), list(_tiff_entries(content))
    if not entries:
        return content, []
    pixels = [content[entry : entry + 12] for entry in entries if number(entry, 2) in _TIFF_PIXELS]
    count = len(pixels).to_bytes(2, "little" if content[:2] == b"II" else "big")
    directory = count + b"".join(pixels) + bytes(4)  # zeros: no further directory
    start = entries[0] - 2
    return content[:start] + directory + content[start + len(directory) :], [content]


def _gif(content: bytes) -> _Parts:
    """Without extensions before the first picture, but for the one with its transparency."""
    position = 13 + (3 * 2 ** ((content[10] & 7) + 1) if content[10] & 0x80 else 0)
    kept = [content[:position]]
    while content[position : position + 1] == b"!":
        end = position + 2
        while end < len(content) and (size := content[end]):  # a block
            end += 1 + size
        end += 1
        if content[position + 1 : position + 2] == b"\xf9":
            kept.append(content[position:end])
        position = end
    return b"".join([*kept, content[position:]]), []


def _reader(content: bytes) -> Callable[[int, int], int]:
    """For numbers in EXIF or TIFF data, by position and size in bytes."""
    order = "little" if content[:2] == b"II" else "big"
    return lambda position, size: int.from_bytes(content[position : position + size], order)


def _tiff_entries(content: bytes) -> Iterator[int]:
    """Where the entries of the first directory begin, 12 bytes each."""
    number = _reader(content)
    first = number(4, 4) + 2
    yield from range(first, min(first + 12 * number(first - 2, 2), len(content) - 11), 12)
