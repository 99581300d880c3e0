"""The sanity check of some photos as a table, a figure and sentences."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from brushwork.predictor import Predictor
from brushwork.saliency import agreement, sanity
from brushwork.saliency.photos import Explained

PHOTOS = 8  # of all that are explained: each step costs every method's maps of them
TABLE = "sanity.csv"
COLUMNS = ("step", "layers", "method", "rank_correlation", "other_photos")
_STEPS = 12

Row = dict[str, str]


def rows(predictor: Predictor, answers: Sequence[Explained], batch_size: int) -> list[Row]:
    """A row for each step and method: the mean over the photos of the maps' rank correlation with the original ones.

    Step 0 is the network as it is. `other_photos` is what maps of different photos have in common, the floor.
    """
    images, targets = torch.stack([one.image for one in answers]), torch.tensor([one.target for one in answers])
    originals = {method: np.stack([one.maps[method] for one in answers]) for method in answers[0].maps}
    floors = {method: _mean(agreement.between_images(maps)) for method, maps in originals.items()}
    found = [_row(0, "none", method, 1.0, floors[method]) for method in originals]
    steps = sanity.cascade(predictor.network, images, targets, originals, steps=_STEPS, batch_size=batch_size)
    bar = tqdm(steps, desc="sanity check", total=_STEPS, unit=" steps", leave=False, disable=None)
    for number, step in enumerate(bar, 1):
        for method, correlations in step.correlations.items():
            found.append(_row(number, " ".join(step.layers), method, _mean(correlations), floors[method]))
    return found


def sentence(table: Sequence[Row]) -> str:
    """What is left of each method's maps when all weights have been drawn anew."""
    last = {row["method"]: row for row in table}  # of each method, the last step
    left = ", ".join(f"{method} {row['rank_correlation']} ({row['other_photos']})" for method, row in last.items())
    return (
        f"with all weights drawn anew, likeness to the original maps (of different photos' maps to each other): {left}"
    )


def figure(table: Sequence[Row]) -> Figure:
    """Likeness to the original maps, as more and more layers are drawn anew; dotted, what different photos share."""
    drawn = Figure(figsize=(8, 4.6), dpi=130, layout="constrained")
    axes = drawn.subplots()
    for number, method in enumerate(dict.fromkeys(row["method"] for row in table)):
        of_method = [row for row in table if row["method"] == method]
        steps = [int(row["step"]) for row in of_method]
        axes.plot(
            steps,
            [float(row["rank_correlation"] or "nan") for row in of_method],
            "o-",
            color=f"C{number}",
            label=method,
        )
        axes.axhline(float(of_method[0]["other_photos"] or "nan"), color=f"C{number}", linestyle=":", linewidth=1.2)
    labels = {int(row["step"]): row["layers"].split()[-1] for row in table}
    axes.set_xticks([*labels], labels.values(), rotation=40, ha="right", fontsize=8)
    axes.set(xlabel="weights drawn anew, from the classifier down to", ylabel="rank correlation with the original map")
    axes.set_ylim(top=1.03)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    return drawn


def _row(step: int, layers: str, method: str, correlation: float, floor: float) -> Row:
    cells = [f"{value:.3f}" if np.isfinite(value) else "" for value in (correlation, floor)]
    return dict(zip(COLUMNS, (str(step), layers, method, *cells), strict=True))


def _mean(values: np.ndarray) -> float:
    """Over the photos that have a value."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
