"""The features of paintings under a frozen backbone, kept on the disk beside the painting store."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from brushwork.preprocessing import Preprocessing
from brushwork.row_store import Rows, RowStore

_BATCH = 128  # pictures whose features are computed at once
_VERSION = 1  # of how features are computed: a new one computes all again


class Extractor(Protocol):
    """A frozen network (`brushwork.models.features.FrozenFeatures`).

    about: plain values by which its features are told from others.
    """

    about: dict[str, str]

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures uint8 (batch, 3, height, width) to features (batch, *shape)."""


def open_features(
    root: Path,
    identities: list[tuple[str, int, int]],
    views: list[tuple[int, int]],
    extractor: Extractor,
    preprocessing: Preprocessing,
    pictures: Callable[[], Rows | None],
) -> Rows | None:
    """The features in the order of `views`; those that are missing are computed first.

    Args:
        identities: of the catalogue's paintings (`facts.identities`), by which rows are known.
        views: a painting's position in the catalogue, and 1 for its mirror image, else 0.
        pictures: opens the painting store, from which features are computed; it is not called where none are missing.

    Returns:
        None, after a warning, when there is no room for them.
    """
    size = preprocessing.image_size

    def compute(chosen: list[int]) -> Tensor:
        kept = pictures()
        if kept is None:
            raise OSError("the paintings themselves have no room")
        found = []
        for part in torch.tensor(views)[chosen].split(_BATCH):
            # Always whole batches: the last bits of a feature depend on the batch's size.
            index, mirrored = part[torch.arange(_BATCH) % len(part)].T
            batch = kept[index].permute(0, 3, 1, 2)
            batch = torch.where(mirrored.bool()[:, None, None, None], batch.flip(3), batch)
            found.append(extractor(batch)[: len(part)])
        return torch.cat(found)

    example = extractor(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    about = {"root": str(root.resolve()), "version": _VERSION} | asdict(preprocessing) | extractor.about
    store = RowStore("features", about, example.shape[1:], example.dtype)
    return store.open([(*identities[i], mirrored) for i, mirrored in views], compute, "frozen features")
