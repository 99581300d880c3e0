"""Augmentation of batches: each picture's random numbers depend on (seed, epoch, index) alone."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample
from torchvision.transforms.functional import rgb_to_grayscale

_FLIP, _TOP, _LEFT, _BRIGHTNESS, _CONTRAST, _SATURATION, _BOX = range(7)  # a picture's random draws

# As in torchvision.
_ATTEMPTS = 10  # boxes drawn for a crop until one fits
_RATIOS = (3 / 4, 4 / 3)  # least and greatest width / height of a crop's box


@dataclass(frozen=True)
class Augmentation:
    """How training pictures are augmented.

    flip: mirror each with probability 1/2.
    crop_scale: the least share of the area that a random resized crop keeps; 1: no crop.
    color_jitter: x of the factors of brightness, contrast and saturation in [1 - x, 1 + x]; 0: none.
    """

    flip: bool = True
    crop_scale: float = 1.0
    color_jitter: float = 0.0


def apply(pictures: Tensor, index: Tensor, seed: int, epoch: int, augmentation: Augmentation) -> Tensor:
    """Crop, mirror and jitter a batch on its device, without synchronising with the device.

    `pictures` (batch, 3, height, width) uint8 are not changed; `index` (batch,) int64 are their indices in the
    catalogue. Returns channels-last pictures: float32 in [0, 255] when cropped or jittered, else uint8.
    """
    pictures, key = pictures.contiguous(memory_format=torch.channels_last), (index, seed, epoch)
    # Mirrored first, as bytes, a quarter of the floats: a mirrored box is as likely as the box.
    if augmentation.flip:
        pictures = horizontal_flip(pictures, *key)
    if augmentation.crop_scale < 1:
        pictures = resized_crop_(pictures.float(), crop_boxes(*key, pictures.shape[2:], augmentation.crop_scale))
    if augmentation.color_jitter > 0:
        pictures = adjust_color_(pictures.float(), jitter_factors(*key, augmentation.color_jitter))
    return pictures


def _mix(z: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on int64, whose products wrap."""

    def shifted(z: Tensor, bits: int) -> Tensor:  # a logical right shift; >> copies the sign
        return (z >> bits) & ((1 << (64 - bits)) - 1)

    z = z + (0x9E3779B97F4A7C15 - (1 << 64))
    z = (z ^ shifted(z, 30)) * (0xBF58476D1CE4E5B9 - (1 << 64))
    z = (z ^ shifted(z, 27)) * (0x94D049BB133111EB - (1 << 64))
    return z ^ shifted(z, 31)


def uniform(seed: int, epoch: int, index: Tensor, draw: int | Tensor) -> Tensor:
    """A number in [0, 1) for each picture, a function of the arguments alone (not of batch, worker, order or device).

    `index` is (batch,) int64, `draw` the number of the draw or several, (draws, 1): (batch,) or (draws, batch) float32.
    """
    z = torch.zeros_like(index)
    for part in (seed, epoch, index, draw):
        z = _mix(z + part)
    return ((z >> 40) & 0xFFFFFF).float() / (1 << 24)


def flips(index: Tensor, seed: int, epoch: int) -> Tensor:
    """Which pictures are mirrored: (batch,) bool, each true with probability 1/2."""
    return uniform(seed, epoch, index, _FLIP) < 0.5


def horizontal_flip(pictures: Tensor, index: Tensor, seed: int, epoch: int) -> Tensor:
    """A copy of the batch (batch, 3, height, width) with the pictures mirrored that `flips` selects."""
    flip = flips(index, seed, epoch)
    if pictures.device.type != "cpu":  # `nonzero` would synchronise with the device
        return torch.where(flip[:, None, None, None], pictures.flip(3), pictures)
    mirrored = pictures.clone()
    for i in flip.nonzero()[:, 0].tolist():  # a tenth of the time of torch.where
        mirrored[i] = pictures[i].flip(2)
    return mirrored


def crop_boxes(index: Tensor, seed: int, epoch: int, size: tuple[int, int], crop_scale: float) -> Tensor:
    """Boxes of random resized crops, (4, batch) int64: top, left, height, width, as torchvision's `RandomResizedCrop`.

    The share of the area is uniform in [crop_scale, 1], width / height log-uniform in [3/4, 4/3]. If none of ten draws
    fits into the picture of `size` (height, width), the box is the largest central one of such a ratio.
    """
    height, width = size
    draws = _BOX + torch.arange(2 * _ATTEMPTS, device=index.device)[:, None]
    share, ratio = uniform(seed, epoch, index, draws).chunk(2)  # (attempts, batch) each
    area = height * width * (crop_scale + (1 - crop_scale) * share)
    low, high = map(math.log, _RATIOS)
    ratio = torch.exp(low + (high - low) * ratio)
    heights, widths = (area / ratio).sqrt().round().long(), (area * ratio).sqrt().round().long()
    fits = (heights >= 1) & (heights <= height) & (widths >= 1) & (widths <= width)
    any_fits, first = fits.any(0), fits.byte().argmax(0, keepdim=True)  # (batch,), (1, batch)
    box_height = torch.where(any_fits, heights.gather(0, first)[0], min(height, round(width / _RATIOS[0])))
    box_width = torch.where(any_fits, widths.gather(0, first)[0], min(width, round(height * _RATIOS[1])))
    room = torch.stack([height - box_height, width - box_width])
    draws = torch.arange(_TOP, _LEFT + 1, device=index.device)[:, None]
    offsets = torch.where(any_fits, (uniform(seed, epoch, index, draws) * (room + 1)).long(), room // 2)
    return torch.stack([*offsets, box_height, box_width])


def resized_crop_(pictures: Tensor, boxes: Tensor) -> Tensor:
    """Resize each picture's box of `crop_boxes` to the whole picture, bilinear.

    `pictures` (batch, 3, height, width) float32 are changed in place: new memory costs more than the arithmetic.
    """

    def positions(start: Tensor, length: Tensor, size: int) -> Tensor:
        """The coordinates in the picture, (batch, size) in [-1, 1], of the result's `size` pixels."""
        start, length = start[:, None], length[:, None]
        pixel = (torch.arange(size, device=start.device) + 0.5) * (length / size) - 0.5
        pixel = start + pixel.clamp(min=0).minimum(length - 1)  # no interpolation beyond the box
        return (2 * pixel + 1) / size - 1

    top, left, box_height, box_width = boxes
    height, width = pictures.shape[2:]
    x = positions(left, box_width, width)[:, None, :]
    y = positions(top, box_height, height)[:, :, None]
    grid = torch.stack(torch.broadcast_tensors(x, y), dim=-1)  # (batch, height, width, 2)
    return pictures.copy_(grid_sample(pictures, grid, padding_mode="border", align_corners=False))


def jitter_factors(index: Tensor, seed: int, epoch: int, color_jitter: float) -> Tensor:
    """Factors of brightness, contrast and saturation: (3, batch), uniform in [1 - color_jitter, 1 + color_jitter]."""
    draws = torch.arange(_BRIGHTNESS, _SATURATION + 1, device=index.device)[:, None]
    return 1 + color_jitter * (2 * uniform(seed, epoch, index, draws) - 1)


def adjust_color_(pictures: Tensor, factors: Tensor) -> Tensor:
    """Adjust brightness, contrast and saturation by factors (3, batch), in this order, as torchvision does on floats.

    `pictures` (batch, 3, height, width) float32 in [0, 255] are changed in place.
    """
    brightness, contrast, saturation = factors[:, :, None, None, None]  # (batch, 1, 1, 1) each
    pictures.mul_(brightness).clamp_(0, 255)
    mean = rgb_to_grayscale(pictures.mean((2, 3), keepdim=True))
    pictures.mul_(contrast).add_((1 - contrast) * mean).clamp_(0, 255)
    grey = rgb_to_grayscale(pictures)  # (batch, 1, height, width)
    return pictures.mul_(saturation).add_((1 - saturation) * grey).clamp_(0, 255)
