"""The painting store: each painting is decoded, turned and resized once, and kept as bytes."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from brushwork import images
from brushwork.backbones import Preprocessing
from brushwork.paintings import facts
from brushwork.paintings.catalogue import Catalogue
from brushwork.row_store import Rows, RowStore

_VERSION = 1  # of how a picture becomes a row: a new one decodes every painting again


def identities(catalogue: Catalogue) -> list[tuple[str, int, int]]:
    """What tells each painting's file from another or an earlier one: path, bytes, mtime in ns."""
    return [(painting.path, *facts.identity_of(catalogue.root / painting.path)) for painting in catalogue.paintings]


def about(catalogue: Catalogue, preprocessing: Preprocessing) -> dict[str, str | int]:
    """What all pictures of a store have in common."""
    return {
        "root": str(catalogue.root.resolve()),
        "image_size": preprocessing.image_size,
        "resize": preprocessing.resize,
        "version": _VERSION,
    }


def open_pictures(
    catalogue: Catalogue, identities: list[tuple[str, int, int]], preprocessing: Preprocessing, max_megapixels: float
) -> Rows | None:
    """The paintings in the catalogue's order, each (height, width, 3) uint8; those that are new are decoded first.

    All choices of styles and splits from one folder share a store.

    Args:
        identities: of the catalogue's paintings, by which rows are known.

    Returns:
        None, after a warning, when there is no room for them.

    Raises:
        UserError: a painting can't be read.
    """
    size = preprocessing.image_size

    def load(i: int) -> Tensor:
        path = catalogue.root / catalogue.paintings[i].path
        return images.load_square(path, size, preprocessing.resize, max_megapixels)

    def load_all(chosen: list[int]) -> Tensor:
        return torch.stack(list(pool.map(load, chosen)))

    store = RowStore("pictures", about(catalogue, preprocessing), (size, size, 3), torch.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of torch in each of the pool's threads, which would be in one another's way
    try:
        with ThreadPoolExecutor() as pool:
            return store.open(identities, load_all, "painting store")
    finally:
        torch.set_num_threads(threads)
