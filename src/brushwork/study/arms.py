"""Arms of a comparison: groups of runs that differ in their seed only, and whether arms are comparable."""

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brushwork import csv_files, run_folder
from brushwork.errors import UserError, unknown
from brushwork.study import folds, predictions
from brushwork.study.predictions import Predictions
from brushwork.study.runs import Run, differences, flat

log = logging.getLogger(__name__)

# Settings whose values name an arm without their key.
_NAMING = ("head.name", "tuning.name", "model.architecture", "split.name", "optimizer._target_", "scheduler._target_")


@dataclass(frozen=True)
class Arm:
    """Runs of the same settings, one a seed, sorted by seed; `settings` are those in which arms differ, by name."""

    name: str
    runs: list[Run]
    settings: dict[str, str]

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]

    @functools.cached_property
    def predictions(self) -> Predictions | None:
        """See `predictions.read`."""
        return predictions.read(self.runs)

    @functools.cached_property
    def known(self) -> Predictions | None:
        """The same for paintings by known artists; None where a run kept none back."""
        scored = all((run.result["known"] or {}).get("last") for run in self.runs)
        return predictions.read(self.runs, "known") if scored else None

    @property
    def members(self) -> list[Run]:
        """The runs that were trained: of a seed with folds these."""
        return [one for run in self.runs for one in run.members]


def group(runs: Sequence[Run]) -> list[Arm]:
    """The arms of some runs, sorted by name; of two runs with the same settings and seed the later folder is used."""
    different = differences(runs)
    members: dict[tuple[str, ...], dict[int, Run]] = {}
    for run in runs:
        settings = flat(run.config)
        same = members.setdefault(tuple(str(settings.get(key)) for key in different), {})
        if run.seed in same:
            log.warning("%s repeats seed %d: it is used, %s is not", run.folder, run.seed, same[run.seed].folder)
        same[run.seed] = run
    settings = [dict(zip(different, values, strict=True)) for values in members]
    arms = []
    for name, of_arm, same in zip(_names(settings), settings, members.values(), strict=True):
        arms.append(Arm(name or runs[0].head, [same[seed] for seed in sorted(same)], of_arm))
    return sorted(arms, key=lambda arm: arm.name)


def _names(settings: list[dict[str, str]]) -> list[str]:
    """A name for each arm: as few of its settings as distinguish the arms.

    >>> _names([{"model.init_gain": "1", "head.name": "a"}, {"model.init_gain": "2", "head.name": "b"}])
    ['a', 'b']
    >>> _names([{"optimizer.lr": "0.1", "head.name": "a"}, {"optimizer.lr": "0.2", "head.name": "a"}])
    ['lr=0.1', 'lr=0.2']
    """
    keys, distinct = [], 1
    for key in [*(key for key in _NAMING if key in settings[0]), *sorted(settings[0].keys() - {*_NAMING})]:
        finer = len({tuple(one[k] for k in (*keys, key)) for one in settings})
        if finer > distinct:
            keys, distinct = [*keys, key], finer
    short = [", ".join(_short(key, one[key]) for key in keys) for one in settings]
    full = [", ".join(f"{key}={one[key]}" for key in keys) for one in settings]
    return short if len(set(short)) == len(short) else full


def _short(key: str, value: str) -> str:
    """
    >>> _short("scheduler._target_", "None"), _short("head.name", "replace_two"), _short("optimizer.lr", "0.1")
    ('no scheduler', 'replace_two', 'lr=0.1')
    """
    if key not in _NAMING:
        return f"{key.rpartition('.')[2]}={shown(key, value)}"
    return f"no {key.partition('.')[0]}" if value == "None" else shown(key, value)


def shown(key: str, value: str) -> str:
    """A setting's value for display: the name of a class without its module, of a file without its folder.

    >>> shown("optimizer._target_", "torch.optim.SGD"), shown("model.weights", "weights/alexnet.pth")
    ('SGD', 'alexnet.pth')
    """
    return value.rpartition(".")[2] if key.endswith("_target_") else Path(value).name


def with_reference(arms: Sequence[Arm], reference: str | None) -> list[Arm]:
    """The arms, the reference first. Raises UserError where there is a single arm (but for one of folds), none has that
    name, only some have folds, or the arms have different styles."""
    if len(arms) < 2 and not arms[0].runs[0].folds:
        raise UserError(
            f"there is only one arm, {arms[0].name} with {named(arms[0].seeds)}: name runs that differ in more than "
            f"their seed, such as those of python train.py -m head=replace_last,replace_two seed=0,1,2"
        )
    if reference is not None and reference not in [arm.name for arm in arms]:
        raise unknown("--reference", reference, [arm.name for arm in arms])
    first = arms[0].runs[0]
    for arm in arms:
        if arm.runs[0].part != first.part:
            names = [one.name for one in (arms[0], arm)]
            with_folds, without = names if first.folds else reversed(names)
            raise UserError(
                f"{with_folds} has folds, whose test parts are pooled, and {without} has none: compare runs of one kind"
            )
    expected = styles(first)
    for run in (run for arm in arms for run in arm.runs):
        if (found := styles(run)) != expected:
            only = [", ".join(sorted(some)) or "none" for some in (expected - found, found - expected)]
            where = f"only in the first: {only[0]}; only in the second: {only[1]}"
            raise UserError(
                f"{first.folder} and {run.folder} have different styles ({where}): compare runs with the same styles"
            )
    return sorted(arms, key=lambda arm: arm.name != reference) if reference else list(arms)


def on_same_paintings(arms: Sequence[Arm]) -> bool:
    """Whether all arms were scored on the same paintings."""
    paintings = [None if (read := arm.predictions) is None else [*read.paths, *read.styles] for arm in arms]
    return None not in paintings and all(one == paintings[0] for one in paintings)


def styles(run: Run) -> set[str]:
    """The styles of a run's paintings."""
    return {row["style"] for row in csv_files.read(run.folder / run_folder.SPLIT)}


def named(seeds: Sequence[int]) -> str:
    """Seeds as text: "seeds 0, 1"."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def warnings(arms: Sequence[Arm]) -> list[str]:
    """What makes these arms less comparable, a line each."""
    runs = [run for arm in arms for run in arm.runs]
    members = [run for arm in arms for run in arm.members]
    paintings, speed = "they were trained and scored on different paintings", "seconds and images/s are not comparable"
    found = []
    for what, key, consequence in [
        ("data", "data_hash", paintings),
        ("split", "split_hash", paintings),
        ("number of epochs", "epochs", "longer training is an advantage"),
        ("device", "device", speed),
        ("precision", "precision", speed),
        ("number of threads", "threads", speed),
    ]:
        of = runs if key == "split_hash" else members  # each fold is a split of its own
        values = sorted({str((run.result | {"epochs": len(run.metrics["epoch"])})[key]) for run in of})
        if len(values) > 1:
            found.append(f"the runs differ in their {what} ({', '.join(values)}): {consequence}")
    found += [line for arm in arms for run in arm.runs for line in folds.warnings(arm.name, run)]
    return found + different_seeds([(arm.name, arm.seeds) for arm in arms])


def different_seeds(arms: Sequence[tuple[str, list[int]]]) -> list[str]:
    """A warning where arms, by name, do not have the same seeds."""
    if len({tuple(seeds) for _, seeds in arms}) == 1:
        return []
    listed = "; ".join(f"{name} {named(seeds)}" for name, seeds in arms)
    return [f"the arms have different seeds ({listed}): differences are computed on the common ones"]
