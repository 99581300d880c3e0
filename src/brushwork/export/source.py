"""What an exported checkpoint comes from: its run folder, the epoch in it, its paintings."""

import itertools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from brushwork import contact_sheet, csv_files, files, images, run_folder
from brushwork.errors import UserError
from brushwork.models.published import KEY
from brushwork.paintings import demo
from brushwork.paintings.demo_styles import STYLES
from brushwork.preprocessing import Preprocessing
from brushwork.study import runs
from brushwork.study.runs import Run

log = logging.getLogger(__name__)

CHECKED = 32  # pictures on which an export is compared with its checkpoint
CALIBRATED = 128  # training paintings on which ranges of 8 bits are found


@dataclass(frozen=True)
class Source:
    """A finished run, and which of its epochs the checkpoint has: "best", "last" or None."""

    run: Run
    epoch: str | None
    root: Path  # of its paintings

    def rows(self, part: str) -> list[dict[str, str]]:
        """Of split.csv: path, style and artist of the paintings of a part; none where the run kept no split."""
        path = self.run.folder / run_folder.SPLIT
        return [row for row in csv_files.read(path) if row["part"] == part] if path.exists() else []

    @property
    def is_demo(self) -> bool:
        """Whether it was trained on the demo's procedural pictures."""
        return bool(self.run.config["data"].get("paint_demo"))

    def known_artists(self, part: str) -> float | None:
        """The share of a part's paintings whose artists are in the training part, too; None without any artists."""
        artists = {row["artist"] for row in self.rows("train")} - {""}
        of_part = [row["artist"] for row in self.rows(part)]
        return sum(artist in artists for artist in of_part) / len(of_part) if artists and any(of_part) else None

    def counts(self) -> dict[str, int]:
        """How many paintings each part has."""
        return dict(Counter(part for part in ("train", "val", "test", "known") for _ in self.rows(part)))


def find(checkpoint: Path, content: Mapping[str, Any], data: Path | None = None) -> Source | None:
    """The run in whose folder a checkpoint lies; None where there is none, or one of another split.

    `data` is where its paintings are now, if not where they were in training.
    """
    folder, described = checkpoint.resolve().parent.parent, content[KEY]
    if not (folder / run_folder.RESULT).is_file():
        return None
    try:
        ((run,), _) = runs.find_all([folder])
    except (UserError, ValueError) as error:
        log.warning("%s: its figures are not used: %s", folder, error)
        return None
    if run.result["split_hash"] != described.get("split_hash"):
        log.warning("%s: its figures are not used: it was trained on another split than %s", folder, checkpoint)
        return None
    epochs = {name: (run.result[name] or {}).get("epoch") for name in ("best", "last")}
    epoch = next((name for name, number in epochs.items() if number == content.get("epoch", -2) + 1), None)
    root = data or Path(files.expanded(str((run.config.get("data") or {}).get("root", ""))))
    if data and not data.is_dir():
        raise UserError(f"there is no folder {data.resolve()}: --data names the folder of the run's paintings")
    return Source(run, epoch, root)


class Pictures(NamedTuple):
    """Pictures, uint8 (pictures, height, width, 3), and what they are.

    `by_pillow` has the same ones as Pillow resizes them, which takers of an export do.
    """

    pixels: np.ndarray
    by_pillow: np.ndarray
    what: str


def for_check(source: Source | None, used: Preprocessing) -> Pictures:
    """Validation paintings of the run, of all styles; else some that the demo paints."""
    paths = chosen(source, "val", CHECKED) if source else []
    if len(paths) == CHECKED:
        pictures, what = map(images.load_rgb, paths), f"{CHECKED} validation paintings"
    else:
        styles = itertools.islice(itertools.cycle(STYLES), CHECKED)
        pictures = (demo.paint(style, number, 300) for number, style in enumerate(styles))
        what = f"{CHECKED} pictures that the demo paints"
    pairs = [(images.resize(one, used.image_size, used.resize), by_pillow(one, used)) for one in pictures]
    return Pictures(*(np.stack([np.asarray(one) for one in column]) for column in zip(*pairs, strict=True)), what)


def by_pillow(picture: Image.Image, used: Preprocessing) -> Image.Image:
    """As the example of the model card resizes it."""
    size, how = (used.image_size, used.image_size), Image.Resampling.BILINEAR
    if used.resize == "crop":
        side, (left, top) = min(picture.size), ((length - min(picture.size)) // 2 for length in picture.size)
        picture = picture.crop((left, top, left + side, top + side))
    elif used.resize == "pad":
        whole, picture = ImageOps.contain(picture, size, how), Image.new("RGB", size, images.BACKGROUND)
        picture.paste(whole, tuple((used.image_size - length) // 2 for length in whole.size))
    return picture.resize(size, how)


def chosen(source: Source, part: str, count: int) -> list[Path]:
    """The files of `count` paintings of a part, of all styles in turn; fewer where there are no more."""
    rows = source.rows(part)
    found = [rows[i] for i in contact_sheet.pick([row["style"] for row in rows], count, seed=0)]
    paths = [source.root / row["path"] for row in found]
    return [path for path in paths if path.is_file()]


def batch(paths: Sequence[Path], used: Preprocessing) -> np.ndarray:
    """uint8 (pictures, height, width, 3), as training's validation reads them."""
    load = images.load_square
    return np.stack([load(path, used.image_size, used.resize).numpy() for path in paths])
