"""What is known of a photo before any network sees it: where its objects are, and its true class."""

import csv
import functools
import io
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from brushwork import images
from brushwork.errors import UserError
from brushwork.models.predictor import Predictor
from brushwork.saliency.evaluation.localisation import Box

log = logging.getLogger(__name__)

_SIDES = ("left", "top", "right", "bottom")
# ImageNet has two classes of either name. torchvision calls one of them otherwise, file names don't.
_NAMED_ALIKE = {"crane": "crane bird", "maillot": "maillot tank suit"}


@dataclass
class Truth:
    """What is known of a photo; nothing, perhaps.

    target: the index of its class.
    polygons: one of (x, y) points for each outline, as shares of the upright photo's width and height.
    boxes: (left, top, right, bottom) in pixels of the upright photo; right and bottom are just outside.
    """

    photo: Path
    target: int | None = None
    polygons: list[list[tuple[float, float]]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


def known(
    photos: Sequence[Path], predictor: Predictor, table: Path | None = None, outlines: bool = True
) -> list[Truth]:
    """What is known of each photo.

    A table has a header with `photo` (the file's name, or a path from the table's folder, or an absolute one) and any
    of `class` (a name or an index) and `left`, `top`, `right`, `bottom`; several rows of a photo are several boxes.
    Where it has no box for a photo, outlines come from PHOTO.txt beside it, as YOLO has them: a line an outline,
    `class x y x y ...`, x and y from 0 to 1. Where it has no class, the class is `class_by_name`'s.

    Args:
        outlines: false reads no PHOTO.txt: it may be something else.

    Raises:
        UserError: names the file and the line of what is no table, no outline, no box or no class of the network.
    """
    truths = [Truth(photo) for photo in photos]
    if table is not None:
        _read_table(table, truths, predictor)
    for truth in truths:
        if outlines and not truth.boxes:
            truth.polygons = _read_polygons(truth.photo.with_suffix(".txt"))
        if truth.target is None:
            truth.target = class_by_name(truth.photo, predictor.class_names)
    return truths


def class_by_name(photo: Path, class_names: Sequence[str]) -> int | None:
    """The class that a photo's own name is, or else its folder's; None where it is none, or that of several.

    Underscores are spaces, case does not count, ImageNet's number in front is left out.

    >>> class_by_name(Path("n02110185_Siberian_husky.JPEG"), ["tabby", "Siberian husky"])
    1
    >>> class_by_name(Path("Art_Nouveau/alphonse-mucha_moon.jpg"), ["Art_Nouveau", "Baroque"])
    0
    """
    photo = photo.absolute()
    for text in (photo.stem, photo.parent.name):
        name = re.sub(r"^n\d{8}_", "", text)
        # ImageNet itself tells a Cardigan, a dog, from a cardigan.
        spelling = str.casefold if name == text else str
        wanted = spelling(name.replace("_", " "))
        found = _by_spelling(tuple(class_names), spelling).get(wanted, [])
        if len(found) == 1 and _NAMED_ALIKE.get(wanted.casefold()) not in class_names:
            return found[0]
    return None


@functools.cache
def _by_spelling(class_names: tuple[str, ...], spelling: Callable[[str], str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, name in enumerate(class_names):
        found.setdefault(spelling(name.replace("_", " ")), []).append(index)
    return found


def mask(truth: Truth, size: tuple[int, int], predictor: Predictor) -> np.ndarray | None:
    """Where the network sees the photo's objects, (height, width) bool of its input; None where it sees none.

    All outlines or boxes together go through the network's own preprocessing as a picture; a pixel is the object's if
    more than half of it is. None is where the photo has no outline or box, and where all are cropped away or too small.

    Args:
        size: (width, height) of the upright photo, as `images.load_rgb` gives it.

    Raises:
        UserError: a box reaches beyond the photo.
    """
    width, height = size
    drawn = Image.new("RGB", size, images.BACKGROUND)  # what preprocessing pads with is no object
    draw = ImageDraw.Draw(drawn)
    for polygon in truth.polygons:
        draw.polygon([(x * width, y * height) for x, y in polygon], fill=0)
    for left, top, right, bottom in truth.boxes:
        if right > width or bottom > height:
            raise UserError(
                f"{truth.photo}: its box {left} {top} {right} {bottom} reaches beyond its {width} x {height} pixels; "
                f"give boxes in pixels of the upright photo"
            )
        draw.rectangle((left, top, right - 1, bottom - 1), fill=0)
    seen = np.asarray(predictor.shown(predictor.transform(drawn)).convert("L")) < 128
    return seen if seen.any() else None


def box(mask: np.ndarray) -> Box:
    """The smallest (left, top, right, bottom) around the largest connected piece of a mask, as `segment.segment`'s."""
    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    largest = np.bincount(pieces[mask]).argmax()
    rows, columns = ndimage.find_objects(pieces)[largest - 1]
    return columns.start, rows.start, columns.stop, rows.stop


def _read_polygons(path: Path) -> list[list[tuple[float, float]]]:
    if not path.is_file():
        return []
    polygons = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            _, *values = map(float, line.split())
        except ValueError:
            raise UserError(
                f"{path} line {number}: expected an outline, class x y x y ..., but got '{line[:40]}'"
            ) from None
        if len(values) < 6 or len(values) % 2:
            raise UserError(
                f"{path} line {number}: expected an outline, class x y x y ... of three points or more, but got "
                f"{len(values)} numbers after the class"
            )
        outside = [value for value in values if not 0 <= value <= 1]
        if outside:
            raise UserError(
                f"{path} line {number}: {outside[0]:g} is not from 0 to 1; give shares of the photo's width and height"
            )
        polygons.append(list(zip(values[::2], values[1::2], strict=True)))
    return polygons


def _read_table(path: Path, truths: list[Truth], predictor: Predictor) -> None:
    """Puts the table's classes and boxes into the truths."""
    if not path.is_file():
        raise UserError(
            f"there is no file {path.resolve()}: name a CSV with the columns photo, class, {', '.join(_SIDES)}"
        )
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    columns = reader.fieldnames or []
    sides = [side for side in _SIDES if side in columns]
    if "photo" not in columns or not ("class" in columns or sides) or len(sides) not in (0, 4):
        raise UserError(
            f"{path} line 1: expected the columns photo, and class or {', '.join(_SIDES)} or both, but got "
            f"{', '.join(columns) or 'nothing'}"
        )
    places: dict[Path | str, list[Truth]] = {}
    for truth in truths:
        for place in (truth.photo.resolve(), truth.photo.name):
            places.setdefault(place, []).append(truth)
    foreign = 0
    for row in reader:
        where = f"{path} line {reader.line_num}"
        photo = row["photo"] or ""
        found = places.get((path.parent / photo).resolve()) or places.get(photo, [])
        if len({truth.photo.resolve() for truth in found}) > 1:
            raise UserError(f"{where}: {photo} is the name of {len(found)} photos; give its path")
        box = _box([row[side] for side in sides], where)
        target = _target(row.get("class"), predictor, where)
        foreign += not found
        for truth in found:  # the same photo may be asked for twice
            if box is not None:
                truth.boxes.append(box)
            if None not in (target, truth.target) and target != truth.target:
                raise UserError(f"{where}: {photo} is {predictor.class_names[truth.target]} in an earlier line")
            truth.target = truth.target if target is None else target
    if foreign:
        log.warning("%s: ignored %d rows of photos that were not asked for", path, foreign)


def _target(text: str | None, predictor: Predictor, where: str) -> int | None:
    if not text:
        return None
    try:
        return predictor.class_index(text)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _box(texts: list[str | None], where: str) -> Box | None:
    if not any(texts):
        return None
    given = " ".join(text or "-" for text in texts)
    try:
        left, top, right, bottom = (round(float(text or "")) for text in texts)
    except (ValueError, OverflowError):
        raise UserError(f"{where}: expected {' '.join(_SIDES)} in pixels, but got {given}") from None
    if not (0 <= left < right and 0 <= top < bottom):
        raise UserError(
            f"{where}: the box {given} holds no pixel or begins before 0; give left < right and top < bottom"
        )
    return left, top, right, bottom


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Excel begins its files with a mark
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save it as such") from None
