"""What a run has measured of the epoch that is exported: accuracies beside baselines, confusion, its comparison."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from brushwork import csv_files, drawing, run_folder
from brushwork.export.source import Source
from brushwork.paintings import baselines
from brushwork.study.comparison_tables import LAST

PARTS = {"val": "validation", "test": "test"}
Interval = Sequence[float]


class Measured(NamedTuple):
    """The scores of a part. baselines: (accuracy, its 95% interval) by name, None where unknown."""

    paintings: int
    accuracy: float
    interval: Interval
    balanced: float
    recall: dict[str, float | str]
    baselines: dict[str, tuple[float | None, Interval | None]]


def of(source: Source | None) -> dict[str, Measured]:
    """The scores by part, as far as the run has them."""
    if source is None or source.epoch is None:
        return {}
    result, found = source.run.result, {}
    scores, count = result[source.epoch], len(_predictions(source, "val"))
    if scores.get("val/accuracy") is not None and count:
        figures = {key.removeprefix("val/"): value for key, value in scores.items() if key.startswith("val/")}
        interval = baselines.interval_95(figures["accuracy"], count)
        found["val"] = _measured(count, figures | {"interval_95": interval}, result)
    if result["test"] and result["test"].get(source.epoch):
        found["test"] = _measured(result["test"]["paintings"], result["test"][source.epoch], result["test"])
    return found


def _measured(count: int, figures: dict, held: dict) -> Measured:
    beside, intervals = held["baselines"], held.get("baseline_intervals_95") or {}
    return Measured(
        count,
        figures["accuracy"],
        figures["interval_95"],
        figures["balanced_accuracy"],
        figures.get("recall") or {},
        {name: (beside.get(name), intervals.get(name)) for name in run_folder.BASELINES},
    )


def _predictions(source: Source, part: str) -> list[dict[str, str]]:
    path = source.run.folder / run_folder.PREDICTIONS
    rows = csv_files.read(path) if path.exists() else []
    return [row for row in rows if (row["part"], row["epoch"]) == (part, source.epoch)]


def confusion_matrix(source: Source | None, class_names: Sequence[str]) -> Image.Image | None:
    """Of the test part, or else of the validation part; None where the run has no predictions."""
    for part in ("test", "val") if source and source.epoch else ():
        if rows := _predictions(source, part):
            pairs = np.array([[class_names.index(row[key]) for key in ("style", "predicted")] for row in rows])
            title = f"{len(rows)} paintings of the {PARTS[part]} part"
            return drawing.as_picture(drawing.confusion_matrix(*pairs.T, class_names, title))
    return None


class Compared(NamedTuple):
    """What scripts/compare.py found for the arm of the run."""

    arm: str
    accuracy: str
    seeds: int
    verdicts: list[str]


def compared(source: Source) -> Compared | None:
    """From comparison.md and .csv beside the run's sweep, where they name the run: in the sweep's folder, in
    `comparison` there or beside it."""
    sweep = source.run.folder.resolve().parent
    for folder in (sweep, sweep / "comparison", sweep.parent / "comparison"):
        if (folder / "comparison.md").is_file() and (folder / "comparison.csv").is_file():
            found = _compared(folder, source.run.folder.resolve())
            if found:
                return found
    return None


def _compared(folder: Path, run: Path) -> Compared | None:
    text = (folder / "comparison.md").read_text(encoding="utf-8", errors="surrogateescape")
    named = re.findall(r"^- (.+), seed \d+: `(.+)`$", text, re.M)
    arm = next((arm for arm, path in named if Path(path).parts[-2:] == run.parts[-2:]), None)
    rows = [row for row in csv_files.read(folder / "comparison.csv") if row["arm"] == arm]
    means = [row for row in rows if row["quantity"] == LAST.label and not row["seed"]]
    if not means:
        return None
    (mean,), seeds = means, sum(row["quantity"] == LAST.label and bool(row["seed"]) for row in rows)
    accuracy = f"{float(mean['value']):.3f}"
    if mean["low"]:
        accuracy += f" ± {float(mean['deviation']):.3f} [{float(mean['low']):.3f}, {float(mean['high']):.3f}]"
    return Compared(arm, accuracy, seeds, re.findall(r"^\*\*(.+)\*\*$", text, re.M))
