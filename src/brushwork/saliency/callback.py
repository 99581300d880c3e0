"""The callback that shows in TensorBoard, epoch by epoch, where a network in training looks."""

import logging

import lightning as L
import numpy as np
import torch
from PIL import Image

from brushwork import backbones, contact_sheet, events, images, predictor
from brushwork.contact_sheet import Cell
from brushwork.errors import UserError, one_line, unknown
from brushwork.saliency import methods, render

log = logging.getLogger(__name__)

TAG = "saliency/panel"
_WAYS_ON = "or leave that column out with callbacks.saliency.reference=null"


class SaliencyLogger(L.Callback):
    """Logs a panel of validation paintings and their maps before training (step 0) and after epochs (step = epoch).

    A row a painting: the painting; the map of a network that knows photographs only, for what it takes the
    painting for; the maps of the network in training, for the style it predicts and for the true one. A column
    of maps has one scale. The panel is the same for all runs of one split, whatever their seed.

    It reads the trainer's datamodule (catalogue, parts, preprocessing) and the module's `network`, draws no
    random number of torch's, and changes nothing in training. Without TensorBoard it does nothing. A picture
    that can't be drawn is a warning, never the end of a training.

    Args:
        every_n_epochs: and after the last epoch.
        paintings: rows of the panel.
        seed: which paintings.
        reference: the torchvision architecture of the second column, VGG-16 in the report; None leaves it out.
        reference_weights: its weights (see `predictor.imagenet`). Where they can't be had there is one warning.
        verify_weights: check the hash in the name of torchvision's file.
        method: of the maps, a name of `methods.METHODS`.
    """

    def __init__(
        self,
        every_n_epochs: int = 1,
        paintings: int = 8,
        seed: int = 0,
        reference: str | None = "vgg16",
        reference_weights: str | None = "imagenet",
        verify_weights: bool = True,
        method: str = "gradient",
    ) -> None:
        for name, value in [("every_n_epochs", every_n_epochs), ("paintings", paintings)]:
            if value < 1:
                raise UserError(f"expected callbacks.saliency.{name} to be at least 1, but got {value}")
        if method not in methods.METHODS:
            raise unknown("callbacks.saliency.method", method, methods.METHODS)
        self.every_n_epochs, self.paintings, self.seed, self.method = every_n_epochs, paintings, seed, method
        self.reference, self.reference_weights, self.verify_weights = reference, reference_weights, verify_weights
        self._active = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._active = stage == "fit" and bool(events.writers(trainer.loggers))
        if not self._active:
            return
        methods.check(self.method, pl_module.network)
        data = trainer.datamodule
        held_out = [p for p, part in zip(data.catalogue.paintings, data.parts, strict=True) if part == "val"]
        chosen = contact_sheet.pick([painting.style for painting in held_out], self.paintings, self.seed)
        self._panel = sorted((held_out[i] for i in chosen), key=lambda painting: painting.path)
        self._pictures = [images.load_rgb(data.catalogue.root / p.path, data.max_megapixels) for p in self._panel]
        self._batch = backbones.as_batch(self._pictures, data.preprocessing)  # (paintings, 3, height, width)
        self._painting_column = [
            Cell(
                images.resize(picture, data.preprocessing.image_size, data.preprocessing.resize),
                f"{painting.style}\n{contact_sheet.title(painting.path)}",
            )
            for picture, painting in zip(self._pictures, self._panel, strict=True)
        ]
        self._labels = torch.tensor([data.catalogue.label(painting) for painting in self._panel])
        self._reference_column: list[Cell] = []
        self._reference = self._load_reference()

    def _load_reference(self) -> predictor.Predictor | None:
        if self.reference is None:
            return None
        if self.reference not in backbones.architectures():
            raise UserError(f"callbacks.saliency.reference={self.reference} is no torchvision classifier: vgg16, say")
        try:
            with torch.inference_mode(False):
                found = predictor.imagenet(self.reference, self.reference_weights, self.verify_weights, _WAYS_ON)
            methods.check(self.method, found.network)
            return found
        except UserError as error:
            log.warning("saliency: without %s: %s", self.reference, error)
            return None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch == 0:
            self._show(trainer, pl_module, 0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._show(trainer, pl_module, trainer.current_epoch + 1)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.current_epoch % self.every_n_epochs:  # counts the epochs that are done, whatever ended them
            self._show(trainer, pl_module, trainer.current_epoch)

    def _show(self, trainer: L.Trainer, pl_module: L.LightningModule, step: int) -> None:
        if not self._active:
            return
        try:
            panel = self._draw(trainer.datamodule, pl_module, step)
            for writer in events.writers(trainer.loggers):
                events.add_picture(writer, TAG, panel, step)
        except Exception as error:  # out of GPU memory, the disk full: a training is worth more than its pictures
            log.warning("saliency: no more panels in this run: %s", one_line(error))
            self._active = False

    def _draw(self, data: L.LightningDataModule, pl_module: L.LightningModule, step: int) -> Image.Image:
        device, names = pl_module.device, data.catalogue.class_names
        batch = self._batch.to(device)
        logits, found, _ = methods.logits_and_maps([self.method], pl_module.network, batch)
        of_true = methods.METHODS[self.method](pl_module.network, batch, self._labels.to(device)).cpu().numpy()
        of_predicted = found[self.method].cpu().numpy()
        probabilities = logits.softmax(1).cpu()
        predicted = probabilities.argmax(1)

        def captions(word: str, classes: torch.Tensor) -> list[str]:
            return [f"{word} {names[c]}\n{row[c]:.2f}" for c, row in zip(classes.tolist(), probabilities, strict=True)]

        when = "before training" if step == 0 else f"after epoch {step}"
        columns = [
            self._painting_column,
            *([column] if (column := self._reference_cells(data, device)) else []),
            _column(of_predicted, captions("predicted", predicted)),
            _column(of_true, captions("true", self._labels)),
        ]
        titles = [
            f"painting {when}\nmaps: {self.method}",
            *([self._reference_title] if self._reference_column else []),
            f"network in training:\npredicted style, {_scale(of_predicted)}",
            f"network in training:\ntrue style, {_scale(of_true)}",
        ]
        return contact_sheet.sheet(list(zip(*columns, strict=True)), side=192, titles=titles)

    def _reference_cells(self, data: L.LightningDataModule, device: torch.device) -> list[Cell]:
        """The reference never changes: its maps are drawn once, in small batches, and its memory is given back."""
        if self._reference is None or self._reference_column:
            return self._reference_column
        reference = self._reference
        size = backbones.preprocessing(self.reference).image_size
        preprocessing = backbones.Preprocessing(size, reference.mean, reference.std, data.preprocessing.resize)
        self._reference = None  # its memory is given back, whatever happens here
        network = reference.network.to(device)
        found, captions = [], []
        for picture in self._pictures:
            batch = backbones.as_batch([picture], preprocessing).to(device)
            logits, maps, _ = methods.logits_and_maps([self.method], network, batch)
            probability, predicted = logits.softmax(1).max(1)
            found.append(maps[self.method][0].cpu().numpy())
            captions.append(f"{reference.class_names[predicted]}\n{probability.item():.2f}")
        self._reference_column = _column(np.stack(found), captions)
        scale = _scale(np.stack(found))
        self._reference_title = f"{reference.name} of photographs:\npredicted class, {scale}"
        return self._reference_column


def _scale(saliency: np.ndarray) -> str:
    return f"0 to {render.scale(saliency):.2g}"


def _column(saliency: np.ndarray, captions: list[str]) -> list[Cell]:
    """Maps (paintings, height, width) on one scale."""
    brightest = render.scale(saliency)
    return [Cell(render.picture(one, brightest), caption) for one, caption in zip(saliency, captions, strict=True)]
