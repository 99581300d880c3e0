"""The callback that ends a training: it fits what turns logits into answers, and stores it in the checkpoints."""

import logging
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch import Tensor

from brushwork import calibration, run_folder
from brushwork.errors import UserError, one_line
from brushwork.models import checkpoint, familiarity
from brushwork.models.classifier import StyleClassifier
from brushwork.models.familiarity import Familiarity
from brushwork.models.predictor import load_predictor
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.preprocessing import normalize
from brushwork.training.record import RunRecord, tested_part

log = logging.getLogger(__name__)

_FEWEST = 10  # validation paintings; of fewer no temperature is fitted
_SAMPLE = 1000  # training paintings whose features are looked at


class Calibrate(L.Callback):
    """Fits a temperature and the look of training pictures, and rewrites best.ckpt and last.ckpt with them.

    Both come from the training and validation parts, never from the test part, and stand in a checkpoint as plain
    values and tensors (`Calibration`, `Familiarity`); predictions use them. How good the probabilities are is measured
    on the test part, or else in the validation part by cross-fitting over artists. Needs a `RunRecord` and a
    `WikiArtDataModule`; without them, or without validation, nothing is fitted and the temperature is 1.

    Args:
        last: rewrite last.ckpt, too; it is removed when a run has finished unless keep_last=true.
        familiarity: look at the features: a pass over the validation part and at most a thousand training paintings.
    """

    def __init__(self, last: bool = True, familiarity: bool = True) -> None:
        self.last, self.familiarity = last, familiarity
        self.temperatures: dict[str, float] = {}  # by epoch, where one was fitted

    def on_fit_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        record = _record(trainer)
        if record is None or not record.write:
            return
        self.temperatures.clear()  # of an earlier fit
        for epoch, path in (("best", record.folder / run_folder.BEST), ("last", record.folder / run_folder.LAST)):
            answers = record.held_out("val", epoch)
            if answers is None:
                continue
            if len(answers[0]) < _FEWEST:
                log.info("no temperature is fitted on %d validation paintings: it takes %d", len(answers[0]), _FEWEST)
                return
            logits, labels, artists = answers
            fitted = calibration.fit(logits, labels)
            if path.exists() and (epoch == "best" or self.last) and not self._stored(path, fitted, trainer):
                continue
            self.temperatures[epoch] = fitted.temperature
            found = calibration.within(logits, labels, artists, fitted.temperature)
            record.result["calibration"][epoch] = found and found.figures()
            if epoch == "last":
                pl_module.calibration = fitted
        record.write_result(record.result["status"])

    def _stored(self, path: Path, fitted: calibration.Calibration, trainer: L.Trainer) -> bool:
        try:
            look = training_look(path, trainer.datamodule, trainer.strategy.root_device) if self.familiarity else None
            checkpoint.add(path, calibration=fitted.plain(), familiarity=look and look.plain())
        except (UserError, OSError) as error:  # a training that has ended well must not fail by it
            log.warning("%s is not calibrated, its probabilities are the network's: %s", path, one_line(error))
            return False
        return True

    def on_test_end(self, trainer: L.Trainer, pl_module: StyleClassifier) -> None:
        """Measures on paintings that no temperature has seen."""
        record, epoch = _record(trainer), "best" if trainer.ckpt_path else "last"
        answers = record and record.held_out("test", epoch)
        if answers and epoch in self.temperatures and tested_part(trainer) == "test":
            logits, labels, _ = answers
            found = calibration.on_test(logits, labels, self.temperatures[epoch])
            record.result["calibration"][epoch] = found.figures()
            record.write_result(record.result["status"])


def _record(trainer: L.Trainer) -> RunRecord | None:
    return next((callback for callback in trainer.callbacks if isinstance(callback, RunRecord)), None)


def training_look(path: Path, data: WikiArtDataModule, device: torch.device) -> Familiarity | None:
    """What training pictures look like to a checkpoint's network; None where there are too few paintings.

    Raises UserError where the checkpoint's head can't be made again.
    """
    predictor = load_predictor(path)
    predictor.network.to(device)

    def features(index: list[int]) -> Tensor:
        """(paintings, width)."""
        batches = data.pictures(index)
        found = [predictor.logits_and_features(normalize(one.to(device), data.preprocessing))[1] for one in batches]
        return torch.cat([one.cpu() for one in found])

    training, held_out = data.indices("train"), data.indices("val")
    sample = np.random.default_rng(0).permutation(training)[:_SAMPLE]
    artists = [data.catalogue.paintings[i].artist or "" for i in held_out]
    return familiarity.fit(features(sorted(sample.tolist())), features(held_out), artists)
