"""Paintings as batches: gathered from the painting store, augmented and normalised in batches on the device."""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from brushwork import images
from brushwork.paintings import augment, store
from brushwork.paintings.augment import Augmentation
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks import facts
from brushwork.paintings.splits import Parts
from brushwork.preprocessing import Preprocessing, normalize
from brushwork.row_store import Rows

DEVICE_SHARE = 0.5  # of a GPU's free memory at the start: a store that takes no more lives there
_AHEAD = 2  # batches that are gathered while the network works


class Batch(NamedTuple):
    """Paintings as the network takes them.

    images: (batch, 3, height, width) float32, normalised, channels-last; before they are on the device what was
        gathered, uint8 (batch, height, width, 3).
    labels: (batch,) int64 class indices.
    index: (batch,) int64 positions in the catalogue.
    """

    images: Tensor
    labels: Tensor
    index: Tensor


class PaintingFiles(Dataset):
    """The paintings of one part, read from their files: uint8 (height, width, 3), label, index."""

    def __init__(
        self, catalogue: Catalogue, indices: list[int], preprocessing: Preprocessing, max_megapixels: float
    ) -> None:
        self.paths = [catalogue.root / catalogue.paintings[i].path for i in indices]
        self.labels = [catalogue.label(catalogue.paintings[i]) for i in indices]
        self.indices = indices
        self.preprocessing = preprocessing
        self.max_megapixels = max_megapixels

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


class StoredBatches:
    """The batches of one part, their pictures gathered from rows: what a DataLoader is for files.

    Args:
        gather: catalogue positions (batch,) to what the batches hold of them.
        indices: the part's catalogue positions; labels: of the whole catalogue. Both on the rows' device.
        sampler: the order of an epoch, positions in `indices`.
        ahead: so many batches are gathered by a thread while a GPU works; 0: none, where rows and network are together.
    """

    def __init__(
        self,
        gather: Callable[[Tensor], Tensor],
        indices: Tensor,
        labels: Tensor,
        sampler: EpochOrder,
        batch_size: int,
        ahead: int,
        pin_memory: bool,
    ) -> None:
        self.gather, self.indices, self.labels = gather, indices, labels
        self.sampler, self.batch_size = sampler, batch_size
        self.ahead, self.pin_memory = ahead, pin_memory
        # Not of an epoch: Lightning drops an epoch's iterator before its end, and what a signal raises while Python
        # tidies one up is lost.
        self._thread = ThreadPoolExecutor(1)
        self.batch_sampler = None  # Lightning looks for one, then sets the epoch of `sampler`

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)

    def _batch(self, chosen: Tensor) -> Batch:
        index = self.indices[chosen]
        batch = Batch(self.gather(index), self.labels[index], index)
        return Batch(*(column.pin_memory() for column in batch)) if self.pin_memory else batch

    def __iter__(self) -> Iterator[Batch]:
        order = torch.tensor(list(self.sampler), device=self.indices.device)
        if self.ahead == 0:
            yield from map(self._batch, order.split(self.batch_size))
            return
        waiting: deque[Future[Batch]] = deque()
        for chosen in order.split(self.batch_size):
            waiting.append(self._thread.submit(self._batch, chosen))
            if len(waiting) > self.ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class PaintingsModule(L.LightningDataModule):
    """Training, validation and test batches of a split.

    Args:
        batch_size: over all devices together.
        keep: decode the paintings once into the painting store; else their files are read in each epoch.
        workers: processes that decode files, a device; None goes by the number of cores.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        parts: Parts,
        preprocessing: Preprocessing,
        *,
        seed: int,
        batch_size: int,
        augmentation: Augmentation,
        max_megapixels: float,
        keep: bool = True,
        workers: int | None = None,
    ) -> None:
        super().__init__()
        self.catalogue, self.parts, self.preprocessing = catalogue, parts, preprocessing
        self.seed, self.batch_size, self.augmentation = seed, batch_size, augmentation
        self.max_megapixels, self.keep, self.workers = max_megapixels, keep, workers
        self.labels = torch.tensor([catalogue.label(painting) for painting in catalogue.paintings])
        self.pictures: Rows | None = None

    def setup(self, stage: str) -> None:
        if self.keep and self.pictures is None and self.kept_pictures is not None:
            self.pictures = on_device(self.kept_pictures, self.trainer.strategy.root_device)

    @functools.cached_property
    def identities(self) -> list[tuple[str, int, int]]:
        """Taken once: features of a painting are known by the file from which its picture was decoded."""
        return facts.identities(self.catalogue)

    @functools.cached_property
    def kept_pictures(self) -> Rows | None:
        """All paintings from the store, where there is room for it; asked for once a run."""
        return store.open_pictures(self.catalogue, self.identities, self.preprocessing, self.max_megapixels)

    def indices(self, part: str) -> list[int]:
        """The catalogue positions of a part's paintings."""
        return [i for i, name in enumerate(self.parts) if name == part]

    def _order(self, part: str) -> EpochOrder:
        seed = self.seed if part == "train" else None
        order = EpochOrder(len(self.indices(part)), seed, self.trainer.global_rank, self.trainer.world_size)
        # Lightning sets the epoch as well, but in a resumed run only after the workers have the first indices.
        order.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)
        return order

    def _batches(self, part: str) -> Iterable[Batch]:
        if self.pictures is not None:
            return self._stored_batches(part, self._order(part), self.pictures, self.pictures.__getitem__)
        dataset = PaintingFiles(self.catalogue, self.indices(part), self.preprocessing, self.max_megapixels)
        workers = images.default_workers(self.trainer.world_size) if self.workers is None else self.workers
        return DataLoader(
            dataset,
            batch_size=self.batch_size // self.trainer.world_size,
            sampler=self._order(part),
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # else each epoch draws the workers' seed from the global state
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )

    def _stored_batches(
        self, part: str, order: EpochOrder, rows: Rows, gather: Callable[[Tensor], Tensor]
    ) -> StoredBatches:
        home = rows.values.device
        to_gpu = self.trainer.strategy.root_device.type == "cuda" and home.type == "cpu"
        return StoredBatches(
            gather,
            torch.tensor(self.indices(part), dtype=torch.int64, device=home),
            self.labels.to(home),
            order,
            self.batch_size // self.trainer.world_size,
            ahead=_AHEAD if to_gpu else 0,  # on a processor there is nothing to gain: less than 1 % of a step
            pin_memory=to_gpu,
        )

    def train_dataloader(self) -> Iterable[Batch]:
        return self._batches("train")

    def val_dataloader(self) -> Iterable[Batch]:
        return self._batches("val")

    def test_dataloader(self) -> Iterable[Batch]:
        return self._batches("test")

    def shown(self, index: list[int]) -> Tensor:
        """Paintings, by their catalogue positions, as the network sees them in the running epoch of training."""
        found = PaintingFiles(self.catalogue, index, self.preprocessing, self.max_megapixels)
        pictures = torch.stack([found[i].images for i in range(len(found))])
        return self._prepared(pictures, torch.tensor(index), training=True)

    def _prepared(self, pictures: Tensor, index: Tensor, training: bool) -> Tensor:
        """uint8 (batch, height, width, 3) to what `Batch.images` is."""
        pictures = pictures.permute(0, 3, 1, 2)  # (batch, 3, height, width), channels-last in memory
        if training:
            pictures = augment.apply(pictures, index, self.seed, self.trainer.current_epoch, self.augmentation)
        return normalize(pictures, self.preprocessing)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment and normalise on the device: uint8 (batch, height, width, 3) becomes a `Batch`."""
        return batch._replace(images=self._prepared(batch.images, batch.index, self.trainer.training))


def on_device(rows: Rows, device: torch.device) -> Rows:
    """The rows in a GPU's memory, where they take at most `DEVICE_SHARE` of what is free; else as they are."""
    if device.type != "cuda":
        return rows
    size = len(rows.position) * rows.values[0].nbytes
    return rows.to(device) if size <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0] else rows
