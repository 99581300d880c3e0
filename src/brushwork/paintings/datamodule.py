"""Paintings as batches: files are decoded by workers, augmented and normalised in batches."""

from collections.abc import Iterator
from typing import NamedTuple

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from brushwork import backbones, images
from brushwork.backbones import Preprocessing
from brushwork.paintings import augment
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.splits import Parts


class Batch(NamedTuple):
    """Paintings as the network takes them.

    images: (batch, 3, height, width) float32, normalised, channels-last.
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
        picture = images.load_rgb(self.paths[i], self.max_megapixels)
        picture = images.resize(picture, self.preprocessing.image_size, self.preprocessing.resize)
        return Batch(torch.from_numpy(np.array(picture)), self.labels[i], self.indices[i])


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


class PaintingsModule(L.LightningDataModule):
    """Training, validation and test batches of a split.

    Args:
        batch_size: over all devices together.
        workers: processes that decode, a device; None goes by the number of cores.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        parts: Parts,
        preprocessing: Preprocessing,
        *,
        seed: int,
        batch_size: int,
        flip: bool,
        max_megapixels: float,
        workers: int | None = None,
    ) -> None:
        super().__init__()
        self.catalogue, self.parts, self.preprocessing = catalogue, parts, preprocessing
        self.seed, self.batch_size, self.flip, self.max_megapixels = seed, batch_size, flip, max_megapixels
        self.workers = workers

    def _loader(self, part: str, seed: int | None) -> DataLoader:
        indices = [i for i, name in enumerate(self.parts) if name == part]
        dataset = PaintingFiles(self.catalogue, indices, self.preprocessing, self.max_megapixels)
        order = EpochOrder(len(dataset), seed, self.trainer.global_rank, self.trainer.world_size)
        # Lightning sets the epoch as well, but in a resumed run only after the workers have the first indices.
        order.set_epoch(self.trainer.fit_loop.epoch_progress.current.processed)
        workers = images.default_workers(self.trainer.world_size) if self.workers is None else self.workers
        return DataLoader(
            dataset,
            batch_size=self.batch_size // self.trainer.world_size,
            sampler=order,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # else each epoch draws the workers' seed from the global state
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
        )

    def train_dataloader(self) -> DataLoader:
        return self._loader("train", self.seed)

    def val_dataloader(self) -> DataLoader:
        return self._loader("val", None)

    def test_dataloader(self) -> DataLoader:
        return self._loader("test", None)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Augment and normalise on the device: uint8 (batch, height, width, 3) becomes a `Batch`."""
        pictures = batch.images.permute(0, 3, 1, 2)  # (batch, 3, height, width), channels-last in memory
        if self.trainer.training and self.flip:
            pictures = augment.horizontal_flip(pictures, batch.index, self.seed, self.trainer.current_epoch)
        return batch._replace(images=backbones.normalize(pictures, self.preprocessing))
