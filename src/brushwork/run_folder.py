"""What a run folder holds: names of files, JSON keys, CSV columns (run_folder.yaml). The one definition of it."""

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from brushwork import files

CONFIG = "config.yaml"  # the resolved configuration; .hydra/ is Hydra's own copy
RESULT = "result.json"  # status, best and last epoch, baselines, hashes, versions
METRICS = "metrics.csv"  # one row an epoch
PREDICTIONS = "predictions.csv"  # each held-out painting at the best and at the last epoch
# {part}_{epoch}, val_best say: float32 (paintings, classes), in the order of its predictions; and the
# classes by a probe and nearest neighbours of the initial weights, probe_val say, (paintings,)
LOGITS = "logits.npz"
SPLIT = "split.csv"  # which painting is in which part
SKIPPED = "skipped.csv"  # files left out by data.on_bad_image=skip, with the reason
SALIENCY = "saliency.csv"  # how alike the maps of the saliency panel's paintings are, epoch by epoch
SALIENCY_MAPS = "saliency.npy"  # those of the last epoch, for the true style, float32 (paintings, height, width)
SALIENCY_STRIP = "saliency.jpg"  # the first painting's maps over the epochs
BEST = "checkpoints/best.ckpt"  # weights
LAST = "checkpoints/last.ckpt"  # with the optimizer, while the run is unfinished
LOCK = ".lock"  # held while the run goes on

_SCHEMA = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
METRICS_COLUMNS, PREDICTIONS_COLUMNS = _SCHEMA["metrics"], _SCHEMA["predictions"]
SPLIT_COLUMNS, SKIPPED_COLUMNS = _SCHEMA["split"], _SCHEMA["skipped"]
CORRELATIONS = _SCHEMA["correlations"]
SALIENCY_COLUMNS = ["epoch", "path", *CORRELATIONS]
BASELINES = _SCHEMA["baselines"]  # {name: label}
EPOCH_KEYS = _SCHEMA["epoch"]


def new_result() -> dict[str, Any]:
    """A result.json with all of its keys and nothing known yet; run_folder.yaml explains them."""
    return copy.deepcopy(_SCHEMA["result"])


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result.json of a run folder, or None; a "running" whose process is gone reads as "interrupted"."""
    path = folder / RESULT
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    if result["status"] == "running" and not files.is_locked(folder / LOCK):
        result["status"] = "interrupted"
    return result
