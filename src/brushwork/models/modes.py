"""Eval mode, frozen parameters, no memory: for networks that are used and not trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


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


class _WithoutMemory(TorchFunctionMode):
    """torch.empty, with which layers allocate their weights, allocates nothing, and nothing is drawn.

    torch.device("meta") would do the same to the tensors from which some networks compute their sizes.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}) | ({"device": "meta"} if func is torch.empty else {}))


@contextmanager
def without_memory() -> Iterator[None]:
    """Networks built here have names and shapes but no weights, which takes hundredths of a second, however large."""
    with torch.random.fork_rng(devices=[]), _WithoutMemory():
        yield
