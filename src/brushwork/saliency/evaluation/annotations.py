"""Annotations of photos, where the objects are and the true class: from a CSV, outline files, and file names."""

import csv
import functools
import io
import logging
import re
from collections import defaultdict
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
# ImageNet has two classes of each name. torchvision renames one of them, file names don't.
_NAMED_ALIKE = {"crane": "crane bird", "maillot": "maillot tank suit"}


@dataclass
class Annotation:
    """What is known of a photo, if anything; positions are in the upright photo."""

    photo: Path
    target: int | None = None  # the index of its class
    polygons: list[list[tuple[float, float]]] = field(default_factory=list)  # (x, y) as shares of width and height
    boxes: list[Box] = field(default_factory=list)  # in pixels; right and bottom are just outside


def read(
    photos: Sequence[Path], predictor: Predictor, table: Path | None = None, outlines: bool = True
) -> list[Annotation]:
    """The annotation of each photo; a UserError names the file and line of what is invalid.

    The table is a CSV with `photo` (the file's name, a path from the table's folder, or an absolute one) and any of
    `class` (a name or an index) and `left`, `top`, `right`, `bottom`; several rows of a photo are several boxes.
    Without boxes there, `outlines` come from PHOTO.txt beside it, in YOLO's format: a line an outline,
    `class x y x y ...`, x and y from 0 to 1. Without a class there, it is `class_by_name`'s.
    """
    found = [Annotation(photo) for photo in photos]
    if table is not None:
        _read_table(table, found, predictor)
    for annotation in found:
        path = annotation.photo.with_suffix(".txt")
        if outlines and not annotation.boxes and path.is_file():
            lines = enumerate(_text(path).splitlines(), 1)
            annotation.polygons = [_polygon(line, f"{path} line {n}") for n, line in lines if line.strip()]
        if annotation.target is None:
            annotation.target = class_by_name(annotation.photo, predictor.class_names)
    return found


def class_by_name(photo: Path, class_names: Sequence[str]) -> int | None:
    """The class that a photo's own name or else its folder's names; None for no class or an ambiguous name.

    Underscores are spaces, case is ignored, ImageNet's number in front is left out.

    >>> class_by_name(Path("n02110185_Siberian_husky.JPEG"), ["tabby", "Siberian husky"])
    1
    >>> class_by_name(Path("Art_Nouveau/alphonse-mucha_moon.jpg"), ["Art_Nouveau", "Baroque"])
    0
    """
    photo = photo.absolute()
    for text in (photo.stem, photo.parent.name):
        name = re.sub(r"^n\d{8}_", "", text)
        spelling = str.casefold if name == text else str  # ImageNet distinguishes a Cardigan, a dog, from a cardigan
        spelled = spelling(name.replace("_", " "))
        found = [index for index, one in enumerate(_spelled(tuple(class_names), spelling)) if one == spelled]
        if len(found) == 1 and _NAMED_ALIKE.get(spelled.casefold()) not in class_names:
            return found[0]
    return None


@functools.cache  # there may be thousands of photos
def _spelled(class_names: tuple[str, ...], spelling: Callable[[str], str]) -> list[str]:
    return [spelling(name.replace("_", " ")) for name in class_names]


def mask(annotation: Annotation, size: tuple[int, int], predictor: Predictor) -> np.ndarray | None:
    """Where the photo's objects are in the network's input, (height, width) bool; None where none is left in it.

    All outlines or boxes together go through the network's own preprocessing as a picture; a pixel is the object's if
    more than half of it is. `size` is (width, height) of the upright photo. Raises a UserError for a box beyond it.
    """
    drawn = Image.new("RGB", size, images.BACKGROUND)  # what preprocessing pads with is no object
    draw = ImageDraw.Draw(drawn)
    for polygon in annotation.polygons:
        draw.polygon([(x * drawn.width, y * drawn.height) for x, y in polygon], fill=0)
    for left, top, right, bottom in annotation.boxes:
        if right > drawn.width or bottom > drawn.height:
            beyond = f"its box {left} {top} {right} {bottom} reaches beyond its {drawn.width} x {drawn.height} pixels"
            raise UserError(f"{annotation.photo}: {beyond}; give boxes in pixels of the upright photo")
        draw.rectangle((left, top, right - 1, bottom - 1), fill=0)
    inside = np.asarray(predictor.shown(predictor.transform(drawn)).convert("L")) < 128
    return inside if inside.any() else None


def box(mask: np.ndarray) -> Box:
    """The smallest (left, top, right, bottom) around the largest connected piece of a mask, as `segment.segment`'s."""
    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    largest = np.bincount(pieces[mask]).argmax()
    rows, columns = ndimage.find_objects(pieces)[largest - 1]
    return columns.start, rows.start, columns.stop, rows.stop


def _polygon(line: str, where: str) -> list[tuple[float, float]]:
    expected = f"{where}: expected an outline, class x y x y ..."
    try:
        _, *values = map(float, line.split())
    except ValueError:
        raise UserError(f"{expected}, but got '{line[:40]}'") from None
    if len(values) < 6 or len(values) % 2:
        raise UserError(f"{expected} of three points or more, but got {len(values)} numbers after the class")
    for value in values:
        if not 0 <= value <= 1:
            raise UserError(f"{where}: {value:g} is not from 0 to 1; give shares of the photo's width and height")
    return list(zip(values[::2], values[1::2], strict=True))


def _read_table(path: Path, annotations: list[Annotation], predictor: Predictor) -> None:
    """Puts the table's classes and boxes into the annotations."""
    if not path.is_file():
        columns = f"photo, class, {', '.join(_SIDES)}"
        raise UserError(f"there is no file {path.resolve()}: name a CSV with the columns {columns}")
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    columns = reader.fieldnames or []
    sides = [side for side in _SIDES if side in columns]
    if "photo" not in columns or not ("class" in columns or sides) or len(sides) not in (0, 4):
        expected, given = f"photo, and class or {', '.join(_SIDES)} or both", ", ".join(columns) or "nothing"
        raise UserError(f"{path} line 1: expected the columns {expected}, but got {given}")
    by_place: dict[Path | str, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        by_place[annotation.photo.resolve()].append(annotation)
        by_place[annotation.photo.name].append(annotation)
    ignored = 0
    for row in reader:
        where = f"{path} line {reader.line_num}"
        photo = row["photo"] or ""
        found = by_place.get((path.parent / photo).resolve()) or by_place.get(photo, [])
        if len({annotation.photo.resolve() for annotation in found}) > 1:
            raise UserError(f"{where}: {photo} is the name of {len(found)} photos; give its path")
        try:
            target = predictor.class_index(row["class"]) if row.get("class") else None
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        ignored += not found
        texts = [row[side] for side in sides]
        box = _box(texts, where) if any(texts) else None
        for annotation in found:  # several where a photo is given twice
            if box is not None:
                annotation.boxes.append(box)
            if None not in (target, annotation.target) and target != annotation.target:
                raise UserError(f"{where}: {photo} is {predictor.class_names[annotation.target]} in an earlier line")
            annotation.target = annotation.target if target is None else target
    if ignored:
        log.warning("%s: ignored %d rows of other photos", path, ignored)


def _box(texts: list[str | None], where: str) -> Box:
    given = " ".join(text or "-" for text in texts)
    try:
        left, top, right, bottom = (round(float(text or "")) for text in texts)
    except (ValueError, OverflowError):
        raise UserError(f"{where}: expected {' '.join(_SIDES)} in pixels, but got {given}") from None
    if not (0 <= left < right and 0 <= top < bottom):
        raise UserError(f"{where}: the box {given} is empty or begins before 0; give left < right and top < bottom")
    return left, top, right, bottom


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Excel begins its files with a byte order mark
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8") from None
