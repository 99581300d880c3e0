"""Runs grouped into arms, and whether arms may be compared."""

import logging

import pytest

from brushwork.errors import UserError
from brushwork.study import arms, runs
from tests.study.conftest import WriteRun

RIGHT = [True, False, True, True]


def test_arms_are_what_differs_but_for_the_seed(write_run: WriteRun) -> None:
    for head in ("replace_two", "replace_last"):
        for seed in (2, 0, 1):
            folder = write_run(f"{head}-{seed}", RIGHT, seed=seed, head=head)
    found = arms.group(runs.find([folder.parent]))
    assert [(arm.name, arm.seeds) for arm in found] == [("replace_last", [0, 1, 2]), ("replace_two", [0, 1, 2])]
    assert [run.folder.name for run in found[1].runs] == ["replace_two-0", "replace_two-1", "replace_two-2"]
    assert arms.warnings(found) == []
    assert [arm.name for arm in arms.with_reference(found, None)] == ["replace_last", "replace_two"]
    assert [arm.name for arm in arms.with_reference(found, "replace_two")] == ["replace_two", "replace_last"]
    with pytest.raises(UserError, match=r"unknown --reference 'replace_to': did you mean 'replace_two'\?"):
        arms.with_reference(found, "replace_to")


def test_a_grid_is_named_by_both_of_its_sides(write_run: WriteRun) -> None:
    for head in ("replace_last", "replace_two"):
        for lr in (0.1, 0.01):
            folder = write_run(f"{head}-{lr}", RIGHT, head=head, settings={"optimizer.lr": lr})
    names = [arm.name for arm in arms.group(runs.find([folder.parent]))]
    assert names == ["replace_last, lr=0.01", "replace_last, lr=0.1", "replace_two, lr=0.01", "replace_two, lr=0.1"]


def test_paths_that_end_alike_are_named_in_full(write_run: WriteRun) -> None:
    folders = [write_run(root[1], RIGHT, settings={"data.root": root}) for root in ("/a/wikiart", "/b/wikiart")]
    names = [arm.name for arm in arms.group(runs.find(folders))]
    assert names == ["data.root=/a/wikiart", "data.root=/b/wikiart"]


def test_of_one_seed_twice_the_later_is_used(write_run: WriteRun, caplog: pytest.LogCaptureFixture) -> None:
    folders = [write_run(name, RIGHT) for name in ("2026-01-01", "2026-01-02")]
    with caplog.at_level(logging.WARNING, "brushwork"):
        (arm,) = arms.group(runs.find(folders))
    assert [run.folder.name for run in arm.runs] == ["2026-01-02"]
    assert caplog.messages == [f"{folders[1]} repeats seed 0: it is used, {folders[0]} is not"]
    with pytest.raises(UserError, match="there is only one arm, replace_last with seed 0: name runs that differ"):
        arms.with_reference([arm], None)


def test_arms_of_other_styles_are_refused(write_run: WriteRun) -> None:
    folders = [write_run("one", RIGHT), write_run("two", RIGHT, head="replace_two", styles=("Baroque", "Rococo"))]
    message = r"have different styles \(only in the first: Realism; only in the second: Rococo\): compare runs"
    with pytest.raises(UserError, match=message):
        arms.with_reference(arms.group(runs.find(folders)), None)


@pytest.mark.parametrize(
    ("other", "warning"),
    [
        ({"split_hash": "t"}, "the runs differ in their split (s, t): they were trained and scored on different"),
        ({"data_hash": "e"}, "the runs differ in their data (d, e): they were trained"),
        ({"device": "cuda"}, "the runs differ in their device (None, cuda): seconds and images/s are not comparable"),
        ({"seed": 7}, "the arms have different seeds (replace_last seed 0; replace_two seed 7): differences are"),
    ],
)
def test_what_makes_arms_incomparable_is_a_warning(write_run: WriteRun, other: dict, warning: str) -> None:
    folders = [write_run("one", RIGHT), write_run("two", RIGHT, head="replace_two", **other)]
    (found,) = arms.warnings(arms.group(runs.find(folders)))
    assert found.startswith(warning)


def test_epochs_are_those_that_were_trained(write_run: WriteRun) -> None:
    folders = [write_run("one", RIGHT), write_run("two", RIGHT, head="replace_two")]
    path = folders[1] / "metrics.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert arms.warnings(arms.group(runs.find(folders))) == [
        "the runs differ in their number of epochs (1, 2): longer training is an advantage"
    ]
