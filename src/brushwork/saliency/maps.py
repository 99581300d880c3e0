"""Image-class saliency maps: the gradient of a class score at the pixels, and the state in which it is taken."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from brushwork.models.modes import in_eval_mode

Targets = Tensor | Sequence[int] | int
Method = Callable[..., Tensor]  # (model, images, targets) to (batch, height, width)


def method(compute: Method) -> Method:
    """Decorates a function that computes maps (batch, height, width) in any precision, so that it runs in
    `preserved_state`, with a copy of the images and targets (batch,)."""

    @functools.wraps(compute)
    def method(model: nn.Module, images: Tensor, targets: Targets, *args: Any, **kwargs: Any) -> Tensor:
        with preserved_state(model, images) as pixels:
            return compute(model, pixels, as_tensor(targets, len(pixels)), *args, **kwargs).float()

    return method


@method
def gradient(model: nn.Module, images: Tensor, targets: Targets) -> Tensor:
    """How sensitive the score of a class is to each pixel (Simonyan, Vedaldi, Zisserman 2014, section 3).

    M(i, j) = max over channels of |dS_c / dI(i, j, channel)|, where S_c is the un-normalised score (logit)
    of class c, not its softmax.

    Correct wherever it is called: inside training, validation, test or inference mode, under autocast, with frozen
    parameters. It runs in eval mode and in full precision, and leaves modes, `.grad`, images, random state and TF32
    settings as they were.

    Args:
        model: (batch, 3, height, width) to logits (batch, num_classes); a network, or a LightningModule.
        images: (batch, 3, height, width), as the model takes them: normalised, on its device.
        targets: the class of each image, (batch,) integers, or one class for all.

    Returns:
        (batch, height, width) float32 on the images' device, never negative; NaN where the gradient is.

    Raises:
        ValueError: shapes or dtypes don't fit, or a target is no class of the model.
    """
    return score_gradient(model, images, targets)[1].abs().amax(1)


class_saliency = gradient  # its first name


@contextmanager
def preserved_state(model: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """The state in which every method runs: eval mode, gradients on, full precision; everything is restored after it.

    Yields a copy of the images in the model's dtype and memory layout; raises a ValueError where they don't fit.
    """
    if images.ndim != 4 or not images.is_floating_point():
        got = f"{images.dtype} of {tuple(images.shape)}"
        raise ValueError(f"expected images to be floats of shape (batch, 3, height, width), but got {got}")
    cuda, cudnn, cpu = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
    units = [cuda.matmul, cudnn.conv, cudnn.rnn, cpu.matmul, cpu.conv]
    before = [unit.fp32_precision for unit in units]
    with in_eval_mode(model), torch.inference_mode(False), torch.enable_grad():
        try:
            for unit in units:  # no TF32, no reduced precision on CPUs
                unit.fp32_precision = "ieee"
            with torch.autocast(images.device.type, enabled=False):
                yield _as_input(images, model)
        finally:
            for unit, precision in zip(units, before, strict=True):
                unit.fp32_precision = precision


def score_gradient(
    model: nn.Module, pixels: Tensor, targets: Targets | None, at: Callable[[], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """The logits (batch, num_classes), and dS_c / dI at the pixels, or at the tensor that `at` gives after the forward
    pass. Call it inside `preserved_state`. targets=None: each image's predicted class."""
    pixels = pixels.detach().requires_grad_()
    logits = model(pixels)  # (batch, num_classes)
    targets = logits.argmax(1) if targets is None else checked_targets(targets, logits)
    selected = one_hot(targets, logits.shape[1]).to(logits)  # zero for all classes but the one of interest
    (found,) = torch.autograd.grad(logits, pixels if at is None else at(), selected)
    return logits.detach(), found


def checked_targets(targets: Targets, logits: Tensor) -> Tensor:
    """The targets as int64 (batch,) on the logits' device; raises a ValueError where they don't fit."""
    batch, num_classes = logits.shape
    targets = as_tensor(targets, batch)
    if targets.shape != (batch,) or targets.is_floating_point() or targets.dtype == torch.bool:
        got = f"{targets.dtype} of {tuple(targets.shape)}"
        raise ValueError(f"expected targets to be integers of shape ({batch},), but got {got}")
    outside = targets[(targets < 0) | (targets >= num_classes)]
    if len(outside):
        raise ValueError(f"expected targets from 0 to {num_classes - 1}, but got {outside[0].item()}")
    return targets.detach().clone().to(logits.device, torch.int64)


def as_tensor(targets: Targets, batch: int) -> Tensor:
    """The targets as a tensor, a single one for all images as (batch,); not checked."""
    targets = torch.as_tensor(targets)
    return targets.expand(batch) if targets.ndim == 0 else targets


def _as_input(images: Tensor, model: nn.Module) -> Tensor:
    """A copy in the dtype of the model's parameters and, where its first convolution is channels-last, in that layout.
    The original may be an inference tensor, or part of the caller's autograd graph."""
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    kernels = next((p for p in model.parameters() if p.ndim == 4), None)
    last = kernels is not None and kernels.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.preserve_format
    return images.detach().to(dtype, memory_format=layout, copy=True)
