"""The progress bar: Lightning's, with epochs counted from 1 as everywhere else."""

import sys
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from brushwork.training import sweep


class ProgressBar(TQDMProgressBar):
    """Shows the running epoch and its rate, on a terminal only; `RunRecord` logs each finished epoch."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if not sys.stdout.isatty() or sweep.is_worker():  # several bars would write over one another
            self.disable()

    def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
        super().on_train_epoch_start(trainer, *args)
        limit = f"/{trainer.max_epochs}" if trainer.max_epochs > 0 else ""  # else -1: none
        self.train_progress_bar.set_description(f"epoch {trainer.current_epoch + 1}{limit}")
        self.train_progress_bar.unit = "batch"

    def get_metrics(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Any]:
        return {}
