"""Broken metadata costs no picture (FAULTS 48): the pixels are those of the file without it, and upright."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brushwork import images
from brushwork.errors import UserError
from brushwork.paintings import demo
from brushwork.paintings.checks import facts

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, which only pytest shows

PICTURE = demo.paint("Strokes", 1, 96).resize((96, 64))
# EXIF with orientation 6 and a resolution of -1/0, which Pillow can read and not write.
TIFF = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 2, 0x0112, 3, 1, 6) + struct.pack("<HHII", 0x011A, 10, 1, 38)
TIFF += bytes(4) + struct.pack("<ii", -1, 0)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
BIG = zlib.compress(bytes(3 << 20))  # over Pillow's limit for a text


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(images.load_rgb("a", content=content))


def upright(content: bytes) -> np.ndarray:
    return np.rot90(pixels(content), -1)  # what orientation 6 asks for


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    clean = saved("JPEG")
    return (
        clean[:2]
        + b"".join(struct.pack(">BBH", 255, kind, len(body) + 2) + body for kind, body in segments)
        + clean[2:]
    )


def png_with(kind: bytes, body: bytes, wrong_sum: bool = False, at_end: bool = False) -> bytes:
    clean = saved("PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong_sum)
    where = len(clean) - 12 if at_end else 33
    return clean[:where] + chunk + clean[where:]


@pytest.mark.parametrize(
    ("content", "is_turned"),
    [
        (jpeg_with((0xE1, b"Exif\0\0" + TIFF)), True),
        (jpeg_with((0xE1, b"Exif\0\0" + TIFF[:31])), True),  # ends in the second entry
        (jpeg_with((0xE1, b"Exif\0\0" + TIFF), (0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0" + bytes(range(40)))), True),
        (jpeg_with((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), (0xE2, b"MPF\0II*\0\xff\0\0\0")), True),
        (jpeg_with((0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"), (0xE0, b"JFIF\0"), (0xEE, b"Adobe")), False),
        (jpeg_with((0xE2, b"ICC_PROFILE\0\1\x09" + bytes(60)), (0xFE, b"\xff" * 60_000)), False),
        (png_with(b"tEXt", b"Comment\0a painting", wrong_sum=True), False),
        (png_with(b"tEXt", b"Comment\0a painting", wrong_sum=True, at_end=True), False),
        (png_with(b"zTXt", b"Comment\0\0" + BIG), False),
        (png_with(b"iTXt", b"Comment\0\1\0\0\0" + BIG, at_end=True), False),
        (png_with(b"iCCP", b"profile\0\0" + BIG), False),
        (png_with(b"iCCP", b"profile\0\0" + BIG[:50]), False),
        (png_with(b"eXIf", TIFF), True),
        (png_with(b"eXIf", TIFF, wrong_sum=True), True),
        (png_with(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP, wrong_sum=True), True),
        (saved("WEBP", exif=b"Exif\0\0" + TIFF, icc_profile=b"none", xmp=b"<"), True),
    ],
)
def test_the_pixels_are_used_and_upright(tmp_path: Path, content: bytes, is_turned: bool) -> None:
    clean = saved({b"\xff": "JPEG", b"\x89": "PNG", b"R": "WEBP"}[content[:1]])
    expected = upright(clean) if is_turned else pixels(clean)
    assert np.array_equal(pixels(content), expected)
    path = tmp_path / "a.img"
    path.write_bytes(content)
    side = images.resize(Image.fromarray(expected), 24)
    assert np.array_equal(images.load_square(path, 24).numpy(), np.asarray(side))
    found = facts.inspect(path)
    assert (found.reason, found.width, found.height, found.turned) == ("", *expected.shape[1::-1], is_turned)


def test_transparency_with_a_wrong_checksum() -> None:
    file = io.BytesIO()
    PICTURE.save(file, "PNG", transparency=PICTURE.getpixel((3, 3)))
    content = bytearray(file.getvalue())
    start = content.index(b"tRNS")
    content[start + 4 + 6] ^= 1  # the first byte of its sum
    assert np.array_equal(pixels(bytes(content)), pixels(file.getvalue()))


def test_broken_pixels_beside_broken_metadata_are_named() -> None:
    good, rng = png_with(b"tEXt", b"Comment\0a painting", wrong_sum=True), random.Random(0)
    first = good.index(b"IDAT") + 8
    for _ in range(30):
        broken = bytearray(good)
        broken[rng.randrange(first, len(good) - 20)] ^= 0x41
        for content in (bytes(broken), good[: rng.randrange(first, len(good) - 40)]):
            with pytest.raises(UserError, match=r"x\.png: cannot be decoded"):
                images.load_rgb("x.png", content=content)
    cut = jpeg_with((0xE1, b"Exif\0\0" + TIFF), (0xE2, b"MPF\0II*\0\xff\0\0\0"))[:-300]
    with pytest.raises(UserError, match=r"x\.jpg: cannot be decoded .*truncated"):
        images.load_rgb("x.jpg", content=cut)


def test_a_second_frame_that_is_cut_off() -> None:
    file = io.BytesIO()
    PICTURE.save(file, "MPO", save_all=True, append_images=[PICTURE])
    content = file.getvalue()
    assert np.array_equal(pixels(content[: content.rindex(b"\xff\xd8") + 40]), pixels(saved("JPEG")))


def test_a_text_that_no_jpeg_can_hold() -> None:
    """A PNG's text of this name would become a JPEG's comment, which has at most 64 kB."""
    picture = images.load_rgb("x", content=png_with(b"tEXt", b"comment\0" + b"x" * 70_000))
    again = images.load_rgb("x", content=images.encoded(picture, "JPEG", 100))
    assert again.size == picture.size


def mutated(body: bytes, rng: random.Random) -> bytes:
    """Metadata with one of four kinds of damage, of at most its length."""
    damaged = bytearray(body)
    match rng.randrange(4):
        case 0:
            for _ in range(8):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        case 1:
            del damaged[rng.randrange(len(damaged)) :]
        case 2:
            start = rng.randrange(len(damaged) - 4)
            damaged[start : start + 4] = rng.choice([b"\xff\xff\xff\xff", bytes(4), b"\x08\0\0\0"])
        case 3:
            damaged = bytearray(rng.randbytes(len(damaged)))
    return bytes(damaged)


def fuzzed_jpeg(rng: random.Random) -> bytes:
    bodies = [(0xE1, b"Exif\0\0" + TIFF), (0xE2, b"ICC_PROFILE\0\1\1" + bytes(200)), (0xFE, b"a comment")]
    bodies += [(0xE2, b"MPF\0" + TIFF), (0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\0\0\0\x10" + bytes(16))]
    return jpeg_with(*((kind, mutated(body, rng)) for kind, body in rng.sample(bodies, 3)))


def fuzzed_png(rng: random.Random) -> bytes:
    kind, body = rng.choice(
        [(b"eXIf", TIFF), (b"iCCP", b"p\0\0" + BIG), (b"pHYs", bytes(9)), (b"acTL", bytes(8)), (b"fcTL", bytes(26))]
    )
    return png_with(kind, mutated(body, rng), rng.random() < 0.5, rng.random() < 0.5)


def fuzzed_webp(rng: random.Random) -> bytes:
    return saved("WEBP", exif=mutated(TIFF, rng) or b"x", icc_profile=mutated(XMP, rng) or b"x")


def fuzzed_tiff(rng: random.Random) -> bytes:
    """With a new directory at the end: the old entries, and others that point anywhere."""
    clean = saved("TIFF")
    clean += bytes(len(clean) % 2)
    start = int.from_bytes(clean[4:8], "little")
    count = int.from_bytes(clean[start : start + 2], "little")
    entries = [clean[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    for tag in rng.sample([270, 305, 306, 315, 333, 700, 33723, 34377, 34665, 34675, 34853], 4):
        kind, length, offset = (
            rng.choice([0, 2, 5, 7, 13]),
            rng.choice([0, 9, 2**31]),
            rng.choice([0, start, 2**32 - 1]),
        )
        entries.append(struct.pack("<HHII", tag, kind, length, offset))
    directory = struct.pack("<H", len(entries)) + b"".join(sorted(entries)) + struct.pack("<I", rng.choice([0, start]))
    return clean[:4] + struct.pack("<I", len(clean)) + clean[8:] + directory


def fuzzed_gif(rng: random.Random) -> bytes:
    clean = saved("GIF")
    start = 13 + 3 * 2 ** ((clean[10] & 7) + 1)
    body = mutated(b"NETSCAPE2.0 and more", rng)
    extension = b"!" + rng.choice([b"\xff", b"\xfe", b"\x01"]) + bytes([len(body)]) + body + b"\0" * (len(body) > 0)
    return clean[:start] + extension + clean[start:]


def fuzzed_avif(rng: random.Random) -> bytes:
    content = saved("AVIF", quality=90, exif=TIFF[:12].replace(b"\2", b"\0") + bytes(60), xmp=XMP)
    start = content.index(b"II*\0")
    damage = mutated(content[start : start + 40], rng)
    return content[:start] + damage + content[start + len(damage) :]


def fuzzed_bmp(rng: random.Random) -> bytes:
    clean = bytearray(saved("BMP"))
    clean[38:46] = rng.randbytes(8)  # pixels a metre
    return bytes(clean)


@pytest.mark.parametrize(
    "fuzzed", [fuzzed_jpeg, fuzzed_png, fuzzed_webp, fuzzed_tiff, fuzzed_gif, fuzzed_avif, fuzzed_bmp]
)
def test_damaged_metadata_changes_no_pixel(fuzzed: Callable[[random.Random], bytes]) -> None:
    """However it is damaged; it may turn the picture."""
    kind, rng = fuzzed.__name__.removeprefix("fuzzed_").upper(), random.Random(0)
    clean = pixels(saved(kind, **({"quality": 90} if kind == "AVIF" else {})))
    turned = [np.rot90(side, times) for side in (clean, clean[::-1]) for times in range(4)]
    for _ in range(40):
        found = pixels(fuzzed(rng))
        assert any(np.array_equal(found, one) for one in turned)
