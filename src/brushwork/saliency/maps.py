"""Image-class saliency maps: the gradient of a class score at the pixels."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from brushwork.models.modes import in_eval_mode


def class_saliency(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """How much each pixel sways the score of a class (Simonyan, Vedaldi, Zisserman 2014, section 3).

    M(i, j) = max over channels of |dS_c / dI(i, j, channel)|, where S_c is the un-normalised score (logit)
    of class c, not its softmax.

    Right wherever it is called: inside training, validation, test or inference mode, under autocast, with
    frozen parameters. It runs in eval mode and in full precision, and leaves the model's modes and `.grad`,
    the images, the random state and the TF32 settings as they were.

    Args:
        model: (batch, 3, height, width) to logits (batch, num_classes).
        images: (batch, 3, height, width), as the model takes them: normalised, on its device.
        targets: (batch,) int64, the class of interest of each image.

    Returns:
        (batch, height, width) float32 on the images' device, never negative; NaN where the gradient is.

    Raises:
        ValueError: shapes or dtypes don't fit, or a target is no class of the model.
    """
    return logits_and_saliency(model, images, targets)[1]


def logits_and_saliency(model: nn.Module, images: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """As `class_saliency`, and the logits (batch, num_classes) of the same forward pass.

    Args:
        targets: None takes each image's predicted class.
    """
    with without_a_trace(model, images) as pixels:
        logits, gradient = score_gradient(model, pixels, targets)
    return logits.float(), gradient.float().abs().amax(1)


@contextmanager
def without_a_trace(model: nn.Module, images: Tensor) -> Iterator[Tensor]:
    """What holds for every method: eval mode, gradients on, full precision; afterwards all is as it was.

    Yields:
        A copy of the images in the model's dtype and memory layout.

    Raises:
        ValueError: the images' shape or dtype does not fit.
    """
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"expected images to be floats of shape (batch, 3, height, width), but got {images.dtype} of "
            f"{tuple(images.shape)}"
        )
    with in_eval_mode(model), torch.inference_mode(False), torch.enable_grad(), _full_precision(images.device):
        # A copy: the original may be an inference tensor, or a part of somebody's graph.
        yield images.detach().to(_dtype(model), memory_format=_layout(model), copy=True)


def score_gradient(
    model: nn.Module, pixels: Tensor, targets: Tensor | None, at: Callable[[], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """The logits (batch, num_classes), and dS_c / dI: the gradient of each image's class score at its pixels.

    Call it inside `without_a_trace`.

    Args:
        targets: None takes each image's predicted class.
        at: after the forward pass, the tensor at which the gradient is taken instead of at the pixels.
    """
    pixels = pixels.detach().requires_grad_()
    logits = model(pixels)  # (batch, num_classes)
    targets = logits.argmax(1) if targets is None else checked(targets, logits)
    wanted = one_hot(targets, logits.shape[1]).to(logits)  # zero for all classes but the one of interest
    (gradient,) = torch.autograd.grad(logits, pixels if at is None else at(), wanted)
    return logits.detach(), gradient


def checked(targets: Tensor, logits: Tensor) -> Tensor:
    """The targets (batch,) as int64 on the logits' device.

    Raises:
        ValueError: their shape or dtype does not fit, or one is no class of the model.
    """
    batch, num_classes = logits.shape
    if targets.shape != (batch,) or targets.is_floating_point() or targets.dtype == torch.bool:
        raise ValueError(
            f"expected targets to be integers of shape ({batch},), but got {targets.dtype} of {tuple(targets.shape)}"
        )
    outside = targets[(targets < 0) | (targets >= num_classes)]
    if len(outside):
        raise ValueError(f"expected targets from 0 to {num_classes - 1}, but got {outside[0].item()}")
    return targets.detach().clone().to(logits.device, torch.int64)


def _dtype(model: nn.Module) -> torch.dtype:
    """Of the model's parameters: float32, unless the whole model was cast."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def _layout(model: nn.Module) -> torch.memory_format:
    """Of the model's first convolution, channels-last if it is; else the images keep theirs."""
    kernels = next((p for p in model.parameters() if p.ndim == 4), None)
    last = kernels is not None and kernels.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.preserve_format


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """No autocast, no TF32, no reduced precision on CPUs."""
    units = [
        torch.backends.cuda.matmul,
        torch.backends.cudnn.conv,
        torch.backends.cudnn.rnn,
        torch.backends.mkldnn.matmul,
        torch.backends.mkldnn.conv,
    ]
    before = [unit.fp32_precision for unit in units]
    try:
        for unit in units:
            unit.fp32_precision = "ieee"
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        for unit, precision in zip(units, before, strict=True):
            unit.fp32_precision = precision
