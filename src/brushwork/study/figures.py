"""Figures of finished runs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from PIL import Image

from brushwork import run_folder
from brushwork.run_folder import BASELINES
from brushwork.study import reported, runs
from brushwork.study.arms import Arm
from brushwork.study.data_grid import INITIALISATIONS, PRETRAINED, RANDOM, REDRAWN, TUNINGS, Panel, share

_REPORTS_COLORS = {"replace_last": "tab:blue", "replace_two": "tab:red"}
_COLORS = ("tab:green", "tab:orange", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan")
_WEIGHTS_COLORS = {PRETRAINED: "#0072B2", RANDOM: "#D55E00", REDRAWN: "#009E73"}  # told apart by the colour-blind
_TUNING_MARKS = {"full": ("-", "o"), "upper": ("--", "s"), "classifier": ("-.", "^"), "head_only": (":", "D")}
_OTHER_MARKS = ((0, (6, 2, 1, 2, 1, 2)), "v")
_BASELINE_STYLES = dict(zip(BASELINES, (":", "-.", "--"), strict=True))
_LABELS = {"val/accuracy": "validation accuracy", "train/loss": "training loss"}
# What maps are held against, by the column of saliency.csv.
_BESIDE = {"previous": "of the panel before", "start": "before training", "imagenet": "of ImageNet's own network"}


def curves(arms: Sequence[Arm], columns: Sequence[str]) -> Figure:
    """A panel for each column of metrics.csv: each run a thin line, each arm's mean a thick one in a band from its
    lowest to its highest seed.

    Accuracies have what one scores without a pixel or a network as dotted lines, and runs of the report's protocol
    its peaks beside them (report, figures 5 to 7).
    """
    figure = Figure(figsize=(5.2 * len(columns) + 0.8, 4.2), dpi=130, layout="constrained")
    all_runs = [run for arm in arms for run in arm.runs]
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for number, arm in enumerate(arms):
            color = _REPORTS_COLORS.get(arm.name, _COLORS[number % len(_COLORS)])
            lines = [(run.metrics["epoch"], run.metrics[column]) for run in arm.runs]
            for epochs, values in lines:
                axes.plot(epochs, values, color=color, alpha=0.35, linewidth=1)
            length = min(len(epochs) for epochs, _ in lines)
            epochs, values = lines[0][0][:length], np.array([values[:length] for _, values in lines])  # (runs, epochs)
            axes.plot(
                epochs, values.mean(0), "o-", color=color, linewidth=2.2, label=f"{arm.name} ({_seeds(len(lines))})"
            )
            if len(lines) > 1:
                axes.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.15, linewidth=0)
        if column.endswith("accuracy"):
            for name, label in BASELINES.items():
                known = {b for run in all_runs if (b := run.result["baselines"][name]) is not None}
                for number, value in enumerate(sorted(known)):  # of several splits there are several
                    line = axes.axhline(value, color="0.35", linestyle=_BASELINE_STYLES[name], linewidth=1.2)
                    line.set_label("_" if number else label)
        if column == "val/accuracy" and all(map(reported.follows, all_runs)):
            for peak in reported.PEAKS:
                low, high = peak.interval
                axes.errorbar(
                    peak.epoch,
                    peak.accuracy,
                    [[peak.accuracy - low], [high - peak.accuracy]],
                    fmt="*",
                    color=_REPORTS_COLORS[peak.head],
                    markersize=11,
                    markeredgecolor="black",
                    capsize=4,
                    label=f"report: {peak.head} {peak.accuracy} ± {(high - low) / 2:.3f}",
                )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=_LABELS.get(column, column), title=f"{_LABELS.get(column, column)} per epoch")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    return figure


def _seeds(count: int) -> str:
    return "1 run" if count == 1 else f"mean of {count} runs"


def where_it_looks(arms: Sequence[Arm], between_seeds: Mapping[str, float]) -> Figure:
    """How alike an arm's maps for the true style are and those of `_BESIDE` for the same paintings: a panel each of
    the rank correlation per epoch. Below, the strip of the first painting, of each arm's first seed.

    Lines are means over seeds in a band from the lowest to the highest. Dotted is the floor, maps of different
    paintings; a star is the mean over pairs of seeds after the last epoch.

    Args:
        arms: of runs that have a saliency.csv.
        between_seeds: by the arm's name, where it is known.
    """
    known = [[runs.map_correlations(run) for run in arm.runs] for arm in arms]
    columns = [name for name in _BESIDE if any(name in one for of_arm in known for one in of_arm)]
    strips = []
    for arm in arms:
        with Image.open(arm.runs[0].folder / run_folder.SALIENCY_STRIP) as picture:
            strips.append(np.asarray(picture))
    widest = max(strip.shape[1] for strip in strips)
    heights = [13 * strip.shape[0] / widest for strip in strips]
    figure = Figure(figsize=(13, 4.2 + sum(heights) + 0.3 * len(arms)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(1 + len(arms), len(columns), height_ratios=[4, *heights])
    first = None
    for position, column in enumerate(columns):
        axes = first = figure.add_subplot(grid[0, position], sharey=first)
        for number, (arm, of_arm) in enumerate(zip(arms, known, strict=True)):
            color = _REPORTS_COLORS.get(arm.name, _COLORS[number % len(_COLORS)])
            for name, style in [("others", ":"), (column, "o-")]:
                lines = [one[name] for one in of_arm if name in one]
                epochs = sorted(set.intersection(*map(set, lines))) if lines else []
                values = np.array([[line[epoch] for epoch in epochs] for line in lines])  # (runs, epochs)
                if epochs:
                    label = "_" if name == "others" else f"{arm.name} ({_seeds(len(lines))})"
                    axes.plot(
                        epochs, values.mean(0), style, color=color, linewidth=1.2 + (name != "others"), label=label
                    )
                    axes.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.15, linewidth=0)
            if column == "previous" and arm.name in between_seeds:
                last = max(max(one[column]) for one in of_arm if column in one)
                axes.plot(last, between_seeds[arm.name], "*", color=color, markersize=13, markeredgecolor="black")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", xlim=(-0.2, None), ylim=(min(0, axes.get_ylim()[0]), 1))
        axes.set_title(f"maps beside those {_BESIDE[column]}", fontsize=11)
        axes.grid(alpha=0.25)
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


def accuracy_by_data(panels: Sequence[Panel], weights: str = "ImageNet") -> Figure:
    """A panel for each split (row) and budget (column): validation accuracy of the last epoch against the number of
    training paintings. A line for each initial weights (colour) and tuning (mark), the mean over seeds in a band from
    the lowest to the highest; baselines in grey.

    Args:
        weights: what the pretrained ones are called.
    """
    splits = list(dict.fromkeys(panel.split for panel in panels))
    budgets = list(dict.fromkeys(panel.budget for panel in panels))
    size = (4.6 * len(budgets) + 3.1, max(4.0 * len(splits), 5.0) + 0.4)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    grid = figure.subplots(len(splits), len(budgets), squeeze=False, sharey="row")
    for axes in grid.flat:
        axes.set_visible(False)  # a split may lack a budget
    for panel in panels:
        _draw_panel(grid[splits.index(panel.split), budgets.index(panel.budget)], panel)
    for row in grid:
        next(axes for axes in row if axes.get_visible()).set_ylabel("validation accuracy, last epoch")
    figure.legend(
        handles=_keys(panels, weights), loc="outside right center", fontsize=9, frameon=False, handlelength=3.2
    )
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for name, by_paintings in panel.baselines.items():
        amounts = sorted(by_paintings)
        means = [by_paintings[amount] for amount in amounts]
        label = BASELINES[name]
        axes.plot(amounts, means, color="0.45", linestyle=_BASELINE_STYLES[name], linewidth=1.3, label=label, zorder=1)
    for line in panel.lines:
        color, (style, marker) = _WEIGHTS_COLORS[line.initialisation], _TUNING_MARKS.get(line.tuning, _OTHER_MARKS)
        paintings = [point.paintings for point in line.points]
        means, lows, highs = np.array([(np.mean(a), min(a), max(a)) for a in (p.accuracies for p in line.points)]).T
        axes.fill_between(paintings, lows, highs, color=color, alpha=0.12, linewidth=0, zorder=2)
        axes.plot(
            *(paintings, means),
            color=color,
            linestyle=style,
            marker=marker,
            markersize=5.5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            linewidth=1.9,
            label=line.name,
            zorder=3,
        )
    axes.set_visible(True)
    axes.set_xscale("log", base=2)
    ticks = [f"{paintings:,}\n{share(fraction)}" for fraction, paintings in panel.amounts.items()]
    axes.set_xticks([*panel.amounts.values()], ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelleft=True)
    axes.set_xlabel("training paintings, and their share")
    axes.set_title(panel.name, fontsize=10)
    axes.grid(alpha=0.25)


def _keys(panels: Sequence[Panel], weights: str) -> list[Line2D]:
    """The legend: what colour, mark and grey line mean, of all that is drawn."""
    lines = [line for panel in panels for line in panel.lines]
    tunings = {line.tuning for line in lines}

    def heading(text: str) -> Line2D:
        return Line2D([], [], linestyle="none", label=f"\n$\\bf{{{text.replace(' ', '~')}}}$")

    keys = [heading("initial weights")]
    for one in INITIALISATIONS:
        if one in {line.initialisation for line in lines}:
            label = {PRETRAINED: weights, REDRAWN: f"redrawn: mean and deviation\nof {weights}'s layers"}.get(one, one)
            keys.append(Line2D([], [], color=_WEIGHTS_COLORS[one], linewidth=4, label=label))
    keys.append(heading("what is trained"))
    for tuning in [*TUNINGS, *sorted(tunings - TUNINGS.keys())]:
        if tuning in tunings:
            style, marker = _TUNING_MARKS.get(tuning, _OTHER_MARKS)
            label = TUNINGS.get(tuning, tuning).replace(" and ", "\nand ")
            keys.append(Line2D([], [], color="0.2", linestyle=style, marker=marker, markersize=5.5, label=label))
    known = [name for name in BASELINES if any(name in panel.baselines for panel in panels)]
    if known:
        keys.append(heading("no network"))
    for name in known:
        keys.append(Line2D([], [], color="0.45", linestyle=_BASELINE_STYLES[name], label=BASELINES[name]))
    band = "\nlines: means over seeds;\nbands: lowest to highest seed"
    return [*keys, Line2D([], [], linestyle="none", label=band)]
