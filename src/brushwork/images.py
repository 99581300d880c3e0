"""Any image file to an upright 8-bit RGB picture, or a UserError that names the file."""

import io
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from tqdm import tqdm

from brushwork import picture_metadata
from brushwork.errors import UserError, one_line, unknown

if TYPE_CHECKING:  # torch takes seconds to import, which a check of files does not need
    from torch import Tensor

T, R = TypeVar("T"), TypeVar("R")

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp"),
    *(".dib", ".tif", ".tiff", ".avif", ".avifs", ".jp2", ".j2k", ".jpx", ".tga", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# Pictures that are not read: most by Pillow, raw ones and documents by choice.
UNREADABLE = (".heic", ".heif", ".jxl", ".svg", ".raw", ".dng", ".cr2", ".nef", ".arw", ".psd", ".eps", ".pdf")
BACKGROUND = (255, 255, 255)  # behind transparent pixels, and around pictures with data.resize=pad
MIN_SIDE = 32  # pixels: a picture with a shorter side is reported

_TURNS = {  # what makes a picture of an EXIF orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Our own limit, checked at every open, replaces Pillow's warning at 89 megapixels; its error at twice that stays.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of metadata, which we don't use


def is_image_file(name: str) -> bool:
    """Whether a file's name has the extension of an image."""
    return name.lower().endswith(EXTENSIONS)


# Files and folders that systems and network storages make beside people's own: Windows, macOS, Linux, QNAP, Synology.
_SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "picasa.ini", "$recycle.bin", "recycler", "recycled"),
    *("system volume information", "$extend", "$winreagent", "lost+found", "network trash folder"),
    *("temporary items", "#recycle", "#snapshot", "_macosx"),
}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is hidden or made by the system: ._x.jpg, .ipynb_checkpoints, Thumbs.db, __MACOSX."""
    made_by_system = name.lower() in _SYSTEM or re.fullmatch(r"found\.\d{3}", name.lower())
    # @eaDir, @Recycle, __MACOSX, __pycache__; but "@name.jpg" is somebody's picture
    return name.startswith(".") or bool(made_by_system) or (name.startswith(("@", "__")) and not is_image_file(name))


def count_others(names: Iterable[str]) -> str:
    """The counts of files that are no readable images by extension, and what to do about those that are pictures.

    >>> count_others(["a.txt", "b.HEIC", "README", "c.heic"])
    '2 .heic, 1 .txt, 1 without extension (convert .heic to JPEG to use them)'
    """
    counts = Counter(Path(name).suffix.lower() or "without extension" for name in names)
    pictures = [kind for kind, _ in counts.most_common() if kind in UNREADABLE]
    hint = f" (convert {', '.join(pictures)} to JPEG to use them)" if pictures else ""
    return ", ".join(f"{count} {kind}" for kind, count in counts.most_common()) + hint


def read(
    path: Path | str, use: Callable[[Image.Image], R], max_megapixels: float = 89, content: bytes | None = None
) -> R:
    """What `use` makes of an opened file; each error of opening or decoding it becomes a UserError that names the file.

    Where that fails it is tried again without the file's metadata, which may be broken where the pixels are sound.
    """

    def attempt(content: bytes | None, orientation: int = 1) -> R:
        with Image.open(path if content is None else io.BytesIO(content)) as image:
            megapixels = image.width * image.height / 1e6
            if megapixels > max_megapixels:
                raise UserError(
                    f"{path}: {megapixels:.0f} megapixels, over the limit of {max_megapixels:g}; "
                    f"make it smaller, or raise the limit, max_megapixels (178 at most)"
                )
            if orientation != 1:
                image.getexif()[ExifTags.Base.Orientation] = orientation
            return use(image)

    try:
        if (Path(path).stat().st_size if content is None else len(content)) == 0:
            raise UserError(f"{path}: not an image (0 bytes); fetch it again or remove it")
        try:
            return attempt(content)
        except UserError:
            raise
        except Exception as error:  # of any kind: Pillow has no class of its own for broken content
            if getattr(error, "errno", None) is not None:  # the system's
                raise
            bare = picture_metadata.removed(Path(path).read_bytes() if content is None else content)
            if bare is None:
                raise
        return attempt(*bare)
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(f"{path}: not an image; fetch it again or remove it") from None
    except Image.DecompressionBombError:
        raise UserError(f"{path}: over Pillow's limit of 178 megapixels; make it smaller") from None
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; correct its name") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read it; change its permissions") from None
    except Exception as error:
        raise UserError(f"{path}: cannot be decoded ({one_line(error)}); fetch it again or remove it") from None


def load_rgb(
    path: Path | str, max_megapixels: float = 89, content: bytes | None = None, at_least: int | None = None
) -> Image.Image:
    """Read an image file as an upright RGB picture of 8 bits a channel.

    EXIF orientation is applied; CMYK, grey and palette pictures become RGB; transparent pixels show `BACKGROUND`;
    16-bit greys are scaled to 8 bit (Pillow's own conversion clips them to white). Raises a UserError if the file is
    no image, is truncated, or has more than `max_megapixels`.

    Args:
        content: the file's bytes, if already read; `path` is then only a name for errors.
        at_least: a JPEG may be decoded faster at 1/2, 1/4 or 1/8 of its size, if both sides keep so many pixels.
    """

    def decode(image: Image.Image) -> Image.Image:
        if at_least is not None:
            image.draft(None, (at_least, at_least))
        return upright_rgb(image)

    return read(path, decode, max_megapixels, content)


def orientation(image: Image.Image) -> int:
    """An opened picture's orientation by EXIF, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # of any kind, as in `read`
        found = picture_metadata.tiff_orientation(image.info.get("exif", b"").removeprefix(b"Exif\0\0"))
    return found if found in range(1, 9) else 1


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened picture as `load_rgb` returns it."""
    image.load()
    if (turn := _TURNS.get(orientation(image))) is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I"):  # "I;16" and its byte orders, or "I": 16 bits in 32
        grey = np.asarray(image).astype(np.float64)
        if image.mode != "I" or grey.max(initial=0) > 255:
            grey = grey / 257  # 65535 becomes 255
        image = Image.fromarray(grey.round().clip(0, 255).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("32-bit floats have no standard range")
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, (*BACKGROUND, 255))
        image = Image.alpha_composite(background, image.convert("RGBA"))
    return image.convert("RGB")


def thumbnail(path: Path, side: int, max_megapixels: float = 89) -> Image.Image:
    """`load_rgb` with at most `side` pixels a side: a fast way to check that a file decodes to its end."""
    picture = load_rgb(path, max_megapixels, at_least=side)
    picture.thumbnail((side, side))
    return picture


def encoded(picture: Image.Image, kind: str, quality: int) -> bytes:
    """A picture as the content of a file, `kind` "JPEG" or "WEBP"."""
    content = io.BytesIO()
    comment = picture.info.get("comment", b"")  # which Pillow would write along; a JPEG's has at most 64 kB
    kept = comment if isinstance(comment, bytes) and len(comment) < 2**16 - 2 else b""
    picture.save(content, kind, quality=quality, **({"comment": kept} if kind == "JPEG" else {}))
    return content.getvalue()


def in_threads(function: Callable[[T], R], items: Sequence[T], task: str, unit: str) -> Iterator[tuple[T, R]]:
    """Each item with what `function` returns for it, in order, with a progress bar; an interrupt cancels the rest."""
    pool = ThreadPoolExecutor()
    try:
        bar = tqdm(items, desc=task, unit=f" {unit}", leave=False, disable=None)
        yield from zip(bar, pool.map(function, items), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def default_workers(devices: int = 1) -> int:
    """The number of decoding processes: one fewer than this process's cores, divided among the devices; 1 to 8."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, (cores - 1) // devices))


def resize(image: Image.Image, size: int, how: str = "squash") -> Image.Image:
    """A picture of `size` x `size` pixels, bilinear with antialiasing.

    "squash" changes the aspect ratio (the report), "crop" takes the largest square in the middle, "pad" adds
    `BACKGROUND` along the shorter side.
    """
    from torchvision.transforms.functional import pil_to_tensor, to_pil_image

    return to_pil_image(_square(pil_to_tensor(image), size, how))


def load_square(path: Path | str, size: int, how: str = "squash", max_megapixels: float = 89) -> "Tensor":
    """`resize(load_rgb(path), size, how)` as uint8 (size, size, 3), in 60 % of the time: torchvision decodes JPEGs."""
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.functional import pil_to_tensor

    def decode(image: Image.Image) -> "Tensor":
        if image.format == "JPEG" and image.mode == "RGB" and orientation(image) == 1:
            image.fp.seek(0)
            content = torch.frombuffer(bytearray(image.fp.read()), dtype=torch.uint8)
            return decode_jpeg(content, ImageReadMode.RGB)
        return pil_to_tensor(upright_rgb(image))

    return _square(read(path, decode, max_megapixels), size, how).permute(1, 2, 0).contiguous()


def _square(pixels: "Tensor", size: int, how: str) -> "Tensor":
    """uint8 (3, height, width) to (3, size, size). torch resizes bytes in a fifth of Pillow's time."""
    from torch.nn.functional import interpolate, pad

    def resized(pixels: "Tensor", *shape: int) -> "Tensor":
        return interpolate(pixels[None], shape, mode="bilinear", antialias=True)[0]

    height, width = pixels.shape[1:]
    shortest, longest = sorted((height, width))
    if how == "squash":
        return resized(pixels, size, size)
    if how == "crop":
        top, left = (height - shortest) // 2, (width - shortest) // 2
        return resized(pixels[:, top : top + shortest, left : left + shortest], size, size)
    if how == "pad":
        height, width = (max(1, round(side * size / longest)) for side in (height, width))
        top, left = (size - height) // 2, (size - width) // 2
        borders = left, size - width - left, top, size - height - top
        return pad(resized(pixels, height, width), borders, value=BACKGROUND[0])
    raise unknown("data.resize", how, ("squash", "crop", "pad"))
