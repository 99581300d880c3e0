"""Optimizer and learning rate schedule from their factories: made and checked, by epochs, by steps or by a figure."""

import difflib
import inspect
import logging
import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.optim import lr_scheduler

from brushwork.errors import UserError, one_line, unknown
from brushwork.models import factories
from brushwork.models.factories import Factory

log = logging.getLogger(__name__)

FIGURES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")  # what schedules and callbacks may monitor
_OWN = {"interval": "epoch", "monitor": None}  # keys of a schedule that are ours, and their defaults
_BY_STEPS = (lr_scheduler.OneCycleLR, lr_scheduler.CyclicLR)
_NEEDS_CLOSURE = (
    "optimizer: {} evaluates a batch's loss several times a step (a closure), each time with another dropout: "
    "choose optimizer=sgd, adam, adamw or rmsprop"
)
_ASSUMED = {"epoch": 100, "step": 1000}  # a run's length, where a schedule is checked before there is a Trainer


def schedule_factory(given: Factory | Mapping[str, Any] | None) -> Factory | None:
    """A schedule as one factory, whose keywords `interval` and `monitor` are ours; defaults are left out.

    >>> halved = partial(lr_scheduler.StepLR, step_size=9)
    >>> schedule_factory({"scheduler": halved, "interval": "step"}).keywords
    {'step_size': 9, 'interval': 'step'}
    """
    if isinstance(given, Mapping) and given:  # as Lightning has it
        if not callable(given.get("scheduler")):
            raise UserError("scheduler: expected a function, or as in Lightning {'scheduler': function, 'interval': …}")
        given = partial(given["scheduler"], **{key: value for key, value in given.items() if key != "scheduler"})
    if not isinstance(given, partial):
        return given or None
    kept = {key: value for key, value in given.keywords.items() if key not in _OWN or value not in (None, _OWN[key])}
    if given.func is lr_scheduler.OneCycleLR and not {"total_steps", "epochs", "steps_per_epoch"} & kept.keys():
        kept["total_steps"] = "100%"
    return partial(given.func, *given.args, **kept)


def check(optimizer: Factory | None, schedule: Factory | None) -> None:
    """Refuse an optimizer or a schedule that torch will not make, or that cannot train, before any work is done."""
    function, _ = factories.parts(optimizer) if optimizer else (None, None)
    if isinstance(function, type) and issubclass(function, torch.optim.LBFGS):
        raise UserError(_NEEDS_CLOSURE.format("LBFGS"))
    parameter = nn.Parameter(torch.zeros(1))
    made = make_optimizer(optimizer, [parameter])
    stepped = None if schedule is None else make_schedule(schedule, made, _ASSUMED)["scheduler"]
    if made.defaults.get("capturable"):  # steps on GPUs only
        return
    parameter.grad = torch.zeros(1)
    try:
        made.step()
    except Exception as error:
        if "closure" in str(error):
            raise UserError(_NEEDS_CLOSURE.format(type(made).__name__)) from None
        raise UserError(f"optimizer: {one_line(error)}") from None
    try:
        if isinstance(stepped, lr_scheduler.ReduceLROnPlateau):
            stepped.step(0.0)
        elif stepped is not None:
            stepped.step()
    except Exception as error:
        raise UserError(f"scheduler: {one_line(error)}") from None


def make_optimizer(factory: Factory | None, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of some parameters; UserError where torch refuses it."""
    made = factory and _made("optimizer", factory, parameters)
    if not isinstance(made, torch.optim.Optimizer):
        raise UserError(f"optimizer: {type(made).__name__} is no torch.optim.Optimizer: choose one, optimizer=sgd say")
    return made


def make_schedule(factory: Factory, optimizer: torch.optim.Optimizer, length: Mapping[str, float]) -> dict[str, Any]:
    """An optimizer's schedule, in Lightning's form, for a run of so many epochs and steps.

    An argument like "5%" becomes this share of the run's epochs or steps, whichever `interval` counts; so do those of
    `schedulers`, factories that SequentialLR or ChainedScheduler takes.

    Raises:
        UserError: torch refuses it, or it would be stepped wrongly.
    """
    function, arguments = factories.parts(factory)
    interval, monitor = (arguments.pop(key, default) for key, default in _OWN.items())
    if interval not in length:
        raise unknown("scheduler.interval", str(interval), length)
    kind = function if isinstance(function, type) else object
    if issubclass(kind, lr_scheduler.ReduceLROnPlateau):
        monitor = _choose_figure(monitor, arguments, interval)
    elif monitor is not None:
        raise UserError(f"scheduler.monitor is of ReduceLROnPlateau (scheduler=plateau), not of {function.__name__}")
    if issubclass(kind, _BY_STEPS) and interval == "epoch":
        name = function.__name__
        raise UserError(f"scheduler: {name} changes the rate after each step: add ++scheduler.interval=step")
    made = _built(partial(function, **arguments), optimizer, length[interval])
    if not isinstance(made, lr_scheduler.LRScheduler):
        raise UserError(
            f"scheduler: {type(made).__name__} is no torch.optim.lr_scheduler.LRScheduler, whose step() takes no "
            f"arguments: choose one of these, scheduler=warmup_cosine say"
        )
    _check_length(made, interval, length)
    # `reduce_on_plateau`: Lightning would step it after the epoch's checkpoint was written (see `step_by_figure`).
    return {"scheduler": made, "interval": interval, "monitor": monitor, "reduce_on_plateau": False}


def _choose_figure(monitor: str | None, arguments: dict[str, Any], interval: str) -> str:
    """The figure that a ReduceLROnPlateau watches; sets its mode to that figure's."""
    figure = monitor or ("val/accuracy" if arguments.get("mode") == "max" else "val/loss")
    if figure not in FIGURES:
        raise unknown("scheduler.monitor", figure, FIGURES)
    if interval != "epoch":
        raise UserError("scheduler: ReduceLROnPlateau watches an epoch's figure: leave scheduler.interval=step out")
    mode = better(figure)
    if arguments.setdefault("mode", mode) != mode:
        raise UserError(
            f"scheduler.mode={arguments['mode']} would wait for a worse {figure}: use scheduler.mode={mode}"
        )
    return figure


def better(figure: str) -> str:
    """The mode of a figure, as Lightning and torch call it: "max" for accuracies, "min" for losses."""
    return "max" if figure.endswith("accuracy") else "min"


def _built(factory: Factory, optimizer: torch.optim.Optimizer, length: float) -> Any:
    """A schedule with shares of the length as numbers, and those in `schedulers` made."""
    function, arguments = factories.parts(factory)
    resolved = {key: _numbers(f"scheduler.{key}", value, length) for key, value in arguments.items()}
    if isinstance(nested := resolved.get("schedulers"), list):
        resolved["schedulers"] = [_built(one, optimizer, length) if callable(one) else one for one in nested]
        return _made("scheduler", partial(function, optimizer=optimizer, **resolved))  # ChainedScheduler has it second
    return _made("scheduler", partial(function, **resolved), optimizer)


def _numbers(key: str, value: Any, length: float) -> Any:
    if isinstance(value, list):
        return [_numbers(key, one, length) for one in value]
    if not isinstance(value, str) or not (share := re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value)):
        return value
    if math.isinf(length):
        raise UserError(
            f"{key}={value} is a share of a run without an end: set trainer.max_epochs or trainer.max_steps"
        )
    return max(1, round(length * float(share[1]) / 100))


def _check_length(made: Any, interval: str, length: Mapping[str, float]) -> None:
    """Refuse what ends before the run does, and then would fail or begin again."""
    steps = length[interval]
    if isinstance(made, lr_scheduler.OneCycleLR) and length is not _ASSUMED:
        if made.total_steps < steps:
            ends = "has no end" if math.isinf(steps) else f"makes {steps}"
            way = f"trainer.max_steps={made.total_steps}" if math.isinf(steps) else f"scheduler.total_steps={steps}"
            raise UserError(
                f"scheduler: OneCycleLR is made for {made.total_steps} steps, but this run {ends}: use {way}"
            )
        if made.total_steps > steps:
            log.warning("scheduler: OneCycleLR is made for %d steps, and this run makes %d", made.total_steps, steps)
    if isinstance(made, lr_scheduler.CosineAnnealingLR):
        if not isinstance(made.T_max, int | float) or made.T_max < 1:
            raise UserError(f"expected scheduler.T_max to be at least 1, but got {made.T_max}: a number or 100%")
        if interval == "step" and made.T_max < steps and length is not _ASSUMED:
            raise UserError(
                f"scheduler: the cosine ends after {made.T_max} steps and rises again, but this run makes {steps}: "
                f"use scheduler.T_max=100%, or CosineAnnealingWarmRestarts for several"
            )


def _made(group: str, factory: Factory, *given: Any) -> Any:
    function, arguments = factories.parts(factory)
    try:
        return function(*given, **arguments)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{group}: {_not_taken(group, function, arguments) or one_line(error)}") from None


def _not_taken(group: str, function: Factory, arguments: Mapping[str, Any]) -> str | None:
    """What to do about arguments that a class does not take; None where it takes all."""
    parameters = inspect.signature(function).parameters
    unused = {key: difflib.get_close_matches(key, parameters, 1, 0.75) for key in arguments if key not in parameters}
    if not unused or any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return None
    names = ", ".join(f"{key} (did you mean {near[0]}?)" if near else key for key, near in unused.items())
    remove = " ".join(f"'~{group}.{key}'" for key in unused)
    takes = ", ".join(name for name in list(parameters)[1:] if name not in arguments)
    return f"{function.__name__} takes no {names}: leave it out by {remove}; it also takes {takes}"


def configured(model: Any, make: Factory, schedule: Factory | None) -> Any:
    """What `configure_optimizers` of a `StyleClassifier` returns."""
    optimizer, trainer = make_optimizer(make, model.trained_parameters), model._trainer  # None: there is no Trainer
    clips = trainer is not None and trainer.gradient_clip_val and str(trainer.precision).endswith("-mixed")
    if clips and getattr(optimizer, "_step_supports_amp_scaling", False):  # Lightning would raise in the first step
        raise UserError(
            f"trainer.gradient_clip_val in trainer.precision={trainer.precision} needs an optimizer that is not fused: "
            f"add ++optimizer.fused=false"
        )
    if schedule is None:
        return optimizer
    made = make_schedule(schedule, optimizer, run_length(trainer))
    callbacks = trainer.callbacks if trainer is not None and made["interval"] == "step" else []
    if any(isinstance(callback, GradientAccumulationScheduler) for callback in callbacks):
        raise UserError("scheduler: by steps it needs as many in each epoch: use +trainer.accumulate_grad_batches=N")
    if trainer is not None and trainer.limit_val_batches == 0 and str(made["monitor"]).startswith("val/"):
        raise UserError(
            f"scheduler: ReduceLROnPlateau waits for {made['monitor']}: leave trainer.limit_val_batches=0 out, or use "
            f"scheduler.monitor=train/loss"
        )
    return {"optimizer": optimizer, "lr_scheduler": made}


def run_length(trainer: L.Trainer | None) -> Mapping[str, float]:
    """The epochs and the optimizer steps that a fit makes where nothing ends it early."""
    if trainer is None:
        return _ASSUMED
    epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs
    # `estimated_stepping_batches` would start the epoch's order before a checkpoint has restored the epoch.
    batches = getattr(trainer.datamodule, "training_batches", None)
    if batches is None:
        steps = trainer.estimated_stepping_batches
    else:
        limit = trainer.limit_train_batches
        batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
        steps = math.ceil(batches / trainer.accumulate_grad_batches) * epochs if batches else 0
    limit = max_steps(trainer)
    return {"epoch": epochs, "step": steps if limit is None else min(steps, limit)}


def max_steps(trainer: L.Trainer) -> int | None:
    """After how many steps a fit ends at the latest: by Lightning's option, or by a callback that has it."""
    limits = [trainer.max_steps, *(getattr(callback, "max_steps", -1) for callback in trainer.callbacks)]
    return min((limit for limit in limits if limit >= 0), default=None)


def step_by_figure(trainer: L.Trainer, figures: Mapping[str, float]) -> None:
    """Step what watches a figure, in epochs that have it: at the epoch's end, before its checkpoint is written."""
    for config in trainer.lr_scheduler_configs:
        if config.monitor in figures:
            config.scheduler.step(figures[config.monitor])
