"""What a run folder holds: names of files, JSON keys, CSV columns (run_folder.yaml). The one definition of it."""

import copy
import csv
import functools
import io
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from brushwork import files

CONFIG = "config.yaml"  # the resolved configuration; .hydra/ is Hydra's own copy
RESULT = "result.json"  # status, best and last epoch, baselines, hashes, versions
METRICS = "metrics.csv"  # one row an epoch
PREDICTIONS = "predictions.csv"  # each held-out painting at the best and at the last epoch
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


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV atomically; a column that a row lacks stays empty, what is no column is left out."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of one of our CSVs, all values as text."""
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


# Overrides that say how a run is kept and shown, not what it is; and those that `slug` names anyway.
_UNNAMED = {
    "name",
    "run_dir",
    "keep_last",
    "threads",
    "callbacks",
    "logger",
    "data.workers",
    "data.store",
    "head",
    "tuning",
    "seed",
}


def slug(name: str, head: str, tuning: str, seed: int, overrides: Iterable[str]) -> str:
    """Head, tuning, what differs from the defaults, and seed, as a folder's name: TensorBoard's name of the run.

    It is the same for the same overrides in any order. Choices of config groups stand alone, other keys follow
    with their last part. Of a value that is no plain word (a path, a list) there are four digits of its hash.

    >>> slug("wikiart", "replace_two", "full", 0, ["seed=0", "head=replace_two"])
    'replace_two_full_seed-0'
    >>> slug("wikiart", "replace_last", "full", 1, ["optimizer.lr=0.01", "model=vgg16"])
    'replace_last_full_vgg16_lr-0.01_seed-1'
    >>> slug("wikiart", "replace_last", "full", 0, ["data.root=../shared/paintings"])
    'replace_last_full_root-ca58_seed-0'
    """
    choices, values = {}, {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key in _UNNAMED or key.startswith(("callbacks.", "logger.")) or value == name:
            continue
        plain = value if re.fullmatch(r"[\w.+-]+", value) else files.short_hash(value)[:4]
        if "." not in key and not re.fullmatch(r"[\d.+-]*", value):
            choices[key] = plain
        else:
            short = key if key.endswith(".seed") else key.rsplit(".", 1)[-1]  # there are two seeds
            values[key] = f"{short.replace('.', '-')}-{plain}"
    others = [group[key] for group in (choices, values) for key in sorted(group)]
    joined = "_".join([head, tuning, *others])
    if len(joined) > 160:
        joined = f"{joined[:150]}-{files.short_hash(joined)[:8]}"
    return f"{joined}_seed-{seed}"


@functools.cache
def fresh(parent: str, what: str) -> str:
    """Make a new folder parent/<time stamp>_<what> that no other run has, and return its path.

    One process has one such folder, however often its configuration is resolved.
    """
    stem = "_".join(filter(None, [datetime.now().strftime("%Y-%m-%d_%H-%M-%S"), what]))
    for attempt in range(1, 1000):
        folder = Path(parent) / (stem if attempt == 1 else f"{stem}_{attempt}")
        try:
            folder.mkdir(parents=True, exist_ok=False)
        except FileExistsError:
            continue
        return str(folder)
    raise FileExistsError(f"a thousand runs named {stem} in {parent}")
