"""Runs over data, initial weights, tuning, split and budget, sorted into lines of accuracy against paintings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from brushwork import run_folder
from brushwork.errors import UserError
from brushwork.study import arms
from brushwork.study.arms import Arm
from brushwork.study.comparison import LAST
from brushwork.study.runs import Run, differences

PRETRAINED, RANDOM, REDRAWN = "pretrained", "random", "redrawn"  # initial weights
INITIALISATIONS = (PRETRAINED, RANDOM, REDRAWN)
TUNINGS = {  # from the deepest; as people read them
    "full": "all layers",
    "upper": "upper convolutions and classifier",
    "classifier": "classifier",
    "head_only": "new layer only",
}
_AXES = (
    "data.train_fraction",
    "model.weights",
    "model.redraw",
    "tuning.name",
    "split.name",
    "patience",
    "trainer.max_epochs",
)


@dataclass(frozen=True, order=True)
class Budget:
    """How long was trained: so many epochs, or until the accuracy has not risen for `patience` epochs."""

    patience: int | None
    max_epochs: int

    @property
    def name(self) -> str:
        if self.patience is None:
            return f"{self.max_epochs} epoch{'s' * (self.max_epochs > 1)}"
        return f"to plateau (patience {self.patience}, at most {self.max_epochs} epochs)"


@dataclass(frozen=True)
class Point:
    """An arm, trained on a share of the training paintings.

    paintings: so many, on average over seeds.
    """

    fraction: float
    paintings: int
    arm: Arm

    @property
    def accuracies(self) -> list[float]:
        """Validation accuracy of the last epoch, by seed, in [0, 1]."""
        return [LAST.read(run.result) for run in self.arm.runs]


@dataclass(frozen=True)
class Line:
    """Initial weights and a tuning, from few paintings to many."""

    name: str
    initialisation: str
    tuning: str
    points: list[Point]


@dataclass(frozen=True)
class Panel:
    """What may be held against each other: the lines of one split and budget.

    amounts: {fraction: paintings} of all lines, from few to many.
    baselines: {name in run_folder.BASELINES: {paintings: accuracy}}, means over seeds.
    """

    split: str
    budget: Budget
    lines: list[Line]
    amounts: dict[float, int]
    baselines: dict[str, dict[int, float]]

    @property
    def name(self) -> str:
        return f"{self.split.replace('_', '-')} split, {self.budget.name}"

    def line(self, initialisation: str, tuning: str) -> Line | None:
        found = [line for line in self.lines if (line.initialisation, line.tuning) == (initialisation, tuning)]
        return found[0] if found else None


@dataclass(frozen=True)
class Grid:
    """All panels, by split and budget, and what all of their runs share.

    weights: what the pretrained weights are called.
    warnings: what makes its figures less comparable, a line each.
    """

    panels: list[Panel]
    weights: str
    architecture: str
    styles: int
    is_demo: bool
    warnings: list[str]


@dataclass(frozen=True)
class _Split:
    train: int
    val: frozenset[str]
    styles: frozenset[str]


def read(runs: Sequence[Run]) -> Grid:
    """Sort runs into panels and lines.

    Raises:
        UserError: runs differ in a setting that is no axis, in data or in validation paintings; or one can't be read.
    """
    runs = [_with_defaults(run) for run in runs]
    _refuse_unlike(runs)
    splits = _splits(runs)
    weights = _name_of_weights(runs)
    panels: dict[tuple[str, Budget], dict[tuple[str, str], list[Point]]] = {}
    for arm in arms.group(runs):
        run = arm.runs[0]
        key = (_initialisation(run), run.config["tuning"]["name"])
        counts = [splits[run.folder].train for run in arm.runs]
        name = _name(*key, weights)
        point = Point(run.config["data"]["train_fraction"], round(sum(counts) / len(counts)), replace(arm, name=name))
        panel = panels.setdefault((run.config["split"]["name"], _budget(run)), {})
        panel.setdefault(key, []).append(point)
    made = [_panel(split, budget, panels[split, budget], weights) for split, budget in sorted(panels, key=_order)]
    first = runs[0]
    return Grid(
        made,
        weights,
        first.config["model"]["architecture"],
        len(splits[first.folder].styles),
        first.config["data"].get("paint_demo") is not None,
        _warnings(made),
    )


def _with_defaults(run: Run) -> Run:
    """A run as it would be if it had been made with today's settings at their defaults."""
    data = {"train_fraction": 1.0} | run.config["data"]
    model = {"redraw": False} | run.config["model"]
    config = {"patience": None} | run.config
    config |= {"data": data | {"train_fraction": float(data["train_fraction"])}, "model": model}
    return replace(run, config=config)


def _refuse_unlike(runs: Sequence[Run]) -> None:
    others = {key: values for key, values in differences(runs).items() if key not in _AXES}
    for key, values in others.items():
        raise UserError(
            f"the runs differ in {key} ({' and '.join(sorted(values))}), which is no axis of this study: "
            f"name runs that share it"
        )
    for run in runs:
        if not run.result["last"] or run.result["last"]["val/accuracy"] is None:
            raise UserError(f"the last epoch of {run.folder} was not validated: leave this run out")
        if run.config["model"]["redraw"] and run.config["model"]["weights"] is None:
            raise UserError(f"{run.folder} has model.redraw=true but no model.weights to redraw: leave this run out")
        if run.result["data_hash"] != runs[0].result["data_hash"]:
            raise UserError(f"{runs[0].folder} and {run.folder} are of other data: name runs on the same paintings")


def _splits(runs: Sequence[Run]) -> dict[Path, _Split]:
    """What split.csv tells, by run folder; the same for all runs of a split but for the number of paintings to train.

    Raises:
        UserError: runs of one split validate on different paintings.
    """
    found: dict[Path, _Split] = {}
    first: dict[str, Run] = {}
    for run in runs:
        rows = run_folder.read_csv(run.folder / run_folder.SPLIT)
        found[run.folder] = _Split(
            sum(row["part"] == "train" for row in rows),
            frozenset(row["path"] for row in rows if row["part"] == "val"),
            frozenset(row["style"] for row in rows),
        )
        same = first.setdefault(run.config["split"]["name"], run)
        if found[same.folder].val != found[run.folder].val:
            raise UserError(
                f"{same.folder} and {run.folder} validate on different paintings, though both are of split "
                f"{run.config['split']['name']}: name runs that validate on the same"
            )
    return found


def _name_of_weights(runs: Sequence[Run]) -> str:
    """What the pretrained weights are called: "ImageNet", or their file.

    Raises:
        UserError: there are several.
    """
    found = sorted({weights for run in runs if (weights := run.config["model"]["weights"]) is not None})
    if len(found) > 1:
        raise UserError(f"the runs start from several weights ({', '.join(found)}): name runs that start from one")
    name = Path(found[0]).name if found else "imagenet"
    return "ImageNet" if "imagenet" in name.lower() else name


def _initialisation(run: Run) -> str:
    model = run.config["model"]
    return RANDOM if model["weights"] is None else REDRAWN if model["redraw"] else PRETRAINED


def _name(initialisation: str, tuning: str, weights: str) -> str:
    """What an arm is called.

    >>> _name("pretrained", "full", "ImageNet"), _name("redrawn", "full", "ImageNet")
    ('ImageNet full', 'redrawn full')
    """
    return f"{weights if initialisation == PRETRAINED else initialisation} {tuning}"


def _budget(run: Run) -> Budget:
    return Budget(run.config["patience"], run.config["trainer"]["max_epochs"])


def _order(key: tuple[str, Budget]) -> tuple:
    """Random splits first, fixed numbers of epochs before plateaus."""
    split, budget = key
    return split != "random", split, budget.patience is not None, budget.max_epochs, budget.patience or 0


def _panel(split: str, budget: Budget, points: dict[tuple[str, str], list[Point]], weights: str) -> Panel:
    def order(key: tuple[str, str]) -> tuple:
        initialisation, tuning = key
        depth = [*TUNINGS].index(tuning) if tuning in TUNINGS else len(TUNINGS)
        return INITIALISATIONS.index(initialisation), depth, tuning

    lines = [
        Line(_name(*key, weights), *key, sorted(points[key], key=lambda point: point.paintings))
        for key in sorted(points, key=order)
    ]
    every = sorted((point for line in lines for point in line.points), key=lambda point: point.paintings)
    return Panel(split, budget, lines, {point.fraction: point.paintings for point in every}, _baselines(every))


def _baselines(points: Sequence[Point]) -> dict[str, dict[int, float]]:
    """By name and number of paintings; of each seed once, since the arms of a seed share their paintings."""
    found: dict[str, dict[int, float]] = {}
    for name in run_folder.BASELINES:
        by_seed: dict[int, dict[int, float | None]] = {}
        for point in points:
            of_point = by_seed.setdefault(point.paintings, {})
            of_point |= {run.seed: run.result["baselines"][name] for run in point.arm.runs}
        means = {
            paintings: sum(values.values()) / len(values)
            for paintings, values in by_seed.items()
            if None not in values.values()
        }
        if means:
            found[name] = means
    return found


def _warnings(panels: Sequence[Panel]) -> list[str]:
    points = [(panel, line, point) for panel in panels for line in panel.lines for point in line.points]
    runs = [run for _, _, point in points for run in point.arm.runs]
    found = []
    precisions = sorted({str(run.result["precision"]) for run in runs})
    if len(precisions) > 1:
        found.append(f"the runs' precision is not the same ({', '.join(precisions)}): a difference may be its own")
    seeds = {tuple(point.arm.seeds): f"{line.name} of {share(point.fraction)}" for _, line, point in points}
    if len(seeds) > 1:
        listed = "; ".join(f"{name} {arms.named(one)}" for one, name in sorted(seeds.items()))
        found.append(f"the arms' seeds are not the same (as {listed}): differences are of the common ones")
    unfinished = [
        run
        for panel, _, point in points
        for run in point.arm.runs
        if panel.budget.patience is not None and len(run.metrics["epoch"]) == panel.budget.max_epochs
    ]
    if unfinished:
        of = sum(run.config["patience"] is not None for run in runs)
        found.append(
            f"{len(unfinished)} of {of} runs to plateau were stopped by trainer.max_epochs before they reached one, "
            f"as {unfinished[0].folder.name}: they may be better than they look"
        )
    return found


def share(fraction: float) -> str:
    """A fraction as people write it.

    >>> share(0.0625), share(1.0)
    ('1/16', '1')
    """
    return str(Fraction(fraction).limit_denominator(1000))
