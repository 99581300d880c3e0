"""What is kept on the disk of paintings: the decoded pictures, and their features under a frozen backbone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Protocol

import torch
from torch import Tensor

from brushwork import images
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks.facts import identities
from brushwork.preprocessing import Preprocessing
from brushwork.row_store import Rows, RowStore

_PICTURES_VERSION = 1  # of how a picture becomes a row: a new one decodes every painting again
_FEATURES_VERSION = 1  # of how features are computed: a new one computes all again
_BATCH = 128  # pictures whose features are computed at once


def open_pictures(catalogue: Catalogue, preprocessing: Preprocessing, max_megapixels: float) -> Rows | None:
    """The paintings in the catalogue's order, each (height, width, 3) uint8; new ones are decoded first.

    All selections of styles and all splits of one folder share a store, whose keys are the files' `identities`.
    None, after a warning, when there is no space; UserError for a painting that cannot be read.
    """
    size, how = preprocessing.image_size, preprocessing.resize
    paths = [catalogue.root / painting.path for painting in catalogue.paintings]

    def load(indices: list[int]) -> Tensor:
        return torch.stack(list(pool.map(lambda i: images.load_square(paths[i], size, how, max_megapixels), indices)))

    about = {"root": str(catalogue.root.resolve()), "image_size": size, "resize": how, "version": _PICTURES_VERSION}
    store = RowStore("pictures", about, (size, size, 3), torch.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # in each of the pool's threads, which would compete otherwise
    try:
        with ThreadPoolExecutor() as pool:
            return store.open(identities(catalogue), load, "painting store")
    finally:
        torch.set_num_threads(threads)


class Extractor(Protocol):
    """A frozen network (`brushwork.models.features.FrozenFeatures`); `about` has what determines its features."""

    about: dict[str, str]

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures uint8 (batch, 3, height, width) to features (batch, *shape)."""


def open_features(
    catalogue: Catalogue,
    views: list[tuple[int, int]],
    extractor: Extractor,
    preprocessing: Preprocessing,
    pictures: Callable[[], Rows | None],
) -> Rows | None:
    """The features in the order of `views`; missing ones are computed first. None, after a warning, without space.

    Args:
        views: a painting's position in the catalogue, and 1 for its mirror image, else 0.
        pictures: opens the painting store, from which features are computed; not called where none are missing.
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
    about = {"root": str(catalogue.root.resolve()), "version": _FEATURES_VERSION}
    store = RowStore("features", about | asdict(preprocessing) | extractor.about, example.shape[1:], example.dtype)
    known = identities(catalogue)
    return store.open([(*known[i], mirrored) for i, mirrored in views], compute, "frozen features")
