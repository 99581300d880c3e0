"""An average of the weights over steps, which is scored, shown and kept instead of the last step's weights."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging

from brushwork.errors import UserError


class AveragedWeights(EMAWeightAveraging):
    """Lightning's exponential moving average of the weights, in the network from its validation to the epoch's end.

    Lightning puts the average in place for the validation alone. Here it stays until the next epoch begins, so that
    what is kept as the best epoch's checkpoint, and what callbacks show, is what was scored. After each step,
    average = decay x average + (1 - decay) x weights.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(decay=decay)
        self.ema_decay = decay  # what a checkpoint's description says
        self._in_place = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if str(trainer.precision) in ("bf16-true", "16-true"):
            raise UserError(
                f"ema_decay={self.ema_decay:g} needs an average of more digits than trainer.precision="
                f"{trainer.precision} keeps: use trainer.precision=bf16-mixed"
            )
        super().setup(trainer, pl_module, stage)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._in_place = self._average_model is not None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._in_place:
            self._swap_models(pl_module)
            self._in_place = False

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self._in_place:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._in_place:  # the module holds the average, and the average model the weights in training
            average, weights = checkpoint["current_model_state"], checkpoint["state_dict"]
            checkpoint |= {"state_dict": average, "current_model_state": weights}
