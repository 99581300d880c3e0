"""The callback that logs saliency maps to TensorBoard and other loggers, before training and after epochs."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import nn

from brushwork import csv_files, events, files, run_folder
from brushwork.errors import UserError, one_line, unknown
from brushwork.models import backbones, predictor
from brushwork.models.predictor import Predictor
from brushwork.saliency import methods
from brushwork.saliency.history import MapHistory
from brushwork.saliency.layers import network_of
from brushwork.saliency.panel import Column, Panel, column

log = logging.getLogger(__name__)

TAG, STRIP, CORRELATION = "saliency/panel", "saliency/strip", "map correlation"
_NEEDED = ("catalogue", "parts", "preprocessing", "max_megapixels")  # of the data module


@dataclass(eq=False)
class SaliencyLogger(L.Callback):
    """Logs a panel of validation paintings and their maps before training (step 0) and after epochs (step = epoch).

    A row a painting: the painting; the map of a network trained on photographs, for the class that it predicts; the
    maps of the network in training, for the predicted and for the true style. How the latter change is measured by rank
    correlation (`history.MapHistory`): of each painting in saliency.csv, their mean in the loggers. A strip (there and
    in saliency.jpg) shows the first painting's maps over the epochs. Files lie beside TensorBoard's, or without it in
    the Trainer's `default_root_dir`.

    It works with any Trainer and module (its `network`, or else the module itself, gives logits), and does nothing
    without a logger that takes pictures (TensorBoard, wandb, MLflow) or a data module with `catalogue`, `parts` and
    `preprocessing`. It leaves torch's random state alone and changes nothing in training; a picture that can't be drawn
    is a warning. Its history is part of last.ckpt: a resumed run continues it; with another panel or method it starts
    anew.
    """

    every_n_epochs: int = 1  # and after the last epoch
    paintings: int = 8  # rows of the panel
    seed: int = 0  # which paintings
    reference: str | None = "vgg16"  # the torchvision architecture of the second column; None leaves it out
    reference_weights: str | None = "imagenet"  # see `predictor.imagenet`; unavailable ones are a warning
    # Of the network in training before its first step, to compare with ImageNet's own network; by default from the
    # module's `hparams`. weights=None: random or unknown.
    architecture: str | None = None
    weights: str | None = None
    verify_weights: bool = True  # check the hash in the name of torchvision's file
    method: str = "gradient"  # of the maps, a name of `methods.METHODS`

    def __post_init__(self) -> None:
        for name in ("every_n_epochs", "paintings"):
            if (value := getattr(self, name)) < 1:
                raise UserError(f"expected callbacks.saliency.{name} to be at least 1, but got {value}")
        if self.method not in methods.METHODS:
            raise unknown("callbacks.saliency.method", self.method, methods.METHODS)
        if self.reference is not None:
            backbones.check(self.reference, "callbacks.saliency.reference")
        self._active = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._active = False
        self._loggers = events.writing(trainer.loggers)
        if stage != "fit" or not any(map(events.takes_pictures, self._loggers)):
            return
        data = getattr(trainer, "datamodule", None)
        if any(getattr(data, name, None) is None for name in _NEEDED):
            log.info("saliency: no panels: the Trainer has no data module with %s", ", ".join(_NEEDED))
            return
        methods.check(self.method, pl_module)
        try:
            self._panel = Panel(data, self.paintings, self.seed)
        except (UserError, OSError) as error:
            log.warning("saliency: no panels: %s", one_line(error))
            return
        self._history = MapHistory([p.path for p in self._panel.paintings], self.method, self.every_n_epochs)
        self._key = [self.method, *self._panel.batch.shape, *self._history.paths]
        self._reference = self._load_reference()
        self._reference_column: Column | None = None  # not drawn yet
        self._active = True

    def _load_reference(self) -> Predictor | None:
        if self.reference is None:
            return None
        alternative = "or leave that column out with callbacks.saliency.reference=null"
        try:
            with torch.inference_mode(False):
                found = predictor.imagenet(self.reference, self.reference_weights, self.verify_weights, alternative)
            methods.check(self.method, found.network)
            return found
        except UserError as error:
            log.warning("saliency: without %s: %s", self.reference, error)
            return None

    def state_dict(self) -> dict[str, Any]:
        return {"panel": self._key} | self._history.state() if self._active else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self._active and state_dict.get("panel") == self._key:
            self._history.load(state_dict)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:
            self._log(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._log(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch % self.every_n_epochs:  # counts finished epochs, however training ended
            self._log(trainer, pl_module, trainer.current_epoch)

    def _log(self, trainer: L.Trainer, pl_module: L.LightningModule, step: int) -> None:
        if not self._active:
            return
        panel, history, device = self._panel, self._history, pl_module.device
        network = network_of(pl_module)
        when = "before training" if step == 0 else f"after epoch {step}"
        try:
            if self._reference_column is None:  # once: these networks never change
                self._reference_column = self._draw_photographs(network, pl_module.hparams, device)
            picture, probabilities, maps = panel.draw(network, device, self.method, when, self._reference_column)
            means = history.add(step, maps, when, f"true style {probabilities[0, panel.labels[0]]:.2f}")
            strip = history.picture(panel.column[0])
            for logger in self._loggers:
                events.add_picture(logger, TAG, picture, step)
                events.add_picture(logger, STRIP, strip, step)
                logger.log_metrics({f"{CORRELATION}/{name}": value for name, value in means.items()}, step)
            boards = [board.log_dir for board in map(events.writer, self._loggers) if board is not None]
            folder = Path(boards[0] if boards else trainer.default_root_dir)
            csv_files.write(folder / run_folder.SALIENCY, run_folder.SALIENCY_COLUMNS, history.rows)
            with files.atomic_path(folder / run_folder.SALIENCY_MAPS) as temporary, open(temporary, "wb") as file:
                np.save(file, maps)
            with files.atomic_path(folder / run_folder.SALIENCY_STRIP) as temporary:
                strip.save(temporary, "JPEG", quality=events.QUALITY)
        except Exception as error:  # out of GPU memory, the disk full: training matters more than its pictures
            log.warning("saliency: no more panels in this run: %s", one_line(error))
            self._active = False

    def _draw_photographs(self, network: nn.Module, hparams: Mapping[str, Any], device: torch.device) -> Column:
        """The maps of networks trained on photographs: of ImageNet's own network for the history, and the reference's
        column, if any."""
        reference, self._reference = self._reference, None  # its memory is freed after this
        own = None if self._history.rows else self._imagenet_network(reference, network, hparams)
        if own is not None:
            maps, captions = self._panel.predicted(own, device, self.method)
            self._history.add_imagenet(maps, f"{own.name} of ImageNet:\npredicted class", captions[0])
            del own
        if reference is None:
            return {}
        drawn = self._panel.predicted(reference, device, self.method, own_input=self.reference)
        return column(f"{reference.name} of photographs,\npredicted class", *drawn)

    def _imagenet_network(
        self, reference: Predictor | None, network: nn.Module, hparams: Mapping[str, Any]
    ) -> Predictor | None:
        """ImageNet's own network: the architecture with the weights and head that training began from; None where
        training began from random or redrawn weights or from a checkpoint of ours."""
        architecture = self.architecture or hparams.get("architecture")
        weights = self.weights if self.architecture else hparams.get("weights")
        if not isinstance(architecture, str) or weights is None:
            return None
        found = reference
        if reference is None or (self.reference, self.reference_weights) != (architecture, weights):
            try:
                size = hparams.get("image_size") if backbones.is_timm(architecture) else None
                found = predictor.imagenet(architecture, weights, self.verify_weights, image_size=size)
            except UserError as error:  # training could load them: they have no last layer, which it replaces
                log.warning("saliency: without the network before training: %s", error)
                return None
            if found.name != architecture:  # a checkpoint of ours
                return None
        first, ours = next(found.network.parameters()), next(network.parameters()).cpu()
        return found if torch.equal(first.to(ours.dtype), ours) else None  # else they were redrawn
