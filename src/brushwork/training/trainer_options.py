"""Checks of the options of Lightning's Trainer."""

from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint

from brushwork.errors import UserError


def check_trainer(options: dict[str, Any], callbacks: list[Any], patience: int | None) -> None:
    """Refuse Trainer options that would make a run's figures mean something else than they say."""
    if not isinstance(options.get("max_epochs"), int | None):
        raise UserError(f"expected trainer.max_epochs to be a whole number, but got {options['max_epochs']}")
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
    for callback in callbacks:
        is_best = isinstance(callback, ModelCheckpoint) and callback.filename == "best"
        if is_best and (callback.monitor, callback.mode) != ("val/accuracy", "max"):
            raise UserError("callbacks.best keeps the epoch of the highest val/accuracy: add one of another name")
