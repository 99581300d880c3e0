"""The sides by name: functions that run in a process of their own, and commands whose whole time counts."""

import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.ours import overrides
from benchmarks.rows import METHODS, PREDICTED
from benchmarks.setup import BF16, FP32, REPOSITORY, Setup

PICTURES = ["logger=tensorboard", "callbacks.saliency.reference_weights=null"]
# module.function of this package, by name so that a process imports only what its side needs; options
SIDES: dict[str, tuple[str, dict[str, Any]]] = {
    "workers": ("plain.best_workers", {}),
    "bare step, bf16": ("plain.bare_step", {"precision": BF16}),
    "bare step, fp32": ("plain.bare_step", {"precision": FP32}),
    "plain loop": ("plain.plain_loop", {}),
    "plain loop, head_only": ("plain.plain_loop", {"head_only": True}),
    "Lightning's defaults": ("plain.lightning_defaults", {}),
    "warm, bf16": ("ours.train", {"precision": BF16}),
    "warm, fp32": ("ours.train", {"precision": FP32}),
    "cold, bf16": ("ours.train", {"precision": BF16, "cold": True}),
    "cold, head_only": ("ours.train", {"more": ["tuning=head_only"], "cold": True}),
    "with checkpoints": ("ours.train", {"precision": BF16, "kept": ["best", "last", "calibrate"]}),
    "with pictures": ("ours.train", {"precision": BF16, "kept": ["dashboard", "saliency"], "more": PICTURES}),
    "store": ("ours.fill_store", {}),
    "store of 2,000": ("ours.many_pictures", {"which": 0}),
    "store of 20,000": ("ours.many_pictures", {"which": 1}),
    "saliency": ("maps.by_brushwork", {"architecture": "vgg16"}),
    "captum": ("maps.vgg16_by_captum", {}),
}
for method in METHODS:
    SIDES[f"our {method}"] = ("maps.by_brushwork", {"architecture": "squeezenet1_1", "method": method})
    SIDES[f"captum's {method}"] = ("maps.squeezenet_by_captum", {"method": method})
for architecture in PREDICTED:
    SIDES[f"predict, {architecture}"] = ("ours.predict", {"architecture": architecture})
    SIDES[f"plain predictions, {architecture}"] = ("plain.predict", {"architecture": architecture})
PLAIN = {"plain loop", "plain loop, head_only", "Lightning's defaults"}  # need a number of workers
WARM = {"warm, bf16", "warm, fp32", "with checkpoints", "with pictures", "first step"}  # need full caches
ONCE = {"store of 2,000", "store of 20,000"}  # vary hardly, so are not repeated


def first_step(setup: Setup) -> list[str]:
    """The command of a training of one batch."""
    limits = ["trainer.max_epochs=1", "+trainer.limit_train_batches=1", "+trainer.limit_val_batches=0"]
    folder = tempfile.mkdtemp(dir=setup.work)
    settings = [*overrides(setup, "auto"), *limits, f"hydra.run.dir='{folder}'"]
    return [sys.executable, str(REPOSITORY / "train.py"), *settings]


COMMANDS: dict[str, Callable[[Setup], list[str]]] = {
    "--help": lambda setup: [sys.executable, str(REPOSITORY / "train.py"), "--help"],
    "first step": first_step,
    "imports": lambda setup: [sys.executable, "-c", "import torch, lightning"],
}


def function(side: str) -> Callable[..., dict[str, Any]]:
    """The function of a side; imports its module."""
    module, name = SIDES[side][0].split(".")
    return getattr(import_module(f"benchmarks.{module}"), name)


def figures(side: str, setup: Setup) -> dict[str, Any]:
    """Run a side in this process: its figures by unit, and the number of threads."""
    measured = function(side)(setup, **SIDES[side][1])
    import torch

    return measured | {"threads": torch.get_num_threads()}
