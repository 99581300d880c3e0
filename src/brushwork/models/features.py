"""With a frozen backbone: its features are computed once, and epochs run on them alone."""

import functools
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from brushwork.models import backbones, tuning
from brushwork.models.predictor import in_eval_mode
from brushwork.paintings import augment
from brushwork.paintings.augment import Augmentation
from brushwork.paintings.datamodule import Batch, PaintingsModule, on_device
from brushwork.preprocessing import normalize
from brushwork.row_store import Rows, RowStore

_BATCH = 128  # pictures whose features are computed at once
_VERSION = 1  # of how features are computed: a new one computes all again


class FeatureBatch(NamedTuple):
    """What reaches the first trained layer of a batch, (batch, *shape); `labels` and `index` as in `Batch`."""

    features: Tensor
    labels: Tensor
    index: Tensor


def can_be_kept(tuning_name: str, augmentation: Augmentation, precision: str) -> bool:
    """Whether a painting's features are the same in each epoch, but for its mirror image's.

    Precisions that turn the weights themselves to another type do so later than features are computed.
    """
    endless = augmentation != Augmentation(flip=augmentation.flip)
    frozen = tuning_name in ("head_only", "classifier")
    return frozen and not endless and (precision == "32-true" or precision.endswith("-mixed"))


def input_of(layer: nn.Module, network: nn.Module, images: Tensor) -> Tensor:
    """What reaches a layer, (batch, *shape), when the network gets images (batch, 3, height, width)."""
    caught = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        network(images)
    finally:
        hook.remove()
    return caught[0]


def frozen_hash(network: nn.Module, first_trained: nn.Module) -> str:
    """Names the weights before the first trained layer."""
    trained = tuning.path(network, first_trained) + "."
    return backbones.weights_hash({k: v for k, v in network.state_dict().items() if not k.startswith(trained)})


class FeaturesModule(PaintingsModule):
    """`PaintingsModule` whose batches are `FeatureBatch`es: of each painting, and in training of its mirror image
    where the augmentation would mirror the painting.

    Features are kept on the disk by the paintings' identities, the frozen weights, the preprocessing, the precision,
    the device and torch's version. Where there is no room, batches are of pictures.

    Args:
        network: what stands before its `first_trained` layer is frozen and runs in eval mode.
    """

    def __init__(self, network: nn.Module, first_trained: nn.Module, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.network, self.first_trained = network, first_trained
        self.features: Rows | None = None

    def setup(self, stage: str) -> None:
        if self.features is None and self._kept_features is not None:
            self.features = on_device(self._kept_features, self.trainer.strategy.root_device)
            self._row_of_view = self._rows_of_views().to(self.features.values.device)
        if self.features is None:
            super().setup(stage)

    @functools.cached_property
    def _views(self) -> list[tuple[int, int]]:
        """Which features are needed: a painting's position in the catalogue; 1 for its mirror image."""
        plain = [(i, 0) for i, part in enumerate(self.parts) if part in ("train", "val", "test")]
        return plain + [(i, 1) for i in self.indices("train") if self.augmentation.flip]

    def _rows_of_views(self) -> Tensor:
        """The row of each painting's features, plain and mirrored, in `features`: (paintings, 2), -1 where unneeded."""
        row_of_view = torch.full((len(self.parts), 2), -1)
        row_of_view[tuple(torch.tensor(self._views).T)] = torch.arange(len(self._views))
        return row_of_view

    @functools.cached_property
    def _kept_features(self) -> Rows | None:
        """The features in the order of `_views`; those that are missing are computed first."""
        device, precision = self.trainer.strategy.root_device, self.trainer.precision_plugin
        size = self.preprocessing.image_size
        network = self.network.to(device, memory_format=torch.channels_last)

        def features_of(pictures: Tensor) -> Tensor:
            """uint8 (batch, 3, height, width) to features (batch, *shape)."""
            images = normalize(pictures.to(device), self.preprocessing)
            with torch.inference_mode(), in_eval_mode(network), precision.forward_context():
                return input_of(self.first_trained, network, images).cpu()

        def compute(chosen: list[int]) -> Tensor:
            if self.kept_pictures is None:
                raise OSError("the paintings themselves have no room")
            found = []
            for part in torch.tensor(self._views)[chosen].split(_BATCH):
                # Always whole batches: the last bits of a feature hang on the batch's size.
                index, mirrored = part[torch.arange(_BATCH) % len(part)].T
                pictures = self.kept_pictures[index].permute(0, 3, 1, 2)
                pictures = torch.where(mirrored.bool()[:, None, None, None], pictures.flip(3), pictures)
                found.append(features_of(pictures)[: len(part)])
            return torch.cat(found)

        example = features_of(torch.zeros(1, 3, size, size, dtype=torch.uint8))
        about = {
            "root": str(self.catalogue.root.resolve()),
            "network": f"{type(network).__name__} up to {tuning.path(network, self.first_trained)}",
            "weights": frozen_hash(network, self.first_trained),
            **asdict(self.preprocessing),
            "precision": precision.precision,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "torch": torch.__version__,
            "version": _VERSION,
        }
        kept = RowStore("features", about, example.shape[1:], example.dtype)
        keys = [(*self.identities[i], mirrored) for i, mirrored in self._views]
        return kept.open(keys, compute, "frozen features")

    def _batches(self, part: str) -> Iterable[Batch]:
        if self.features is None:
            return super()._batches(part)
        features, order = self.features, self._order(part)

        def gather(index: Tensor) -> Tensor:
            mirrored = torch.zeros_like(index)
            if part == "train" and self.augmentation.flip:
                mirrored = augment.flips(index, self.seed, order.epoch).long()
            return features[self._row_of_view[index, mirrored]]

        return self._stored_batches(part, order, features, gather)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch | FeatureBatch:
        if self.features is None:
            return super().on_after_batch_transfer(batch, dataloader_idx)
        features = batch.images  # what was gathered
        if features.ndim == 4:
            features = features.contiguous(memory_format=torch.channels_last)
        return FeatureBatch(features, batch.labels, batch.index)
