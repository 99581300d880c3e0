"""What a run folder contains: file names, JSON keys, CSV columns, each defined here only.

config.yaml        the resolved configuration        .hydra/   Hydra's own copy
result.json        status, best and last epoch, baselines, hashes, versions (see `new_result`)
metrics.csv        one row an epoch
predictions.csv    each held-out painting at the best and at the last epoch
split.csv          which painting is in which part
skipped.csv        files left out by data.on_bad_image=skip, with the reason
saliency.csv       correlations of the saliency maps of the panel's paintings, one row a painting and epoch
saliency.npy       the maps of the last epoch in its order, for the true style, float32 (paintings, height, width)
saliency.jpg       the first painting's maps over the epochs
checkpoints/       best.ckpt (weights), last.ckpt (with the optimizer, while the run is unfinished)
events.out.*       TensorBoard
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brushwork import files

CONFIG = "config.yaml"
RESULT = "result.json"
METRICS = "metrics.csv"
PREDICTIONS = "predictions.csv"
SPLIT = "split.csv"
SKIPPED = "skipped.csv"
SALIENCY = "saliency.csv"
SALIENCY_MAPS = "saliency.npy"
SALIENCY_STRIP = "saliency.jpg"
BEST = "checkpoints/best.ckpt"
LAST = "checkpoints/last.ckpt"
LOCK = ".lock"

METRICS_COLUMNS = (
    "epoch",
    "train/loss",
    "train/accuracy",
    "val/loss",
    "val/accuracy",
    "val/balanced_accuracy",
    "val/macro_f1",
    "learning_rate",
    "train_images",
    "train_seconds",
    "seconds",
)
PREDICTIONS_COLUMNS = ("part", "epoch", "path", "artist", "style", "predicted", "probability")
SPLIT_COLUMNS = ("path", "style", "artist", "part")
SKIPPED_COLUMNS = ("path", "reason")
# Spearman's rank correlation of a painting's map with the previous panel's, with the one before training, with that of
# ImageNet's own network (see SaliencyLogger), and the mean correlation with the other paintings' maps.
CORRELATIONS = ("previous", "start", "imagenet", "others")
SALIENCY_COLUMNS = ("epoch", "path", *CORRELATIONS)

# What is scored without a network, as tables name it.
BASELINES = {
    "majority": "majority (no pixel)",
    "artist_lookup": "artist look-up (no pixel)",
    "color_texture": "colour and texture (no network)",
}

# The keys of `best` and `last`; epochs are counted from 1. "val/recall" is {style: recall or "n/a"}.
EPOCH_KEYS = (
    "epoch",
    "val/accuracy",
    "val/balanced_accuracy",
    "val/macro_f1",
    "val/loss",
    "train/loss",
    "train/accuracy",
    "val/recall",
)


def new_result() -> dict[str, Any]:
    """A result.json with all of its keys and no values yet.

    `status` is one of running, finished, failed, diverged and interrupted. `test` is null without a test part,
    else it has `paintings`, the `baselines` there, and for the `best` and the `last` epoch its accuracy, with
    interval, balanced accuracy, macro F1, loss and recall. `seconds` are of the epochs; what was computed before the
    first and kept (the painting store, frozen features) is in `prepare_seconds`.
    """
    none = dict.fromkeys
    return {
        "status": "running",
        **none(("error", "name", "data", "weights", "best", "last", "test", "val_interval_95")),
        "baselines": none(BASELINES),
        "baseline_intervals_95": none(BASELINES),
        "parameters": none(("total", "trainable")),
        **none(
            ("prepare_seconds", "seconds", "images_per_second", "seed", "threads", "device", "precision", "command")
        ),
        **none(("config_hash", "data_hash", "split_hash", "git_commit")),
        "versions": {},
    }


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result.json of a run folder, or None where there is none.

    A "running" whose process is gone reads as "interrupted".
    """
    path = folder / RESULT
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    if result["status"] == "running" and not files.is_locked(folder / LOCK):
        result["status"] = "interrupted"
    return result


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV atomically; missing keys stay empty, keys that are no columns are left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a run folder's CSV, all values as text."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))
