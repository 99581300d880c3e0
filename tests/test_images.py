"""Every kind of image file, good and bad (FAULTS 1 to 6, 10)."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from brushwork import images
from brushwork.errors import UserError
from brushwork.paintings import demo


def small(path: Path) -> Image.Image:
    return images.thumbnail(path, 64)


def square(path: Path) -> torch.Tensor:
    return images.load_square(path, 24)


def test_truncated_jpeg_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    demo.paint("Waves", 0).save(path)
    path.write_bytes(path.read_bytes()[:-800])
    for read in (images.load_rgb, small, square):
        with pytest.raises(UserError, match=r"cut\.jpg: cannot be decoded .*truncated.*fetch it again"):
            read(path)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html><body>403 Forbidden</body></html>"])
def test_empty_file_and_html_page_are_no_images(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(content)
    for read in (images.load_rgb, small, square):
        with pytest.raises(UserError, match=r"page\.jpg: not an image"):
            read(path)


@pytest.mark.parametrize(("width", "message"), [(10_000, "90 megapixels, over the limit of 89"), (20_000, "178")])
def test_pixel_limit(tmp_path: Path, width: int, message: str) -> None:
    path = tmp_path / "huge.png"
    Image.new("1", (width, 9_000)).save(path)
    with pytest.raises(UserError, match=message):
        small(path)
    assert Image.MAX_IMAGE_PIXELS is not None  # Pillow's guard stands


def test_pixel_limit_can_be_raised(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 9_000)).save(path)
    assert images.thumbnail(path, 100, max_megapixels=100).size == (100, 90)


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "LA", "RGBA", "1", "RGB"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    Image.new("RGB", (8, 6), (255, 255, 255)).convert(mode).save(path)
    picture = images.load_rgb(path)
    assert picture.mode == "RGB"
    assert picture.size == (8, 6)
    assert np.asarray(picture).min() >= 250


def test_transparent_pixels_show_the_background(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(path)
    assert images.load_rgb(path).getpixel((0, 0)) == images.BACKGROUND


def test_16_bit_grey_is_scaled(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    values = np.array([[0, 257 * 10, 257 * 128, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(path)
    assert np.asarray(images.load_rgb(path))[0, :, 0].tolist() == [0, 10, 128, 255]


def test_dark_16_bit_grey_stays_dark(tmp_path: Path) -> None:
    path = tmp_path / "dark.png"
    Image.fromarray(np.full((4, 4), 200, dtype=np.uint16)).save(path)
    assert images.load_rgb(path).getpixel((0, 0)) == (1, 1, 1)  # 200 of 65535


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    picture = Image.new("RGB", (60, 20), (0, 0, 0))
    picture.paste((255, 255, 255), (0, 0, 30, 20))  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    picture.save(path, exif=exif)
    upright = images.load_rgb(path)
    assert upright.size == (20, 60)
    assert upright.getpixel((10, 5))[0] > 200  # left has become top
    assert upright.getpixel((10, 55))[0] < 50


def test_file_name_is_not_ascii(tmp_path: Path) -> None:
    path = tmp_path / "josé-clemente-orozco_prométhée.jpg"
    demo.paint("Dots", 0).save(path)
    assert images.load_rgb(path).size == (128, 128)


def test_squash_equals_torchvision() -> None:
    """Against torchvision's antialiased bilinear resize of the same bytes."""
    picture = demo.paint("Facets", 3).resize((170, 90))
    theirs = v2.functional.resize(torch.from_numpy(np.array(picture)).permute(2, 0, 1), [64, 64], antialias=True)
    ours = torch.from_numpy(np.array(images.resize(picture, 64))).permute(2, 0, 1)
    assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize("how", ["squash", "crop", "pad"])
@pytest.mark.parametrize("kind", ["plain", "turned", "L", "CMYK", "png", "progressive"])
def test_square_has_the_pixels_of_resize(tmp_path: Path, kind: str, how: str) -> None:
    """Whichever decoder reads the file."""
    picture = demo.paint("Strokes", 4).resize((151, 90))
    path = tmp_path / ("a.png" if kind == "png" else "a.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6 if kind == "turned" else 1
    picture = picture.convert(kind) if kind in ("L", "CMYK") else picture
    picture.save(path, exif=exif, progressive=kind == "progressive")
    theirs = np.asarray(images.resize(images.load_rgb(path), 64, how))
    assert np.array_equal(images.load_square(path, 64, how).numpy(), theirs)


def test_crop_cuts_and_pad_adds() -> None:
    wide = Image.new("RGB", (90, 30), (0, 0, 0))
    wide.paste((200, 0, 0), (30, 0, 60, 30))  # the middle third
    assert images.resize(wide, 30, "crop").getcolors() == [(900, (200, 0, 0))]
    padded = np.asarray(images.resize(wide, 30, "pad"))
    assert (padded[:9] == 255).all()
    assert (padded[15, 1] == 0).all()
    with pytest.raises(UserError, match="squash, crop, pad"):
        images.resize(wide, 30, "stretch")


def test_damaged_avif(tmp_path: Path) -> None:
    demo.paint("Strokes", 1, 64).save(tmp_path / "a.avif")
    content = (tmp_path / "a.avif").read_bytes()
    pixels = content.index(b"mdat") + 4
    (tmp_path / "a.avif").write_bytes(content[:pixels] + bytes(len(content) - pixels))
    for read in (images.load_rgb, small, square):
        with pytest.raises(UserError, match=r"a\.avif: cannot be decoded"):
            read(tmp_path / "a.avif")


def test_nothing_but_user_errors(tmp_path: Path) -> None:
    """Random damage to each format: a picture or a UserError that names the file, never another error."""
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.img"
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "AVIF"):
        file = io.BytesIO()
        demo.paint("Strokes", 1, 32).save(file, kind)
        for _ in range(40):
            content = bytearray(file.getvalue())
            for position in rng.integers(0, len(content), 12):
                content[position] = rng.integers(256)
            path.write_bytes(content[: rng.integers(1, len(content))])
            for read in (images.load_rgb, small, square):
                try:
                    read(path)
                except UserError as error:
                    assert str(path) in str(error)


def test_bytes_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    demo.paint("Waves", 0).save(path)
    content = path.read_bytes()
    assert images.load_rgb("anything", content=content).tobytes() == images.load_rgb(path).tobytes()
    for bad, reason in ((content[:-800], "cannot be decoded"), (b"<html>", "not an image"), (b"", "not an image")):
        with pytest.raises(UserError, match=f"http://x/y: {reason}"):
            images.load_rgb("http://x/y", content=bad)


@pytest.mark.parametrize(
    ("at_least", "size"), [(None, (960, 640)), (320, (480, 320)), (321, (960, 640)), (1, (120, 80))]
)
def test_jpegs_may_be_decoded_smaller(tmp_path: Path, at_least: int | None, size: tuple[int, int]) -> None:
    demo.paint("Facets", 0).resize((960, 640)).save(tmp_path / "large.jpg", quality=95)
    assert images.load_rgb(tmp_path / "large.jpg", at_least=at_least).size == size
    content = (tmp_path / "large.jpg").read_bytes()
    with pytest.raises(UserError, match="truncated"):
        images.load_rgb("cut", content=content[: len(content) // 2], at_least=at_least)
