"""The order of an epoch, and its batches: gathered from decoded rows, or read from files by a DataLoader."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from brushwork import images
from brushwork.batch import Batch, FeatureBatch
from brushwork.preprocessing import Preprocessing
from brushwork.row_store import Rows

DEVICE_SHARE = 0.5  # of a GPU's free memory at the start: a store that takes no more lives there


@dataclass(eq=False)
class PictureFiles(Dataset):
    """Pictures read from their files: uint8 (height, width, 3), label, index (see `Batch`)."""

    paths: Sequence[Path]
    labels: Sequence[int]
    indices: Sequence[int]
    preprocessing: Preprocessing
    max_megapixels: float

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> Batch:
        size, how = self.preprocessing.image_size, self.preprocessing.resize
        picture = images.load_square(self.paths[i], size, how, self.max_megapixels)
        return Batch(picture, self.labels[i], self.indices[i])


class EpochOrder(Sampler[int]):
    """The order of an epoch, a function of (seed, epoch) alone; without a seed, the order of the data.

    Under DDP every process takes each `world_size`-th item of the same order, so that their batches
    together are the batches of one process. The order is padded from its start to equal shares.
    """

    def __init__(self, size: int, seed: int | None, rank: int = 0, world_size: int = 1) -> None:
        self.size, self.seed, self.rank, self.world_size = size, seed, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.size // self.world_size)

    def __iter__(self) -> Iterator[int]:
        order = np.arange(self.size)
        if self.seed is not None:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        order = np.resize(order, len(self) * self.world_size)
        return iter(order[self.rank :: self.world_size].tolist())


@dataclass(eq=False)
class StoredBatches:
    """The batches of one part, gathered from rows: what a DataLoader is for files.

    kind: of the batches.
    gather: catalogue positions (batch,) to what a batch's first field holds.
    indices: the part's catalogue positions; labels: of the whole catalogue. Both on the rows' device.
    sampler: the order of an epoch, positions in `indices`.
    ahead: so many batches are gathered by a thread while a GPU works; 0: none, where rows and network are together.
    """

    kind: type[Batch] | type[FeatureBatch]
    gather: Callable[[Tensor], Tensor]
    indices: Tensor
    labels: Tensor
    sampler: EpochOrder
    batch_size: int
    ahead: int
    pin_memory: bool

    def __post_init__(self) -> None:
        # Not of an epoch: Lightning drops an epoch's iterator before its end, and what a signal raises while Python
        # tidies one up is lost.
        self._thread = ThreadPoolExecutor(1)
        self.batch_sampler = None  # Lightning looks for one, then sets the epoch of `sampler`

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)

    def _batch(self, chosen: Tensor) -> Batch | FeatureBatch:
        index = self.indices[chosen]
        batch = self.kind(self.gather(index), self.labels[index], index)
        return self.kind(*(column.pin_memory() for column in batch)) if self.pin_memory else batch

    def __iter__(self) -> Iterator[Batch | FeatureBatch]:
        order = torch.tensor(list(self.sampler), device=self.indices.device)
        if self.ahead == 0:
            yield from map(self._batch, order.split(self.batch_size))
            return
        waiting: deque[Future[Batch | FeatureBatch]] = deque()
        for chosen in order.split(self.batch_size):
            waiting.append(self._thread.submit(self._batch, chosen))
            if len(waiting) > self.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def on_device(rows: Rows, device: torch.device) -> Rows:
    """The rows in a GPU's memory, where they take at most `DEVICE_SHARE` of what is free; else as they are."""
    if device.type != "cuda":
        return rows
    size = len(rows.position) * rows.values[0].nbytes
    return rows.to(device) if size <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0] else rows
