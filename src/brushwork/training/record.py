"""The callback that writes a run folder's metrics, predictions and result, epoch by epoch."""

import logging
import math
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint

from brushwork import csv_files, files, run_folder
from brushwork.errors import UserError
from brushwork.models.classifier import StyleClassifier
from brushwork.models.probe import Probe
from brushwork.models.scores import Scores
from brushwork.paintings import baselines
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.paintings.splits import HELD_OUT
from brushwork.training import initial_features, resume, run_facts

log = logging.getLogger(__name__)


def describe_epoch(row: dict[str, Any], epochs: int) -> str:
    """One epoch in a line.

    >>> row = {"epoch": 2, "train/loss": 1.5, "train/accuracy": 0.4, "val/loss": None, "val/accuracy": None}
    >>> describe_epoch(row | {"train_images": 100, "train_seconds": 4.0}, 5)
    'epoch 2/5  train loss 1.500 accuracy 0.400  25 images/s'
    """
    limit = f"/{epochs}" if epochs > 0 else ""  # else -1: none
    line = f"epoch {row['epoch']}{limit}  train loss {row['train/loss']:.3f} accuracy {row['train/accuracy']:.3f}  "
    if row["val/accuracy"] is not None:
        line += f"val loss {row['val/loss']:.3f} accuracy {row['val/accuracy']:.3f}  "
    return line + f"{row['train_images'] / row['train_seconds']:.0f} images/s"


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The epoch of the highest validation accuracy, the earliest of equals; None without validation."""
    scored = [row for row in rows if row["val/accuracy"] is not None]
    return max(scored, key=lambda row: row["val/accuracy"], default=None)


def _predictions(scores: Scores) -> list[list[Any]]:
    """[index, predicted, probability] of each painting, as plain values."""
    columns = (scores.index, scores.predicted, scores.probability)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def tested_part(trainer: L.Trainer) -> str:
    """The part that `Trainer.test` scores, "test" or "known"."""
    return getattr(trainer.datamodule, "tested", "test")


class Diverged(UserError):
    """The loss is no longer a finite number."""


class RunRecord(L.Callback):
    """Keeps the history of a run and writes its folder: config, split, metrics, predictions and result.

    For any Trainer that trains a `StyleClassifier`; split, baselines and predictions need a `WikiArtDataModule`. The
    history is saved in checkpoints: a resumed run's files are those of an uninterrupted one.

    Args:
        folder: where all is written.
        config: the settings for config.yaml; None: those of the model and the data module.
        entries: of result.json, known to the caller (name, command, config_hash).
        ends_with_fit: the end of fit is the end of the run; else the caller calls `write_result("finished")`.
        initial_baselines: a probe and nearest neighbours of the initial weights (see `initial_features`).
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        config: dict[str, Any] | None = None,
        entries: dict[str, Any] | None = None,
        ends_with_fit: bool = True,
        initial_baselines: bool = True,
    ) -> None:
        self.folder, self.config, self.ends_with_fit = Path(folder), config, ends_with_fit
        self.initial_baselines = initial_baselines
        self._entries = entries or {}
        self.result: dict[str, Any] = run_folder.new_result() | self._entries
        self.catalogue: Catalogue | None = None
        self.rows: list[dict[str, Any]] = []
        self.epochs_before = 0  # of a resumed run
        self.predictions: dict[str, list[list[Any]]] = {"best": [], "last": []}
        # Those of the parts "test" and "known", by part and epoch, when the training has ended.
        self.tested: dict[str, dict[str, list[list[Any]]]] = {part: {} for part in HELD_OUT[1:]}
        self.logits: dict[str, torch.Tensor] = {}  # of the same paintings: see `run_folder.LOGITS`
        self.initial: initial_features.Answers = {}  # of the initial weights' features
        self._probe: Probe | None = None
        self._made = time.perf_counter()
        self.write = False  # not in processes of a DDP run but the first, nor in a fast_dev_run

    def state_dict(self) -> dict[str, Any]:
        of_validation = {name: values for name, values in self.logits.items() if name.startswith("val_")}
        return {"rows": self.rows, "predictions": self.predictions, "logits": of_validation}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.predictions = state_dict["rows"], state_dict["predictions"]
        self.logits = dict(state_dict.get("logits", {}))  # an earlier version kept none
        self.epochs_before = len(self.rows)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if not isinstance(pl_module, StyleClassifier):
            raise UserError(f"RunRecord records a StyleClassifier, not a {type(pl_module).__name__}: leave it out")
        self._probe = pl_module.probe
        pl_module.logs_to_loggers = False  # done here, with the epoch as the step

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        # A ModelCheckpoint resets its best score when the run folder has moved or is another one.
        for callback in trainer.callbacks:
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state:
                resume.move_checkpoints(state, callback.dirpath)
        if trainer.is_global_zero:
            resume.keep_best(Path(trainer.ckpt_path), self.folder)

    def on_fit_start(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        data = trainer.datamodule if isinstance(trainer.datamodule, WikiArtDataModule) else None
        self.catalogue = data and data.catalogue
        self.class_names = pl_module.class_names
        self.write = trainer.is_global_zero and not trainer.fast_dev_run
        if not trainer.is_global_zero:
            return
        if data is not None and self.initial_baselines and self.write:
            self.initial = initial_features.answers(trainer, pl_module, data)
        self.result = run_facts.new_result(trainer, pl_module, data, self.initial) | self._entries
        run_facts.announce(trainer, pl_module, data)
        if self.write:
            self._write_first_files(self.config or run_facts.config_of(trainer, pl_module, data), data)

    def _write_first_files(self, config: dict[str, Any], data: WikiArtDataModule | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write_text(self.folder / run_folder.CONFIG, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        if data is None:
            return
        rows = [
            {"path": p.path, "style": p.style, "artist": p.artist or "", "part": part}
            for p, part in zip(data.catalogue.paintings, data.parts, strict=True)
        ]
        csv_files.write(self.folder / run_folder.SPLIT, run_folder.SPLIT_COLUMNS, rows)
        if data.skipped:
            rows = [{"path": path, "reason": reason} for path, reason in data.skipped]
            csv_files.write(self.folder / run_folder.SKIPPED, run_folder.SKIPPED_COLUMNS, rows)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.result["prepare_seconds"] = round(time.perf_counter() - self._made, 3)
        self.result["threads"] = torch.get_num_threads()  # Lightning sets it under DDP
        self.write_result()  # with the history of a resumed run: Lightning has loaded it by now

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        pl_module.scores = None  # there may be epochs without validation
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._images, self._start, self._train_seconds = 0, time.perf_counter(), None

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._images += len(batch[1]) * trainer.world_size

    def _stop_clock(self, trainer: L.Trainer) -> None:
        if self._train_seconds is None:
            if trainer.strategy.root_device.type == "cuda":
                torch.cuda.synchronize()
            self._train_seconds = time.perf_counter() - self._start

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._stop_clock(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        self._stop_clock(trainer)
        epoch, scores = trainer.current_epoch + 1, pl_module.scores
        figures = pl_module.training_figures() | ({} if scores is None else {"val/loss": float(scores.loss.mean())})
        for name, key in (("training", "train/loss"), ("validation", "val/loss")):
            if not math.isfinite(loss := figures.get(key, 0.0)):
                other = ", or trainer.precision=bf16-mixed" if str(trainer.precision).startswith("16-") else ""
                raise Diverged(
                    f"diverged: the {name} loss became {loss} in epoch {epoch}; "
                    f"try a smaller optimizer.lr (now {self._learning_rate:g}){other}"
                )
        row = dict.fromkeys(run_folder.EPOCH_KEYS) | {
            "epoch": epoch,
            **figures,
            "learning_rate": self._learning_rate,
            "train_images": self._images,
            "train_seconds": round(self._train_seconds, 3),
            "seconds": round(time.perf_counter() - self._start, 3),
        }
        if scores is not None:
            row |= {f"val/{key}": value for key, value in self._figures(scores).items()}
        self.rows.append(row)
        log.info("%s", describe_epoch(row, trainer.max_epochs))
        logged = {key: row[key] for key in run_folder.METRICS_COLUMNS if "/" in key and row[key] is not None}
        for logger in trainer.loggers:
            logger.log_metrics(logged, epoch)
        self.predictions["last"] = [] if scores is None else _predictions(scores)
        self.logits.pop("val_last", None)
        if scores is not None:
            self.logits["val_last"] = torch.from_numpy(scores.logits)
            if best_row(self.rows) is row:
                self.predictions["best"], self.logits["val_best"] = self.predictions["last"], self.logits["val_last"]
        if self.write:
            csv_files.write(self.folder / run_folder.METRICS, run_folder.METRICS_COLUMNS, self.rows)
            self._write_predictions()
            self.write_result()

    def on_test_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        """After `Trainer.test`: by the last epoch's network, or with ckpt_path by the best one's."""
        part, scores = tested_part(trainer), pl_module.scores
        if self.result[part] is None or scores is None:
            return
        epoch = "best" if trainer.ckpt_path else "last"
        self.tested[part][epoch], self.logits[f"{part}_{epoch}"] = _predictions(scores), torch.from_numpy(scores.logits)
        self.result[part][epoch] = {
            **self._figures(scores),
            "loss": float(scores.loss.mean()),
            "interval_95": baselines.interval_95(scores.accuracy, len(scores.index)),
        }
        if self.write:
            self._write_predictions()
            self.write_result(self.result["status"])

    def on_fit_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        if self.ends_with_fit:
            self.write_result("finished")

    def on_exception(self, trainer: L.Trainer, pl_module: StyleClassifier, exception: BaseException) -> None:
        if self.ends_with_fit:
            status = {Diverged: "diverged", KeyboardInterrupt: "interrupted", SystemExit: "interrupted"}
            self.write_result(status.get(type(exception), "failed"), str(exception) or repr(exception))

    def _figures(self, scores: Scores) -> dict[str, Any]:
        recall = {
            name: "n/a" if value is None else value for name, value in zip(self.class_names, scores.recall, strict=True)
        }
        names = ("accuracy", "balanced_accuracy", "macro_f1")
        return {name: getattr(scores, name) for name in names} | {"recall": recall}

    def held_out(self, part: str, epoch: str) -> tuple[np.ndarray, np.ndarray, list[str]] | None:
        """Of the paintings of "val", "test" or "known" at the "best" or "last" epoch: logits (paintings, classes),
        labels and artists; None where they were not scored, or are not of a `WikiArtDataModule`."""
        logits = self.logits.get(f"{part}_{epoch}")
        if self.catalogue is None or logits is None:
            return None
        scored = self.predictions if part == "val" else self.tested[part]
        paintings = [self.catalogue.paintings[index] for index, *_ in scored[epoch]]
        labels = [self.catalogue.class_names.index(painting.style) for painting in paintings]
        return logits.numpy(), np.array(labels), [painting.artist or "" for painting in paintings]

    def _write_predictions(self) -> None:
        if self.catalogue is None:  # no paths to name
            return
        paintings, names = self.catalogue.paintings, self.catalogue.class_names
        rows = [
            {
                "part": part,
                "epoch": epoch,
                "path": paintings[index].path,
                "artist": paintings[index].artist or "",
                "style": paintings[index].style,
                "predicted": names[predicted],
                "probability": f"{probability:.6f}",
            }
            for part, by_epoch in {"val": self.predictions, **self.tested}.items()
            for epoch, predictions in by_epoch.items()
            for index, predicted, probability in predictions
        ]
        csv_files.write(self.folder / run_folder.PREDICTIONS, run_folder.PREDICTIONS_COLUMNS, rows)
        arrays = {name: values.numpy() for name, values in self.logits.items()}
        with files.atomic_path(self.folder / run_folder.LOGITS) as temporary, open(temporary, "wb") as file:
            np.savez(file, class_names=np.array(names), **arrays, **self.initial)

    def write_result(self, status: str = "running", error: str | None = None) -> None:
        """Bring the result up to date with the history, and write it."""
        last = self.rows[-1] if self.rows else None
        best, later = best_row(self.rows), self.rows[1:]  # the first epoch warms up: caches, workers, memory
        seconds = sum(row["train_seconds"] for row in later)
        self.result |= {
            "status": status,
            "error": error,
            "probe": self._probe and self._probe.described,
            "best": best and {key: best.get(key) for key in run_folder.EPOCH_KEYS},
            "last": last and {key: last.get(key) for key in run_folder.EPOCH_KEYS},
            "val_interval_95": best and baselines.interval_95(best["val/accuracy"], len(self.predictions["best"])),
            "seconds": round(sum(row["seconds"] for row in self.rows), 3),
            "images_per_second": round(sum(row["train_images"] for row in later) / seconds, 1) if seconds else None,
        }
        if self.write:
            files.write_json(self.folder / run_folder.RESULT, self.result)
