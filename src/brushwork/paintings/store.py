"""The painting store: each painting decoded, turned upright and resized once, and kept as bytes."""

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
    """The paintings in the catalogue's order, each (height, width, 3) uint8; new ones are decoded first.

    All selections of styles and all splits of one folder share a store. Its keys are `identities` of
    `facts.identities`. None, after a warning, when there is no space; UserError for a painting that cannot be read.
    """
    size, how = preprocessing.image_size, preprocessing.resize
    paths = [catalogue.root / painting.path for painting in catalogue.paintings]

    def load(indices: list[int]) -> Tensor:
        return torch.stack(list(pool.map(lambda i: images.load_square(paths[i], size, how, max_megapixels), indices)))

    about = {"root": str(catalogue.root.resolve()), "image_size": size, "resize": how, "version": _VERSION}
    store = RowStore("pictures", about, (size, size, 3), torch.uint8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # in each of the pool's threads, which would compete otherwise
    try:
        with ThreadPoolExecutor() as pool:
            return store.open(identities, load, "painting store")
    finally:
        torch.set_num_threads(threads)
