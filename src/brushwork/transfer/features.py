"""With a frozen backbone: its features are computed once, and epochs run on them alone."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from brushwork import backbones
from brushwork.paintings import augment, store
from brushwork.paintings.augment import Augmentation
from brushwork.paintings.datamodule import Batch, PaintingsModule, on_device
from brushwork.predictor import in_eval_mode
from brushwork.row_store import Rows, RowStore
from brushwork.transfer import tuning

_VERSION = 1  # of how features are computed: a new one computes all again


class FeatureBatch(NamedTuple):
    """What reaches the new layer of a batch of paintings, (batch, *shape); `labels` and `index` as in `Batch`."""

    features: Tensor
    labels: Tensor
    index: Tensor


def can_be_kept(tuning_name: str, augmentation: Augmentation, precision: str) -> bool:
    """Whether a painting's features are the same in each epoch, but for its mirror image's.

    Precisions that turn the weights themselves to another type do so later than features are computed.
    """
    endless = augmentation != Augmentation(flip=augmentation.flip)
    return tuning_name == "head_only" and not endless and (precision == "32-true" or precision.endswith("-mixed"))


def before(network: nn.Module, new_layer: nn.Module, images: Tensor) -> Tensor:
    """What reaches the new layer, (batch, *shape), of images (batch, 3, height, width)."""
    caught = []
    hook = new_layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
    try:
        network(images)
    finally:
        hook.remove()
    return caught[0]


def frozen_hash(network: nn.Module, new_layer: nn.Module) -> str:
    """Names the weights of all but the new layer."""
    found, new = hashlib.sha256(), tuning.path(network, new_layer) + "."
    for name, value in network.state_dict().items():
        if not name.startswith(new):
            found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


class FeaturesModule(PaintingsModule):
    """`PaintingsModule` whose batches are `FeatureBatch`es: of each painting, and in training of its mirror image
    where the augmentation would mirror the painting.

    Features are kept on the disk by the paintings' identities, the frozen weights, the preprocessing, the precision
    and the kind of device. Where there is no room, batches are of pictures.

    Args:
        network: all but its `new_layer` is frozen and runs in eval mode.
    """

    def __init__(self, network: nn.Module, new_layer: nn.Module, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.network, self.new_layer = network, new_layer
        self.features: Rows | None = None

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if self.pictures is None or self.features is not None:
            return
        views = self._views()
        features = self._open(self.pictures, views)
        if features is not None:
            self.features = on_device(features, self.trainer.strategy.root_device)
            number_of = torch.full((len(self.parts), 2), -1)  # (paintings, plain and mirrored)
            number_of[tuple(torch.tensor(views).T)] = torch.arange(len(views))
            self._number_of = number_of.to(self.features.values.device)

    def _views(self) -> list[tuple[int, int]]:
        """Which features are needed: a painting's position in the catalogue; 1 for its mirror image."""
        plain = [(i, 0) for i, part in enumerate(self.parts) if part in ("train", "val", "test")]
        return plain + [(i, 1) for i in self.indices("train") if self.augmentation.flip]

    def _open(self, pictures: Rows, views: list[tuple[int, int]]) -> Rows | None:
        device, plugin = self.trainer.strategy.root_device, self.trainer.precision_plugin
        network = self.network.to(device, memory_format=torch.channels_last)

        @torch.inference_mode()
        def compute(chosen: list[int]) -> Tensor:
            found = []
            for part in torch.tensor(views)[chosen].split(self.batch_size):
                index, mirrored = part.T
                batch = pictures[index.to(pictures.values.device)].to(device).permute(0, 3, 1, 2)
                batch = torch.where(mirrored.bool().to(device)[:, None, None, None], batch.flip(3), batch)
                with in_eval_mode(network), plugin.forward_context():
                    found.append(before(network, self.new_layer, backbones.normalize(batch, self.preprocessing)).cpu())
            return torch.cat(found)

        identities = store.identities(self.catalogue)
        example = compute([0])
        about = {
            "root": str(self.catalogue.root.resolve()),
            "network": f"{type(network).__name__} up to {tuning.path(network, self.new_layer)}",
            "weights": frozen_hash(network, self.new_layer),
            "preprocessing": asdict(self.preprocessing),
            "precision": plugin.precision,
            "device": device.type,
            "version": _VERSION,
        }
        kept = RowStore("features", about, example.shape[1:], example.dtype)
        return kept.open([(*identities[i], mirrored) for i, mirrored in views], compute, "frozen features")

    def _batches(self, part: str) -> Iterable[Batch]:
        if self.features is None:
            return super()._batches(part)
        features, order = self.features, self._order(part)

        def gather(index: Tensor) -> Tensor:
            mirrored = torch.zeros_like(index)
            if part == "train" and self.augmentation.flip:
                mirrored = augment.flips(index, self.seed, order.epoch).long()
            return features[self._number_of[index, mirrored]]

        return self._stored_batches(part, order, features, gather)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch | FeatureBatch:
        if self.features is None:
            return super().on_after_batch_transfer(batch, dataloader_idx)
        features = batch.images  # what was gathered
        if features.ndim == 4:
            features = features.contiguous(memory_format=torch.channels_last)
        return FeatureBatch(features, batch.labels, batch.index)
