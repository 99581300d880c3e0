"""Options of Lightning's Trainer: those that a run sets itself, and checks of what would not do what it says."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch import profilers
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint, ProgressBar
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from brushwork.errors import UserError, one_line, unknown
from brushwork.models.checkpoint import AtomicCheckpointIO
from brushwork.models.optimization import FIGURES, better
from brushwork.training.config import Config

log = logging.getLogger(__name__)

_NEED_LOGGER = (lightning_callbacks.LearningRateMonitor, lightning_callbacks.DeviceStatsMonitor)
# Callbacks that look for an attribute of the module which ours does not have, and the setting that does what they do.
_INSTEAD = {
    lightning_callbacks.LearningRateFinder: "optimizer.lr=NUMBER",
    lightning_callbacks.BatchSizeFinder: "data.batch_size=NUMBER",
    lightning_callbacks.BackboneFinetuning: "tuning=head_only, classifier or upper",
}
_PROFILERS = {
    "simple": profilers.SimpleProfiler,
    "advanced": profilers.AdvancedProfiler,
    "pytorch": profilers.PyTorchProfiler,
}


class StopAfterSteps(L.Callback):
    """Ends training after so many steps of the optimizer, and validates there.

    Lightning's own `max_steps` does not validate in the middle of an epoch, and a run with it is not resumed exactly.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.on_train_batch_end(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        trainer.should_stop |= trainer.global_step >= self.max_steps


def for_probe(
    settings: Config, options: dict[str, Any], ckpt_path: Path | None, in_sweep: bool
) -> tuple[dict[str, Any], Path | None]:
    """Trainer options and checkpoint of a probe, which is solved in one epoch; UserError for what would do nothing."""
    idle = {key: getattr(settings, key) for key in ("scheduler", "ema_decay", "patience")}
    idle |= {"model.loss": settings.model.loss, "ckpt_path": None if in_sweep else ckpt_path}
    idle |= {f"trainer.{key}": options.get(key) for key in ("gradient_clip_val", "gradient_clip_algorithm")}
    idle |= {"trainer.accumulate_grad_batches": options.get("accumulate_grad_batches", 1) != 1}
    if named := [key for key, value in idle.items() if value]:
        raise UserError(f"tuning=probe is solved at once, without steps: leave {' and '.join(named)} out")
    if (precision := str(options.get("precision", "32-true"))) not in ("32-true", "32", "64-true", "bf16-mixed"):
        raise UserError(f"tuning=probe needs more digits than trainer.precision={precision}: use bf16-mixed or 32-true")
    log.info("tuning=probe is solved in one epoch: optimizer and trainer.max_epochs do nothing")
    return options | {"max_epochs": 1}, None


def arrange(
    options: dict[str, Any], callbacks: list[Any], loggers: list[Any], folder: Path
) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """Trainer options, callbacks and loggers, where options switch some of these off; all files go into `folder`."""
    options = {"default_root_dir": str(folder)} | options
    if options.get("callbacks"):
        raise UserError("trainer.callbacks: callbacks have a group of their own: +callbacks.NAME._target_=CLASS")
    options.pop("callbacks", None)
    if not isinstance(wanted := options.pop("logger", None), bool | None):
        raise UserError("trainer.logger: loggers have a group of their own: logger=csv, or +logger.NAME._target_=CLASS")
    if options.pop("use_distributed_sampler", None):
        raise UserError("trainer.use_distributed_sampler: the data module shares out an epoch itself: leave it out")
    for option, kind in (("enable_checkpointing", Checkpoint), ("enable_progress_bar", ProgressBar)):
        if options.pop(option, None) is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, kind)]
        options[option] = any(isinstance(callback, kind) for callback in callbacks)
    if (steps := options.pop("max_steps", None)) not in (None, -1):
        if not isinstance(steps, int) or steps < 1:
            raise UserError(f"expected trainer.max_steps to be a whole number from 1, or -1, but got {steps}")
        if options.get("min_epochs"):
            raise UserError("trainer.min_epochs and trainer.max_steps contradict each other: leave one out")
        callbacks = [*callbacks, StopAfterSteps(steps)]
        options["max_epochs"] = -1 if options.get("max_epochs") is None else options["max_epochs"]
    if options.get("deterministic"):
        options["benchmark"] = False  # with it cuDNN ignores the other
    if (profiler := options.get("profiler")) in _PROFILERS:  # else its report is lost among Lightning's messages
        options["profiler"] = _PROFILERS[profiler](dirpath=str(folder), filename="profile")
    plugins = options.get("plugins") or []
    options["plugins"] = [*(plugins if isinstance(plugins, list) else [plugins]), AtomicCheckpointIO()]
    return options, callbacks, [] if wanted is False else loggers


def check_trainer(options: dict[str, Any], callbacks: list[Any], loggers: list[Any], patience: int | None) -> None:
    """Refuse Trainer options that would make a run's figures mean something else than they say."""
    for key in ("max_epochs", "accumulate_grad_batches", "check_val_every_n_epoch"):
        value = options.get(key)
        if not isinstance(value, int | None) or (value is not None and value < 1 and key != "max_epochs"):
            least = "" if key == "max_epochs" else " from 1"
            raise UserError(f"expected trainer.{key} to be a whole number{least}, but got {value}")
    epochs, every = options.get("max_epochs") or 0, options.get("check_val_every_n_epoch") or 1
    if 0 < epochs < every:
        raise UserError(
            f"trainer.check_val_every_n_epoch={every} never validates in trainer.max_epochs={epochs}: lower it, or say "
            f"so with +trainer.limit_val_batches=0"
        )
    # Lightning takes the number 1 for one batch and 1.0 for all of them.
    validated, tested, interval = (
        repr(options.get(key, 1.0)) for key in ("limit_val_batches", "limit_test_batches", "val_check_interval")
    )
    if validated not in ("1.0", "0", "0.0", "None"):
        raise UserError(
            f"trainer.limit_val_batches={options['limit_val_batches']} would score the first styles only: use 0, or "
            f"fewer paintings by data.limit_per_style"
        )
    if patience is not None and validated in ("0", "0.0"):
        raise UserError(f"patience={patience} waits for the validation accuracy: leave trainer.limit_val_batches=0 out")
    if options.get("overfit_batches"):
        raise UserError("trainer.overfit_batches would validate on training paintings: use data.limit_per_style")
    if tested not in ("1.0", "None"):
        raise UserError("trainer.limit_test_batches would score the first styles only: leave it out")
    if interval not in ("1.0", "None"):
        raise UserError("trainer.val_check_interval: a run validates at the end of its epochs; leave it out")
    if options.get("gradient_clip_algorithm") and not options.get("gradient_clip_val"):
        raise UserError("trainer.gradient_clip_algorithm clips nothing alone: add +trainer.gradient_clip_val=1.0, say")
    for callback in callbacks:
        is_best = isinstance(callback, ModelCheckpoint) and callback.filename == "best"
        if is_best and (callback.monitor, callback.mode) != ("val/accuracy", "max"):
            raise UserError("callbacks.best keeps the epoch of the highest val/accuracy: add one of another name")
        for kind, setting in _INSTEAD.items():
            if isinstance(callback, kind):
                raise UserError(f"{kind.__name__} would change what the settings say: use {setting}")
        if isinstance(callback, _NEED_LOGGER) and not loggers:
            raise UserError(f"{type(callback).__name__} writes to a logger: choose logger=tensorboard or csv, say")
    _check_monitors(callbacks, is_validated=validated not in ("0", "0.0"))


def _check_monitors(callbacks: list[Any], is_validated: bool) -> None:
    """Refuse callbacks that wait for a figure that there is not, or for a worse one."""
    packages = {type(callback).__module__.split(".")[0] for callback in callbacks}
    for callback in callbacks:
        monitor, name = getattr(callback, "monitor", None), type(callback).__name__
        if monitor is None:
            continue
        if monitor not in FIGURES:
            if packages <= {"lightning", "brushwork"}:  # else one may log figures of its own
                raise unknown(f"monitor of {name}", monitor, FIGURES)
            continue
        if callback.mode != (mode := better(monitor)):
            raise UserError(
                f"{name} with monitor={monitor} waits for a worse one by mode={callback.mode}: use mode={mode}"
            )
        if isinstance(callback, EarlyStopping) and monitor.startswith("val/") and not is_validated:
            raise UserError(f"EarlyStopping waits for {monitor}: leave trainer.limit_val_batches=0 out")


def user_error(error: Exception) -> UserError | None:
    """A mistake in the options that Lightning or torch only find in training, in one line; None for another error."""
    text = one_line(error)
    known = "Early stopping conditioned on metric", "does not have a deterministic implementation"
    if not isinstance(error, MisconfigurationException) and not any(part in text for part in known):
        return None
    return UserError(f"trainer: {text}")
