"""The experiment's runs by split and budget (panels), and by initial weights and tuning (lines over the data)."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from brushwork import csv_files, run_folder
from brushwork.errors import UserError
from brushwork.study import arms
from brushwork.study.arms import Arm
from brushwork.study.runs import Run, differences, require_accuracy

PRETRAINED, RANDOM, REDRAWN = "pretrained", "random", "redrawn"  # initial weights
INITIALISATIONS = (PRETRAINED, RANDOM, REDRAWN)
TUNINGS = {  # from the deepest; with their labels
    "full": "all layers",
    "upper": "upper convolutions and classifier",
    "classifier": "classifier",
    "head_only": "new layer only",
}
Side = tuple[str, str]  # initial weights, tuning
_BUDGET = {"patience", "trainer.max_epochs"}
_AXES = {"data.train_fraction", "model.weights", "model.redraw", "tuning.name", "split.name"} | _BUDGET


class Budget(NamedTuple):
    """The length of a training: so many epochs, or until the accuracy has not risen for `patience` epochs."""

    patience: int | None
    max_epochs: int

    @property
    def name(self) -> str:
        if self.patience is None:
            return f"{self.max_epochs} epoch{'s' * (self.max_epochs > 1)}"
        return f"to plateau (patience {self.patience}, at most {self.max_epochs} epochs)"


class Point(NamedTuple):
    """An arm trained on a fraction of the training paintings, their number a mean over seeds."""

    fraction: float
    paintings: int
    arm: Arm

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy of the last epoch, by seed, in [0, 1]."""
        return [run.accuracy for run in self.arm.runs]


class Panel(NamedTuple):
    """The arms that are comparable: those of one split and budget.

    lines: {initial weights and tuning: points from few paintings to many}.
    amounts: {fraction: paintings} of all lines, from few to many.
    baselines: {name in run_folder.BASELINES: {paintings: accuracy}}, means over seeds.
    """

    split: str
    budget: Budget
    lines: dict[Side, list[Point]]
    amounts: dict[float, int]
    baselines: dict[str, dict[int, float]]

    @property
    def name(self) -> str:
        return f"{self.split.replace('_', '-')} split, {self.budget.name}"

    @property
    def points(self) -> list[Point]:
        return [point for line in self.lines.values() for point in line]


class Grid(NamedTuple):
    """All panels, what their runs have in common, and warnings: what makes them less comparable, a line each."""

    panels: list[Panel]
    weights: str
    architecture: str
    styles: int
    is_demo: bool
    warnings: list[str]


def read(runs: Sequence[Run]) -> Grid:
    """Sort runs into panels and lines. Raises UserError where they differ in another setting, in their data or in their
    validation paintings."""
    runs = [_with_defaults(run) for run in runs]
    _check(runs)
    counts, weights = _training_paintings(runs), _name_of_weights(runs)
    panels: dict[tuple[str, Budget], list[tuple[Side, Point]]] = {}
    for arm in arms.group(runs):
        config = arm.runs[0].config
        model, tuning = config["model"], config["tuning"]["name"]
        budget = Budget(config["patience"], config["trainer"]["max_epochs"])
        initialisation = RANDOM if model["weights"] is None else REDRAWN if model["redraw"] else PRETRAINED
        name = f"{weights if initialisation == PRETRAINED else initialisation} {tuning}"
        paintings = round(sum(counts[run.folder] for run in arm.runs) / len(arm.runs))
        point = Point(config["data"]["train_fraction"], paintings, replace(arm, name=name))
        panels.setdefault((config["split"]["name"], budget), []).append(((initialisation, tuning), point))
    made = [_panel(*key, panels[key]) for key in sorted(panels, key=_order)]
    is_demo = runs[0].config["data"].get("paint_demo") is not None
    return Grid(made, weights, model["architecture"], len(arms.styles(runs[0])), is_demo, _warnings(made))


def _with_defaults(run: Run) -> Run:
    """An older run with today's settings at their defaults."""
    data = {"train_fraction": 1.0} | run.config["data"]
    data["train_fraction"] = float(data["train_fraction"])
    model = {"redraw": False} | run.config["model"]
    return replace(run, config={"patience": None} | run.config | {"data": data, "model": model})


def _check(runs: Sequence[Run]) -> None:
    for key, values in differences(runs).items():
        if key not in _AXES:
            listed = " and ".join(sorted(values))
            raise UserError(
                f"the runs differ in {key} ({listed}), which is not an axis of this study: keep one of them"
            )
    require_accuracy(runs)
    for run in runs:
        if run.config["model"]["redraw"] and run.config["model"]["weights"] is None:
            raise UserError(f"{run.folder} has model.redraw=true but no model.weights to redraw: leave this run out")
        if run.result["data_hash"] != runs[0].result["data_hash"]:
            raise UserError(f"{runs[0].folder} and {run.folder} have different data: name runs on the same paintings")


def _training_paintings(runs: Sequence[Run]) -> dict[Path, int]:
    """Their number by run folder; checks that runs of one split validate on the same paintings."""
    counts: dict[Path, int] = {}
    validation: dict[str, tuple[Path, set[str]]] = {}
    for run in runs:
        rows, split = csv_files.read(run.folder / run_folder.SPLIT), run.config["split"]["name"]
        counts[run.folder] = sum(row["part"] == "train" for row in rows)
        paths = {row["path"] for row in rows if row["part"] == "val"}
        first, expected = validation.setdefault(split, (run.folder, paths))
        if paths != expected:
            raise UserError(f"{first} and {run.folder} of split {split} validate on different paintings: leave one out")
    return counts


def _name_of_weights(runs: Sequence[Run]) -> str:
    """The name of the pretrained weights: "ImageNet", or their file."""
    found = sorted({run.config["model"]["weights"] for run in runs} - {None})
    if len(found) > 1:
        raise UserError(f"the runs start from several weights ({', '.join(found)}): name runs that start from one")
    name = Path(found[0]).name if found else "imagenet"
    return "ImageNet" if "imagenet" in name.lower() else name


def _order(key: tuple[str, Budget]) -> tuple:
    """Random splits first, fixed numbers of epochs before plateaus."""
    split, (patience, max_epochs) = key
    return split != "random", split, patience is not None, max_epochs, patience or 0


def _panel(split: str, budget: Budget, points: Sequence[tuple[Side, Point]]) -> Panel:
    points = sorted(points, key=lambda of_side: of_side[1].paintings)
    tunings = [*TUNINGS, *sorted({tuning for (_, tuning), _ in points} - TUNINGS.keys())]
    sides = [(one, tuning) for one in INITIALISATIONS for tuning in tunings]
    lines = {side: line for side in sides if (line := [point for of, point in points if of == side])}
    amounts = {point.fraction: point.paintings for _, point in points}
    return Panel(split, budget, lines, amounts, _baselines([point for _, point in points]))


def _baselines(points: Sequence[Point]) -> dict[str, dict[int, float]]:
    """By name and number of paintings; each seed once, since the arms of a seed share their paintings."""
    found: dict[str, dict[int, float]] = {}
    for name in run_folder.BASELINES:
        by_seed: dict[int, dict[int, float | None]] = {}
        for point in points:
            values = {run.seed: run.result["baselines"].get(name) for run in point.arm.runs}
            by_seed.setdefault(point.paintings, {}).update(values)
        means = {paintings: sum(of.values()) / len(of) for paintings, of in by_seed.items() if None not in of.values()}
        if means:
            found[name] = means
    return found


def _warnings(panels: Sequence[Panel]) -> list[str]:
    points = [point for panel in panels for point in panel.points]
    runs = [run for point in points for run in point.arm.runs]
    found = []
    if len(precisions := sorted({str(run.result["precision"]) for run in runs})) > 1:
        found.append(f"the runs differ in precision ({', '.join(precisions)}), which may cause differences")
    examples = {tuple(point.arm.seeds): f"{point.arm.name} on {share(point.fraction)}" for point in points}
    found += arms.different_seeds([(examples[seeds], [*seeds]) for seeds in sorted(examples)])
    to_plateau = [run for run in runs if run.config["patience"] is not None]
    stopped = [run for run in to_plateau if len(run.metrics["epoch"]) == run.config["trainer"]["max_epochs"]]
    if stopped:
        reached = f"{len(stopped)} of {len(to_plateau)} runs to plateau reached trainer.max_epochs first"
        found.append(f"{reached}, for example {stopped[0].folder.name}: with more epochs they might be better")
    return found


def share(fraction: float) -> str:
    """A fraction as text: "1/16"."""
    return str(Fraction(fraction).limit_denominator(1000))
