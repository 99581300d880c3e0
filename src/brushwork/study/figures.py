"""Figures of finished runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from brushwork import drawing, run_folder
from brushwork.calibration import HeldOut
from brushwork.run_folder import BASELINES
from brushwork.study import reported, runs
from brushwork.study.arms import Arm
from brushwork.study.predictions import held_out

CURVES = {  # the report's figures 5 to 7, by the names of their files: columns of metrics.csv
    "figure-5-validation-accuracy": ["val/accuracy"],
    "figure-6-training-loss": ["train/loss"],
    "figure-7-both": ["val/accuracy", "train/loss"],
}
BASELINE_STYLES = dict(zip(BASELINES, (":", "-.", "--", (0, (5, 1)), (0, (1, 3))), strict=True))
_REPORTS_COLORS = {"replace_last": "tab:blue", "replace_two": "tab:red"}
_COLORS = ("tab:green", "tab:orange", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan")
_LABELS = {"val/accuracy": "validation accuracy", "train/loss": "training loss"}
# What maps are compared with, by the column of saliency.csv.
_COMPARED_WITH = {
    "previous": "of the panel before",
    "start": "before training",
    "imagenet": "of ImageNet's own network",
}


def curves(arms: Sequence[Arm], columns: Sequence[str]) -> Figure:
    """A panel for each column of metrics.csv: a thin line for each run, a thick one for each arm's mean, in a band from
    its lowest to its highest seed. Accuracies have the baselines as dotted lines, and runs of the report's protocol its
    peaks beside them (report, figures 5 to 7)."""
    figure = Figure(figsize=(5.2 * len(columns) + 0.8, 4.2), dpi=130, layout="constrained")
    all_runs = [run for arm in arms for run in arm.members]
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for number, arm in enumerate(arms):
            color = _color(arm, number)
            for run in arm.members:
                axes.plot(run.metrics["epoch"], run.metrics[column], color=color, alpha=0.35, linewidth=1)
            epochs = min((run.metrics["epoch"] for run in arm.members), key=len)
            values = [*zip(*(run.metrics[column] for run in arm.members), strict=False)]  # by epoch
            mean_in_band(axes, epochs, values, color=color, marker="o", linewidth=2.2, label=_label(arm, arm.members))
        if column.endswith("accuracy"):
            for name, label in BASELINES.items():
                known = {b for run in all_runs if (b := run.result["baselines"].get(name)) is not None}
                for number, value in enumerate(sorted(known)):  # one for each split
                    look = {"color": "0.35", "linestyle": BASELINE_STYLES[name], "linewidth": 1.2}
                    axes.axhline(value, label="_" if number else label, **look)
        if column == "val/accuracy" and all(map(reported.follows, all_runs)):
            for head, (epoch, peak) in reported.PEAKS.items():
                low, high = reported.interval(peak)
                label = f"report: {head} {peak} ± {(high - low) / 2:.3f}"
                look = {"color": _REPORTS_COLORS[head], "markersize": 11, "markeredgecolor": "black", "capsize": 4}
                axes.errorbar(epoch, peak, [[peak - low], [high - peak]], fmt="*", label=label, **look)
        axes.set(ylabel=_LABELS.get(column, column), title=f"{_LABELS.get(column, column)} per epoch")
        _finish(axes)
        axes.legend(fontsize=8)
    return figure


def calibration(arm: Arm) -> Figure | None:
    """The reliability diagram and the risk-coverage curve of an arm's last epochs, all seeds together (see
    `drawing.calibration`); None where a run did not keep its logits or was not calibrated."""
    found = [held_out(run) for run in arm.members]
    if None in found:
        return None
    first = found[0]
    columns = (np.concatenate([getattr(one, name) for one in found]) for name in ("before", "after", "labels"))
    together = HeldOut(first.measured_on, first.temperature, *columns)
    return drawing.calibration(together, f"{arm.name}, last epoch, {first.measured_on}")


def mean_in_band(
    axes: Axes, x: Sequence[float], values: Sequence[Sequence[float]], alpha: float = 0.15, zorder: int = 2, **line: Any
) -> None:
    """The mean of the values of all seeds at each x as a line, in a band from the lowest to the highest."""
    band = {"color": line["color"], "alpha": alpha, "linewidth": 0, "zorder": zorder - 1}
    axes.fill_between(x, [np.min(of_x) for of_x in values], [np.max(of_x) for of_x in values], **band)
    axes.plot(x, [np.mean(of_x) for of_x in values], zorder=zorder, **line)


def _color(arm: Arm, number: int) -> str:
    return _REPORTS_COLORS.get(arm.name, _COLORS[number % len(_COLORS)])


def _label(arm: Arm, values: Sequence) -> str:
    return f"{arm.name} ({'1 run' if len(values) == 1 else f'mean of {len(values)} runs'})"


def _finish(axes: Axes) -> None:
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)


def confusion_matrix(arm: Arm) -> Figure:
    """The predictions of all seeds of an arm against the true styles."""
    predictions = arm.predictions
    names = sorted({*predictions.styles.tolist(), *predictions.predicted.ravel().tolist()})
    labels = np.tile(np.searchsorted(names, predictions.styles), len(arm.seeds))
    predicted = np.searchsorted(names, predictions.predicted).ravel()
    title = f"{arm.name}, last epoch of {len(arm.members)} run{'s' * (len(arm.members) > 1)}"
    return drawing.confusion_matrix(labels, predicted, names, title)


def where_it_looks(arms: Sequence[Arm], between_seeds: Mapping[str, float]) -> Figure:
    """How similar an arm's maps for the true style are to those of `_COMPARED_WITH` for the same paintings: a panel for
    each, with the rank correlation per epoch. Below, the maps of the first painting, by each arm's first seed. All runs
    have a saliency.csv.

    Lines are means over seeds in a band from the lowest to the highest, dotted ones the correlation of different
    paintings' maps; a star is the mean over pairs of seeds after the last epoch (`between_seeds`, by the arm's name).
    """
    known = [[runs.map_correlations(run) for run in arm.runs] for arm in arms]
    columns = [name for name in _COMPARED_WITH if any(name in one for of_arm in known for one in of_arm)]
    strips = [imread(arm.runs[0].folder / run_folder.SALIENCY_STRIP) for arm in arms]
    widest = max(strip.shape[1] for strip in strips)
    heights = [13 * strip.shape[0] / widest for strip in strips]
    figure = Figure(figsize=(13, 4.2 + sum(heights) + 0.3 * len(arms)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(1 + len(arms), len(columns), height_ratios=[4, *heights])
    first = None
    for position, column in enumerate(columns):
        axes = first = figure.add_subplot(grid[0, position], sharey=first)
        for number, (arm, of_arm) in enumerate(zip(arms, known, strict=True)):
            color = _color(arm, number)
            _draw_correlation(axes, of_arm, "others", color=color, linestyle=":", linewidth=1.2, label="_")
            lines = [one for one in of_arm if column in one]
            _draw_correlation(axes, of_arm, column, color=color, marker="o", linewidth=2.2, label=_label(arm, lines))
            if column == "previous" and arm.name in between_seeds:
                last = max(max(one[column]) for one in lines)
                axes.plot(last, between_seeds[arm.name], "*", color=color, markersize=13, markeredgecolor="black")
        axes.set(xlim=(-0.2, None), ylim=(min(0, axes.get_ylim()[0]), 1))
        axes.set_title(f"maps beside those {_COMPARED_WITH[column]}", fontsize=11)
        _finish(axes)
    keys = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    keys["maps of different paintings"] = Line2D([], [], color="0.3", linestyle=":")
    if between_seeds:
        star = {"marker": "*", "markersize": 13, "markeredgecolor": "black", "linestyle": "none"}
        keys["maps of two seeds, last epoch"] = Line2D([], [], color="0.7", **star)
    figure.legend(keys.values(), keys.keys(), loc="outside upper center", ncols=min(4, len(keys)), fontsize=9)
    figure.axes[0].set_ylabel("rank correlation of the maps")
    for row, (arm, strip) in enumerate(zip(arms, strips, strict=True), start=1):
        axes = figure.add_subplot(grid[row, :])
        axes.imshow(strip, interpolation="antialiased")
        axes.set_xlim(0, widest)  # one scale for all
        axes.axis("off")
        axes.set_title(f"{arm.name}, seed {arm.seeds[0]}", loc="left", fontsize=10)
    return figure


def _draw_correlation(axes: Axes, of_arm: Sequence[dict], column: str, **line: Any) -> None:
    lines = [one[column] for one in of_arm if column in one]
    epochs = sorted(set.intersection(*map(set, lines))) if lines else []
    if epochs:
        mean_in_band(axes, epochs, [[one[epoch] for one in lines] for epoch in epochs], **line)
