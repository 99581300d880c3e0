"""The sanity check of some photos as a table, a figure and a sentence."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from brushwork import images
from brushwork.models.predictor import Predictor
from brushwork.saliency.evaluation import agreement, sanity

PHOTOS = 8  # of all: each step costs every method's maps of them
COLUMNS = ("step", "layers", "method", "photos", "rank_correlation", "other_photos")
_STEPS = 12

Row = dict[str, str]


def rows(predictor: Predictor, table: Sequence[Row], out: Path, max_megapixels: float, batch_size: int) -> list[Row]:
    """A row for each step and method: the mean rank correlation of the photos' maps with their original ones.

    Step 0 is the original network. `photos`: how many have a correlation; a constant map has none. `other_photos`: the
    chance level, the mean correlation of maps of different photos. Of the `table` (see `results`) the first PHOTOS by
    name are taken; `out` holds their maps.
    """
    chosen = sorted({row["photo"] for row in table})[:PHOTOS]
    given = sorted((row for row in table if row["photo"] in chosen and row["map"]), key=lambda row: row["photo"])
    methods = list(dict.fromkeys(row["method"] for row in given))
    maps = {method: [np.load(out / row["map"]) for row in given if row["method"] == method] for method in methods}
    originals = {method: np.stack(of_photos) for method, of_photos in maps.items()}
    classes = {row["photo"]: predictor.class_names.index(row["target"]) for row in given}
    targets = torch.tensor(list(classes.values()))
    pictures = torch.stack([predictor.transform(images.load_rgb(photo, max_megapixels)) for photo in chosen])
    chance = {method: agreement.between_images(of) for method, of in originals.items()}
    cascade = sanity.cascade(predictor.network, pictures, targets, originals, steps=_STEPS, batch_size=batch_size)
    bar = tqdm(cascade, desc="sanity check", total=_STEPS, unit=" steps", leave=False, disable=None)
    unchanged = {method: np.ones(len(chosen)) for method in methods}
    found = []
    for step, (layers, correlations) in enumerate(itertools.chain([(["none"], unchanged)], bar)):
        for method, of in correlations.items():
            means = [agreement.mean(values) for values in (of, chance[method])]
            cells = ["" if mean is None else f"{mean:.3f}" for mean in means]
            count = int(np.isfinite(of).sum())
            found.append(dict(zip(COLUMNS, (str(step), " ".join(layers), method, str(count), *cells), strict=True)))
    return found


def sentence(table: Sequence[Row]) -> str:
    """The result after the last step, when all weights are redrawn."""
    last = {row["method"]: [row[name] or "unknown" for name in ("rank_correlation", "other_photos")] for row in table}
    results = ", ".join(f"{method} {correlation} ({chance})" for method, (correlation, chance) in last.items())
    photos = "1 photo" if table[0]["photos"] == "1" else f"{table[0]['photos']} photos"
    return (
        f"sanity check: rank correlation of the maps before and after all weights are redrawn (one draw, {photos}; in "
        f"brackets that of maps of different photos, the chance level): {results}"
    )


def figure(table: Sequence[Row]) -> Figure:
    """The rank correlation with the original maps as more and more layers are redrawn; dotted: the chance level."""
    drawn = Figure(figsize=(8, 4.6), dpi=130, layout="constrained")
    axes = drawn.subplots()
    for number, method in enumerate(dict.fromkeys(row["method"] for row in table)):
        of_method = [row for row in table if row["method"] == method]
        steps = [int(row["step"]) for row in of_method]
        values = [float(row["rank_correlation"] or "nan") for row in of_method]
        axes.plot(steps, values, "o-", color=f"C{number}", label=method)
        axes.axhline(float(of_method[0]["other_photos"] or "nan"), color=f"C{number}", linestyle=":", linewidth=1.2)
    labels = {int(row["step"]): row["layers"].split()[-1] for row in table}
    axes.set_xticks([*labels], labels.values(), rotation=40, ha="right", fontsize=8)
    axes.set(xlabel="weights redrawn, from the classifier down to", ylabel="rank correlation with the original map")
    axes.set_ylim(top=1.03)
    axes.grid(alpha=0.25)
    drawn.legend(loc="outside right upper", fontsize=8)
    return drawn
