"""Figures of finished runs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brushwork.run_folder import BASELINES
from brushwork.study.runs import Run

HEAD_COLORS = {"replace_last": "tab:blue", "replace_two": "tab:red"}  # the report's
_LABELS = {"val/accuracy": "validation accuracy", "train/loss": "training loss"}


def curves(runs: Sequence[Run], columns: Sequence[str]) -> Figure:
    """A panel for each column of metrics.csv: each run a thin line, each head's mean over its runs a thick one.

    Accuracies have what one scores without a pixel or a network as dotted lines (report, figures 5 to 7).
    """
    figure = Figure(figsize=(5.2 * len(columns) + 0.8, 4.2), dpi=130, layout="constrained")
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for head in sorted({run.head for run in runs}):
            color = HEAD_COLORS.get(head, "tab:green")
            lines = [(run.metrics["epoch"], run.metrics[column]) for run in runs if run.head == head]
            for epochs, values in lines:
                axes.plot(epochs, values, color=color, alpha=0.35, linewidth=1)
            length = min(len(epochs) for epochs, _ in lines)
            mean = np.mean([values[:length] for _, values in lines], axis=0)
            seeds = "1 run" if len(lines) == 1 else f"mean of {len(lines)} runs"
            axes.plot(lines[0][0][:length], mean, "o-", color=color, linewidth=2.2, label=f"{head} ({seeds})")
        if column.endswith("accuracy"):
            for (name, label), style in zip(BASELINES.items(), (":", "-.", "--"), strict=True):
                known = [b for run in runs if (b := run.result["baselines"][name]) is not None]
                if known:
                    axes.axhline(np.mean(known), color="0.35", linestyle=style, linewidth=1.2, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="epoch", ylabel=_LABELS.get(column, column), title=f"{_LABELS.get(column, column)} per epoch")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    return figure
