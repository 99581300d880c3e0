"""The loaders of a data module: batches of kept features, of the painting store, or of files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from brushwork import images
from brushwork.batch import Batch, FeatureBatch
from brushwork.paintings import augment, store
from brushwork.paintings.augment import Augmentation
from brushwork.paintings.batches import EpochOrder, PictureFiles, StoredBatches, on_device
from brushwork.row_store import Rows

if TYPE_CHECKING:
    from brushwork.paintings.datamodule import WikiArtDataModule

_AHEAD = 2  # batches that are gathered while a GPU works


class Loaders:
    """Makes the loaders of a data module for the Trainer that it is attached to.

    What is kept on the disk is opened once: the features of a frozen backbone once for each network.
    """

    def __init__(self, data: "WikiArtDataModule") -> None:
        self.data = data
        self._pictures: dict[Any, Rows | None] = {}  # the painting store, by preprocessing
        self._extractor_of: Any = None  # the module whose frozen features these are
        self._features: Rows | None = None

    def of_part(self, part: str) -> StoredBatches | DataLoader:
        """The batches of a part, in the order of the Trainer's epoch."""
        data, trainer = self.data, self.data.trainer
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

    def of_files(self, paths: Sequence[Path], labels: Sequence[int], indices: Sequence[int]) -> DataLoader:
        """The batches of any files, in their order."""
        trainer = self.data.trainer
        order = EpochOrder(len(paths), None, trainer.global_rank, trainer.world_size)
        files = PictureFiles(paths, labels, indices, self.data.preprocessing, self.data.max_megapixels)
        return self._loader(files, order)

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
        """Of each painting its features, in training those of its mirror image where it would be mirrored."""
        data, views = self.data, torch.tensor(self._views())
        row_of_view = torch.full((len(data.parts), 2), -1)  # -1: a view that is not needed
        row_of_view[tuple(views.T)] = torch.arange(len(views))
        row_of_view = row_of_view.to(rows.values.device)

        def gather(index: Tensor) -> Tensor:
            mirrored = torch.zeros_like(index)
            if part == "train" and data.augmentation.flip:
                mirrored = augment.flips(index, data.seed, order.epoch).long()
            return rows[row_of_view[index, mirrored]]

        return gather

    def _views(self) -> list[tuple[int, int]]:
        """Which features are needed: a painting's position in the catalogue; 1 for its mirror image."""
        plain = [(i, 0) for i, part in enumerate(self.data.parts) if part in ("train", "val", "test")]
        return plain + [(i, 1) for i in self.data.indices("train") if self.data.augmentation.flip]

    def _open_features(self) -> Rows | None:
        """The features of the frozen backbone; None where the network has none that stay the same, or no room."""
        data, module = self.data, self.data.trainer.lightning_module
        if self._extractor_of is module:
            return self._features
        self._extractor_of, self._features = module, None
        repeats = data.transform is None and data.augmentation == Augmentation(flip=data.augmentation.flip)
        extractor = module.feature_extractor() if repeats and hasattr(module, "feature_extractor") else None
        if extractor is not None:
            views, pictures = self._views(), self._open_pictures
            self._features = store.open_features(data.catalogue, views, extractor, data.preprocessing, pictures)
        return self._features

    def _open_pictures(self) -> Rows | None:
        """All paintings from the painting store; None where there is no room for it."""
        data, how = self.data, self.data.preprocessing
        if how not in self._pictures:
            self._pictures[how] = store.open_pictures(data.catalogue, how, data.max_megapixels)
        return self._pictures[how]
