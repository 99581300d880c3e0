"""A network's input preprocessing: size and normalisation, applied to pictures and batches."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from brushwork import images


@dataclass(frozen=True)
class Preprocessing:
    """A network's input preprocessing: a square of `image_size` pixels, normalised per channel."""

    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str = "squash"


# torchvision's for ImageNet.
IMAGENET = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def normalize(pictures: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(batch, 3, height, width) of [0, 255], uint8 or float32, to float32: (x / 255 - mean) / std, channels-last."""
    scale, shift = _on_device(tuple(preprocessing.mean), tuple(preprocessing.std), pictures.device)
    pictures = pictures.to(torch.float32, memory_format=torch.channels_last, copy=True)
    return pictures.mul_(scale).add_(shift)


@functools.cache  # making them for each batch would have a training loop wait for its GPU
@torch.inference_mode(False)
def _on_device(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """By what (x / 255 - mean) / std multiplies, and what it adds then."""
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (mean, std))
    return tuple(values.float().to(device) for values in (1 / (255 * std), -mean / std))


def as_picture(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Image.Image:
    """The picture that a network sees, from its normalised form (3, height, width)."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return to_pil_image((image.float().cpu() * std + mean).clamp(0, 1))


def as_batch(pictures: Sequence[Image.Image], preprocessing: Preprocessing) -> Tensor:
    """RGB pictures of any size to what the network takes, (batch, 3, image_size, image_size), as in validation."""
    resized = [images.resize(picture, preprocessing.image_size, preprocessing.resize) for picture in pictures]
    return normalize(torch.stack([pil_to_tensor(picture) for picture in resized]), preprocessing)
