"""Figures of finished runs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brushwork.run_folder import BASELINES
from brushwork.study import reported
from brushwork.study.arms import Arm

_REPORTS_COLORS = {"replace_last": "tab:blue", "replace_two": "tab:red"}
_COLORS = ("tab:green", "tab:orange", "tab:purple", "tab:brown", "tab:pink", "tab:olive", "tab:cyan")
_LABELS = {"val/accuracy": "validation accuracy", "train/loss": "training loss"}


def curves(arms: Sequence[Arm], columns: Sequence[str]) -> Figure:
    """A panel for each column of metrics.csv: each run a thin line, each arm's mean a thick one in a band from its
    lowest to its highest seed.

    Accuracies have what one scores without a pixel or a network as dotted lines, and runs of the report's protocol
    its peaks beside them (report, figures 5 to 7).
    """
    figure = Figure(figsize=(5.2 * len(columns) + 0.8, 4.2), dpi=130, layout="constrained")
    runs = [run for arm in arms for run in arm.runs]
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for number, arm in enumerate(arms):
            color = _REPORTS_COLORS.get(arm.name, _COLORS[number % len(_COLORS)])
            lines = [(run.metrics["epoch"], run.metrics[column]) for run in arm.runs]
            for epochs, values in lines:
                axes.plot(epochs, values, color=color, alpha=0.35, linewidth=1)
            length = min(len(epochs) for epochs, _ in lines)
            epochs, values = lines[0][0][:length], np.array([values[:length] for _, values in lines])  # (runs, epochs)
            seeds = "1 run" if len(lines) == 1 else f"mean of {len(lines)} runs"
            axes.plot(epochs, values.mean(0), "o-", color=color, linewidth=2.2, label=f"{arm.name} ({seeds})")
            if len(lines) > 1:
                axes.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.15, linewidth=0)
        if column.endswith("accuracy"):
            for (name, label), style in zip(BASELINES.items(), (":", "-.", "--"), strict=True):
                known = {b for run in runs if (b := run.result["baselines"][name]) is not None}
                for number, value in enumerate(sorted(known)):  # of several splits there are several
                    line = axes.axhline(value, color="0.35", linestyle=style, linewidth=1.2)
                    line.set_label("_" if number else label)
        if column == "val/accuracy" and all(map(reported.follows, runs)):
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
