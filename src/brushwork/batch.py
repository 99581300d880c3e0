"""What a training, validation or prediction step gets: pictures, or the frozen features of them."""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Pictures as the network takes them.

    images: (batch, 3, height, width) float32, normalised, channels-last; before they are on the device as they were
        read, uint8 (batch, height, width, 3).
    labels: (batch,) int64 class indices.
    index: (batch,) int64 positions in the catalogue, or in the list of files to predict.
    """

    images: Tensor
    labels: Tensor
    index: Tensor


class FeatureBatch(NamedTuple):
    """What reaches the first trained layer, (batch, *shape); `labels` and `index` as in `Batch`."""

    features: Tensor
    labels: Tensor
    index: Tensor


def named(batch: Any, batch_idx: int) -> Batch | FeatureBatch:
    """A batch with its fields' names; other data modules give (images, labels), or images alone for a prediction."""
    if isinstance(batch, Batch | FeatureBatch):
        return batch
    images, labels = batch if isinstance(batch, list | tuple) else (batch, None)
    return Batch(images, labels, torch.arange(len(images), device=images.device) + batch_idx * len(images))
