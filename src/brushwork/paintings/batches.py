"""Batches in the order of an epoch: of kept features, of the painting store, or of files by a DataLoader."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from brushwork import images
from brushwork.batch import Batch, FeatureBatch
from brushwork.errors import UserError
from brushwork.paintings import augment, store
from brushwork.paintings.augment import Augmentation
from brushwork.preprocessing import Preprocessing
from brushwork.row_store import Rows

if TYPE_CHECKING:
    from brushwork.paintings.datamodule import WikiArtDataModule

DEVICE_SHARE = 0.5  # of a GPU's free memory at the start: a store that takes no more lives there
_AHEAD = 2  # batches that are gathered while a GPU works


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


class EpochOrder(DistributedSampler):
    """The order of an epoch, a function of (seed, epoch) alone; without a seed, the order of the data.

    Under DDP every process takes each `world_size`-th item of the same order, so that their batches
    together are the batches of one process. The order is padded from its start to equal shares. It is a
    `DistributedSampler`, so that Lightning does not share out the shares again.
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


class Loaders:
    """Makes the loaders of a data module for its Trainer; rows on the disk are opened once for the same network."""

    def __init__(self, data: "WikiArtDataModule") -> None:
        self.data = data
        self._pictures: dict[Any, Rows | None] = {}  # the painting store, by preprocessing
        self._features: dict[str, Rows | None] = {}  # by what determines them, the frozen weights among it
        self._key: str | None = None  # of this stage's features; its weights are hashed once

    def begin_stage(self) -> None:
        """Before fit, validate, test or predict: the network may have other weights than before."""
        self._key = None

    def of_part(self, part: str) -> StoredBatches | DataLoader:
        """The batches of a part, in the order of the Trainer's epoch."""
        data, trainer = self.data, self.data.trainer
        if data.batch_size % trainer.world_size:
            raise UserError(f"data.batch_size={data.batch_size} is not divisible by {trainer.world_size} devices")
        order, device = self._order(part), trainer.strategy.root_device
        is_kept = data.store and not trainer.fast_dev_run
        if is_kept and (features := self._open_features()) is not None:
            kind, rows = FeatureBatch, on_device(features, device)
            gather = self._gather_features(part, rows, order)
        elif is_kept and (pictures := self._open_pictures()) is not None:
            kind, rows = Batch, on_device(pictures, device)
            gather = rows.__getitem__
        else:
            return self._loader(self.files(data.indices(part)), order)
        home = rows.values.device
        to_gpu = device.type == "cuda" and home.type == "cpu"
        return StoredBatches(
            kind,
            gather,
            torch.tensor(data.indices(part), dtype=torch.int64, device=home),
            data.labels.to(home),
            order,
            data.batch_size // trainer.world_size,
            ahead=_AHEAD if to_gpu else 0,  # on a processor there is nothing to gain: less than 1 % of a step
            pin_memory=to_gpu,
        )

    def of_files(self, paths: Sequence[Path], indices: Sequence[int]) -> DataLoader:
        """The batches of any files, in their order, with the label -1."""
        data, trainer = self.data, self.data.trainer
        files = PictureFiles(paths, [-1] * len(paths), indices, data.preprocessing, data.max_megapixels)
        return self._loader(files, EpochOrder(len(paths), None, trainer.global_rank, trainer.world_size))

    def of_paintings(self, index: list[int]) -> Iterator[Tensor]:
        """See `WikiArtDataModule.pictures`."""
        rows = self._open_pictures() if self.data.store else None
        if rows is None:
            batches = (batch.images for batch in self._loader(self.files(index), EpochOrder(len(index), None)))
        else:
            batches = (rows[some] for some in torch.tensor(index).split(self.data.batch_size))
        return (pictures.permute(0, 3, 1, 2) for pictures in batches)

    def of_extractor(self, extractor: store.Extractor, index: list[int]) -> Tensor:
        """See `WikiArtDataModule.features`."""
        data, views = self.data, [(i, 0) for i in index]
        rows = None
        if data.store:
            rows = store.open_features(data.catalogue, views, extractor, data.preprocessing, self._open_pictures)
        return (
            torch.cat([*map(extractor, self.of_paintings(index))]) if rows is None else rows[torch.arange(len(index))]
        )

    def files(self, index: list[int]) -> PictureFiles:
        """The files of paintings, by their catalogue positions."""
        data = self.data
        paths = [data.catalogue.root / data.catalogue.paintings[i].path for i in index]
        return PictureFiles(paths, data.labels[index].tolist(), index, data.preprocessing, data.max_megapixels)

    def _order(self, part: str) -> EpochOrder:
        trainer, seed = self.data.trainer, self.data.seed if part == "train" else None
        order = EpochOrder(len(self.data.indices(part)), seed, trainer.global_rank, trainer.world_size)
        # Lightning sets the epoch as well, but in a resumed run only after the workers have the first indices.
        order.set_epoch(trainer.fit_loop.epoch_progress.current.processed)
        return order

    def _loader(self, files: PictureFiles, order: EpochOrder) -> DataLoader:
        trainer, workers = self.data.trainer, self.data.workers
        workers = images.default_workers(trainer.world_size) if workers is None else workers
        return DataLoader(
            files,
            batch_size=self.data.batch_size // trainer.world_size,
            sampler=order,
            num_workers=workers,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # else each epoch draws the workers' seed from the global state
            pin_memory=trainer.strategy.root_device.type == "cuda",
        )

    def _gather_features(self, part: str, rows: Rows, order: EpochOrder) -> Callable[[Tensor], Tensor]:
        """Of each painting its features, in training those of its mirror image where it would be, or both."""
        data, views = self.data, torch.tensor(self._views())
        row_of_view = torch.full((len(data.parts), 2), -1)  # -1: a view that is not needed
        row_of_view[tuple(views.T)] = torch.arange(len(views))
        row_of_view = row_of_view.to(rows.values.device)

        def gather(index: Tensor) -> Tensor:
            if part == "train" and data.views == 2:
                return torch.stack([rows[row_of_view[index, view]] for view in (0, 1)], 1)
            mirrored = torch.zeros_like(index)
            if part == "train" and data.augmentation.flip:
                mirrored = augment.flips(index, data.seed, order.epoch).long()
            return rows[row_of_view[index, mirrored]]

        return gather

    def _views(self) -> list[tuple[int, int]]:
        """Which features are needed: a painting's position in the catalogue; 1 for its mirror image."""
        plain = [(i, 0) for i, part in enumerate(self.data.parts) if part != "unused"]
        return plain + [
            (i, 1) for i in self.data.indices("train") if self.data.augmentation.flip or self.data.views == 2
        ]

    def _open_features(self) -> Rows | None:
        """The features of the frozen backbone; None where the network has none that stay the same, or no room."""
        if self._key is not None:
            return self._features[self._key]
        data, module = self.data, self.data.trainer.lightning_module
        repeats = data.transform is None and data.augmentation == Augmentation(flip=data.augmentation.flip)
        extractor = module.feature_extractor() if repeats and hasattr(module, "feature_extractor") else None
        if extractor is None:
            return None
        key = str((data.preprocessing, extractor.about, data.views))
        if key not in self._features:
            views, pictures = self._views(), self._open_pictures
            self._features[key] = store.open_features(data.catalogue, views, extractor, data.preprocessing, pictures)
        self._key = key
        return self._features[key]

    def _open_pictures(self) -> Rows | None:
        """All paintings from the painting store; None where there is no room for it."""
        data, how = self.data, self.data.preprocessing
        if how not in self._pictures:
            self._pictures[how] = store.open_pictures(data.catalogue, how, data.max_megapixels)
        return self._pictures[how]
