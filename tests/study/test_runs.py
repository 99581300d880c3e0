"""Finished runs, found and compared."""

import json
import math
import shutil
from pathlib import Path

import pytest

from brushwork import csv_files, run_folder
from brushwork.errors import UserError
from brushwork.study import figures, runs
from brushwork.study.arms import Arm
from tests.conftest import BOTH_HEADS


def test_found_below_folders_each_once(both_heads: Path) -> None:
    found = runs.find([both_heads, both_heads / BOTH_HEADS[1]])
    assert [run.folder.name for run in found] == BOTH_HEADS
    assert [run.head for run in found] == ["replace_last", "replace_two"]
    for run in found:
        rows = csv_files.read(run.folder / run_folder.METRICS)
        assert run.metrics["epoch"] == [1, 2]
        assert run.metrics["val/accuracy"] == [float(row["val/accuracy"]) for row in rows]


def test_what_differs(both_heads: Path, tmp_path: Path) -> None:
    found = runs.find([both_heads])
    assert runs.differences(found) == {"head.name": {"replace_last", "replace_two"}}
    other = Path(shutil.copytree(both_heads / BOTH_HEADS[0], tmp_path / "other"))
    config = (other / run_folder.CONFIG).read_text().replace("lr: 0.01", "lr: 0.1").replace("seed: 0\n", "seed: 3\n", 1)
    (other / run_folder.CONFIG).write_text(config)
    both = [found[0], *runs.find([other])]
    assert runs.differences(both) == {"optimizer.lr": {"0.01", "0.1"}}


def test_unfinished_runs_are_not_taken(both_heads: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(both_heads / BOTH_HEADS[0], tmp_path / "other"))
    result = json.loads((other / run_folder.RESULT).read_text())
    (other / run_folder.RESULT).write_text(json.dumps(result | {"status": "failed"}))
    with pytest.raises(UserError, match=rf"no finished run in {tmp_path} \({other} is failed\)"):
        runs.find([tmp_path])
    for content in ("{", '{"foo": 1}', "[]"):
        (other / run_folder.RESULT).write_text(content)
        assert len(runs.find([tmp_path, both_heads])) == 2
    with pytest.raises(UserError, match="there is no folder"):
        runs.find([tmp_path / "gone"])


def test_curves_are_the_runs_and_their_mean(both_heads: Path) -> None:
    """Figures 5 to 7, from made-up numbers: an epoch without validation, and a run that is an epoch shorter."""
    (one, two) = runs.find([both_heads])
    columns = ("epoch", "val/accuracy", "train/loss")
    three_epochs = dict(zip(columns, ([1, 2, 3], [0.1, math.nan, 0.4], [3, 2, 1]), strict=True))
    two_epochs = dict(zip(columns, ([1, 2], [0.3, 0.5], [5, 4]), strict=True))
    long, short = (runs.Run(one.folder, one.result, one.config, metrics) for metrics in (three_epochs, two_epochs))
    other = runs.Run(two.folder, two.result, two.config, two_epochs)
    made = [Arm("replace_last", [long, short], {}), Arm("replace_two", [other], {})]
    accuracy, loss = figures.curves(made, ["val/accuracy", "train/loss"]).axes
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in loss.lines}
    assert lines["replace_last (mean of 2 runs)"] == ([1, 2], [4, 3])
    assert lines["replace_two (1 run)"] == ([1, 2], [5, 4])
    assert len(loss.lines) == 3 + 2
    labels = [line.get_label() for line in accuracy.lines]
    known = [name for name, value in one.result["baselines"].items() if value is not None]
    assert {run_folder.BASELINES[name] for name in known} <= set(labels)
    assert len(known) == 3  # random weights have neither probe nor neighbours
    colors = {line.get_label(): line.get_color() for line in loss.lines}
    assert colors["replace_last (mean of 2 runs)"] == "tab:blue"  # as in the report
    assert colors["replace_two (1 run)"] == "tab:red"


def test_where_it_looks(both_heads: Path, tmp_path: Path) -> None:
    """Lines are means over the panel's paintings and the seeds; an arm without ImageNet's network has no such line."""
    made = []
    for number, name in enumerate(BOTH_HEADS):
        folder = Path(shutil.copytree(both_heads / name, tmp_path / name))
        rows = csv_files.read(folder / run_folder.SALIENCY)
        for position, row in enumerate(rows):
            row |= {"previous": "" if row["epoch"] == "0" else 0.2 * position % 1, "others": 0.1 * (number + 1)}
            row |= {"start": "", "imagenet": 0.5 if number == 0 and position % 2 else ""}
        csv_files.write(folder / run_folder.SALIENCY, run_folder.SALIENCY_COLUMNS, rows)
        made.append((rows, folder))
    first, second = runs.find([tmp_path])
    rows, paintings = made[0][0], len({row["path"] for row in made[0][0]})
    expected = [sum(row["previous"] for row in rows if row["epoch"] == epoch) / paintings for epoch in "12"]
    assert runs.map_correlations(first)["previous"] == pytest.approx(dict(zip((1, 2), expected, strict=True)))
    assert (runs.zero_maps(first), runs.zero_maps(second)) == (0, 0)
    second_rows = [row | ({"previous": ""} if row["epoch"] == "2" else {}) for row in made[1][0]]
    csv_files.write(second.folder / run_folder.SALIENCY, run_folder.SALIENCY_COLUMNS, second_rows)
    assert runs.zero_maps(second) == 0.5
    arms = [Arm("replace_last", [first, first], {}), Arm("replace_two", [second], {})]
    previous, imagenet, *strips = figures.where_it_looks(arms, {"replace_last": 0.7}).axes
    assert len(strips) == 2
    lines = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in previous.lines}
    assert lines["replace_last (mean of 2 runs)"] == ([1, 2], pytest.approx(expected))
    floors = [list(line.get_ydata()) for line in previous.lines if line.get_linestyle() == ":"]
    assert floors[:2] == [pytest.approx([0.1] * 3), pytest.approx([0.2] * 3)]
    (star,) = (line for line in previous.lines if line.get_marker() == "*" and len(line.get_xdata()))
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([2], [0.7])
    labels = {line.get_label() for line in imagenet.lines}
    assert "replace_last (mean of 2 runs)" in labels
    assert "replace_two (1 run)" not in labels
    paths, maps = runs.last_maps(first)
    assert (len(paths), maps.shape) == (paintings, (paintings, 64, 64))
