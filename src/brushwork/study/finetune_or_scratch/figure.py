"""The figure: accuracy against the number of training paintings."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from brushwork.run_folder import BASELINES
from brushwork.study.figures import BASELINE_STYLES, mean_in_band
from brushwork.study.finetune_or_scratch.grid import INITIALISATIONS, PRETRAINED, RANDOM, REDRAWN, TUNINGS, Panel, share

_COLORS = {PRETRAINED: "#0072B2", RANDOM: "#D55E00", REDRAWN: "#009E73"}  # distinct for the colour-blind
_MARKS = {"full": ("-", "o"), "upper": ("--", "s"), "classifier": ("-.", "^"), "head_only": (":", "D")}
_OTHER_MARKS = ((0, (6, 2, 1, 2, 1, 2)), "v")


def accuracy_by_data(panels: Sequence[Panel], weights: str = "ImageNet") -> Figure:
    """A panel for each split (row) and budget (column): validation accuracy of the last epoch against the number of
    training paintings. A line for each initial weights (colour; `weights` names the pretrained ones) and tuning (mark),
    the mean over seeds in a band from the lowest to the highest; baselines in grey."""
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
    place = {"loc": "outside right center", "fontsize": 9, "frameon": False, "handlelength": 3.2}
    figure.legend(handles=_keys(panels, weights), **place)
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for name, by_paintings in panel.baselines.items():
        amounts = sorted(by_paintings)
        look = {"color": "0.45", "linestyle": BASELINE_STYLES[name], "linewidth": 1.3, "zorder": 1}
        axes.plot(amounts, [by_paintings[amount] for amount in amounts], label=BASELINES[name], **look)
    for (initialisation, tuning), points in panel.lines.items():
        style, marker = _MARKS.get(tuning, _OTHER_MARKS)
        mark = {"marker": marker, "markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
        look = {"color": _COLORS[initialisation], "linestyle": style, "linewidth": 1.9, "zorder": 3} | mark
        accuracies = [point.accuracies for point in points]
        mean_in_band(axes, [point.paintings for point in points], accuracies, 0.12, label=points[0].arm.name, **look)
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
    """The legend: colours, marks and grey lines of all that is drawn."""

    def heading(text: str) -> Line2D:
        return Line2D([], [], linestyle="none", label=f"\n$\\bf{{{text.replace(' ', '~')}}}$")

    drawn = {side for panel in panels for side in panel.lines}
    initialisations, tunings = {one for one, _ in drawn}, {tuning for _, tuning in drawn}
    names = {PRETRAINED: weights, REDRAWN: f"redrawn: mean and deviation\nof {weights}'s layers"}
    keys = [heading("initial weights")]
    for one in [one for one in INITIALISATIONS if one in initialisations]:
        keys.append(Line2D([], [], color=_COLORS[one], linewidth=4, label=names.get(one, one)))
    keys.append(heading("what is trained"))
    for tuning in [*(one for one in TUNINGS if one in tunings), *sorted(tunings - TUNINGS.keys())]:
        style, marker = _MARKS.get(tuning, _OTHER_MARKS)
        label = TUNINGS.get(tuning, tuning).replace(" and ", "\nand ")
        keys.append(Line2D([], [], color="0.2", linestyle=style, marker=marker, markersize=5.5, label=label))
    known = [name for name in BASELINES if any(name in panel.baselines for panel in panels)]
    keys += [heading("baselines")] if known else []
    for name in known:
        keys.append(Line2D([], [], color="0.45", linestyle=BASELINE_STYLES[name], label=BASELINES[name]))
    band = "\nlines: means over seeds;\nbands: lowest to highest seed"
    return [*keys, Line2D([], [], linestyle="none", label=band)]
