"""One run, from settings to result: data, model, callbacks, trainer, fit, test."""

import logging
import os
import signal
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from brushwork import run_folder
from brushwork.errors import UserError, one_line
from brushwork.models import backbones, checkpoint, tuning
from brushwork.models.classifier import StyleClassifier
from brushwork.training import devices, run_facts, sweep
from brushwork.training.averaging import AveragedWeights
from brushwork.training.config import Job
from brushwork.training.loggers import finish
from brushwork.training.record import RunRecord
from brushwork.training.trainer_options import arrange, check_trainer, for_probe, user_error

log = logging.getLogger(__name__)


def train(job: Job, ckpt_path: Path | None = None) -> RunRecord:
    """Train what a job describes, from the start or from the checkpoint `ckpt_path`.

    User errors are raised before anything is written into the run folder.

    Raises:
        UserError: a mistake in the settings, the data, the weights or the checkpoint.
    """
    settings = job.settings
    prepare_process(settings.seed, settings.threads)
    options = devices.resolve(job.trainer, job.sweep_number, settings.data.batch_size)
    if settings.tuning.name == "probe":
        options, ckpt_path = for_probe(settings, options, ckpt_path, job.sweep_number is not None)
    options, callbacks, loggers = arrange(options, job.callbacks, job.loggers, job.folder)
    check_trainer(options, callbacks, loggers, settings.patience)
    # Raises where the network can't take pictures of this size.
    backbones.preprocessing(settings.model.architecture, settings.data.image_size, settings.data.resize)

    data = job.data
    if ckpt_path is not None:
        checkpoint.check_resumable(ckpt_path, options.get("max_epochs"))
    model = make_model(job, load=ckpt_path is None)
    entries = {"name": settings.name, "command": job.command_line, "config_hash": job.config_hash}
    record = RunRecord(
        job.folder,
        config=job.resolved,
        entries=entries,
        ends_with_fit=False,
        initial_baselines=settings.baselines.probe,
    )
    trainer = make_trainer(job, options, [record, *callbacks], loggers)
    sweep.announce_disk_need(job, *checkpoint_bytes(callbacks, settings.ema_decay, model))

    try:
        trainer.fit(model, data, ckpt_path=ckpt_path and str(ckpt_path), weights_only=True)
        epochs = len(record.rows)
        ends = epochs > 0 and (job.sweep_number is not None or epochs == trainer.max_epochs)  # after the last epoch
        if epochs == record.epochs_before and not ends:
            raise UserError(
                "nothing was trained: trainer.max_epochs, max_steps, max_time and limit_train_batches must be above 0, "
                "and above what a checkpoint has behind it"
            )
        # Scored once, after training: by the last epoch's network, then by the best one's.
        best = job.folder / run_folder.BEST
        for path in (None, str(best)) if best.exists() else (None,):
            for part in run_facts.scored_after(data):
                data.tested = part
                trainer.test(model, data, ckpt_path=path, weights_only=True, verbose=False)
    except BaseException as error:
        if trainer.strategy.launcher is not None:  # DDP's other processes would wait for this one
            trainer.strategy.launcher.kill(signal.SIGKILL)
            trainer.strategy.launcher.procs.clear()  # else Lightning, which watches them, kills this one, too
        finish(loggers, failed=True)
        if isinstance(error, Exception) and (mistake := user_error(error)):
            raise mistake from None
        raise
    finish(loggers, failed=False)
    return record


def prepare_process(seed: int, threads: int | None) -> None:
    """Threads, random state and memory of this process; and silence warnings about what is intended here."""
    if threads is not None:
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning sets it again under DDP
    L.seed_everything(seed, workers=True, verbose=False)
    devices.keep_freed_memory()
    # Data loading, logging intervals and eval mode.
    warnings.filterwarnings("ignore", category=L.fabric.utilities.warnings.PossibleUserWarning)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # torch's own pytree, called by Lightning
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")  # the checkpoints resumed from
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.callbacks.model_summary").setLevel(logging.INFO)  # where one is wanted


def make_model(job: Job, load: bool = True) -> StyleClassifier:
    """The model for the job's data; without `load`, with random weights that a checkpoint's will replace."""
    overrides = {} if load else {"weights": None, "redraw": False}
    model = job.model(num_classes=job.data.num_classes, class_names=job.data.class_names, **overrides)
    # Checkpoints must record the configured weights, not the placeholder.
    model.hparams.update(weights=job.settings.model.weights, redraw=job.settings.model.redraw)
    return model


def make_trainer(job: Job, options: dict, callbacks: list[L.Callback], loggers: list[Logger]) -> L.Trainer:
    """Lightning's Trainer; a job's patience and average become callbacks."""
    settings = job.settings
    if options.get("limit_val_batches") == 0:  # nothing to monitor there
        callbacks = [c for c in callbacks if not str(getattr(c, "monitor", None)).startswith("val/")]
    if settings.patience is not None:
        callbacks = [*callbacks, EarlyStopping("val/accuracy", mode="max", patience=settings.patience)]
    if settings.ema_decay is not None:
        callbacks = [*callbacks[:1], AveragedWeights(settings.ema_decay), *callbacks[1:]]
    try:
        # `use_distributed_sampler`: EpochOrder splits the epoch itself.
        return job.trainer.func(**options, callbacks=callbacks, logger=loggers, use_distributed_sampler=False)
    except (TypeError, ValueError, RuntimeError, MisconfigurationException, ImportError) as error:
        raise UserError(f"trainer: {one_line(error)}") from None


def checkpoint_bytes(callbacks: list[L.Callback], ema_decay: float | None, model: StyleClassifier) -> tuple[int, int]:
    """The size of best.ckpt (weights; 0 where it is not kept) and an upper bound of that of last.ckpt.

    last.ckpt has the weights, their average where there is one, and at most two moments of each trained parameter.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.network.state_dict().values())
    keeps_best = any(isinstance(one, ModelCheckpoint) and one.monitor for one in callbacks)
    kept = weights if ema_decay is None else 2 * weights
    return weights if keeps_best else 0, kept + 8 * tuning.count(model.trained_parameters)
