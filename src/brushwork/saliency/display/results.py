"""The folder that the maps of photos go to: its files, its table, and how an interrupted run goes on.

NAME.png           photo, maps and overlays         NAME.npy    the map (NAME_METHOD.npy, where methods are several)
maps.csv           a row for each photo and method, written as soon as they are known
about.json         what the maps are of: what `--resume` must be equal in
of --evaluate      sanity.csv, sanity.png, evaluation.md          of --gallery    gallery.html
"""

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brushwork import files, run_folder, tables
from brushwork.errors import UserError
from brushwork.saliency.evaluation.measures import MEASURES
from brushwork.saliency.photos import Photo, cells, page

TABLE = "maps.csv"
SANITY, CURVE, EVALUATION, GALLERY = "sanity.csv", "sanity.png", "evaluation.md", "gallery.html"
ABOUT = "about.json"
LOCK = ".lock"

# A cell is empty where it does not apply: `true` is the true class where it is known, `completeness_error` and
# `score_rise` are of integrated gradients, the box is of --box, what follows of --evaluate (see `measures.MEASURES`).
COLUMNS = (
    *("photo", "picture", "map", "method", "true", "target", "target_probability", "predicted", "probability", "top"),
    *("completeness_error", "score_rise", "box_left", "box_top", "box_right", "box_bottom"),
    *MEASURES,
)

Row = dict[str, str]


def refuse_to_replace(out: Path, stems: Sequence[str], paths: Sequence[Path], overwrite: bool, resume: bool) -> None:
    """Nothing is overwritten in silence, and no photo ever.

    Raises:
        UserError: names what would be.
    """
    photos = {path.resolve() for path in paths}
    for stem in stems:
        if (out / f"{stem}.png").resolve() in photos:
            raise UserError(f"{out / stem}.png is one of the photos: choose another --out")
    if overwrite or (resume and (out / ABOUT).exists()):
        return
    names = [*(f"{stem}.png" for stem in stems), TABLE, SANITY, EVALUATION, GALLERY]
    existing = [name for name in names if (out / name).exists()]
    if existing:
        more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        raise UserError(
            f"{out.resolve()} holds {existing[0]}{more} already: choose another --out, --resume (an interrupted run), "
            f"or --overwrite"
        )


def begin(out: Path, about: Mapping[str, Any], resume: bool) -> None:
    """Say in the folder what its maps are of, or see that they are of the same. What is told of others is removed.

    Raises:
        UserError: names the first thing that differs.
    """
    about = json.loads(json.dumps(about))  # as it is read back
    if resume and (out / ABOUT).exists():
        before = json.loads((out / ABOUT).read_text(encoding="utf-8"))
        for key in before | about:
            if before.get(key) != about.get(key):
                raise UserError(
                    f"{out.resolve()} was begun with {key} {before.get(key)}, not {about.get(key)}: "
                    f"resume with the same, or choose another --out"
                )
        return
    for name in (TABLE, SANITY, CURVE, EVALUATION, GALLERY):
        (out / name).unlink(missing_ok=True)
    files.write_json(out / ABOUT, about)


def finished(out: Path, methods: Sequence[str]) -> list[Row]:
    """The table's rows of the photos that are done: with a row for each method, and with all their files."""
    table = out / TABLE
    if not table.exists():
        return []
    rows = run_folder.read_csv(table)
    if not table.read_bytes().endswith(b"\n"):  # a killed process left part of a line
        rows = rows[:-1]
    by_photo = defaultdict(list)
    for row in rows:
        by_photo[row["photo"]].append(row)
    return [
        row
        for of_photo in by_photo.values()
        if {row["method"] for row in of_photo} >= set(methods)
        and all((out / row[column]).is_file() for row in of_photo for column in ("picture", "map") if row[column])
        for row in of_photo
    ]


@contextmanager
def table(out: Path, before: Sequence[Row]) -> Iterator[Callable[[Sequence[Row]], None]]:
    """Write the table with its first rows; yield what adds a photo's rows to it."""
    run_folder.write_csv(out / TABLE, COLUMNS, before)
    with open(out / TABLE, "a", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")

        def add(rows: Sequence[Row]) -> None:
            writer.writerows(rows)
            file.flush()

        yield add


def save(out: Path, photo: Photo, class_names: Sequence[str], top: int) -> tuple[list[Row], Image.Image]:
    """Write a photo's picture and maps, each whole or not at all; the table's rows of them (and, where the photo was
    evaluated, of the baselines), and the picture."""
    answer, picture = photo.answer, page(cells(photo, class_names, top))
    with files.atomic_path(out / f"{photo.stem}.png") as temporary:
        picture.save(temporary, "PNG", compress_level=2)  # half of all time went into level 6
    predicted = answer.top(1)[0]
    of_photo = {
        "photo": str(photo.path),
        "picture": f"{photo.stem}.png",
        "true": "" if photo.true is None else class_names[photo.true],
        "target": class_names[answer.target],
        "target_probability": f"{answer.probabilities[answer.target]:.6f}",
        "predicted": class_names[predicted],
        "probability": f"{answer.probabilities[predicted]:.6f}",
        "top": ", ".join(f"{class_names[i]} {answer.probabilities[i]:.3f}" for i in answer.top(top)),
    }
    rows = []
    for method in dict.fromkeys([*answer.maps, *photo.figures]):
        row = of_photo | {"method": method}
        if method in answer.maps:
            row["map"] = f"{photo.stem}_{method}.npy" if len(answer.maps) > 1 else f"{photo.stem}.npy"
            with files.atomic_path(out / row["map"]) as temporary, open(temporary, "wb") as file:
                np.save(file, answer.maps[method])
        if method == "integrated_gradients":
            row["completeness_error"], row["score_rise"] = (f"{value:.6g}" for value in answer.completeness)
        if photo.objects and (piece := photo.objects.get(method)):
            row |= zip(("box_left", "box_top", "box_right", "box_bottom"), map(str, piece.box), strict=True)
        rows.append(row | {name: f"{value:.6f}" for name, value in photo.figures.get(method, {}).items()})
    return rows, picture


def markdown(rows: Sequence[Row]) -> str:
    """The table for TensorBoard's text, a line a photo."""
    columns = ("predicted", "probability", "target", "target_probability")
    by_photo = {row["photo"]: row for row in rows}
    lines = [[Path(photo).name, *(row[column] for column in columns)] for photo, row in by_photo.items()]
    return tables.markdown([["photo", *columns], *lines])
