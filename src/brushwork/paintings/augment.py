"""Augmentation of batches, each picture drawn from (seed, epoch, index) alone."""

import torch
from torch import Tensor


def _mix(z: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on int64, whose products wrap."""

    def shifted(z: Tensor, bits: int) -> Tensor:  # a logical right shift; >> copies the sign
        return (z >> bits) & ((1 << (64 - bits)) - 1)

    z = z + (0x9E3779B97F4A7C15 - (1 << 64))
    z = (z ^ shifted(z, 30)) * (0xBF58476D1CE4E5B9 - (1 << 64))
    z = (z ^ shifted(z, 27)) * (0x94D049BB133111EB - (1 << 64))
    return z ^ shifted(z, 31)


def uniform(seed: int, epoch: int, index: Tensor, draw: int) -> Tensor:
    """A number in [0, 1) for each picture, a function of its arguments alone.

    So neither batch size nor workers, order, device or a resumed run changes a picture's augmentation.

    Args:
        index: (batch,) int64, the pictures' indices in the catalogue.
        draw: which of a picture's random numbers (0 decides the flip).

    Returns:
        (batch,) float32, on the device of `index`.
    """
    z = torch.zeros_like(index)
    for part in (seed, epoch, index, draw):
        z = _mix(z + part)
    return ((z >> 40) & 0xFFFFFF).float() / (1 << 24)


def horizontal_flip(images: Tensor, index: Tensor, seed: int, epoch: int) -> Tensor:
    """Mirror each picture with probability 1/2. Shapes (batch, 3, height, width) and (batch,)."""
    flip = uniform(seed, epoch, index, draw=0) < 0.5
    return torch.where(flip[:, None, None, None], images.flip(3), images)
