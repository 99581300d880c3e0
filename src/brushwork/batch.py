"""The batches of training, validation and prediction steps: pictures, or their frozen features."""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Pictures (batch, 3, height, width), float32, normalised, channels-last.

    Before they are on the device: as they were read, uint8 (batch, height, width, 3).
    """

    images: Tensor
    labels: Tensor  # (batch,) int64 class indices
    index: Tensor  # (batch,) int64 positions in the catalogue, or in the list of files to predict


class FeatureBatch(NamedTuple):
    """Inputs of the first trained layer, (batch, *shape); `labels` and `index` as in `Batch`."""

    features: Tensor
    labels: Tensor
    index: Tensor


def from_pair(batch: Any, start: int, rank: int) -> Batch:
    """A batch of another data module, (images, labels) or images alone, as a `Batch`; `index` begins at `start`."""
    images, labels = batch if isinstance(batch, list | tuple) else (batch, None)
    index = start + torch.arange(len(images), device=images.device)
    return Batch(images, labels, index + (rank << 32))  # apart from other processes' pictures
