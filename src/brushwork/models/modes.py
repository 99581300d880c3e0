"""Eval mode and frozen parameters, for networks that are used and not trained."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def freeze(network: nn.Module) -> nn.Module:
    """Set eval mode, freeze the parameters (a saliency map needs less memory) and make kernels channels-last (faster).

    Such kernels round differently: a map's ranks stay, single pixels may differ by hundredths of the largest.
    """
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode; afterwards each module's own mode again (a frozen part's differs from the rest's)."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def repeatable() -> Iterator[None]:
    """cuDNN chooses its kernels by rules, not by timing (`trainer.benchmark`), whose choice differs from process to
    process: what is scored here is predicted to the same bits later.

    `deterministic` is part of the key under which torch keeps what it has chosen: without it the choice of a training
    step of the same shape would be used.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = False, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before
