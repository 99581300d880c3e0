"""Figures that matplotlib draws from plain values."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from brushwork import fonts
from brushwork.calibration import HeldOut, bins, risk_coverage
from brushwork.readable import readable, shortened


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str], title: str = "") -> Figure:
    """How many paintings of each true class (rows) were predicted as each class (columns).

    Colours are shares of the row: the diagonal shows each class's recall. Both arrays: (paintings,) class indices.
    """
    size, class_names = len(class_names), [shortened(readable(name), 32) for name in class_names]
    counts = np.bincount(np.asarray(labels) * size + predicted, minlength=size**2).reshape(size, size)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inches = max(4.5, 0.62 * size + 2)
    figure = Figure(figsize=(inches, inches), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(size), class_names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(size), class_names, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def calibration(found: HeldOut, title: str) -> Figure:
    """Left the reliability diagram, accuracy by confidence before and after calibration (Guo et al. 2017, figure 1);
    right the risk of the most confident answers by their share of all (El-Yaniv and Wiener 2010)."""
    figure = Figure(figsize=(9.6, 4.4), dpi=110, layout="constrained")
    reliability, risk = figure.subplots(1, 2)
    reliability.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="as confident as correct")
    measured = found.figures()
    for when, color in (("before", "tab:gray"), ("after", "tab:blue")):
        confidence, accuracy, share = np.array(bins(getattr(found, when), found.labels)).T
        label = f"{when}: calibration error {measured[f'ece_{when}']:.3f}, Brier {measured[f'brier_{when}']:.3f}"
        reliability.plot(confidence, accuracy, color=color, linewidth=1.5, label=label)
        reliability.scatter(confidence, accuracy, s=600 * share, color=color, alpha=0.5, linewidths=0)
    reliability.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy", title=title)
    reliability.legend(fontsize=8, loc="upper left")
    coverage, wrong = risk_coverage(found.after, found.labels)
    risk.plot(coverage, wrong, color="tab:blue")
    risk.axhline(wrong[-1], color="0.5", linestyle=":", label=f"all answers: {wrong[-1]:.3f} wrong")
    risk.set(xlim=(0, 1), ylim=(0, None), xlabel="share of pictures answered, the most confident first")
    risk.set(ylabel="share of the answers that is wrong", title="if uncertain answers are withheld")
    risk.legend(fontsize=8, loc="lower right")
    return figure


def layer_table(rows: Sequence[tuple[str, str, str, str]], title: str) -> Figure:
    """An architecture as a table of (layer, what it is, output shape, parameters) (report, figure 2)."""
    figure = Figure(figsize=(8, 0.25 * len(rows) + 0.9), dpi=130)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98 - 0.5 / figure.get_figheight()))
    axes.axis("off")
    figure.suptitle(title, y=1 - 0.15 / figure.get_figheight(), va="top", fontsize=11)
    titles = ("layer", "", "output shape", "parameters")
    table = axes.table([titles, *rows], loc="center", bbox=(0, 0, 1, 1), colWidths=(0.2, 0.36, 0.24, 0.2), edges="B")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("0.85")
        cell.get_text().set(ha="left" if column < 2 else "right", weight="bold" if row == 0 else "normal")
    return figure


@dataclass(frozen=True)
class Strategy:
    """A classifier for `classifiers`: a label for each layer, and the position of the new one, if any."""

    title: str
    layers: list[str]
    new: int | None = None


def classifiers(strategies: Sequence[Strategy]) -> Figure:
    """Classifiers side by side, the first before the change; removed layers are dashed (report, figures 3 and 4)."""
    count = max(len(strategy.layers) for strategy in strategies)
    figure = Figure(figsize=(3.3 * len(strategies), 0.62 * count + 1.3), dpi=130, layout="constrained")
    for axes, strategy in zip(figure.subplots(1, len(strategies), squeeze=False)[0], strategies, strict=True):
        last = len(strategy.layers) - 1
        for position in range(count):
            if position <= last:
                text, face, edge, line, color = strategy.layers[position], "#dbe7f5", "0.3", "-", "black"
            else:
                text, face, edge, line, color = "removed", "none", "0.6", "--", "0.55"
            if position == strategy.new:
                text, face = f"{text}  new", "#ffd9b3"
            box = {"boxstyle": "round,pad=0.45", "facecolor": face, "edgecolor": edge, "linestyle": line}
            axes.text(0.5, -position, f"[{position}]  {text}", ha="center", va="center", bbox=box, color=color)
            if position < last:
                arrow = {"arrowstyle": "->", "color": "0.3"}
                axes.annotate("", (0.5, -position - 0.68), (0.5, -position - 0.32), arrowprops=arrow)
        axes.set(xlim=(0, 1), ylim=(0.4 - count, 0.6), title=strategy.title)
        axes.title.set_fontsize(10)
        axes.axis("off")
    return figure


def as_picture(figure: Figure) -> Image.Image:
    """The figure's pixels. No text in it is mathematics, and fonts that are installed help with what DejaVu lacks."""
    for axes in figure.axes:
        _ = axes.get_xticklabels(), axes.get_yticklabels()  # these get their text now
    texts = figure.findobj(Text)
    fallbacks = [entry.name for entry in fonts.fallbacks("".join(text.get_text() for text in texts))]
    for text in texts:
        text.set_parse_math(False)
        text.set_text(readable(text.get_text(), keep="\n"))
        text.set_fontfamily(["DejaVu Sans", *fallbacks])
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # `fonts` has logged it
        canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
