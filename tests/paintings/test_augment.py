"""Augmentation: a function of (seed, epoch, index), equal to torchvision's at the same draw."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor
from torchvision.transforms import v2

from brushwork.paintings import augment
from brushwork.paintings.augment import Augmentation
from brushwork.preprocessing import Preprocessing, normalize

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


def paintings(batch: int, height: int = 24, width: int = 32) -> Tensor:
    """Random bytes (batch, 3, height, width), channels-last."""
    generator = torch.Generator().manual_seed(batch)
    return torch.randint(0, 256, (batch, height, width, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)


def test_resized_crop_equals_torchvision() -> None:
    pictures = paintings(64).float()
    boxes = augment.crop_boxes(torch.arange(64), 0, 0, (24, 32), 0.05)
    boxes[:, 0] = torch.tensor([0, 0, 24, 32])  # all of it
    boxes[:, 1] = torch.tensor([23, 31, 1, 1])  # its last pixel
    theirs = [
        v2.functional.resized_crop(picture, top, left, height, width, [24, 32], antialias=True)
        for picture, (top, left, height, width) in zip(pictures, boxes.T.tolist(), strict=True)
    ]
    ours = augment.resized_crop_(pictures.clone(), boxes)
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=0, atol=0.01)
    assert torch.allclose(ours[0], pictures[0], atol=0.01)


@pytest.mark.parametrize("size", [(224, 224), (20, 60), (60, 20), (1, 1)])
def test_boxes_lie_inside(size: tuple[int, int]) -> None:
    top, left, height, width = augment.crop_boxes(torch.arange(5000), 3, 1, size, 0.08)
    assert (height >= 1).all()
    assert (width >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= size[0]).all()
    assert (left + width <= size[1]).all()


def test_boxes_are_drawn_as_torchvision_draws_them() -> None:
    torch.manual_seed(0)
    theirs = v2.RandomResizedCrop(224, scale=(0.3, 1.0))
    picture = torch.empty(3, 224, 224)
    drawn = [theirs.make_params([picture]) for _ in range(3000)]
    drawn = np.array([[box["top"], box["left"], box["height"], box["width"]] for box in drawn]).T
    ours = augment.crop_boxes(torch.arange(3000), 0, 0, (224, 224), 0.3).numpy()
    shares = ours[2] * ours[3] / 224**2
    assert shares.min() > 0.29
    assert shares.max() <= 1
    ratios = ours[3] / ours[2]
    assert ratios.min() > 0.74
    assert ratios.max() < 1.35
    assert kstest(shares, drawn[2] * drawn[3] / 224**2).pvalue > 0.001
    assert kstest(ratios, drawn[3] / drawn[2]).pvalue > 0.001
    for ours_at, theirs_at in zip(ours[:2], drawn[:2], strict=True):
        assert kstest(ours_at, theirs_at).pvalue > 0.001


@pytest.mark.parametrize("size", [(224, 224), (20, 60), (60, 20)])
def test_where_no_box_fits_the_crop_is_torchvisions(size: tuple[int, int]) -> None:
    """Boxes of the whole area fit a square only by its ratio, and these oblongs never."""
    torch.manual_seed(0)
    theirs = v2.RandomResizedCrop(size, scale=(1.0, 1.0)).make_params([torch.empty(3, *size)])
    boxes = augment.crop_boxes(torch.arange(100), 0, 0, size, 1.0).T.tolist()
    common = max(boxes, key=boxes.count)
    assert common == [theirs[key] for key in ("top", "left", "height", "width")]
    assert boxes.count(common) > 80


def test_adjust_color_equals_torchvision() -> None:
    pictures = paintings(32).float()
    factors = augment.jitter_factors(torch.arange(32), 0, 0, 1.0)
    factors[:, 0] = 1
    ours = augment.adjust_color_(pictures.clone(), factors)
    for picture, mine, (brightness, contrast, saturation) in zip(pictures, ours, factors.T.tolist(), strict=True):
        theirs = v2.functional.adjust_brightness(picture / 255, brightness)
        theirs = v2.functional.adjust_contrast(theirs, contrast)
        theirs = v2.functional.adjust_saturation(theirs, saturation)
        torch.testing.assert_close(mine, theirs * 255, rtol=0, atol=1e-3)
    assert torch.allclose(ours[0], pictures[0], atol=1e-3)


def test_jitter_factors_are_uniform_and_apart() -> None:
    factors = augment.jitter_factors(torch.arange(10_000), 0, 0, 0.4)
    for of_kind in factors:
        assert kstest(of_kind, "uniform", args=(0.6, 0.8)).pvalue > 0.001
    assert (torch.corrcoef(factors) - torch.eye(3)).abs().max() < 0.04


KINDS = [
    Augmentation(),
    Augmentation(flip=False),
    Augmentation(crop_scale=0.3),
    Augmentation(color_jitter=0.4),
    Augmentation(crop_scale=0.3, color_jitter=0.4),
]


@pytest.mark.parametrize("augmentation", KINDS)
def test_apply_is_a_function_of_seed_epoch_and_index(augmentation: Augmentation) -> None:
    pictures, index = paintings(16), torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:16]
    before = pictures.clone()
    together = augment.apply(pictures, index, 1, 2, augmentation)
    assert torch.equal(pictures, before)
    assert together.shape == pictures.shape
    assert together.is_contiguous(memory_format=torch.channels_last)
    apart = [augment.apply(pictures[i : i + 1], index[i : i + 1], 1, 2, augmentation) for i in range(16)]
    assert torch.equal(together, torch.cat(apart))
    assert torch.equal(together, augment.apply(pictures.contiguous(), index, 1, 2, augmentation))
    if augmentation != Augmentation(flip=False):
        for seed, epoch in [(1, 3), (2, 2)]:
            assert not torch.equal(together, augment.apply(pictures, index, seed, epoch, augmentation))


@pytest.mark.parametrize("augmentation", KINDS)
def test_apply_never_waits_for_the_device(augmentation: Augmentation) -> None:
    """On "meta" nothing has a value: whatever would have to read one raises."""
    pictures, index = paintings(16).to("meta"), torch.arange(16, device="meta")
    varied = augment.apply(pictures, index, 1, 2, augmentation)
    bytes_stay = augmentation.crop_scale == 1 and augmentation.color_jitter == 0
    assert varied.dtype == (torch.uint8 if bytes_stay else torch.float32)


def test_the_device_mirrors_what_the_cpu_mirrors() -> None:
    pictures, index = paintings(64), torch.arange(64)
    flip = augment.flips(index, 0, 0)
    chosen = torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
    assert torch.equal(augment.horizontal_flip(pictures, index, 0, 0), chosen)


def test_with_nothing_on_the_pictures_themselves_come_back() -> None:
    pictures = paintings(4)
    assert augment.apply(pictures, torch.arange(4), 0, 0, Augmentation(flip=False)) is pictures


def test_normalize_equals_torchvision() -> None:
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    theirs = v2.functional.normalize(
        v2.functional.to_dtype(images, torch.float32, scale=True), PREPROCESSING.mean, PREPROCESSING.std
    )
    for pictures in (images, images.float().contiguous(memory_format=torch.channels_last)):
        before = pictures.clone()
        ours = normalize(pictures, PREPROCESSING)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert ours.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(pictures, before)
