"""The LightningModule: an ImageNet backbone whose head is replaced, fine-tuned and scored on paintings."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from brushwork.batch import Batch, FeatureBatch, from_pair
from brushwork.calibration import Calibration
from brushwork.models import backbones, checkpoint, factories, heads, optimization, published
from brushwork.models.factories import Factory
from brushwork.models.familiarity import Familiarity
from brushwork.models.features import FrozenFeatures, can_be_cached
from brushwork.models.initial import check, initialized
from brushwork.models.modes import repeatable
from brushwork.models.prediction import Answers, Picture, answered, listed, load, predicted
from brushwork.models.probe import Probe
from brushwork.models.scores import Scores
from brushwork.models.tuning import choose_parameters, first_trained, set_train_mode
from brushwork.preprocessing import Preprocessing, as_batch

log = logging.getLogger(__name__)

SGD = partial(torch.optim.SGD, lr=0.01, momentum=0.9)  # the report's, section 2.2


class StyleClassifier(L.LightningModule):
    """A classifier of torchvision's or timm's with a new head, for `lightning.Trainer` or on its own.

    Example:
        >>> model = StyleClassifier("alexnet", head="replace_two", num_classes=10, weights=None)
        >>> model.new_layer
        Linear(in_features=4096, out_features=10, bias=True)

    Args:
        architecture: a name of torchvision's (`backbones.architectures()`), or "timm:" and one of timm's.
        head: "replace_last", "replace_two", or a function (network, num_classes) -> new layer that changes the network.
        num_classes: outputs of the new layer.
        weights: what training begins from: "imagenet" (timm's: of the name's tag), a name of torchvision's, a path of a
            state dict or of a checkpoint of this class; None: random.
        tuning: what is trained: "full", "upper", "classifier", "head_only"; or "probe", which is solved at once.
        probe_layers: its features, "upper", "last" or "all" (see `stages`). probe_views: 2 adds mirror images.
        optimizer: parameters -> optimizer; SGD with rate 0.01 and momentum 0.9 by default, the report's.
        scheduler: optimizer -> learning rate scheduler, stepped after each epoch; None keeps the rate. As in Lightning,
            {"scheduler": function, "interval": "step"} steps it after each step of the optimizer.
        loss: called with reduction="none", makes a function (logits, labels) -> losses (batch,); cross-entropy.
        class_names: of the outputs; taken from the data module when there is one.
        seed: of dropout, by epoch. zero_init: start the new layer at zero. verify_weights: check a download's hash.
        init_gain: random weights of deviation init_gain / sqrt(fan_in). redraw: draw weights anew, by layer as loaded.
        image_size: pixels a side, for which timm's transformers are built; None: the network's own.
    """

    def __init__(
        self,
        architecture: str,
        head: str | heads.Head,
        num_classes: int,
        *,
        weights: str | None = "imagenet",
        tuning: str = "full",
        optimizer: Factory | None = None,
        scheduler: Factory | dict[str, Any] | None = None,
        loss: Factory | None = None,
        class_names: Sequence[str] | None = None,
        seed: int = 0,
        zero_init: bool = False,
        verify_weights: bool = True,
        init_gain: float | None = None,
        redraw: bool = False,
        probe_layers: str = "upper",
        probe_views: int = 1,
        image_size: int | None = None,
    ) -> None:
        super().__init__()
        check(architecture, head, tuning, weights, init_gain, redraw, probe_layers, probe_views)
        self._make_optimizer, self._make_scheduler = optimizer or SGD, optimization.schedule_factory(scheduler)
        make_loss = loss or nn.CrossEntropyLoss
        # Names and numbers only, which a checkpoint can hold without code.
        self.save_hyperparameters(ignore=["head", "class_names", "optimizer", "scheduler", "loss"], logger=False)
        self.hparams.update(head=heads.name_of(head), class_names=class_names and list(class_names))
        made = {"optimizer": self._make_optimizer, "scheduler": self._make_scheduler, "loss": make_loss}
        self.hparams.update({name: factories.describe(factory) for name, factory in made.items()})
        network, new_layer, self._split_of_weights = initialized(self.hparams, head)
        self.network = network.to(memory_format=torch.channels_last)
        self.preprocessing = backbones.preprocessing(architecture, image_size)
        self.loss_function = make_loss(reduction="none")
        # In lists, so that torch does not register these parts of `network` a second time.
        self._new_layer = [new_layer]
        self._first = [first := first_trained(self.network, new_layer, tuning)]
        self._tail = [first and heads.tail(self.network, first)]
        self.probe = Probe(probe_layers, probe_views) if tuning == "probe" else None
        self.automatic_optimization = self.probe is None
        self.trained_parameters = choose_parameters(self.network, new_layer, tuning)
        self._class_weights: Tensor | None = None
        self._batch_size: int | None = None
        self._answers: list[tuple[Tensor, ...]] = []
        self._figures: dict[str, float] = {}  # of the epoch
        self.calibration = Calibration()  # of the probabilities of `predict`; fitted by `training.Calibrate`
        self.familiarity: Familiarity | None = None  # what training pictures look like, likewise
        self.scores: Scores | None = None  # of the last validation or test
        self.logs_to_loggers: bool | None = None  # False where a callback logs the figures by epoch itself

    @property
    def new_layer(self) -> nn.Module:
        """The layer that the head strategy made."""
        return self._new_layer[0]

    @property
    def first_trained(self) -> nn.Module | None:
        """The module where training begins; None where that is inside the convolutions."""
        return self._first[0]

    @property
    def num_classes(self) -> int:
        return self.hparams.num_classes

    @property
    def class_names(self) -> list[str]:
        """The names of the outputs, or their numbers as text where no data module has named them yet."""
        return self.hparams.class_names or [str(number) for number in range(self.num_classes)]

    def preprocessing_for(self, image_size: int | None, resize: str | None) -> Preprocessing:
        """The preprocessing at another size or resize mode; None: the network's own."""
        backbones.refuse_other_size(self.network, image_size)
        own, name = self.preprocessing, self.hparams.architecture
        return backbones.preprocessing(name, image_size or own.image_size, resize or own.resize)

    def feature_extractor(self) -> FrozenFeatures | None:
        """What computes the input of the first trained layer; None where that input changes in training."""
        if not can_be_cached(self.hparams.tuning, self.trainer.precision):
            return None
        trainer = self.trainer
        where = trainer.datamodule.preprocessing, trainer.strategy.root_device, trainer.precision_plugin
        return FrozenFeatures(self.network, self.first_trained, *where)

    # -- training -----------------------------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        data = self.trainer.datamodule
        if stage == "predict" or (names := getattr(data, "class_names", None)) is None:
            return
        checkpoint.refuse_other_data(self, names)
        if stage == "fit":
            self.hparams.class_names = list(names)
            if self.probe:
                self.probe.prepare(data)
            self.preprocessing = getattr(data, "preprocessing", self.preprocessing)
            if self._split_of_weights not in (None, getattr(data, "split_hash", None)):
                told = "%s was trained on another split: it may have seen paintings that validate here"
                log.warning(told, self.hparams.weights)

    def configure_optimizers(self) -> Any:
        if self.probe:  # a step of no size counts the epoch
            return torch.optim.SGD(self.trained_parameters, lr=0.0)
        return optimization.configured(self, self._make_optimizer, self._make_scheduler)

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not isinstance(scheduler, ReduceLROnPlateau):  # stepped in `on_train_epoch_end`
            scheduler.step()

    def on_fit_start(self) -> None:
        self.calibration, self.familiarity = Calibration(), None  # of the weights before
        data = self.trainer.datamodule
        weights = data.loss_weights() if hasattr(data, "loss_weights") else None
        self._class_weights = None if weights is None else weights.to(self.device)  # (num_classes,)
        self._batch_size = getattr(data, "global_batch_size", None)

    def on_train_epoch_start(self) -> None:
        set_train_mode(self.network, self.new_layer, self.hparams.tuning)  # Lightning leaves modes alone
        # Dropout becomes a function of (seed, epoch, rank), so that a resumed run equals an unbroken one.
        sequence = np.random.SeedSequence([self.hparams.seed, self.current_epoch, self.global_rank])
        torch.manual_seed(int(sequence.generate_state(1)[0]))
        # Sums on the device, read when the epoch has ended: nothing in the loop waits for the device.
        self._sums = torch.zeros(2, device=self.device)  # of the paintings' losses, and of correct answers
        self._paintings, self._figures = 0, {}

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.to(self.dtype))  # (batch, num_classes); bfloat16 in precision bf16-true, say

    def _logits(self, batch: Batch | FeatureBatch) -> Tensor:
        return self._tail[0](batch.features) if isinstance(batch, FeatureBatch) else self(batch.images)

    def _as_batch(self, batch: Any) -> Batch | FeatureBatch:
        if isinstance(batch, Batch | FeatureBatch):
            return batch
        return from_pair(batch, sum(len(answers[0]) for answers in self._answers), self.global_rank)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        batch = self._as_batch(batch)
        if self.probe and (batch := self.probe.collect(self, batch)) is None:
            return None  # all of an epoch's paintings at once, with its last batch
        logits = self._logits(batch)
        loss = self.loss_function(logits.to(torch.promote_types(logits.dtype, torch.float32)), batch.labels)  # (batch,)
        if self._class_weights is not None:  # CrossEntropyLoss(weight) would divide by the batch's sum of weights
            loss = loss * self._class_weights[batch.labels]
        with torch.no_grad():
            self._sums += torch.stack([loss.sum(), (logits.argmax(1) == batch.labels).sum().to(loss)])
        self._paintings += len(batch.labels)
        loss = loss.mean()
        if self._batch_size is None:
            return loss
        # An epoch's last batch may hold a single painting, which must not move the network as far as a whole batch.
        return loss * (len(batch.labels) * self.trainer.world_size / self._batch_size)

    def training_figures(self) -> dict[str, float]:
        """The epoch's training loss and accuracy, in training mode while the network changes."""
        sums = self._sums if self.trainer.world_size == 1 else self.all_gather(self._sums).sum(0)
        loss, correct = (sums / (self._paintings * self.trainer.world_size)).tolist()
        return {"train/loss": loss, "train/accuracy": correct}

    def on_train_epoch_end(self) -> None:
        self._log_figures(self.training_figures())
        optimization.step_by_figure(self.trainer, self._figures)

    # -- validation, test, prediction ---------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        self._answers.clear()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        batch = self._as_batch(batch)
        with repeatable():
            logits = self._logits(batch).float()
        probability, predicted = logits.softmax(1).max(1)
        loss = self.loss_function(logits, batch.labels)
        self._answers.append((batch.index, batch.labels, predicted, probability, loss, logits))

    def on_validation_epoch_end(self) -> None:
        self._score("val")

    on_test_epoch_start, test_step = on_validation_epoch_start, validation_step

    def on_test_epoch_end(self) -> None:
        self._score("test")

    def _score(self, part: str) -> None:
        columns = [torch.cat(column) for column in zip(*self._answers, strict=True)]
        self._answers.clear()
        if self.trainer.world_size > 1:
            columns = [column.flatten(0, 1) for column in self.all_gather(columns)]
        self.scores = Scores.of(*columns, num_classes=self.num_classes)
        figures = {f"{part}/loss": float(self.scores.loss.mean()), f"{part}/accuracy": self.scores.accuracy}
        self._log_figures(figures)

    def _log_figures(self, figures: dict[str, float]) -> None:
        self._figures |= figures
        self.log_dict(figures, logger=self.logs_to_loggers)

    def predict_step(self, batch: Any, batch_idx: int) -> Answers:
        """The answers for a batch, with the paths of its files where a `WikiArtDataModule` knows them."""
        batch = self._as_batch(batch)
        paths = getattr(self.trainer.datamodule, "predicted_paths", None)
        return answered(self, lambda: self._logits(batch), [paths and paths[i] for i in batch.index.tolist()])

    def transform(self, pictures: Picture | Sequence[Picture]) -> Tensor:
        """Pictures preprocessed for this network, (batch, 3, height, width) float32, normalised, on the model's device.

        Args:
            pictures: paths, PIL pictures, or tensors (3, height, width), uint8 or floating in [0, 1]; one or several.
        """
        return as_batch([load(picture) for picture in listed(pictures)], self.preprocessing).to(self.device)

    def predict(self, pictures: Picture | Sequence[Picture]) -> Answers:
        """Class names and probabilities for pictures (see `transform`), in their order.

        A tensor (batch, 3, height, width) is taken as what `transform` returns.
        """
        return predicted(self, listed(pictures))

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, content: dict[str, Any]) -> None:
        content[checkpoint.KEY] = checkpoint.describe(self)

    def on_load_checkpoint(self, content: dict[str, Any]) -> None:
        checkpoint.check_loaded(self, content)

    @classmethod
    def load_from_checkpoint(
        cls, checkpoint_path: str | Path, *, head: heads.Head | None = None, map_location: Any = "cpu"
    ) -> "StyleClassifier":
        """The trained model of a checkpoint, in eval mode. Needs neither the data nor the weights it began from.

        Args:
            head: the function that made the head, where it is not built in: a checkpoint stores its name only.
        """
        path = Path(checkpoint_path)
        return checkpoint.made_again(cls, path, checkpoint.read(path), head).to(map_location)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, map_location: Any = "cpu") -> "StyleClassifier":
        """As `load_from_checkpoint`, of what scripts/export.py made: "USER/NAME" on the hub, or a folder."""
        return cls.load_from_checkpoint(published.place(source), map_location=map_location)
