"""Arms of a comparison: runs that differ in nothing but their seed, and whether one arm may be held against another."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brushwork import run_folder
from brushwork.errors import UserError, unknown
from brushwork.study.runs import Run, differences, flat

log = logging.getLogger(__name__)

# Whose values name an arm best: they stand alone, without their key.
_NAMING = ("head.name", "tuning.name", "model.architecture", "split.name", "optimizer._target_", "scheduler._target_")


@dataclass(frozen=True)
class Arm:
    """Runs of the same settings, one a seed, sorted by seed.

    settings: all in which the arms differ, by dotted name.
    """

    name: str
    runs: list[Run]
    settings: dict[str, str]

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]


def group(runs: Sequence[Run]) -> list[Arm]:
    """The arms of some runs, sorted by name; of two runs with the same settings and seed the later folder counts."""
    different = [*differences(runs)]
    members: dict[tuple[str, ...], dict[int, Run]] = {}
    for run in runs:
        settings = flat(run.config)
        same = members.setdefault(tuple(str(settings.get(key)) for key in different), {})
        if run.seed in same:
            log.warning("%s has seed %d again: it counts, %s does not", run.folder, run.seed, same[run.seed].folder)
        same[run.seed] = run
    names = _names([dict(zip(different, values, strict=True)) for values in members])
    arms = [
        Arm(name or runs[0].head, [same[seed] for seed in sorted(same)], dict(zip(different, values, strict=True)))
        for name, (values, same) in zip(names, members.items(), strict=True)
    ]
    return sorted(arms, key=lambda arm: arm.name)


def _names(settings: list[dict[str, str]]) -> list[str]:
    """A name for each arm: as few of its settings as tell the arms apart.

    >>> _names([{"model.init_gain": "1", "head.name": "a"}, {"model.init_gain": "2", "head.name": "b"}])
    ['a', 'b']
    >>> _names([{"optimizer.lr": "0.1", "head.name": "a"}, {"optimizer.lr": "0.2", "head.name": "a"}])
    ['lr=0.1', 'lr=0.2']
    """
    keys, told_apart = [], 1
    for key in sorted(settings[0], key=lambda key: (_NAMING.index(key) if key in _NAMING else len(_NAMING), key)):
        finer = len({tuple(one[k] for k in (*keys, key)) for one in settings})
        if finer > told_apart:
            keys, told_apart = [*keys, key], finer
    short = [", ".join(_short(key, one[key]) for key in keys) for one in settings]
    if len(set(short)) == len(short):
        return short
    return [", ".join(f"{key}={one[key]}" for key in keys) for one in settings]


def _short(key: str, value: str) -> str:
    """
    >>> _short("scheduler._target_", "None"), _short("head.name", "replace_two"), _short("optimizer.lr", "0.1")
    ('no scheduler', 'replace_two', 'lr=0.1')
    """
    if key not in _NAMING:
        return f"{key.rpartition('.')[2]}={shown(key, value)}"
    return f"no {key.partition('.')[0]}" if value == "None" else shown(key, value)


def shown(key: str, value: str) -> str:
    """A setting's value as people read it: of a class its own name, of a path the file's.

    >>> shown("optimizer._target_", "torch.optim.SGD"), shown("model.weights", "weights/alexnet.pth")
    ('SGD', 'alexnet.pth')
    """
    return value.rpartition(".")[2] if key.endswith("_target_") else Path(value).name


def against(arms: Sequence[Arm], reference: str | None) -> list[Arm]:
    """The arms, the one that the others are held against first: by its name, or the first as it is.

    Raises:
        UserError: there is a single arm, or none of that name, or the arms know different styles.
    """
    if len(arms) < 2:
        raise UserError(
            f"there is one arm only, {arms[0].name} with {named(arms[0].seeds)}: name runs that differ in more than "
            f"their seed, as python train.py -m head=replace_last,replace_two seed=0,1,2 makes them"
        )
    if reference is not None and reference not in [arm.name for arm in arms]:
        raise unknown("--reference", reference, [arm.name for arm in arms])
    _refuse_other_styles([run for arm in arms for run in arm.runs])
    return sorted(arms, key=lambda arm: arm.name != reference) if reference else list(arms)


def _refuse_other_styles(runs: Sequence[Run]) -> None:
    first, *others = [(run, _styles(run)) for run in runs]
    for run, styles in others:
        if styles != first[1]:
            raise UserError(
                f"{first[0].folder} and {run.folder} know different styles: only in the first: "
                f"{', '.join(sorted(first[1] - styles)) or 'none'}; only in the second: "
                f"{', '.join(sorted(styles - first[1])) or 'none'}; compare runs of the same"
            )


def _styles(run: Run) -> set[str]:
    return {row["style"] for row in run_folder.read_csv(run.folder / run_folder.SPLIT)}


def named(seeds: Sequence[int]) -> str:
    """Seeds as text: "seeds 0, 1"."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def warnings(arms: Sequence[Arm]) -> list[str]:
    """Why these arms are not, or not in everything, comparable; a line each."""
    runs = [run for arm in arms for run in arm.runs]
    found = []
    for what, values, consequence in [
        ("data", {run.result["data_hash"] for run in runs}, "they learned from and were scored on other paintings"),
        ("split", {run.result["split_hash"] for run in runs}, "they learned from and were scored on other paintings"),
        ("number of epochs", {len(run.metrics["epoch"]) for run in runs}, "who trained longer has an advantage"),
        ("device", {run.result["device"] for run in runs}, "seconds and images/s can't be compared"),
        ("precision", {run.result["precision"] for run in runs}, "seconds and images/s can't be compared"),
        ("number of threads", {run.result["threads"] for run in runs}, "seconds and images/s can't be compared"),
    ]:
        if len(values) > 1:
            listed = ", ".join(sorted(map(str, values)))
            found.append(f"the runs' {what} is not the same ({listed}): {consequence}")
    if len({tuple(arm.seeds) for arm in arms}) > 1:
        seeds = "; ".join(f"{arm.name} {named(arm.seeds)}" for arm in arms)
        found.append(f"the arms' seeds are not the same ({seeds}): differences are of the common ones")
    return found
