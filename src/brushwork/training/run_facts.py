"""Facts of a run before its first epoch: baselines, settings, versions; for its files and for the terminal."""

import logging
import platform
import subprocess
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch

import brushwork
from brushwork import run_folder
from brushwork.models import checkpoint, tuning
from brushwork.models.classifier import StyleClassifier
from brushwork.paintings import baselines, color_texture
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.paintings.splits import HELD_OUT
from brushwork.training import devices, initial_features

log = logging.getLogger(__name__)


def new_result(
    trainer: L.Trainer, model: StyleClassifier, data: WikiArtDataModule | None, initial: initial_features.Answers
) -> dict[str, Any]:
    """result.json before the first epoch, with the baselines of the data and of the initial weights."""
    described, total = checkpoint.describe(model), tuning.count(list(model.network.parameters()))
    result = run_folder.new_result() | {
        "data": described.get("data"),
        "weights": described["initial_weights"],
        "parameters": {"total": total, "trainable": tuning.count(model.trained_parameters)},
        "seed": model.hparams.seed,
        "threads": torch.get_num_threads(),
        "device": str(trainer.strategy.root_device),
        "precision": str(trainer.precision),
        "git_commit": git_commit(),
        "versions": {"python": platform.python_version(), "brushwork": brushwork.__version__}
        | {name: version(name) for name in ("torch", "torchvision", "lightning", "hydra-core")},
    }
    if data is None:
        return result
    by_features = color_texture.accuracies(data.catalogue, data.parts, data.max_megapixels)
    result |= {"data_hash": data.unchecked_catalogue.data_hash, "split_hash": data.split_hash}
    result |= _baselines(data, "val", by_features, initial)
    for part in scored_after(data):
        scored = {"paintings": data.parts.count(part), "best": None, "last": None}
        result[part] = scored | _baselines(data, part, by_features, initial)
    return result


def scored_after(data: WikiArtDataModule) -> list[str]:
    """The parts that are scored once, when the training has ended: those of "test" and "known" that there are."""
    return [part for part in HELD_OUT[1:] if part in data.parts]


def _baselines(
    data: WikiArtDataModule, part: str, by_features: dict[str, float], initial: initial_features.Answers
) -> dict[str, Any]:
    """The accuracies on a part without training the network, and their 95% intervals."""
    train, held_out = data.part("train"), data.part(part)
    found = {
        "majority": baselines.majority(train, held_out),
        "artist_lookup": baselines.artist_lookup(train, held_out),
        "color_texture": by_features.get(part),
        **initial_features.accuracies(initial, data, part),
    }
    intervals = {
        name: None if value is None else baselines.interval_95(value, len(held_out)) for name, value in found.items()
    }
    return {"baselines": found, "baseline_intervals_95": intervals}


def config_of(trainer: L.Trainer, model: StyleClassifier, data: WikiArtDataModule | None) -> dict[str, Any]:
    """The settings of a run that no configuration file made, under the names that conf/ has for them."""
    chosen = dict(model.hparams)
    config = {
        "seed": chosen["seed"],
        "model": {key: chosen[key] for key in ("architecture", "weights", "init_gain", "redraw")},
        "head": {"name": chosen["head"], "zero_init": chosen["zero_init"]},
        "tuning": {"name": chosen["tuning"]},
        "optimizer": chosen["optimizer"],
        "scheduler": chosen["scheduler"],
        "trainer": {"max_epochs": trainer.max_epochs},
    }
    if data is not None:
        sizes = {"image_size": data.preprocessing.image_size, "resize": data.preprocessing.resize}
        kept = {key: getattr(data, key) for key in ("limit_per_style", "train_fraction", "batch_size", "class_weights")}
        config["data"] = {"root": str(data.root), **kept, **sizes, **asdict(data.augmentation)}
        fractions = {"val_fraction": data.fractions.val, "test_fraction": data.fractions.test}
        config["split"] = {"name": data.split_name, "seed": data.split_seed, **fractions}
        if data.fold is not None:
            config["split"] |= {"folds": data.fold.count, "fold": data.fold.number}
        if data.known_fraction is not None:
            config["split"]["known_fraction"] = data.known_fraction
    return config


def announce(trainer: L.Trainer, model: StyleClassifier, data: WikiArtDataModule | None) -> None:
    """Log the network, the parameters to train and the data."""
    if data is not None and data.paint_demo:
        log.info("DEMO: procedural pictures, not paintings; it shows that the program works, no more")
    chosen = model.hparams
    weights = "random weights (model.weights=null)" if chosen.weights is None else f"weights {chosen.weights}"
    log.info(
        f"{chosen.architecture}, {weights}, head {chosen.head}, tuning {chosen.tuning}, "
        f"on {trainer.strategy.root_device} in {trainer.precision}, seed {chosen.seed}"
    )
    rate = trainer.optimizers[0].param_groups[0]["lr"] if trainer.optimizers else float("nan")
    log.info("what is trained:\n%s", tuning.table(model.network, model.new_layer, rate))
    if data is not None:
        count, known = data.parts.count, data.parts.count("known")
        parts = [f"{count('train')} to train", f"{count('val')} to validate"]
        parts += [f"{count('test')} to test"] * ("test" in data.parts) + [f"{known} by known artists"] * (known > 0)
        log.info(
            f"{len(data.catalogue.paintings)} paintings of {data.num_classes} styles: {', '.join(parts)} "
            f"(split {data.split_name}, seed {data.split_seed})"
        )
    if trainer.precision == "32-true" and trainer.strategy.root_device.type == "cpu" and devices.has_bf16_unit():
        log.info("this processor computes in bfloat16: trainer.precision=bf16-mixed is faster (AlexNet: 1.8 times)")


def git_commit() -> str | None:
    """The commit of the code that trains, or None outside a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    with suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return None
