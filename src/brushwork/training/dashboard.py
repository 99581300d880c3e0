"""The callback that shows a run in TensorBoard and other loggers: summary, samples, graphs, gradients, mistakes."""

import logging
import os
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.loggers import Logger
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from brushwork import calibration, contact_sheet, drawing, events, images, run_folder, web_page
from brushwork.batch import Batch
from brushwork.contact_sheet import Cell
from brushwork.errors import UserError, one_line
from brushwork.models import graph, tuning
from brushwork.models.classifier import StyleClassifier
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.preprocessing import as_picture
from brushwork.readable import readable
from brushwork.training.record import RunRecord, tested_part

log = logging.getLogger(__name__)
Tensors = dict[str, Tensor]

BEST = "val/best_accuracy"  # the highest so far; the last is the scalar val/accuracy itself
_LAYOUT = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
_SAMPLES_PER_STYLE = 3
_BATCH_SHOWN = 16
_MISTAKES = 15
_KEPT = 16  # steps' gradients that wait to be written


class Dashboard(L.Callback):
    """Writes everything but loss and accuracy (`RunRecord` does) and saliency to the run's loggers.

    Scalars go to each of them, pictures to those that take them, the rest to TensorBoard. It draws no random number of
    torch's and changes nothing in training; what can't be shown is a warning.

    Args:
        every_n_steps: gradient norms by part of the network, and histograms of the new layer.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        if every_n_steps < 1:
            raise UserError(f"expected callbacks.dashboard.every_n_steps to be at least 1, but got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self._loggers: list[Logger] = []
        self._gradients: list[tuple[int, Tensors, Tensors]] = []  # not yet written

    def on_train_start(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        self._loggers = events.writing(trainer.loggers)
        self._groups = tuning.groups(pl_module.network, pl_module.new_layer)
        # A resumed sweep's run has its pages already, in an earlier file.
        boards = {logger: events.writer(logger) for logger in self._loggers}
        earlier = {
            one: board and len(list(Path(board.log_dir).glob("events.out.*"))) > 1 for one, board in boards.items()
        }
        self._new = [logger for logger in self._loggers if not earlier[logger]]
        if (record := _record(trainer)) and record.catalogue:
            self._add(self._new, add_run, record, pl_module)
        if data := _paintings(trainer):
            self._add(self._new, add_samples, data)
        self._add(self._new, add_graphs, pl_module, pl_module.preprocessing.image_size)

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        if trainer.current_epoch == batch_idx == 0 and (data := _paintings(trainer)):
            self._add(self._new, add_batch, batch, data)

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: StyleClassifier, optimizer: Any) -> None:
        if trainer.global_step % self.every_n_steps or not self._loggers:
            return
        # Kept on the device: writing them now would have the loop wait for it.
        found = gradients(self._groups, pl_module.new_layer, _scale(trainer, optimizer))
        self._gradients.append((trainer.global_step, *found))
        if len(self._gradients) == _KEPT:
            self._write_gradients()

    def _write_gradients(self) -> None:
        for step, norms, values in self._gradients:
            self._add(self._loggers, add_gradients, step, norms, values)
        self._gradients.clear()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        self._write_gradients()
        if record := _record(trainer):
            self._add(self._loggers, add_scalars, record.result, trainer.current_epoch + 1)

    def on_exception(self, trainer: L.Trainer, pl_module: StyleClassifier, exception: BaseException) -> None:
        self._write_gradients()  # they show why a run diverged

    def on_train_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        if data := _paintings(trainer):
            self._add(self._loggers, add_answers, pl_module, data, trainer.current_epoch)

    def on_fit_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        if record := _record(trainer):  # after `Calibrate`, if there is one
            self._add(self._loggers, add_calibration, record, "val", trainer.current_epoch)
            self._add(self._loggers, add_result, record.result, trainer.current_epoch)

    def on_test_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        if trainer.ckpt_path and tested_part(trainer) == "test" and (record := _record(trainer)):  # the best epoch's
            self._add(self._loggers, add_calibration, record, "test", len(record.rows))

    def _add(self, loggers: list[Logger], add: Callable[..., None], *arguments: Any) -> None:
        for logger in loggers:
            try:
                add(logger, *arguments)
            except Exception as error:  # a picture that fails must not end the training
                log.warning("dashboard: %s: %s", add.__name__, one_line(error))


def _record(trainer: L.Trainer) -> RunRecord | None:
    return next((callback for callback in trainer.callbacks if isinstance(callback, RunRecord)), None)


def _paintings(trainer: L.Trainer) -> WikiArtDataModule | None:
    return trainer.datamodule if isinstance(trainer.datamodule, WikiArtDataModule) else None


def add_run(logger: Logger, record: RunRecord, pl_module: StyleClassifier) -> None:
    """Text: what this run is, how to repeat it, its configuration. Hyper-parameters. The page of both heads."""
    config_text = (record.folder / run_folder.CONFIG).read_text(encoding="utf-8", errors="surrogateescape")
    config = yaml.safe_load(config_text)
    chosen, result = pl_module.hparams, record.result
    weights = result["weights"] if os.sep not in result["weights"] else readable(Path(result["weights"]).name)
    learning_rate = 0.0 if pl_module.probe else config["optimizer"].get("lr", float("nan"))
    split = config["split"]
    values = {
        "head": chosen.head,
        "tuning": chosen.tuning,
        "model": chosen.architecture,
        "weights": weights,
        "split": f"{split['name']} seed {split['seed']}" + (f" fold {split['fold']}" if "fold" in split else ""),
        "seed": result["seed"],
        "learning rate": learning_rate,
    }
    if (writer := events.writer(logger)) is None:
        logger.log_hyperparams(values)
        return
    metrics = [
        hparams.Metric(BEST, display_name="best validation accuracy"),
        hparams.Metric("val/accuracy", display_name="last validation accuracy"),
    ]
    file = writer.file_writer
    file.add_summary(hparams.hparams_config_pb([hparams.HParam(name) for name in values], metrics), 0)
    file.add_summary(hparams.hparams_pb(values, trial_id=readable(record.folder.name)), 0)
    writer.add_custom_scalars(_LAYOUT)
    catalogue = record.catalogue
    facts = values | {
        "data": result["data"],
        "paintings": len(catalogue.paintings),
        "styles": ", ".join(catalogue.class_names),
        "parameters": f"{result['parameters']['total']:,}, {result['parameters']['trainable']:,} of them trained",
        "device": f"{result['device']}, {result['precision']}",
    }
    trained = tuning.table(pl_module.network, pl_module.new_layer, learning_rate)
    page = web_page.render("training/dashboard_run.md.jinja", facts=facts, command=result["command"], trained=trained)
    events.add_text(writer, "run/2 what it is", page)
    code = textwrap.indent(config_text.rstrip("\n"), "    ")  # in Markdown
    events.add_text(writer, "run/3 configuration", code)


def add_scalars(logger: Logger, result: dict[str, Any], epoch: int) -> None:
    """Scalars: the best accuracy so far, and the baselines as lines beside it."""
    values = {f"baseline/{name}": value for name, value in result["baselines"].items() if value is not None}
    if result["best"]:
        values[BEST] = result["best"]["val/accuracy"]
    logger.log_metrics(values, epoch)


def add_samples(logger: Logger, data: WikiArtDataModule) -> None:
    """Images: sample paintings by style (report, figure 1)."""
    if not events.takes_pictures(logger):
        return
    paintings = [(painting.path, painting.style) for painting in data.catalogue.paintings]
    page = contact_sheet.samples(data.catalogue.root, paintings, _SAMPLES_PER_STYLE, data.max_megapixels)
    events.add_picture(logger, "paintings/by style", page)


def add_graphs(logger: Logger, pl_module: StyleClassifier, image_size: int) -> None:
    """Graphs: the whole network, and the changed classifier (report, figures 3 and 4)."""
    if (writer := events.writer(logger)) is None:
        return
    found = graph.layers(pl_module.network, image_size)
    graph.add_graph(writer, found)
    changed = tuning.path(pl_module.network, pl_module.new_layer).split(".")[0]
    graph.add_graph(writer, graph.part(found, changed), "classifier")


def add_batch(logger: Logger, batch: Batch, data: WikiArtDataModule) -> None:
    """Images: training pictures as the network sees them, augmented and resized."""
    if not events.takes_pictures(logger):
        return
    mean, std = data.preprocessing.mean, data.preprocessing.std
    index = batch.index[:_BATCH_SHOWN].tolist()
    with torch.random.fork_rng():  # a transform of the user's may draw
        pictures = data.training_images(index)
    cells = [
        Cell(as_picture(image, mean, std), data.catalogue.paintings[i].style)
        for i, image in zip(index, pictures, strict=True)
    ]
    events.add_picture(logger, "paintings/training batch", contact_sheet.in_columns(cells, 8, side=144))


def _scale(trainer: L.Trainer, optimizer: Any) -> Tensor | None:
    """The factor of the gradients in precision 16-mixed before a fused optimizer, which divides by it itself."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return scaler._scale if scaler and getattr(optimizer, "_step_supports_amp_scaling", False) else None


def gradients(
    groups: dict[str, list[nn.Parameter]], new_layer: nn.Module, scale: Tensor | None = None
) -> tuple[Tensors, Tensors]:
    """The gradient's Euclidean norm by part of the network; the new layer and its gradient, as they are now. `scale`
    is a factor in the gradients that is taken out."""
    found = {name: [p.grad for p in parameters if p.grad is not None] for name, parameters in groups.items()}
    norms, values = {name: _divided(get_total_norm(grads), scale) for name, grads in found.items() if grads}, {}
    for name, parameter in new_layer.named_parameters():
        values[name] = parameter.detach().clone()
        if parameter.grad is not None:
            values[f"{name} gradient"] = _divided(parameter.grad.clone(), scale)
    return norms, values


def _divided(value: Tensor, scale: Tensor | None) -> Tensor:
    return value if scale is None else value / scale


def add_gradients(logger: Logger, step: int, norms: Tensors, values: Tensors) -> None:
    """Scalars and histograms of what `gradients` found."""
    logger.log_metrics({f"gradient norm/{name}": norm.item() for name, norm in norms.items()}, step)
    writer = events.writer(logger)
    for name, value in values.items() if writer else ():
        writer.add_histogram(f"new layer/{name}", value, step)


def add_answers(logger: Logger, pl_module: StyleClassifier, data: WikiArtDataModule, epoch: int) -> None:
    """Images: the confusion matrix of the last epoch, and its mistakes of the highest probability."""
    scores, catalogue = pl_module.scores, data.catalogue
    if scores is None or not events.takes_pictures(logger):
        return
    names = catalogue.class_names
    title = f"validation, epoch {epoch}: accuracy {scores.accuracy:.3f}"
    matrix = drawing.confusion_matrix(scores.labels, scores.predicted, names, title)
    events.add_picture(logger, "answers/confusion matrix", drawing.as_picture(matrix), epoch)
    wrong = (scores.predicted != scores.labels).nonzero()[0]
    worst = wrong[(-scores.probability[wrong]).argsort(kind="stable")][:_MISTAKES]
    cells = []
    for i in worst:
        painting = catalogue.paintings[scores.index[i]]
        caption = (
            f"true {painting.style}\npredicted {names[scores.predicted[i]]}\nprobability {scores.probability[i]:.2f}\n"
            f"{contact_sheet.title(painting.path)}"
        )
        cells.append(Cell(images.load_rgb(catalogue.root / painting.path, data.max_megapixels), caption))
    if cells:
        events.add_picture(logger, "answers/worst mistakes", contact_sheet.in_columns(cells, 5, side=176), epoch)


def add_calibration(logger: Logger, record: RunRecord, part: str, epoch: int) -> None:
    """Images: the reliability diagram and the risk-coverage curve of the best epoch, whose checkpoint predicts."""
    figures, answers = record.result["calibration"]["best"], record.held_out(part, "best")
    if figures is None or answers is None or not events.takes_pictures(logger):
        return
    found = calibration.held_out(part, *answers, figures["temperature"])
    picture = drawing.as_picture(drawing.calibration(found, f"best epoch, {found.measured_on}"))
    events.add_picture(logger, f"answers/calibration, {part} part", picture, epoch)


def add_result(logger: Logger, result: dict[str, Any], epoch: int) -> None:
    """Text: the result beside its baselines. Hyper-parameters: the status of the session, success."""
    if (writer := events.writer(logger)) is None:
        return
    page = web_page.render("training/dashboard_result.md.jinja", **result, labels=run_folder.BASELINES)
    events.add_text(writer, "run/1 result", page, epoch)
    end = HParamsPluginData(session_end_info={"status": STATUS_SUCCESS, "end_time_secs": time.time()})
    metadata = hparams_metadata.create_summary_metadata(end)
    value = {"tag": hparams_metadata.SESSION_END_INFO_TAG, "metadata": metadata, "tensor": hparams_metadata.NULL_TENSOR}
    writer.file_writer.add_summary(Summary(value=[value]), epoch)
