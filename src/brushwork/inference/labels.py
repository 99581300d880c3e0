"""The true styles of pictures, from a folder of style folders or a table, and how well a network knows them."""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from brushwork import contact_sheet, drawing, images, statistics
from brushwork.contact_sheet import Cell
from brushwork.errors import UserError
from brushwork.models.scores import Scores
from brushwork.paintings import baselines, described, layout, matching, table
from brushwork.paintings.styles import style_key
from brushwork.photo_files import Found

log = logging.getLogger(__name__)

WORST = 24  # mistakes on the sheet
_NAMED = 10  # styles in a message


class Truth(NamedTuple):
    """What is known of a picture: its class index, and its artist, "" where unknown."""

    style: int
    artist: str


class Judged(NamedTuple):
    """An answer for a picture of known style: its position among all pictures, class indices, probability."""

    number: int
    true: int
    predicted: int
    probability: float
    withheld: bool


def read(photos: Sequence[Found], place: Path, class_names: Sequence[str]) -> list[Truth | None]:
    """The true class of each picture, None where `place` does not say it or the network does not have it.

    Args:
        place: a folder of style folders as training takes it (`paintings.layout`), or a table of files and styles
            (`paintings.table`); a picture in the folder is itself, others are matched by name (`paintings.matching`).

    Raises:
        UserError: it has no style of any picture, or none that is a class.
    """
    listed = _of_folder(place) if place.is_dir() else _of_table(place)
    found: dict[int, tuple[tuple[str, ...], str]] = {}
    where = [os.path.abspath(photo.path) for photo in photos]  # noqa: PTH100 (a link is what its name says)
    for placed in (os.path.abspath, os.path.realpath) if place.is_dir() else ():
        known = {os.path.join(placed(place), path): about for path, about in listed.items()}  # noqa: PTH118
        left = [number for number in range(len(photos)) if number not in found]
        found |= {number: known[path] for number in left if (path := placed(photos[number].path)) in known}
    for names in (where, [photo.name for photo in photos]):
        matched = matching.match(listed, (name for number, name in enumerate(names) if number not in found))
        found |= {n: listed[matched[name]] for n, name in enumerate(names) if n not in found and name in matched}
    if not found:
        raise UserError(
            f"--labels {place.resolve()} names none of the {len(photos)} pictures ({photos[0].name}, for one): "
            f"give the folder of their style folders, or a table with the columns file and style"
        )
    index = {style_key(name): i for i, name in enumerate(class_names)} | {name: i for i, name in enumerate(class_names)}
    truth: list[Truth | None] = [None] * len(photos)
    unknown: Counter[str] = Counter()
    for number, (styles, artist) in found.items():
        classes = [index[key] for style in styles for key in (style, style_key(style)) if key in index]
        if classes:
            truth[number] = Truth(classes[0], artist)
        else:
            unknown.update(styles[:1] or ("no style",))
    if unknown:
        shown = ", ".join(f"{style} ({count})" for style, count in unknown.most_common(_NAMED))
        log.warning("%d pictures are of styles that the network does not have: %s", unknown.total(), shown)
    if len(found) < len(photos):
        log.warning("--labels %s does not name %d of %d pictures", place, len(photos) - len(found), len(photos))
    if unknown.total() == len(found):
        raise UserError(f"no picture is of a style that the network has ({', '.join(class_names)}): leave --labels out")
    return truth


def _of_folder(place: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    """The styles and the artist of each picture in a folder, by path below it."""
    paintings = described.describe(layout.read(place)).paintings
    return {painting.path: ((painting.style,), painting.artist or "") for painting in paintings if painting.style}


def _of_table(place: Path) -> dict[str, tuple[tuple[str, ...], str]]:
    rows = table.read(place).rows
    if not any(row.styles for row in rows):
        raise UserError(f"{place.resolve()} has no column of styles: call it style")
    return {
        row.file: (row.styles, row.artist or described.Painting(row.file, "", 0).artist or "")
        for row in rows
        if row.styles
    }


def score(judged: Sequence[Judged], truth: Sequence[Truth | None], class_names: Sequence[str]) -> dict[str, Any] | None:
    """Accuracy with its 95% interval, balanced accuracy and recalls; None without answers.

    The interval is a bootstrap over artists where all are known (paintings by one artist are alike), else Wilson's.
    """
    if not judged:
        return None
    numbers, true, predicted, probability, _ = (np.array(column) for column in zip(*judged, strict=True))
    none = np.zeros((len(true), 0))  # neither losses nor logits are looked at
    scores = Scores(numbers, true, predicted, probability, none, none, len(class_names))
    artists = [truth[number].artist for number in numbers.tolist()]
    by_artist = statistics.cluster_interval((true == predicted).astype(float), artists) if all(artists) else None
    interval = by_artist or baselines.interval_95(scores.accuracy, len(true))
    return {
        "pictures": len(true),
        "accuracy": scores.accuracy,
        "interval_95": list(interval),
        "interval_by": "artists" if by_artist else "pictures",
        "balanced_accuracy": scores.balanced_accuracy,
        "recall": dict(zip(class_names, scores.recall, strict=True)),
    }


def sentence(scores: Mapping[str, Any]) -> str:
    """
    >>> sentence({"pictures": 9, "accuracy": 0.5, "interval_95": [0.2, 0.8], "balanced_accuracy": 0.4,
    ...     "interval_by": "artists"})
    'accuracy 0.500 [0.200, 0.800] of 9 pictures (95 % interval, over artists), balanced accuracy 0.400'
    """
    low, high = scores["interval_95"]
    return (
        f"accuracy {scores['accuracy']:.3f} [{low:.3f}, {high:.3f}] of {scores['pictures']:,} pictures "
        f"(95 % interval, over {scores['interval_by']}), balanced accuracy {scores['balanced_accuracy']:.3f}"
    )


def confusion(judged: Sequence[Judged], class_names: Sequence[str]) -> Image.Image:
    """The confusion matrix of all answers."""
    true, predicted = (np.array([one[column] for one in judged]) for column in (1, 2))
    return drawing.as_picture(drawing.confusion_matrix(true, predicted, class_names, f"{len(judged):,} pictures"))


def mistakes(
    judged: Sequence[Judged], photos: Sequence[Found], class_names: Sequence[str], max_megapixels: float
) -> Image.Image | None:
    """The wrong answers of the highest probability, as a contact sheet; None where none can be shown."""
    wrong = sorted((one for one in judged if one.true != one.predicted), key=lambda one: -one.probability)
    cells = []
    for one in wrong[:WORST]:
        caption = "\n".join(
            [
                Path(photos[one.number].name).stem,
                f"true: {class_names[one.true]}",
                f"predicted: {class_names[one.predicted]} {one.probability:.2f}",
            ]
        )
        try:
            cells.append(Cell(images.thumbnail(photos[one.number].path, 224, max_megapixels), caption))
        except UserError:  # it has been removed since
            continue
    return contact_sheet.in_columns(cells, columns=6, side=224) if cells else None
