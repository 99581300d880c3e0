"""The painting store: each painting is decoded, turned and resized once, and kept as bytes."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from brushwork import images
from brushwork.paintings.catalogue import Catalogue
from brushwork.preprocessing import Preprocessing
from brushwork.row_store import Rows, RowStore

_VERSION = 1  # of how a picture becomes a row: a new one decodes every painting again


def open_pictures(
    catalogue: Catalogue, identities: list[tuple[str, int, int]], preprocessing: Preprocessing, max_megapixels: float
) -> Rows | None:
    """The paintings in the catalogue's order, each (height, width, 3) uint8; those that are new are decoded first.

    All choices of styles and splits from one folder share a store.

    Args:
        identities: of the catalogue's paintings (`facts.identities`), by which rows are known.

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

    about = {
        "root": str(catalogue.root.resolve()),
        "image_size": size,
        "resize": preprocessing.resize,
        "version": _VERSION,
    }
    store = RowStore("pictures", about, (size, size, 3), torch.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of torch in each of the pool's threads, which would be in one another's way
    try:
        with ThreadPoolExecutor() as pool:
            return store.open(identities, load_all, "painting store")
    finally:
        torch.set_num_threads(threads)
