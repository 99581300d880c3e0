"""Runs of folds, pooled: of each seed one run, whose test part has every painting once."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from brushwork import files
from brushwork.errors import UserError
from brushwork.study.runs import Run, differences, flat

log = logging.getLogger(__name__)

_FOLD = "split.fold"


def pooled(runs: Sequence[Run]) -> list[Run]:
    """The runs, with those that differ in their fold only replaced by one: see `_pool`.

    Of the folds of a split those are used that all seeds of all arms have; `Run.absent` has the numbers that one lacks.
    Raises UserError where there is none, or a run's test part was not scored.
    """
    of_folds, found = [], []
    for run in runs:
        (found if flat(run.config).get(_FOLD) is None else of_folds).append(run)
    keys = [key for key in differences(of_folds) if key != _FOLD]
    groups: dict[tuple, dict[int, Run]] = {}
    for run in of_folds:
        settings = flat(run.config)
        same, number = groups.setdefault((run.seed, *(str(settings.get(key)) for key in keys)), {}), settings[_FOLD]
        if number in same:
            log.warning("%s repeats fold %d: it is used, %s is not", run.folder, number, same[number].folder)
        if not (run.result["test"] or {}).get("last"):
            raise UserError(f"the test part of {run.folder} was not scored: train this run again, or leave it out")
        same[number] = run
    common: dict[tuple, set[int]] = {}
    for same in groups.values():
        split = _split(same)
        common[split] = common.get(split, set(same)) & set(same)
    for same in groups.values():
        numbers = common[_split(same)]
        if not numbers:
            folder = next(iter(same.values())).folder
            raise UserError(
                f"no fold has a finished run of each seed and arm ({folder} has fold {named(sorted(same))}): "
                f"finish the sweeps, or name runs with the same folds"
            )
        count = next(iter(same.values())).config["split"]["folds"]
        found.append(_pool([same[number] for number in sorted(numbers)], sorted({*range(count)} - same.keys())))
    return found


def _split(same: dict[int, Run]) -> tuple:
    """Names what is divided into folds, and how."""
    split = next(iter(same.values())).config["split"]
    return split["name"], split["seed"], split["folds"]


def _pool(folds: list[Run], absent: list[int]) -> Run:
    """The runs of one seed's folds as one: accuracies of the parts test and known are over all paintings together,
    other figures the mean over the folds."""
    first, results = folds[0], [run.result for run in folds]
    result = _mean(results) | {"split_hash": files.short_hash([one["split_hash"] for one in results])}
    for part in ("test", "known"):
        scored = [one[part] for one in results]
        if all(scored):
            counts = [one["paintings"] for one in scored]
            result[part] = _mean(scored, counts) | {"paintings": sum(counts)}
    split = {key: value for key, value in first.config["split"].items() if key != "fold"}
    return replace(
        first, result=result, config=first.config | {"split": split}, folds=tuple(folds), absent=tuple(absent)
    )


def _mean(values: Sequence[Any], weights: Sequence[int] | None = None) -> Any:
    """Of numbers, and of tables of numbers; of what is neither the common value, or None.

    >>> _mean([{"accuracy": 0.5, "device": "cpu"}, {"accuracy": 0.25, "device": "cpu"}], weights=[1, 3])
    {'accuracy': 0.3125, 'device': 'cpu'}
    """
    if all(isinstance(value, dict) for value in values):
        return {key: _mean([value.get(key) for value in values], weights) for key in values[0]}
    if all(value == values[0] for value in values):
        return values[0]
    if all(isinstance(value, int | float) for value in values):
        return float(np.average(values, weights=weights))
    return None


def named(numbers: Sequence[int]) -> str:
    """Folds as text: "0, 1"."""
    return ", ".join(map(str, numbers))


def described(run: Run) -> str:
    """What was pooled, in sentences; "" for a run that has no folds."""
    if not run.folds:
        return ""
    split, numbers = run.config["split"], [one.config["split"]["fold"] for one in run.folds]
    unseen = "trained on its artist" if split["name"] == "artist_disjoint" else "trained on it"
    return (
        f"Pooled: the test parts of folds {named(numbers)} (of {split['folds']}; split {split['name']}, seed "
        f"{split['seed']}), {run.result['test']['paintings']:,} paintings, each scored once for a seed, by a network "
        f"that was not {unseen}. Validation figures, epochs, calibration and seconds are means over the folds."
    )


def warnings(arm: str, run: Run) -> list[str]:
    """A line where folds are missing, of one seed of an arm."""
    if not run.absent:
        return []
    used = named([one.config["split"]["fold"] for one in run.folds])
    return [f"{arm}, seed {run.seed}: fold {named(run.absent)} has no finished run, pooled are {used}, which all have"]
