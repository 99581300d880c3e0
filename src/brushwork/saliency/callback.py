"""The callback that shows in TensorBoard, epoch by epoch, where a network in training looks."""

import logging
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from brushwork import contact_sheet, events, files, images, run_folder
from brushwork.contact_sheet import Cell
from brushwork.errors import UserError, one_line, unknown
from brushwork.models import backbones, predictor
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import Preprocessing, as_batch
from brushwork.saliency import methods
from brushwork.saliency.display import render
from brushwork.saliency.evaluation import agreement, change

log = logging.getLogger(__name__)

TAG, STRIP, CORRELATION = "saliency/panel", "saliency/strip", "map correlation"
_STRIP_MAPS = 9  # of the network in training: at 192 pixels each they fill a screen's width
_WAYS_ON = "or leave that column out with callbacks.saliency.reference=null"


class SaliencyLogger(L.Callback):
    """Logs a panel of validation paintings and their maps before training (step 0) and after epochs (step = epoch).

    A row a painting: the painting; the map of a network that knows photographs only, for what it takes the
    painting for; the maps of the network in training, for the style it predicts and for the true one. A column
    of maps has one scale. The panel is the same for all runs of one split, whatever their seed.

    How the maps change is told by Spearman's rank correlation (see `agreement.rank_correlation`), for each painting in
    the run folder's saliency.csv and as the panel's mean in TensorBoard. Compared is the map for the true style: it
    asks the same question each time, while the predicted style's map moves with the prediction. Beside

    - previous: the map at the time before;
    - start: the map before training. The new layer is random then, and only what lies under it has seen ImageNet;
    - imagenet: the map of ImageNet's own network, which is the architecture in training with the weights it began
      from and the head they came with, for the class of ImageNet's 1000 that it takes the painting for. Not where
      training began from random or redrawn weights or from a checkpoint of ours: there is no such network;
    - others: the floor, what the panel's maps have in common with each other (see `agreement.between_images`).

    A strip (TensorBoard, and saliency.jpg) shows the first painting's maps over the epochs, each from 0 to its own 99th
    percentile, since gradients change their size in training; of a long training, evenly spaced epochs.

    It reads the trainer's datamodule (catalogue, parts, preprocessing) and the module's `network`, draws no
    random number of torch's, and changes nothing in training. Without TensorBoard it does nothing; its files lie beside
    TensorBoard's. A picture that can't be drawn is a warning, never the end of a training. What it compares with
    travels in last.ckpt, so that a resumed run goes on as an unbroken one; with another panel or method it begins anew.

    Args:
        every_n_epochs: and after the last epoch.
        paintings: rows of the panel.
        seed: which paintings.
        reference: the torchvision architecture of the second column, VGG-16 in the report; None leaves it out.
        reference_weights: its weights (see `predictor.imagenet`). Where they can't be had there is one warning.
        architecture, weights: what is in training, and what it began from; None: random weights, or not known.
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
        architecture: str | None = None,
        weights: str | None = None,
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
        self.architecture, self.weights = architecture, weights
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
        self._batch = as_batch(self._pictures, data.preprocessing)  # (paintings, 3, height, width)
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
        self._asked_photographs = False
        self._rows: list[dict[str, Any]] = []  # of saliency.csv
        self._maps: dict[str, np.ndarray] = {}  # by a correlation's name, what to compare with
        self._strip: dict[str, list[Any]] = {}  # the first painting's [title, map, caption] by step

    def _load_reference(self) -> Predictor | None:
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

    def _panel_key(self) -> list[Any]:
        return [self.method, *self._batch.shape, *(painting.path for painting in self._panel)]

    def state_dict(self) -> dict[str, Any]:
        if not self._active:
            return {}
        maps = {name: torch.from_numpy(one) for name, one in self._maps.items()}
        strip = {step: [title, torch.from_numpy(one), caption] for step, (title, one, caption) in self._strip.items()}
        return {"panel": self._panel_key(), "rows": self._rows, "maps": maps, "strip": strip}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if self._active and state_dict["panel"] == self._panel_key():
            self._rows = state_dict["rows"]
            self._maps = {name: one.numpy() for name, one in state_dict["maps"].items()}
            self._strip = {
                step: [title, one.numpy(), caption] for step, (title, one, caption) in state_dict["strip"].items()
            }

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
            self._ask_photographs(trainer.datamodule, pl_module)
            panel, probabilities, of_true = self._draw(trainer.datamodule, pl_module, step)
            strip, means = self._compare(step, probabilities, of_true)
            writers = events.writers(trainer.loggers)
            for writer in writers:
                events.add_picture(writer, TAG, panel, step)
                events.add_picture(writer, STRIP, strip, step)
                for name, value in means.items():
                    writer.add_scalar(f"{CORRELATION}/{name}", value, step)
            self._write(Path(writers[0].log_dir), strip, of_true)
        except Exception as error:  # out of GPU memory, the disk full: a training is worth more than its pictures
            log.warning("saliency: no more panels in this run: %s", one_line(error))
            self._active = False

    def _draw(
        self, data: L.LightningDataModule, pl_module: L.LightningModule, step: int
    ) -> tuple[Image.Image, Tensor, np.ndarray]:
        """The panel, and what the network in training says: probabilities (paintings, classes), the true style's maps
        (paintings, height, width)."""
        device, names = pl_module.device, data.catalogue.class_names
        batch = self._batch.to(device)
        logits, found, _ = methods.logits_and_maps([self.method], pl_module.network, batch)
        of_true = methods.METHODS[self.method](pl_module.network, batch, self._labels.to(device)).cpu().numpy()
        of_predicted = found[self.method].cpu().numpy()
        probabilities = logits.softmax(1).cpu()
        predicted = probabilities.argmax(1)

        def captions(word: str, classes: Tensor) -> list[str]:
            return [f"{word} {names[c]}\n{row[c]:.2f}" for c, row in zip(classes.tolist(), probabilities, strict=True)]

        columns = [
            self._painting_column,
            *([self._reference_column] if self._reference_column else []),
            _column(of_predicted, captions("predicted", predicted)),
            _column(of_true, captions("true", self._labels)),
        ]
        titles = [
            f"painting {_when(step)}\nmaps: {self.method}",
            *([self._reference_title] if self._reference_column else []),
            f"network in training:\npredicted style, {_scale(of_predicted)}",
            f"network in training:\ntrue style, {_scale(of_true)}",
        ]
        return contact_sheet.sheet(list(zip(*columns, strict=True)), side=192, titles=titles), probabilities, of_true

    def _compare(self, step: int, probabilities: Tensor, maps: np.ndarray) -> tuple[Image.Image, dict[str, float]]:
        """Hold the maps against those before, note it, and keep them for the next time: the strip, and the panel's mean
        of each correlation that is known."""
        found = change.correlations(maps, **{name: self._maps.get(name) for name in ("previous", "start", "imagenet")})
        for number, painting in enumerate(self._panel):
            values = {name: round(float(one[number]), 5) for name, one in found.items() if np.isfinite(one[number])}
            self._rows.append({"epoch": step, "path": painting.path} | values)
        self._maps["previous"] = maps
        if step == 0:
            self._maps["start"] = maps
        caption = [f"true style {probabilities[0, self._labels[0]]:.2f}"]
        for name, words in [("previous", "the one before"), ("imagenet", "ImageNet's own")]:
            if np.isfinite(found[name][0]):
                caption.append(f"like {words} {found[name][0]:.2f}")
        self._strip[str(step)] = [_when(step), maps[0].copy(), "\n".join(caption)]
        kept = {"imagenet", *map(str, change.shown(step, self.every_n_epochs, _STRIP_MAPS))}
        self._strip = {key: one for key, one in self._strip.items() if key in kept}
        means = {name: agreement.mean(one) for name, one in found.items()}
        return self._strip_picture(), {name: value for name, value in means.items() if value is not None}

    def _strip_picture(self) -> Image.Image:
        titles, maps, captions = zip(*self._strip.values(), strict=True)
        cells = [Cell(render.picture(one), caption) for one, caption in zip(maps, captions, strict=True)]
        return contact_sheet.sheet(
            [[self._painting_column[0], *cells]],
            side=192,
            titles=[
                f"{self.method}, each map to its\nown {render.PERCENTILE}th percentile; like: their\nrank correlation",
                *titles,
            ],
        )

    def _write(self, folder: Path, strip: Image.Image, maps: np.ndarray) -> None:
        run_folder.write_csv(folder / run_folder.SALIENCY, run_folder.SALIENCY_COLUMNS, self._rows)
        with files.atomic_path(folder / run_folder.SALIENCY_MAPS) as temporary, open(temporary, "wb") as file:
            np.save(file, maps)
        with files.atomic_path(folder / run_folder.SALIENCY_STRIP) as temporary:
            strip.save(temporary, "JPEG", quality=events.QUALITY)

    def _ask_photographs(self, data: L.LightningDataModule, pl_module: L.LightningModule) -> None:
        """Once: networks that know photographs only never change. Their memory is given back."""
        if self._asked_photographs:
            return
        self._asked_photographs = True
        reference, self._reference = self._reference, None  # its memory is given back, whatever happens here
        if not self._rows and (untouched := self._untouched(reference, pl_module)) is not None:
            self._maps["imagenet"], captions = self._answers(untouched, self._batch, pl_module.device)
            title = f"{self.architecture} of ImageNet:\npredicted class"
            self._strip["imagenet"] = [title, self._maps["imagenet"][0].copy(), captions[0]]
            del untouched
        if reference is not None:
            size = backbones.preprocessing(self.reference).image_size
            preprocessing = Preprocessing(size, reference.mean, reference.std, data.preprocessing.resize)
            batch = as_batch(self._pictures, preprocessing)
            maps, captions = self._answers(reference, batch, pl_module.device)
            self._reference_column = _column(maps, captions)
            self._reference_title = f"{reference.name} of photographs:\npredicted class, {_scale(maps)}"

    def _untouched(self, reference: Predictor | None, pl_module: L.LightningModule) -> Predictor | None:
        """ImageNet's own network, before the first step; None where training did not begin from its weights."""
        if self.weights is None:
            return None
        found = reference
        if reference is None or (self.reference, self.reference_weights) != (self.architecture, self.weights):
            try:
                found = predictor.imagenet(self.architecture, self.weights, self.verify_weights)
            except UserError:  # they did load as what training begins from: a checkpoint of ours
                return None
        first, ours = next(found.network.parameters()), next(pl_module.network.parameters()).cpu()
        return found if torch.equal(first.to(ours.dtype), ours) else None  # else they were redrawn

    def _answers(self, found: Predictor, batch: Tensor, device: torch.device) -> tuple[np.ndarray, list[str]]:
        """Maps (paintings, height, width) for the class predicted, its name and probability; one by one."""
        network = found.network.to(device)
        maps, captions = [], []
        for image in batch:
            logits, of_image, _ = methods.logits_and_maps([self.method], network, image[None].to(device))
            probability, predicted = logits.softmax(1).max(1)
            maps.append(of_image[self.method][0].cpu().numpy())
            captions.append(f"{found.class_names[predicted]}\n{probability.item():.2f}")
        return np.stack(maps), captions


def _when(step: int) -> str:
    return "before training" if step == 0 else f"after epoch {step}"


def _scale(saliency: np.ndarray) -> str:
    return f"0 to {render.scale(saliency):.2g}"


def _column(saliency: np.ndarray, captions: list[str]) -> list[Cell]:
    """Maps (paintings, height, width) on one scale."""
    brightest = render.scale(saliency)
    return [Cell(render.picture(one, brightest), caption) for one, caption in zip(saliency, captions, strict=True)]
