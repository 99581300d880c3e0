"""Factories of optimizers, schedulers and losses as plain values, for checkpoints: a name and arguments, no code."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

Factory = Callable[..., Any]
_KINDS = {"optimizer": torch.optim, "scheduler": lr_scheduler, "loss": nn}


def describe(factory: Factory | None) -> dict[str, Any] | None:
    """A factory's qualified name, under Hydra's key, and its arguments.

    >>> describe(partial(torch.optim.SGD, lr=0.01))
    {'_target_': 'torch.optim.sgd.SGD', 'lr': 0.01}
    """
    if factory is None:
        return None
    made, arguments = parts(factory)
    name = getattr(made, "__qualname__", type(made).__qualname__)
    return {"_target_": f"{made.__module__}.{name}"} | {key: _described(value) for key, value in arguments.items()}


def parts(factory: Factory) -> tuple[Factory, dict[str, Any]]:
    """The function that a factory calls, and its keyword arguments."""
    if isinstance(factory, partial) and not factory.args:
        return factory.func, dict(factory.keywords)
    return factory, {}


def restore(kind: str, described: dict[str, Any] | None) -> Factory | None:
    """The factory that `describe` described, if it makes one of torch's classes; else None: a checkpoint runs no code.

    `kind` is "optimizer", "scheduler" or "loss".
    """
    if not described or not described["_target_"].startswith("torch."):
        return None
    made = getattr(_KINDS[kind], described["_target_"].rpartition(".")[2], None)
    if not isinstance(made, type):
        return None
    arguments = {key: value for key, value in described.items() if not key.startswith("_")}
    if isinstance(nested := arguments.get("schedulers"), list):
        arguments["schedulers"] = [restore(kind, one) for one in nested]
        if None in arguments["schedulers"]:
            return None
    if any(isinstance(value, dict) for value in arguments.values()):  # a function, of which there is the name only
        return None
    return partial(made, **arguments)


def comparable(described: Any) -> Any:
    """A description in the form to compare: the class without its module, since torch.optim.SGD has two.

    >>> comparable({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 1}) == comparable(
    ...     {"_target_": "torch.optim.sgd.SGD", "lr": 1}
    ... )
    True
    """
    if not isinstance(described, dict):
        return described or None
    plain = {key: value for key, value in described.items() if key != "_partial_"}
    return plain | ({"_target_": plain["_target_"].rpartition(".")[2]} if "_target_" in plain else {}) or None


def _described(value: Any) -> Any:
    """Plain values for an argument: itself, or a description of a factory; else its text."""
    if isinstance(value, list | tuple):
        return type(value)(_described(one) for one in value)
    if isinstance(value, partial | type) or inspect.isroutine(value):
        return describe(value)
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
