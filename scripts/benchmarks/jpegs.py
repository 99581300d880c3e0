"""The pictures: large JPEGs with grain for all sides, made from real or demo paintings, and many small ones."""

import io
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from brushwork import images
from brushwork.paintings import catalogue, demo

LONGER_SIDE = 1100  # pixels
JPEG_BYTES = (250_000, 400_000)
GRAIN = 10  # standard deviation, of 256 levels: without it an enlarged picture is a small file, quickly decoded
SMALL_SIDE = 64  # pixels of `write_small`


def make_large(root: Path | None, number: int, work: Path) -> list[Path]:
    """Enlarge about `number` paintings of root, evenly over its styles, into work/paintings; without root, the
    demo's."""
    if root is None:
        root = work / "demo"
        demo.paint_all(root, per_style(number, len(demo.STYLES)))
    found = catalogue.scan(root)
    found = catalogue.limited(found, per_style(number, len(found.class_names)))
    made = [work / "paintings" / f"{painting.path}.jpg" for painting in found.paintings]

    def make(i: int) -> None:
        made[i].parent.mkdir(parents=True, exist_ok=True)
        made[i].write_bytes(large_jpeg(root / found.paintings[i].path, seed=i))

    with ThreadPoolExecutor() as pool:
        list(tqdm(pool.map(make, range(len(made))), "enlarging", len(made), False, unit=" paintings", disable=None))
    return made


def per_style(number: int, styles: int) -> int:
    return max(2, number // styles)


def large_jpeg(path: Path, seed: int) -> bytes:
    """A picture enlarged to LONGER_SIDE, with grain, as a JPEG of JPEG_BYTES: a binary search for the quality."""
    picture = images.load_rgb(path)
    scale = LONGER_SIDE / max(picture.size)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed).standard_normal((picture.height, picture.width, 1), np.float32) * GRAIN
    picture = Image.fromarray((np.asarray(picture) + grain).round().clip(0, 255).astype(np.uint8))
    low, high = 50, 98
    while True:  # a narrow strip may be too small at any quality: it gets the highest
        quality = (low + high + 1) // 2
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality)
        if JPEG_BYTES[0] <= content.tell() <= JPEG_BYTES[1] or low >= high:
            return content.getvalue()
        low, high = (quality, high) if content.tell() < JPEG_BYTES[0] else (low, quality - 1)


def training_share(paintings: Sequence[Path]) -> int:
    """How many of the paintings train when split=random holds out a fifth of each style."""
    styles = Counter(path.parent for path in paintings)
    return len(paintings) - sum(max(1, round(number / 5)) for number in styles.values())


def write_small(root: Path, pictures: int) -> None:
    """Random color patches as root/Style/artist_title.jpg."""
    rng = np.random.default_rng(0)
    for i in range(pictures):
        path = root / f"Style_{i % 4}" / f"artist-{i % 100}_{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        patches = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        patches.resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BICUBIC).save(path, "JPEG")
