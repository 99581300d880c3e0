"""Augmentation: a function of (seed, epoch, index), equal to torchvision's at the same draw."""

import numpy as np
import torch
from torchvision.transforms import v2

from brushwork import backbones
from brushwork.backbones import Preprocessing
from brushwork.paintings import augment

PREPROCESSING = Preprocessing(16, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_splitmix64_reference() -> None:
    """The first outputs of SplitMix64 from seed 1234567, computed with unbounded integers."""

    def reference(state: int) -> int:
        mask = (1 << 64) - 1
        z = (state + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    assert reference(1234567) == 6457827717110365317  # as published with the algorithm
    for state in (1234567, 0, 2**62, 99):
        ours = augment._mix(torch.tensor([state])).item() & ((1 << 64) - 1)
        assert ours == reference(state)


def test_uniform() -> None:
    draws = augment.uniform(0, 3, torch.arange(100_000), draw=0).numpy()
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001


def test_each_argument_counts() -> None:
    index = torch.arange(10_000)
    base = augment.uniform(0, 0, index, 0)
    for other in [(1, 0, index, 0), (0, 1, index, 0), (0, 0, index + 10_000, 0), (0, 0, index, 1)]:
        correlation = torch.corrcoef(torch.stack([base, augment.uniform(*other)]))[0, 1]
        assert abs(correlation) < 0.04


def test_flip_does_not_depend_on_the_batch() -> None:
    images = torch.randint(0, 256, (64, 3, 8, 8), dtype=torch.uint8)
    index = torch.randperm(1000)[:64]
    together = augment.horizontal_flip(images, index, seed=1, epoch=2)
    apart = torch.cat([augment.horizontal_flip(images[i : i + 1], index[i : i + 1], 1, 2) for i in range(64)])
    assert torch.equal(together, apart)


def test_flip_mirrors_half_of_the_pictures() -> None:
    images = torch.randint(0, 256, (1000, 3, 4, 4), dtype=torch.uint8)
    flipped = augment.horizontal_flip(images, torch.arange(1000), seed=0, epoch=0)
    mirrored = v2.functional.horizontal_flip(images)
    turned = (flipped == mirrored).flatten(1).all(1)
    assert torch.equal(flipped[~turned], images[~turned])
    assert 440 < turned.sum() < 560


def test_normalize_equals_torchvision() -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    theirs = v2.functional.normalize(
        v2.functional.to_dtype(images, torch.float32, scale=True), PREPROCESSING.mean, PREPROCESSING.std
    )
    ours = backbones.normalize(images, PREPROCESSING)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert ours.is_contiguous(memory_format=torch.channels_last)
