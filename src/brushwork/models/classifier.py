"""The LightningModule: a network with a new head, trained by cross-entropy and scored per painting."""

from collections.abc import Callable
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from brushwork.models import checkpoint, heads, tuning
from brushwork.models.features import FeatureBatch
from brushwork.models.scores import Scores
from brushwork.paintings.datamodule import Batch


class StyleClassifier(L.LightningModule):
    """Trains `network` and keeps the `scores` of its last validation or test.

    Args:
        network: (batch, 3, height, width) to logits (batch, num_classes).
        new_layer: the layer of `network` that its head strategy made.
        trained_parameters: what the optimizer gets (see `tuning.choose_parameters`).
        optimizer: parameters to an optimizer. scheduler: an optimizer to a schedule by epochs, or None.
        class_weights: (num_classes,) of the training loss, or None; other losses are never weighted.
        description: plain values that go into each checkpoint (see `checkpoint.KEY`).
    """

    def __init__(
        self,
        network: nn.Module,
        new_layer: nn.Module,
        trained_parameters: list[nn.Parameter],
        *,
        num_classes: int,
        tuning_name: str,
        optimizer: Callable,
        scheduler: Callable | None,
        seed: int,
        class_weights: Tensor | None,
        description: dict[str, Any],
    ) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.tuning_name, self.seed, self.description = tuning_name, seed, description
        self._new_layer = [new_layer]  # in a list: already part of `network`, to be stored once
        self._trained_parameters = trained_parameters
        self._optimizer, self._scheduler = optimizer, scheduler
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.num_classes = num_classes
        first_trained = tuning.first_trained(network, new_layer, tuning_name)
        self._tail = [first_trained and heads.tail(network, first_trained)]
        self._answers: list[tuple[Tensor, ...]] = []
        self.scores: Scores | None = None

    @property
    def new_layer(self) -> nn.Module:
        """The layer that the head strategy made."""
        return self._new_layer[0]

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)  # (batch, num_classes)

    def _logits(self, batch: Batch | FeatureBatch) -> Tensor:
        return self._tail[0](batch.features) if isinstance(batch, FeatureBatch) else self(batch.images)

    def configure_optimizers(self) -> Any:
        optimizer = self._optimizer(self._trained_parameters)
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}

    def on_train_epoch_start(self) -> None:
        tuning.set_train_mode(self.network, self.new_layer, self.tuning_name)  # Lightning leaves modes alone
        # Dropout becomes a function of (seed, epoch, rank), so that a resumed run equals an unbroken one.
        sequence = np.random.SeedSequence([self.seed, self.current_epoch, self.global_rank])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        # Sums on the device, read when the epoch has ended: nothing in the loop waits for the device.
        self._sums = torch.zeros(2, device=self.device)  # of the paintings' losses, and of right answers
        self._paintings = 0

    def training_step(self, batch: Batch | FeatureBatch, batch_idx: int) -> Tensor:
        logits = self._logits(batch)
        loss = cross_entropy(logits, batch.labels, reduction="none")  # (batch,)
        if self.class_weights is not None:
            loss = loss * self.class_weights[batch.labels]  # torch's own weights are relative to the batch's
        with torch.no_grad():
            self._sums += torch.stack([loss.sum(), (logits.argmax(1) == batch.labels).sum().to(loss)])
        self._paintings += len(batch.labels)
        loss = loss.mean()
        # Every painting weighs the same: an epoch's last batch may hold a single one, which would otherwise move the
        # network as far as a whole batch (2,241 paintings in batches of 64 let a SqueezeNet diverge). See docs/data.md.
        return loss * (len(batch.labels) * self.trainer.world_size / self.description["batch_size"])

    def training_figures(self) -> dict[str, float]:
        """The epoch's training loss and accuracy, in training mode and while the network changes."""
        sums = self._sums if self.trainer.world_size == 1 else self.all_gather(self._sums).sum(0)
        loss, right = (sums / (self._paintings * self.trainer.world_size)).tolist()
        return {"train/loss": loss, "train/accuracy": right}

    def on_train_epoch_end(self) -> None:
        self.log_dict(self.training_figures(), logger=False)  # for callbacks that watch them

    def on_validation_epoch_start(self) -> None:
        self._answers.clear()

    def validation_step(self, batch: Batch | FeatureBatch, batch_idx: int) -> None:
        logits = self._logits(batch).float()
        probability, predicted = logits.softmax(1).max(1)
        loss = cross_entropy(logits, batch.labels, reduction="none")
        self._answers.append((batch.index, batch.labels, predicted, probability, loss))  # each (batch,)

    def on_validation_epoch_end(self) -> None:
        self.scores = self._gather_scores()
        for name, value in [("val/loss", self.scores.loss.mean()), ("val/accuracy", self.scores.accuracy)]:
            self.log(name, float(value), logger=False)

    def on_test_epoch_start(self) -> None:
        self._answers.clear()

    def test_step(self, batch: Batch | FeatureBatch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_test_epoch_end(self) -> None:
        self.scores = self._gather_scores()

    def _gather_scores(self) -> Scores:
        columns = [torch.cat(column) for column in zip(*self._answers, strict=True)]
        self._answers.clear()
        if self.trainer.world_size > 1:
            columns = [column.flatten() for column in self.all_gather(columns)]
        columns = [column.cpu().numpy() for column in columns]
        _, first = np.unique(columns[0], return_index=True)  # drops the padding that DDP's equal shares need
        return Scores(*(column[first] for column in columns), self.num_classes)

    def on_save_checkpoint(self, checkpoint_: dict[str, Any]) -> None:
        checkpoint_[checkpoint.KEY] = self.description
