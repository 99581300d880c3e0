"""Checkpoints: plain values and tensors, written beside their target and renamed, read without code."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from brushwork import files, run_folder
from brushwork.errors import UserError, unknown
from brushwork.models import backbones, heads
from brushwork.models.predictor import Predictor, freeze, imagenet
from brushwork.preprocessing import Preprocessing, as_batch

# Under which a checkpoint holds its description: plain values that tell all one needs to use the weights
# (architecture, head, class_names, preprocessing) and where they come from (data, split_hash, initial_weights, seed,
# tuning, optimizer, scheduler, batch_size, augmentation, class_weights, precision).
KEY = "brushwork"
_PREFIX = "network."  # of the classifier's network in Lightning's state dict


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes straight to a file beside the target, then renames: a full disk or a kill leaves the old one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)


def read(path: Path) -> dict[str, Any]:
    """A whole checkpoint of ours.

    Raises:
        UserError: it is missing, damaged, holds code, or is another program's.
    """
    content = backbones.read_checkpoint(path)
    if KEY not in content or "state_dict" not in content:
        raise UserError(f"{path} is no checkpoint of Brushwork: name one that a run wrote, {run_folder.LAST} say")
    return content


def network_state(content: dict[str, Any]) -> dict[str, Tensor]:
    """The network's own state dict in a checkpoint."""
    return {key.removeprefix(_PREFIX): value for key, value in content["state_dict"].items() if key.startswith(_PREFIX)}


def load_predictor(path: Path) -> Predictor:
    """The trained network of a checkpoint, ready to be asked about pictures, preprocessed as in its validation.

    Needs neither the data nor the weights that training began with.
    """
    content = read(path)
    description = content[KEY]
    with torch.random.fork_rng(devices=[]):  # all that is drawn here is overwritten
        network = backbones.build(description["architecture"])
        heads.replace_head(network, description["head"], len(description["class_names"]))
    backbones.load_strictly(network, network_state(content), path)
    preprocessing = Preprocessing(**description["preprocessing"])
    return Predictor(
        path.name,
        freeze(network),
        description["class_names"],
        lambda picture: as_batch([picture], preprocessing)[0],
        preprocessing.mean,
        preprocessing.std,
    )


def named_predictor(model: str, weights: str | None) -> Predictor:
    """The network that a script's --model and --weights name: a torchvision classifier, or a checkpoint of ours.

    Raises:
        UserError: there is no such network, or its weights can't be had.
    """
    if model in backbones.architectures():
        ways_on = "or use --weights PATH of a state dict, or --weights null for random weights"
        return imagenet(model, None if weights == "null" else weights or "imagenet", ways_on=ways_on)
    if Path(model).is_file():
        if weights is not None:
            raise UserError(f"--model {model} is a checkpoint and has its own weights: leave --weights {weights} out")
        return load_predictor(Path(model))
    if Path(model).suffix in (".ckpt", ".pth", ".pt") or len(Path(model).parts) > 1:
        raise UserError(f"there is no checkpoint {Path(model).resolve()}: name one that a run wrote, {run_folder.BEST}")
    raise unknown("--model", model, [*backbones.architectures(), "a checkpoint's path"])


def refuse_other(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a checkpoint that was made for another network or other classes than this run's.

    Raises:
        UserError: shows both heads, or architectures, or the classes that differ.
    """
    for key, override in [("architecture", "model"), ("head", "head")]:
        if found[key] != wanted[key]:
            raise UserError(
                f"{path} has {key} {found[key]}, but this run has {key} {wanted[key]}: "
                f"use {override}={found[key]}, or another checkpoint"
            )
    theirs, ours = found["class_names"], wanted["class_names"]
    if theirs != ours:
        only_theirs = ", ".join(name for name in theirs if name not in ours) or "none"
        only_ours = ", ".join(name for name in ours if name not in theirs) or "none"
        raise UserError(
            f"{path} knows other classes than the data: only in the checkpoint: {only_theirs}; "
            f"only in the data: {only_ours}; choose the same by data.root and data.styles"
        )


def refuse_other_course(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to resume what would not go on as it began.

    Raises:
        UserError: shows both values.
    """
    for key in (
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
        "preprocessing",
    ):
        if found.get(key) != wanted[key]:
            raise UserError(
                f"{path} was trained with {key} {found.get(key)}, but this run has {wanted[key]}: resume with the "
                f"same, or start a new run from it with model.weights={path}"
            )
    if found["split_hash"] != wanted["split_hash"]:
        raise UserError(
            f"{path} was trained on another split ({found['split_hash']}, here {wanted['split_hash']}): "
            f"use the same data and split.seed, or start a new run from it with model.weights={path}"
        )
