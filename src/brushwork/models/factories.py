"""Factories of optimizers, schedulers and losses as plain values, for checkpoints: a name and arguments, no code."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from brushwork.errors import UserError

Factory = Callable[..., Any]
_KINDS = {"optimizer": torch.optim, "scheduler": lr_scheduler, "loss": nn}


def describe(factory: Factory | None) -> dict[str, Any] | None:
    """A factory's qualified name, under Hydra's key, and its arguments.

    >>> describe(partial(torch.optim.SGD, lr=0.01))
    {'_target_': 'torch.optim.sgd.SGD', 'lr': 0.01}
    """
    if factory is None:
        return None
    made, arguments = (factory.func, factory.keywords) if isinstance(factory, partial) else (factory, {})
    plain = {key: value if _is_plain(value) else repr(value) for key, value in arguments.items()}
    return {"_target_": f"{made.__module__}.{made.__qualname__}"} | plain


def restore(kind: str, described: dict[str, Any] | None) -> Factory | None:
    """The factory that `describe` described, if it makes one of torch's classes; else None: a checkpoint runs no code.

    `kind` is "optimizer", "scheduler" or "loss".
    """
    if not described or not described["_target_"].startswith("torch."):
        return None
    made = getattr(_KINDS[kind], described["_target_"].rpartition(".")[2], None)
    if not isinstance(made, type):
        return None
    return partial(made, **{key: value for key, value in described.items() if not key.startswith("_")})


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


def check(optimizer: Factory, scheduler: Factory | None) -> None:
    """Refuse an optimizer or a schedule that torch will not make, before any work is done."""
    try:
        made = optimizer([nn.Parameter(torch.zeros(1))])
        schedule = scheduler and scheduler(made)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer or scheduler: {error}") from None
    if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
        raise UserError(
            "scheduler: ReduceLROnPlateau is not resumed exactly: choose a schedule by epochs (cosine, ...)"
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
