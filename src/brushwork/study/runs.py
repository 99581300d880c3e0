"""Run folders, found and read."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import yaml

from brushwork import csv_files, files, run_folder
from brushwork.errors import UserError, one_line

log = logging.getLogger(__name__)

# Settings of where and how a run is stored and shown, not of what it computes; and its seed.
_STORED = ("name", "run_dir", "ckpt_path", "keep_last", "callbacks", "logger", "data.store", "baselines.probe")
_IGNORED = (*_STORED, "threads", "data.workers", "seed")


@dataclass(frozen=True)
class Run:
    """A finished run: its result.json, its config, and the columns of its metrics.csv (NaN where empty).

    folds: the runs that were pooled into this one (see `folds.pooled`), whose folder and metrics are the first one's.
    absent: the numbers of folds without a finished run.
    """

    folder: Path
    result: dict[str, Any]
    config: dict[str, Any]
    metrics: dict[str, list[float]]
    folds: tuple["Run", ...] = ()
    absent: tuple[int, ...] = ()

    @property
    def members(self) -> tuple["Run", ...]:
        """The runs that were trained: itself, or its folds."""
        return self.folds or (self,)

    @property
    def part(self) -> str:
        """The part on which it is compared: "val", or of pooled folds "test"."""
        return "test" if self.folds else "val"

    @property
    def head(self) -> str:
        return self.config["head"]["name"]

    @property
    def seed(self) -> int:
        return self.config["seed"]

    @property
    def split(self) -> str:
        """The kind of its split: "random, seed 0"."""
        split = self.config["split"]
        folds = f", {len(self.folds)} of {split['folds']} folds" if self.folds else ""
        return f"{split['name']}, seed {split['seed']}{folds}"

    @property
    def accuracy(self) -> float:
        """Of the last epoch, in [0, 1]: in validation, where the best epoch was chosen; of pooled folds in test."""
        return self.result["test"]["last"]["accuracy"] if self.folds else self.result["last"]["val/accuracy"]


def require_accuracy(runs: Iterable[Run]) -> None:
    """Raises UserError where the last epoch of a run was not validated."""
    for run in runs:
        if not run.result["last"] or run.accuracy is None:
            raise UserError(f"the last epoch of {run.folder} was not validated: leave this run out")


def find(places: Iterable[Path]) -> list[Run]:
    """As `find_all`; runs that are left out are logged."""
    found, left_out = find_all(places)
    for line in left_out:
        log.warning("%s: left out", line)
    return found


def find_all(places: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """The finished runs in and below some folders, sorted by folder; and a line for each run that is left out, with the
    reason: "logs/heads/replace_two is running". Raises UserError where a folder is missing, or there is no run."""
    places = [Path(files.expanded(place)) for place in places]
    found: dict[Path, Run] = {}
    others: dict[Path, str] = {}  # by folder: one may be below two places
    for place in places:
        if not place.is_dir():
            raise UserError(f"there is no folder {place.resolve()}: name run folders, or the folder of a sweep")
        for folder in [path.parent for path in sorted(place.rglob(run_folder.RESULT))]:
            try:
                result = run_folder.read_result(folder)
                if result["status"] == "finished":
                    found[folder.resolve()] = _read(folder, result)
                else:
                    others[folder] = f"is {result['status']}"
            except (OSError, ValueError, KeyError, TypeError) as error:  # damaged, or another program's
                others[folder] = f"holds no run that can be read ({one_line(error)})"
    left_out = [f"{folder} {reason}" for folder, reason in others.items()]
    if not found:
        example = f" ({left_out[0]})" if left_out else ""
        where = ", ".join(str(place.resolve()) for place in places)
        raise UserError(f"no finished run in {where}{example}: train first, for instance with make train")
    return [found[folder] for folder in sorted(found)], left_out


def _read(folder: Path, result: dict[str, Any]) -> Run:
    config = yaml.safe_load((folder / run_folder.CONFIG).read_text(encoding="utf-8", errors="surrogateescape"))
    rows = csv_files.read(folder / run_folder.METRICS)
    metrics = {name: [float(row.get(name) or "nan") for row in rows] for name in run_folder.METRICS_COLUMNS}
    return Run(folder, run_folder.new_result() | result, config, metrics)  # older ones have fewer keys


def map_correlations(run: Run) -> dict[str, dict[int, float]]:
    """How alike the maps of the run's saliency panel are: {column of saliency.csv: {epoch: mean over the paintings}},
    as far as known; epoch 0 is before training."""
    path = run.folder / run_folder.SALIENCY
    values: dict[str, dict[int, list[float]]] = {}
    for row in csv_files.read(path) if path.exists() else []:
        for name in filter(row.get, run_folder.CORRELATIONS):
            values.setdefault(name, {}).setdefault(int(row["epoch"]), []).append(float(row[name]))
    return {name: {epoch: fmean(of) for epoch, of in by_epoch.items()} for name, by_epoch in values.items()}


def zero_maps(run: Run) -> float:
    """The share of the panel's paintings and epochs in which the map, or the one before, was zero everywhere (after a
    final ReLU a score of zero has no gradient): the means leave them out, and may be too high."""
    rows = csv_files.read(run.folder / run_folder.SALIENCY)
    later = [not row["previous"] for row in rows if row["epoch"] != rows[0]["epoch"]]
    return fmean(later) if later else 0.0


def last_maps(run: Run) -> tuple[list[str], np.ndarray]:
    """The paintings of the run's saliency panel and their maps after its last epoch, (paintings, height, width)."""
    rows = csv_files.read(run.folder / run_folder.SALIENCY)
    paintings = [row["path"] for row in rows if row["epoch"] == rows[-1]["epoch"]]
    return paintings, np.load(run.folder / run_folder.SALIENCY_MAPS)


def differences(runs: Iterable[Run]) -> dict[str, set[str]]:
    """The settings in which runs differ, except the seed, and their values: {"head.name": {...}}."""
    settings = [flat(run.config) for run in runs]
    keys = {key for one in settings for key in one if not key.startswith(_IGNORED)}
    values = {key: {str(one.get(key)) for one in settings} for key in sorted(keys)}
    return {key: found for key, found in values.items() if len(found) > 1}


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names: {"head.name": "replace_two", "seed": 0}."""
    settings = {}
    for key, value in config.items():
        settings |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return settings
