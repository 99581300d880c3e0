"""Figures of finished runs, as matplotlib draws them."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, class_names: Sequence[str], title: str = "") -> Figure:
    """How many paintings of each true class (rows) were taken for each class (columns).

    Colours are shares of the row: the diagonal shows each class's recall.

    Args:
        labels, predicted: (paintings,) class indices.
    """
    size = len(class_names)
    counts = np.zeros((size, size), int)
    np.add.at(counts, (labels, predicted), 1)
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


def as_picture(figure: Figure) -> Image.Image:
    """The figure's pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
