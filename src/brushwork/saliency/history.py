"""How the maps of a panel change in training: rank correlations, and a strip of the first painting's maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from brushwork import contact_sheet
from brushwork.contact_sheet import Cell
from brushwork.saliency.display import render
from brushwork.saliency.evaluation.agreement import between_images, mean, rank_correlation
from brushwork.saliency.panel import SIDE

_STRIP_MAPS = 9  # of the network in training: they fill a screen's width


class MapHistory:
    """The rank correlations of each painting's map for the true style with other maps of it, after `every` epochs.

    previous: the map at the step before. start: the map before training, where only the new layer is random.
    imagenet: the map of ImageNet's own network, where it is known (`add_imagenet`).
    others: the chance level, the mean correlation with the other paintings' maps (`agreement.between_images`).
    """

    def __init__(self, paths: Sequence[str], method: str, every: int) -> None:
        self.paths, self.method, self.every = paths, method, every
        self.rows: list[dict[str, Any]] = []  # of saliency.csv
        self.maps: dict[str, torch.Tensor] = {}  # by a correlation's name, what to compare with
        self.strip: dict[str, list[Any]] = {}  # the first painting's [title, map, caption] by step

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"rows": self.rows, "maps": self.maps, "strip": self.strip}

    def load(self, state: dict[str, Any]) -> None:
        self.rows, self.maps, self.strip = state["rows"], state["maps"], state["strip"]

    def add_imagenet(self, maps: np.ndarray, title: str, caption: str) -> None:
        """The maps (paintings, height, width) of ImageNet's own network."""
        self.maps["imagenet"] = torch.from_numpy(maps)
        self.strip["imagenet"] = [title, self.maps["imagenet"][0].clone(), caption]

    def add(self, step: int, maps: np.ndarray, title: str, caption: str) -> dict[str, float]:
        """Compares the maps (paintings, height, width) with earlier ones, and keeps them for the next time. Returns the
        paintings' mean of each correlation that is known."""
        found = {name: rank_correlation(maps, other.numpy()) for name, other in self.maps.items()}
        found["others"] = between_images(maps)  # NaN of a single painting
        for number, path in enumerate(self.paths):
            values = {name: round(float(one[number]), 5) for name, one in found.items() if np.isfinite(one[number])}
            self.rows.append({"epoch": step, "path": path} | values)
        self.maps["previous"] = torch.from_numpy(maps)
        if step == 0:
            self.maps["start"] = self.maps["previous"]
        known = [name for name in ("previous", "imagenet") if name in found and np.isfinite(found[name][0])]
        caption = "\n".join([caption, *(f"correlation {name} {found[name][0]:.2f}" for name in known)])
        self.strip[str(step)] = [title, self.maps["previous"][0].clone(), caption]
        kept = {"imagenet", *map(str, shown(step, self.every, _STRIP_MAPS))}
        self.strip = {key: one for key, one in self.strip.items() if key in kept}
        means = {name: mean(one) for name, one in found.items()}
        return {name: value for name, value in means.items() if value is not None}

    def picture(self, first: Cell) -> Image.Image:
        """The strip: the first painting's cell and its maps, each scaled to its own 99th percentile since gradients
        change their size in training."""
        titles, maps, captions = zip(*self.strip.values(), strict=True)
        cells = [Cell(render.picture(one.numpy()), caption) for one, caption in zip(maps, captions, strict=True)]
        title = f"{self.method}, each map to its\nown {render.PERCENTILE}th percentile;\nrank correlations"
        return contact_sheet.sheet([[first, *cells]], side=SIDE, titles=[title, *titles])


def shown(last: int, every: int, at_most: int) -> list[int]:
    """Evenly spaced steps of 0, `every`, 2 `every`, ... and the last, at most so many; a step once left out is never
    needed again.

    >>> shown(4, 1, 6), shown(6, 1, 6), shown(7, 1, 6)
    ([0, 1, 2, 3, 4], [0, 2, 4, 6], [0, 2, 4, 6, 7])
    """
    while len(steps := sorted({*range(0, last + 1, every), last})) > at_most:
        every *= 2
    return steps
