"""The LightningDataModule: a folder of paintings as training, validation, test and prediction batches."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from brushwork import files, photo_files
from brushwork.batch import Batch, FeatureBatch
from brushwork.paintings import arguments, augment, catalogue, demo
from brushwork.paintings.augment import Augmentation
from brushwork.paintings.batches import Loaders
from brushwork.paintings.catalogue import Catalogue, Painting
from brushwork.paintings.described import with_parts
from brushwork.paintings.folds import Fold
from brushwork.paintings.selection import Selection, select
from brushwork.paintings.splits import Fractions, Parts
from brushwork.paintings.store import Extractor
from brushwork.preprocessing import IMAGENET, Preprocessing, normalize


class WikiArtDataModule(L.LightningDataModule):
    """Paintings in style folders, `root/Style/artist_title.jpg`, split, decoded once, and augmented as batches.

    The folder is listed, its files are checked, and the paintings are split when any of these is first needed:
    `num_classes`, `class_names`, `catalogue`, `parts`, `prepare_data`, `setup`.

    Args:
        root: folder of style folders.
        split: "random" (stratified), "artist_disjoint" (no artist on two sides), "given" (the data's own parts, by
            folders train, val and test or by a table) or "auto": given where the data were made with a split, else
            random; the parts of a prepared catalogue.csv are used on request only.
        split_file: the table of a given split: a run's split.csv, ArtGAN's lists, any with columns of files and parts.
        split_seed: of the split; `seed` is of the order of an epoch and the augmentation, functions of (seed, epoch).
        val_fraction, test_fraction: shares of the paintings; 0 for no test part.
        folds, fold: of so many parts this one, counted from 0, is the test part; val_fraction is then of the others.
        known_fraction: share of the training paintings that is kept back as the part "known", each by an artist who
            trains; not with split="random".
        table: lists the files with their styles, artists, parts; None: the one in `root`, if there is one.
        columns: {"file", "style", "artist", "part", "date" or "genre": the header that it has in the table}.
        styles: the styles to use, in any spelling; None: every folder.
        limit_per_style: at most so many of each style, drawn by `split_seed`.
        train_fraction: share of each style's training paintings that is used, drawn by `seed`.
        image_size: pixels a side; None: what the network takes. resize: "squash", "crop" or "pad"; None likewise.
        batch_size: over all devices together.
        flip: mirror training paintings at random.
        crop_scale: below 1, random resized crops of at least this share of the area.
        color_jitter: brightness, contrast and saturation of training paintings vary by factors in [1 - x, 1 + x].
        transform: in place of these three: takes training pictures, uint8 (batch, 3, height, width), for instance a
            transform of torchvision.transforms.v2. Floating results are taken as normalised, bytes are normalised here.
        class_weights: "balanced" weighs the training loss so that every style counts the same; None: every painting.
        store: keep decoded paintings (and the features of a frozen backbone) on the disk; else files are read again in
            each epoch. workers: processes that read files then; None: from the number of cores.
        on_bad_image: "raise", or "skip" to leave files out that can't be read.
        strict: refuse one picture under two styles or in two parts, instead of a warning.
        predict: a folder of pictures for `Trainer.predict`; None: the validation part.
        paint_demo: number of procedural pictures to paint per style into `root`, where they are missing.

    Raises:
        UserError: a value out of range; later, a fault of the folder, its files or the split.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        split: str = "auto",
        split_file: str | Path | None = None,
        split_seed: int = 0,
        val_fraction: float = 0.2,
        test_fraction: float = 0.0,
        folds: int | None = None,
        fold: int | None = None,
        known_fraction: float | None = None,
        table: str | Path | None = None,
        columns: Mapping[str, str | None] | None = None,
        styles: Sequence[str] | None = None,
        limit_per_style: int | None = None,
        train_fraction: float = 1.0,
        image_size: int | None = None,
        resize: str | None = None,
        batch_size: int = 64,
        seed: int = 0,
        flip: bool = True,
        crop_scale: float = 1.0,
        color_jitter: float = 0.0,
        transform: Callable[[Tensor], Tensor] | None = None,
        class_weights: str | None = None,
        store: bool = True,
        workers: int | None = None,
        on_bad_image: str = "raise",
        strict: bool = False,
        max_megapixels: float = 89,
        predict: str | Path | None = None,
        paint_demo: int | None = None,
    ) -> None:
        super().__init__()
        self.root, self.split, self.split_seed = Path(files.expanded(root)), split, split_seed
        self.split_file, self.table = (
            split_file and Path(files.expanded(split_file)),
            table and Path(files.expanded(table)),
        )
        self.columns = columns
        self.fractions, self.known_fraction = Fractions(val_fraction, test_fraction), known_fraction
        self.fold = None if folds is None and fold is None else Fold(fold, folds)
        self.styles, self.limit_per_style, self.train_fraction = styles, limit_per_style, train_fraction
        self.image_size, self.resize, self.batch_size, self.seed = image_size, resize, batch_size, seed
        self.augmentation, self.transform = Augmentation(flip, crop_scale, color_jitter), transform
        self.class_weights, self.store, self.workers = class_weights, store, workers
        self.on_bad_image, self.strict, self.max_megapixels = on_bad_image, strict, max_megapixels
        self.predict, self.paint_demo = predict and Path(files.expanded(predict)), paint_demo
        self.tested = "test"  # the part that `Trainer.test` scores: "known" for the one that was kept back
        arguments.check(self)
        self.views = 1  # of a training painting at once; 2: its mirror image besides, with kept features
        self._loaders = Loaders(self)

    # -- which paintings ----------------------------------------------------------------------------------------------

    @functools.cached_property
    def unchecked_catalogue(self) -> Catalogue:
        """The paintings that the folder holds, before their files are checked."""
        if self.paint_demo is not None:
            demo.paint_all(self.root, self.paint_demo)
        found = catalogue.scan(self.root, self.styles, self.table, self.columns)
        if self.split_file is not None:
            paintings = with_parts(found.paintings, self.split_file, self.columns)
            found = replace(found, paintings=paintings, parts_from=str(self.split_file))
        return catalogue.limited(found, self.limit_per_style, self.split_seed, by_part=self._is_given(found))

    @property
    def split_name(self) -> str:
        """The split that is used: where `split` is "auto", "given" if the data were made with one, else "random"."""
        if self.split != "auto":
            return self.split
        return "given" if self._is_given(self.unchecked_catalogue) else "random"

    def _is_given(self, found: Catalogue) -> bool:
        return self.split == "given" or (self.split == "auto" and (self.split_file is not None or found.is_split))

    @functools.cached_property
    def _selection(self) -> Selection:
        return select(self)

    @property
    def catalogue(self) -> Catalogue:
        """The paintings, sorted by path, without files that can't be read."""
        return self._selection.catalogue

    @property
    def parts(self) -> Parts:
        """For each painting of the catalogue "train", "val", "test", "known" or "unused"."""
        return self._selection.parts

    @property
    def class_names(self) -> list[str]:
        return self.catalogue.class_names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """(path, reason) of each file that was left out."""
        return self._selection.skipped

    @property
    def units(self) -> list[int]:
        """For each painting the number of its group: see `Selection`."""
        return self._selection.units

    @property
    def split_hash(self) -> str:
        return self._selection.split_hash

    @functools.cached_property
    def labels(self) -> Tensor:
        """(paintings,) int64 class indices, in the catalogue's order."""
        return torch.tensor([self.catalogue.label(painting) for painting in self.catalogue.paintings])

    @property
    def global_batch_size(self) -> int:
        """Of all devices together."""
        return self.batch_size

    @property
    def training_batches(self) -> int:
        """Of an epoch, each of all devices together."""
        return -(-self.parts.count("train") // self.batch_size)

    def part(self, name: str) -> list[Painting]:
        """The paintings of a part."""
        return [self.catalogue.paintings[i] for i in self.indices(name)]

    def indices(self, part: str) -> list[int]:
        """The catalogue positions of a part's paintings."""
        return [i for i, name in enumerate(self.parts) if name == part]

    def loss_weights(self) -> Tensor | None:
        """(num_classes,) of the training loss, so that every style weighs the same and a painting 1 on average."""
        if self.class_weights is None:
            return None
        train = self.part("train")
        counts = Counter(painting.style for painting in train)
        return torch.tensor([len(train) / (self.num_classes * counts[name]) for name in self.class_names])

    @property
    def description(self) -> dict[str, Any]:
        """The data's entries in a checkpoint."""
        return {
            "data": "demo: procedural pictures, no paintings" if self.paint_demo else str(self.root),
            "split_hash": self.split_hash,
            "train_fraction": self.train_fraction,
            "batch_size": self.batch_size,
            "augmentation": asdict(self.augmentation),
            "class_weights": self.class_weights,
        }

    # -- how they become batches --------------------------------------------------------------------------------------

    @property
    def preprocessing(self) -> Preprocessing:
        """Size and normalisation: what was given, else the default of the Trainer's network."""
        module = self.trainer and self.trainer.lightning_module
        if hasattr(module, "preprocessing_for"):
            return module.preprocessing_for(self.image_size, self.resize)
        return Preprocessing(
            self.image_size or IMAGENET.image_size, IMAGENET.mean, IMAGENET.std, self.resize or IMAGENET.resize
        )

    def prepare_data(self) -> None:
        if self.predict is None:  # with it, `root` may be missing
            _ = self.unchecked_catalogue  # paints the demo, once for all processes

    def setup(self, stage: str) -> None:
        self._loaders.begin_stage()
        if stage != "predict" or self.predict is None:
            _ = self._selection  # checked and split now, so that errors come before training

    def train_dataloader(self) -> Iterable[Batch | FeatureBatch]:
        return self._loaders.of_part("train")

    def val_dataloader(self) -> Iterable[Batch | FeatureBatch]:
        return self._loaders.of_part("val")

    def test_dataloader(self) -> Iterable[Batch | FeatureBatch]:
        return self._loaders.of_part(self.tested)

    @functools.cached_property
    def predicted_paths(self) -> list[str]:
        """The files that `Trainer.predict` takes, by a batch's `index`."""
        if self.predict is None:
            return [str(self.root / painting.path) for painting in self.catalogue.paintings]
        return [str(path) for path in photo_files.find([self.predict])]

    def predict_dataloader(self) -> Iterable[Batch]:
        indices = self.indices("val") if self.predict is None else list(range(len(self.predicted_paths)))
        return self._loaders.of_files([Path(self.predicted_paths[i]) for i in indices], indices)

    def pictures(self, index: list[int]) -> Iterator[Tensor]:
        """Paintings, by their catalogue positions, as validation reads them: uint8 (batch, 3, height, width)."""
        return self._loaders.of_paintings(index)

    def features(self, extractor: Extractor, index: list[int]) -> Tensor:
        """The features of paintings, by their catalogue positions, under a frozen network: (paintings, *shape)."""
        return self._loaders.of_extractor(extractor, index)

    def training_images(self, index: list[int]) -> Tensor:
        """Paintings, by their catalogue positions, as the network sees them in the running epoch of training."""
        found = self._loaders.files(index)
        pictures = torch.stack([found[i].images for i in range(len(found))])
        return self._prepared(pictures, torch.tensor(index), training=True)

    def _prepared(self, pictures: Tensor, index: Tensor, training: bool) -> Tensor:
        """uint8 (batch, height, width, 3) to what `Batch.images` is."""
        pictures = pictures.permute(0, 3, 1, 2)  # (batch, 3, height, width), channels-last in memory
        if training and self.transform is not None:
            pictures = self.transform(pictures)
            if pictures.is_floating_point():
                return _channels_last(pictures)
        elif training:
            pictures = augment.apply(pictures, index, self.seed, self.trainer.current_epoch, self.augmentation)
        return normalize(pictures, self.preprocessing)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment and normalise on the device: uint8 (batch, height, width, 3) becomes a `Batch`."""
        if isinstance(batch, FeatureBatch):
            features = batch.features
            return batch if features.ndim < 4 else batch._replace(features=_channels_last(features))
        return batch._replace(images=self._prepared(batch.images, batch.index, self.trainer.training))


def _channels_last(pictures: Tensor) -> Tensor:
    return pictures.contiguous(memory_format=torch.channels_last)
