"""Checks of the options of Lightning's Trainer."""

from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint

from brushwork.errors import UserError

_ALL = {"1.0", "None"}  # by repr: Lightning takes the number 1 for one batch and 1.0 for all of them


def check_trainer(options: dict[str, Any], callbacks: list[Any], patience: int | None) -> None:
    """Refuse Trainer options that would make a run's figures mean something else than they say."""
    if not isinstance(options.get("max_epochs"), int | None):
        raise UserError(f"expected trainer.max_epochs to be a whole number, but got {options['max_epochs']}")
    validation = options.get("limit_val_batches", 1.0)
    if patience is not None and repr(validation) in ("0", "0.0"):
        raise UserError(f"patience={patience} waits for the validation accuracy: leave trainer.limit_val_batches=0 out")
    if options.get("overfit_batches"):
        raise UserError("trainer.overfit_batches would validate on training paintings: use data.limit_per_style")
    first_styles = "would score the first styles only"
    fewer = f"={validation} {first_styles}: use 0, or fewer paintings by data.limit_per_style"
    for key, allowed, problem in [
        ("limit_val_batches", _ALL | {"0", "0.0"}, fewer),
        ("limit_test_batches", _ALL, f" {first_styles}: leave it out"),
        ("val_check_interval", _ALL, ": a run validates at the end of its epochs; leave it out"),
    ]:
        if repr(options.get(key, 1.0)) not in allowed:
            raise UserError(f"trainer.{key}{problem}")
    for callback in callbacks:
        is_best = isinstance(callback, ModelCheckpoint) and callback.filename == "best"
        if is_best and (callback.monitor, callback.mode) != ("val/accuracy", "max"):
            raise UserError("callbacks.best keeps the epoch of the highest val/accuracy: add one of another name")
