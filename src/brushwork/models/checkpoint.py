"""Checkpoints: plain values and tensors, written atomically and read without running code."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from brushwork import files, run_folder
from brushwork.calibration import Calibration
from brushwork.errors import UserError
from brushwork.models import heads, optimization
from brushwork.models.factories import comparable, restore
from brushwork.models.familiarity import Familiarity
from brushwork.models.published import DESCRIBED, KEY, PREFIX
from brushwork.models.weight_files import read_file, tensors_in
from brushwork.models.weights import load_strictly
from brushwork.preprocessing import Preprocessing

if TYPE_CHECKING:
    from brushwork.models.classifier import StyleClassifier

log = logging.getLogger(__name__)

# What must be equal for a run to be resumed.
_RESUMED = (
    "seed",
    "tuning",
    "train_fraction",
    "ema_decay",
    "optimizer",
    "scheduler",
    "batch_size",
    "augmentation",
    "class_weights",
    "precision",
    "trainer",
    "preprocessing",
)
# Options of the Trainer that change what it trains, and values that change nothing.
_OPTIONS = {"accumulate_grad_batches": (1,), "gradient_clip_val": (None, 0), "limit_train_batches": (1.0, None)}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a file beside the target, then renames it: a full disk or a kill leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


def add(path: Path, **described: Any) -> None:
    """Add plain values or tensors to a checkpoint's description, atomically; all else stays as it is."""
    content = read(path)
    content[KEY] = content[KEY] | described
    AtomicCheckpointIO().save_checkpoint(content, path)


def describe(model: "StyleClassifier") -> dict[str, Any]:
    """Plain values: what is needed to use the weights, and where they come from.

    A Trainer adds ema_decay, precision, device_type and some of its options; its WikiArtDataModule data, split_hash,
    train_fraction, batch_size, augmentation and class_weights.
    """
    chosen = model.hparams
    described = {
        "architecture": chosen.architecture,
        "head": chosen.head,
        "class_names": model.class_names,
        "preprocessing": asdict(model.preprocessing),
        "initial_weights": chosen.weights or "random",
        "seed": chosen.seed,
        "tuning": chosen.tuning,
        "optimizer": chosen.optimizer,
        "scheduler": chosen.scheduler,
        **({"calibration": model.calibration.plain()} if model.calibration.is_fitted else {}),
        **({"familiarity": model.familiarity.plain()} if model.familiarity else {}),
    }
    trainer = model._trainer  # None outside a Trainer, where `model.trainer` raises
    if trainer is None:
        return described
    described["device_type"] = trainer.strategy.root_device.type
    averages = [callback.ema_decay for callback in trainer.callbacks if hasattr(callback, "ema_decay")]
    described |= {"ema_decay": averages[0] if averages else None, "precision": str(trainer.precision)}
    options = {key: value for key, plain in _OPTIONS.items() if (value := getattr(trainer, key)) not in plain}
    if "gradient_clip_val" in options:
        options["gradient_clip_algorithm"] = str(trainer.gradient_clip_algorithm or "norm")
    if "%" in str(chosen.scheduler):  # a share of the run's length
        options |= {"max_epochs": trainer.max_epochs, "max_steps": optimization.max_steps(trainer)}
    return described | {"trainer": options or None} | getattr(trainer.datamodule, "description", {})


def arguments(content: dict[str, Any]) -> dict[str, Any]:
    """The arguments that make a checkpoint's model again, without its weights and the head's function."""
    described, saved = content[KEY], content.get("hyper_parameters", {})
    names = described["class_names"]
    return {
        "num_classes": len(names),
        "class_names": names,
        "weights": None,
        "optimizer": restore("optimizer", described.get("optimizer")),
        "scheduler": restore("scheduler", described.get("scheduler")),
        "loss": restore("loss", saved.get("loss")),
    } | {key: described[key] for key in ("tuning", "seed") if key in described}


def made_again(
    kind: type["StyleClassifier"], path: Path, content: dict[str, Any], head: heads.Head | None = None
) -> "StyleClassifier":
    """The trained model, in eval mode, of a checkpoint that was read: see `StyleClassifier.load_from_checkpoint`."""
    described = content[KEY]
    if head is None and described["head"] not in heads.HEADS:
        raise UserError(
            f"{path} has a head made by {described['head']}, which a checkpoint can't store: "
            f"give the function, load_from_checkpoint(path, head={described['head'].rpartition('.')[2]})"
        )
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are overwritten
        model = kind(described["architecture"], head or described["head"], **arguments(content))
    load_strictly(model.network, network_state(content), path)
    model.preprocessing = Preprocessing(**described["preprocessing"])
    _take_calibration(model, described)
    return model.eval()


def _take_calibration(model: "StyleClassifier", described: dict[str, Any]) -> None:
    model.calibration = Calibration(**described.get("calibration", {}))
    model.familiarity = Familiarity.of(described.get("familiarity"))


def is_ours(content: dict[str, Any]) -> bool:
    """Whether what a file held is a checkpoint of a `StyleClassifier`."""
    described = content.get(KEY)
    return isinstance(described, dict) and described.keys() >= DESCRIBED and isinstance(content.get("state_dict"), dict)


def read(path: Path) -> dict[str, Any]:
    """A whole checkpoint, or what was made of one by scripts/export.py: a folder, or hf://USER/NAME.

    Raises a UserError if it is missing, damaged, holds code, or is another program's.
    """
    content = read_file(Path(files.expanded(path)))
    if not is_ours(content):
        raise UserError(f"{path} is no checkpoint of Brushwork: name one that a run wrote, {run_folder.LAST} say")
    return content


def check_resumable(path: Path, max_epochs: int | None) -> None:
    """Refuse a checkpoint that holds weights only, is of the middle of an epoch, or has trained for `max_epochs`
    already (None or -1: no limit)."""
    best = path.with_name(Path(run_folder.BEST).name)
    if not path.exists() and best.exists() and path.name == Path(run_folder.LAST).name:
        raise UserError(
            f"{path} was removed when its run had finished (keep_last=true keeps it): start a new run from the best "
            f"epoch with model.weights={best}"
        )
    content = read(path)
    anew = f"start a new run from it with model.weights={path}"
    if not content.get("optimizer_states"):
        raise UserError(
            f"{path} holds weights only and can't be resumed: use last.ckpt, which keep_last=true keeps when a run has "
            f"finished, or {anew}"
        )
    progress = content["loops"]["fit_loop"]
    epochs = progress["epoch_progress"]["current"]
    if epochs["ready"] != epochs["processed"]:
        raise UserError(f"{path} was written in the middle of an epoch: resume from last.ckpt, or {anew}")
    if not progress["epoch_loop.batch_progress"]["is_last_batch"]:
        epoch = content["epoch"] + 1
        log.warning("%s: its epoch %d was cut short; what was left of it is not trained", path, epoch)
    if max_epochs is not None and 0 <= max_epochs <= content["epoch"]:
        raise UserError(
            f"{path} has {content['epoch'] + 1} epochs behind it, more than trainer.max_epochs={max_epochs}: raise it"
        )


def network_state(content: dict[str, Any]) -> dict[str, Tensor]:
    """The network's own state dict in a checkpoint."""
    tensors = tensors_in({"state_dict": content["state_dict"]})
    prefix = f"state_dict/{PREFIX}"
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def refuse_other_network(path: Path, found: dict[str, Any], architecture: str, head: str) -> None:
    """Refuse a checkpoint whose architecture or head is not this run's."""
    for key, ours, override in [("architecture", architecture, "model"), ("head", head, "head")]:
        if found[key] != ours:
            raise UserError(
                f"{path} has {key} {found[key]}, but this run has {key} {ours}: "
                f"use {override}={found[key]}, or another checkpoint"
            )


def refuse_other_classes(path: Path | str, theirs: list[str], ours: list[str]) -> None:
    """Refuse a checkpoint whose classes are not the data's, and list those that differ."""
    if theirs == ours:
        return
    only_theirs = ", ".join(name for name in theirs if name not in ours) or "none"
    only_ours = ", ".join(name for name in ours if name not in theirs) or "none"
    raise UserError(
        f"{path} has other classes than the data: only in the checkpoint: {only_theirs}; "
        f"only in the data: {only_ours}; choose the same by data.root and data.styles"
    )


def refuse_other_data(model: "StyleClassifier", names: list[str]) -> None:
    """Refuse data whose classes are not those of a model that has learned or expects others."""
    if model.hparams.class_names is not None:
        refuse_other_classes(model.trainer.ckpt_path or "the model", model.hparams.class_names, names)
    elif len(names) != model.num_classes:
        raise UserError(
            f"the data have {len(names)} classes, but the model has num_classes={model.num_classes}: "
            f"make it with num_classes=data.num_classes"
        )


def check_loaded(model: "StyleClassifier", content: dict[str, Any]) -> None:
    """Before a Trainer loads a checkpoint: a resumed fit must keep settings, data and all digits of the weights."""
    is_fit = model._trainer is not None and model.trainer.state.fn == "fit"
    if is_fit and KEY in content:
        refuse_other_run(Path(model.trainer.ckpt_path), content[KEY], describe(model))
    elif KEY in content:
        _take_calibration(model, content[KEY])
    if any(value.dtype == torch.float64 for value in content["state_dict"].values()):
        model.double()  # Lightning converts it later, in precision 64-true


def refuse_other_run(path: Path, found: dict[str, Any], ours: dict[str, Any]) -> None:
    """Refuse to resume a run with other settings or data than it began with; both are as `describe` returns them."""
    refuse_other_network(path, found, ours["architecture"], ours["head"])
    refuse_other_classes(path, found["class_names"], ours["class_names"])
    for key in _RESUMED:
        if key == "trainer" and key not in found:  # of an earlier version
            continue
        if comparable(found.get(key)) != comparable(ours.get(key)):
            raise UserError(
                f"{path} was trained with {key} {found.get(key)}, but this run has {ours.get(key)}: resume with the "
                f"same, or start a new run from it with model.weights={path}"
            )
    if found.get("split_hash") != ours.get("split_hash"):
        raise UserError(
            f"{path} was trained on another split ({found.get('split_hash')}, here {ours.get('split_hash')}): "
            f"use the same data and split.seed, or start a new run from it with model.weights={path}"
        )
