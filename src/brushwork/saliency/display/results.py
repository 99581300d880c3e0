"""The folder of results of many photos: its files, its table, and how an interrupted run is resumed.

NAME.png           photo, maps and overlays         NAME.npy    the map (NAME_METHOD.npy, where methods are several)
maps.csv           a row for each photo and method, written as soon as they are known
about.json         the settings that a resumed run must share
of --evaluate      sanity.csv, sanity.png, evaluation.md          of --gallery    gallery.html
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from brushwork import csv_files, drawing, events, files, result_folder, tables
from brushwork.models.predictor import Predictor
from brushwork.saliency.display.sheet import cells, page
from brushwork.saliency.evaluation import report, sanity_report
from brushwork.saliency.evaluation.measures import MEASURES
from brushwork.saliency.photos import Photo

TABLE = "maps.csv"
SANITY, CURVE, EVALUATION, GALLERY = "sanity.csv", "sanity.png", "evaluation.md", "gallery.html"

# A cell is empty where it does not apply: `true` is the true class where it is known, `completeness_error` and
# `score_rise` are of integrated gradients, the box is of --box, the measures are of --evaluate.
COLUMNS = (
    *("photo", "picture", "map", "method", "true", "target", "target_probability", "predicted", "probability", "top"),
    *("completeness_error", "score_rise", "box_left", "box_top", "box_right", "box_bottom"),
    *MEASURES,
)

Row = dict[str, str]


def refuse_to_replace(out: Path, stems: Sequence[str], paths: Sequence[Path], overwrite: bool, resume: bool) -> None:
    """See `result_folder.refuse_to_replace`."""
    pictures, others = [f"{stem}.png" for stem in stems], (TABLE, SANITY, EVALUATION, GALLERY)
    result_folder.refuse_to_replace(out, pictures, others, paths, overwrite, resume)


def begin(out: Path, about: Mapping[str, Any], resume: bool) -> None:
    """See `result_folder.begin`."""
    result_folder.begin(out, about, (TABLE, SANITY, CURVE, EVALUATION, GALLERY), resume)


def restart_table(out: Path, methods: Sequence[str], resume: bool) -> list[Row]:
    """Begins the table with the rows of finished photos, which have a row for each method and all their files."""
    table, kept = out / TABLE, []
    if resume:
        for of_photo in by_photo(result_folder.whole_rows(table)).values():
            names = [row[column] for row in of_photo.values() for column in ("picture", "map") if row[column]]
            if of_photo.keys() >= set(methods) and all((out / name).is_file() for name in names):
                kept += of_photo.values()
    csv_files.write(table, COLUMNS, kept)
    return kept


def by_photo(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """The table's rows by photo and then by method."""
    found: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        found[row["photo"]][row["method"]] = row
    return found


def save(out: Path, photo: Photo, class_names: Sequence[str], top: int) -> tuple[list[Row], Image.Image]:
    """Writes a photo's picture and maps, each file atomically, and appends its rows to the table: of each method and,
    where the photo was evaluated, of the baselines. Returns the rows and the picture."""
    picture, probabilities, predicted = page(cells(photo, class_names, top)), photo.probabilities, photo.top(1)[0]
    with files.atomic_path(out / f"{photo.stem}.png") as temporary:
        picture.save(temporary, "PNG", compress_level=2)  # level 6 took half of all time
    of_photo = {
        "photo": str(photo.path),
        "picture": f"{photo.stem}.png",
        "true": "" if photo.true is None else class_names[photo.true],
        "target": class_names[photo.target],
        "target_probability": f"{probabilities[photo.target]:.6f}",
        "predicted": class_names[predicted],
        "probability": f"{probabilities[predicted]:.6f}",
        "top": ", ".join(f"{class_names[i]} {probabilities[i]:.3f}" for i in photo.top(top)),
    }
    rows = []
    for method in dict.fromkeys([*photo.maps, *photo.scores]):
        row = of_photo | {"method": method}
        if method in photo.maps:
            row["map"] = f"{photo.stem}_{method}.npy" if len(photo.maps) > 1 else f"{photo.stem}.npy"
            with files.atomic_path(out / row["map"]) as temporary, open(temporary, "wb") as file:
                np.save(file, photo.maps[method])
        if method == "integrated_gradients":
            row["completeness_error"], row["score_rise"] = (f"{value:.6g}" for value in photo.completeness)
        if photo.objects and (piece := photo.objects.get(method)):
            row |= zip(("box_left", "box_top", "box_right", "box_bottom"), map(str, piece.box), strict=True)
        rows.append(row | {name: f"{value:.6f}" for name, value in photo.scores.get(method, {}).items()})
    result_folder.append(out / TABLE, COLUMNS, rows)
    return rows, picture


def evaluate(out: Path, predictor: Predictor, max_megapixels: float, batch_size: int) -> report.Evaluation:
    """Compares the table's methods with the baselines, makes the sanity check where there is none, writes both."""
    rows = csv_files.read(out / TABLE)
    if not (out / SANITY).exists():
        checked = sanity_report.rows(predictor, rows, out, max_megapixels, batch_size)
        csv_files.write(out / SANITY, sanity_report.COLUMNS, checked)
    checked = csv_files.read(out / SANITY)
    curve = drawing.as_picture(sanity_report.figure(checked))
    evaluation = report.Evaluation(report.compare(rows), sanity_report.sentence(checked), curve)
    files.write_text(out / EVALUATION, report.markdown(evaluation))
    with files.atomic_path(out / CURVE) as temporary:
        curve.save(temporary, "PNG")
    with SummaryWriter(out) as writer:
        events.add_text(writer, "evaluation", report.markdown(evaluation))
        events.add_picture(writer, "saliency/sanity", curve)
    return evaluation


def markdown(rows: Sequence[Row]) -> str:
    """The table for TensorBoard's text, a line a photo."""
    columns = ("predicted", "probability", "target", "target_probability")
    by_photo = {row["photo"]: row for row in rows}
    lines = [[Path(photo).name, *(row[column] for column in columns)] for photo, row in by_photo.items()]
    return tables.markdown([["photo", *columns], *lines])
