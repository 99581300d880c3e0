"""One training from plain settings: where paintings, classifier, callbacks and Trainer meet."""

import functools
import logging
import os
import platform
import shlex
import shutil
import signal
import subprocess
import warnings
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelCheckpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import nn

from brushwork import files, run_folder
from brushwork.errors import UserError, one_line, unknown
from brushwork.models import backbones, checkpoint, heads, tuning
from brushwork.models.classifier import StyleClassifier
from brushwork.models.features import FeaturesModule, can_be_kept
from brushwork.paintings import baselines, catalogue, color_texture, demo, splits
from brushwork.paintings.augment import Augmentation
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks import duplicates, facts, findings
from brushwork.paintings.datamodule import PaintingsModule
from brushwork.training import devices
from brushwork.training.averaging import AveragedWeights
from brushwork.training.config import Config, Job
from brushwork.training.record import RunRecord

log = logging.getLogger(__name__)


class Training:
    """Everything one job needs, prepared and checked; `run` trains.

    Preparing writes nothing but the demo's pictures and what is remembered of the paintings: whatever a user can get
    wrong is refused first.

    Args:
        ckpt_path: a last.ckpt, from which the run goes on; the initial weights are then not needed again.

    Raises:
        UserError: a mistake in the settings, the data, the weights or the checkpoint.
    """

    def __init__(self, job: Job, ckpt_path: Path | None = None) -> None:
        settings = job.settings
        self.job, self.settings, self.ckpt_path = job, settings, ckpt_path
        check_names(settings)
        check_factories(job)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
            os.environ["OMP_NUM_THREADS"] = str(settings.threads)  # else Lightning sets it again under DDP
        L.seed_everything(settings.seed, workers=True, verbose=False)
        devices.keep_freed_memory()
        self.trainer_options = devices.resolve(job.trainer, job.sweep_number, settings.data.batch_size)
        check_trainer(self.trainer_options, job.callbacks, settings.patience)
        self.preprocessing = backbones.preprocessing(
            settings.model.architecture, settings.data.image_size, settings.data.resize
        )
        self.augmentation = Augmentation(settings.data.flip, settings.data.crop_scale, settings.data.color_jitter)
        found = scan(settings)
        self.data_hash = found.data_hash
        self.catalogue, known, self.skipped = facts.read_good(
            found, settings.data.max_megapixels, skip=settings.data.on_bad_image == "skip"
        )
        pairs = duplicates.cached_pairs(known)
        fractions = splits.Fractions(settings.split.val_fraction, settings.split.test_fraction)
        together = duplicates.connected(pairs, len(known))
        self.parts = splits.draw(settings.split.name, self.catalogue, fractions, settings.split.seed, together)
        report_copies(self.catalogue, self.parts, pairs, settings.data.strict)
        splits.check(self.catalogue, self.parts)
        self.split_hash = splits.split_hash(self.catalogue, self.parts)
        self.parts = splits.thin(self.parts, self.catalogue.paintings, settings.data.train_fraction, settings.seed)
        self.description = {
            "architecture": settings.model.architecture,
            "head": settings.head.name,
            "class_names": self.catalogue.class_names,
            "preprocessing": asdict(self.preprocessing),
            "data": "demo: procedural pictures, no paintings" if settings.data.paint_demo else settings.data.root,
            "split_hash": self.split_hash,
            "initial_weights": settings.model.weights or "random",
            "seed": settings.seed,
            "tuning": settings.tuning.name,
            "ema_decay": settings.ema_decay,
            "train_fraction": settings.data.train_fraction,
            "optimizer": job.resolved["optimizer"],
            "scheduler": job.resolved["scheduler"],
            "batch_size": settings.data.batch_size,
            "augmentation": asdict(self.augmentation),
            "class_weights": settings.data.class_weights,
            "precision": self.trainer_options["precision"],
        }
        resumed = None if ckpt_path is None else self._checked_to_resume(ckpt_path)
        self.network, self.new_layer = build_network(settings, self.description, load=resumed is None)
        if resumed is not None:  # Lightning would do so only after frozen features are computed
            backbones.load_strictly(self.network, checkpoint.network_state(resumed), ckpt_path)
        self.trained = tuning.choose_parameters(self.network, self.new_layer, settings.tuning.name)
        self.result = self._new_result()

    def part(self, name: str) -> list[catalogue.Painting]:
        return [p for p, part in zip(self.catalogue.paintings, self.parts, strict=True) if part == name]

    def _new_result(self) -> dict[str, Any]:
        settings = self.settings
        found, intervals = self._baselines("val")
        test = None
        if "test" in self.parts:
            test = dict(zip(("baselines", "baseline_intervals_95"), self._baselines("test"), strict=True))
            test |= {"paintings": self.parts.count("test"), "best": None, "last": None}
        return run_folder.new_result() | {
            "name": settings.name,
            "data": self.description["data"],
            "weights": self.description["initial_weights"],
            "baselines": found,
            "baseline_intervals_95": intervals,
            "test": test,
            "parameters": {
                "total": tuning.count(list(self.network.parameters())),
                "trainable": tuning.count(self.trained),
            },
            "seed": settings.seed,
            "threads": torch.get_num_threads(),
            "command": shlex.join(["python", "train.py", *self.job.command]),
            "config_hash": self.job.config_hash,
            "data_hash": self.data_hash,
            "split_hash": self.split_hash,
            "git_commit": git_commit(),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("brushwork", "torch", "torchvision", "lightning", "hydra-core")},
        }

    def _baselines(self, part: str) -> tuple[dict[str, float | None], dict[str, list[float] | None]]:
        """What one scores on a part without a network, and its 95% intervals."""
        train, held_out = self.part("train"), self.part(part)
        found = {
            "majority": baselines.majority(train, held_out),
            "artist_lookup": baselines.artist_lookup(train, held_out),
            "color_texture": self._color_texture.get(part),
        }
        intervals = {
            name: None if value is None else baselines.interval_95(value, len(held_out))
            for name, value in found.items()
        }
        return found, intervals

    @functools.cached_property
    def _color_texture(self) -> dict[str, float]:
        return color_texture.accuracies(self.catalogue, self.parts, self.settings.data.max_megapixels)

    def _class_weights(self) -> torch.Tensor | None:
        """Such that in training every style weighs the same, and a painting 1 on average; None: every painting does."""
        if self.settings.data.class_weights is None:
            return None
        train = self.part("train")
        counts = Counter(painting.style for painting in train)
        names = self.catalogue.class_names
        return torch.tensor([len(train) / (len(names) * counts[name]) for name in names])

    def run(self) -> RunRecord:
        """Train to the end, from the start or from the epoch's end that `ckpt_path` holds."""
        settings, job = self.settings, self.job
        ckpt_path = self.ckpt_path and str(self.ckpt_path)
        if self.ckpt_path is not None and rank_zero_only.rank == 0:
            keep_best(self.ckpt_path, job.folder)
        classifier = StyleClassifier(
            self.network,
            self.new_layer,
            self.trained,
            num_classes=len(self.catalogue.class_names),
            tuning_name=settings.tuning.name,
            optimizer=job.optimizer,
            scheduler=job.scheduler,
            seed=settings.seed,
            class_weights=self._class_weights(),
            description=self.description,
        )
        write = rank_zero_only.rank == 0 and not self.trainer_options.get("fast_dev_run")
        record = RunRecord(job.folder, self.catalogue, self.result, write)
        trainer = self._trainer(record)
        self.result |= {"device": str(trainer.strategy.root_device), "precision": str(trainer.precision)}
        if trainer.is_global_zero:
            self._announce(trainer)
        if record.write:
            self._write_first_files()
        try:
            data = self._datamodule(trainer)
            trainer.fit(classifier, data, ckpt_path=ckpt_path, weights_only=True)
            if "test" in self.parts and record.rows:
                self._test(trainer, classifier, data, record)
        except BaseException:
            if trainer.strategy.launcher is not None:  # DDP's other processes would wait for this one
                trainer.strategy.launcher.kill(signal.SIGKILL)
                trainer.strategy.launcher.procs.clear()  # else Lightning, which watches them, kills this one, too
            raise
        if not record.rows:
            raise UserError("nothing was trained: trainer.max_epochs and trainer.limit_train_batches must be above 0")
        return record

    def _test(self, trainer: L.Trainer, classifier: StyleClassifier, data: PaintingsModule, record: RunRecord) -> None:
        """Score the test part once, when all is decided: the last epoch's network, then the best one's."""
        trainer.test(classifier, data, verbose=False)
        record.note_test("last", classifier.scores)
        best = self.job.folder / run_folder.BEST
        if best.exists():
            trainer.strategy.barrier()
            backbones.load_strictly(self.network, checkpoint.network_state(checkpoint.read(best)), best)
            trainer.test(classifier, data, verbose=False)
            record.note_test("best", classifier.scores)

    def _checked_to_resume(self, path: Path) -> dict[str, Any]:
        """The content of a checkpoint; one from which this run can't go on as it began is refused."""
        content = checkpoint.read(path)
        if not content.get("optimizer_states"):
            raise UserError(
                f"{path} holds weights only and can't be resumed: use last.ckpt, or start a new run "
                f"from it with model.weights={path}"
            )
        checkpoint.refuse_other(path, content[checkpoint.KEY], self.description)
        checkpoint.refuse_other_course(path, content[checkpoint.KEY], self.description)
        last = self.trainer_options.get("max_epochs")
        if last is not None and 0 <= last <= content["epoch"]:
            raise UserError(
                f"{path} has {content['epoch'] + 1} epochs behind it, more than trainer.max_epochs={last}: raise it"
            )
        return content

    def _trainer(self, record: RunRecord) -> L.Trainer:
        # What is said about data loading, logging intervals and eval mode is so by design here.
        warnings.filterwarnings("ignore", category=L.fabric.utilities.warnings.PossibleUserWarning)
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # torch's own pytree, called by Lightning
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")  # the checkpoints resumed from
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        callbacks = list(self.job.callbacks)
        if self.trainer_options.get("limit_val_batches") == 0:  # nothing to monitor
            callbacks = [c for c in callbacks if not (isinstance(c, ModelCheckpoint) and c.monitor)]
        if self.settings.patience is not None:
            callbacks.append(EarlyStopping("val/accuracy", mode="max", patience=self.settings.patience))
        if self.settings.ema_decay is not None:
            callbacks.insert(0, AveragedWeights(self.settings.ema_decay))
        try:
            return self.job.trainer(
                **self.trainer_options,
                callbacks=[record, *callbacks],
                logger=self.job.loggers,
                plugins=[checkpoint.AtomicCheckpointIO()],
                use_distributed_sampler=False,  # EpochOrder shares the epoch out itself
                enable_checkpointing=any(isinstance(c, Checkpoint) for c in callbacks),
            )
        except (TypeError, ValueError, MisconfigurationException, ModuleNotFoundError) as error:
            raise UserError(f"trainer: {one_line(error)}") from None

    def _datamodule(self, trainer: L.Trainer) -> PaintingsModule:
        data = self.settings.data
        keep = data.store and not self.trainer_options.get("fast_dev_run")
        make = PaintingsModule
        if keep and can_be_kept(self.settings.tuning.name, self.augmentation, trainer.precision):
            first_trained = tuning.first_trained(self.network, self.new_layer, self.settings.tuning.name)
            make = functools.partial(FeaturesModule, self.network, first_trained)
        return make(
            self.catalogue,
            self.parts,
            self.preprocessing,
            seed=self.settings.seed,
            batch_size=data.batch_size,
            augmentation=self.augmentation,
            max_megapixels=data.max_megapixels,
            keep=keep,
            workers=data.workers,
        )

    def _announce(self, trainer: L.Trainer) -> None:
        settings = self.settings
        if settings.data.paint_demo:
            log.info("DEMO: procedural pictures, not paintings; it shows that the program works, no more")
        weights = settings.model.weights
        log.info(
            "%s, %s, head %s, tuning %s, on %s in %s, seed %d",
            settings.model.architecture,
            "random weights (model.weights=null)" if weights is None else f"weights {weights}",
            settings.head.name,
            settings.tuning.name,
            trainer.strategy.root_device,
            trainer.precision,
            settings.seed,
        )
        learning_rate = self.job.optimizer.keywords.get("lr", float("nan"))
        log.info("what is trained:\n%s", tuning.table(self.network, self.new_layer, learning_rate))
        log.info(
            "%d paintings of %d styles: %d to train, %d to validate%s (split %s, seed %d)",
            len(self.catalogue.paintings),
            len(self.catalogue.class_names),
            len(self.part("train")),
            len(self.part("val")),
            f", {self.parts.count('test')} to test" if "test" in self.parts else "",
            settings.split.name,
            settings.split.seed,
        )
        if trainer.precision == "32-true" and trainer.strategy.root_device.type == "cpu" and devices.has_bf16_unit():
            log.info("this processor computes in bfloat16: trainer.precision=bf16-mixed is faster (AlexNet: 1.8 times)")

    def _write_first_files(self) -> None:
        folder = self.job.folder
        folder.mkdir(parents=True, exist_ok=True)
        resolved = yaml.safe_dump(self.job.resolved, sort_keys=False, allow_unicode=True)
        files.write_text(folder / run_folder.CONFIG, resolved)
        run_folder.write_csv(
            folder / run_folder.SPLIT,
            run_folder.SPLIT_COLUMNS,
            [
                {"path": p.path, "style": p.style, "artist": p.artist or "", "part": part}
                for p, part in zip(self.catalogue.paintings, self.parts, strict=True)
            ],
        )
        if self.skipped:
            run_folder.write_csv(
                folder / run_folder.SKIPPED,
                run_folder.SKIPPED_COLUMNS,
                [{"path": path, "reason": reason} for path, reason in self.skipped],
            )

    def checkpoint_bytes(self) -> tuple[int, int]:
        """About the sizes of best.ckpt (0 without callbacks.best) and last.ckpt: weights, and weights with the
        optimizer's momentum."""
        weights = sum(tensor.numel() * tensor.element_size() for tensor in self.network.state_dict().values())
        keeps_best = any(isinstance(one, ModelCheckpoint) and one.monitor for one in self.job.callbacks)
        kept = weights if self.settings.ema_decay is None else 2 * weights  # with their average
        return weights * keeps_best, kept + 4 * tuning.count(self.trained)


def check_names(settings: Config) -> None:
    """Refuse unknown names before any work is done."""
    for key, name, valid in [
        ("head", settings.head.name, heads.HEADS),
        ("tuning", settings.tuning.name, tuning.TUNINGS),
        ("split", settings.split.name, splits.SPLITS),
    ]:
        if name not in valid:
            raise unknown(key, name, valid)


def check_trainer(options: dict[str, Any], callbacks: list[Any], patience: int | None) -> None:
    """Refuse Trainer options that would make a run's figures mean something else than they say."""
    if not isinstance(options.get("max_epochs"), int | None):
        raise UserError(f"expected trainer.max_epochs to be a whole number, but got {options['max_epochs']}")
    # Lightning takes the number 1 for one batch and 1.0 for all of them.
    whole = {
        key: repr(options.get(key, 1.0)) for key in ("limit_val_batches", "limit_test_batches", "val_check_interval")
    }
    if whole["limit_val_batches"] not in ("1.0", "0", "0.0", "None"):
        raise UserError(
            f"trainer.limit_val_batches={options['limit_val_batches']} would score the first styles only: use 0, or "
            f"fewer paintings by data.limit_per_style"
        )
    if patience is not None and whole["limit_val_batches"] in ("0", "0.0"):
        raise UserError(f"patience={patience} waits for the validation accuracy: leave trainer.limit_val_batches=0 out")
    if options.get("overfit_batches"):
        raise UserError("trainer.overfit_batches would validate on training paintings: use data.limit_per_style")
    if whole["limit_test_batches"] not in ("1.0", "None"):
        raise UserError("trainer.limit_test_batches would score the first styles only: leave it out")
    if whole["val_check_interval"] not in ("1.0", "None"):
        raise UserError("trainer.val_check_interval: a run validates at the end of its epochs; leave it out")
    for callback in callbacks:
        is_best = isinstance(callback, ModelCheckpoint) and callback.filename == "best"
        if is_best and (callback.monitor, callback.mode) != ("val/accuracy", "max"):
            raise UserError("callbacks.best keeps the epoch of the highest val/accuracy: add one of another name")


def check_factories(job: Job) -> None:
    """Refuse, before any work is done, an optimizer or a schedule that torch will not make."""
    try:
        optimizer = job.optimizer([nn.Parameter(torch.zeros(1))])
        scheduler = job.scheduler and job.scheduler(optimizer)
    except (TypeError, ValueError) as error:
        raise UserError(f"optimizer or scheduler: {one_line(error)}") from None
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise UserError(
            "scheduler: ReduceLROnPlateau is not resumed exactly: choose a schedule by epochs (cosine, ...)"
        )


def report_copies(catalogue: Catalogue, parts: splits.Parts, pairs: list[duplicates.Pair], strict: bool) -> None:
    """Say which pictures are under two styles or in two parts; refuse them when `strict`.

    Raises:
        UserError: names the first such picture.
    """
    part_of = {p.path: part for p, part in zip(catalogue.paintings, parts, strict=True) if part != "unused"}
    same = duplicates.same_bytes(catalogue.root, catalogue.paintings)
    near = findings.near_copies(catalogue.paintings, pairs, same, part_of)
    for finding in (*findings.same_copies(same, part_of), *near):
        if finding.severity == "spoils":
            first = ", ".join(item.path for item in finding.groups[0])
            line = f"{finding.message} (groups: {len(finding.groups)}, the first: {first})"
            if strict:
                raise UserError(f"{line}; data.strict=false trains all the same, scripts/check_data.py shows them")
            log.warning("%s", line)


def scan(settings: Config) -> Catalogue:
    """The paintings that the settings name, unchecked; the demo's are painted first."""
    data = settings.data
    if data.paint_demo is not None:
        demo.paint_all(Path(data.root), data.paint_demo)
    return catalogue.scan(Path(data.root), data.styles, data.limit_per_style, settings.split.seed)


def build_network(settings: Config, description: dict[str, Any], load: bool = True) -> tuple[nn.Module, nn.Module]:
    """The network with its initial weights (random ones without `load`) and its new head: (network, new layer)."""
    model, head = settings.model, settings.head
    num_classes = len(description["class_names"])
    network = backbones.build(model.architecture, model.init_gain)
    if load and model.weights is not None:
        new_layer = load_initial_weights(network, settings, description)
        if model.redraw:
            backbones.redraw(network)
        if new_layer is not None:
            return network, new_layer
    return network, heads.replace_head(network, head.name, num_classes, head.zero_init)


def load_initial_weights(network: nn.Module, settings: Config, description: dict[str, Any]) -> nn.Module | None:
    """Load what model.weights names; where that is a checkpoint of ours, its head is made first, and returned."""
    model = settings.model
    if backbones.is_named(model.architecture, model.weights):
        backbones.load_named_weights(network, model.architecture, model.weights, model.verify_weights)
        return None
    path = backbones.weights_file(model.architecture, model.weights, "model.weights")
    content = backbones.read_checkpoint(path)
    if checkpoint.KEY not in content:
        backbones.load_strictly(network, backbones.state_dict_in(content), path)
        return None
    theirs = content[checkpoint.KEY]
    checkpoint.refuse_other(path, theirs, description)
    if theirs["split_hash"] != description["split_hash"]:
        log.warning("%s was trained on another split: it may have seen paintings that validate here", path)
    new_layer = heads.replace_head(network, settings.head.name, len(description["class_names"]))
    backbones.load_strictly(network, checkpoint.network_state(content), path)
    return new_layer


def keep_best(ckpt_path: Path, folder: Path) -> None:
    """Bring the best epoch's checkpoint along when a run goes on in another folder."""
    theirs, ours = ckpt_path.with_name(Path(run_folder.BEST).name), folder / run_folder.BEST
    if theirs.exists() and not ours.exists():
        ours.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_path(ours) as temporary:
            shutil.copyfile(theirs, temporary)
    elif not ours.exists():
        log.warning("no %s beside %s: if its best epoch is past, its weights are lost", theirs.name, ckpt_path)


def git_commit() -> str | None:
    """The commit of the code that trains, or None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
