"""Runs over data, weights, tuning, split and budget, sorted from written run folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from brushwork import run_folder
from brushwork.errors import UserError
from brushwork.study import runs
from brushwork.study.finetune_or_scratch import grid as grids
from brushwork.study.finetune_or_scratch.figure import accuracy_by_data
from brushwork.study.finetune_or_scratch.grid import Budget
from tests.study.conftest import WriteGridRun, WriteRun

PLATEAU = {"patience": 5, "trainer.max_epochs": 60}


def test_lines_run_from_few_paintings_to_many(write_grid_run: WriteGridRun) -> None:
    for fraction in (1.0, 0.25):
        for seed in (1, 0):
            write_grid_run("imagenet", "full", fraction, seed, right=8 + seed)
            write_grid_run(None, "head_only", fraction, seed, right=4)
    folder = write_grid_run("imagenet", "full", 0.25, 0, right=9, redraw=True)
    grid = grids.read(runs.find([folder.parent]))
    (panel,) = grid.panels
    assert (panel.name, panel.amounts) == ("random split, 5 epochs", {0.25: 10, 1.0: 40})
    names = ["ImageNet full", "random head_only", "redrawn full"]
    assert [points[0].arm.name for points in panel.lines.values()] == names
    assert [(point.paintings, point.arm.seeds, point.accuracies) for point in panel.lines["pretrained", "full"]] == [
        (10, [0, 1], [0.4, 0.45]),
        (40, [0, 1], [0.4, 0.45]),
    ]
    assert panel.lines["redrawn", "full"][0].accuracies == [0.45]
    assert ("random", "full") not in panel.lines
    assert (grid.weights, grid.architecture, grid.styles, grid.is_demo) == ("ImageNet", "alexnet", 2, False)


def test_baselines_are_means_over_seeds_by_amount(write_grid_run: WriteGridRun) -> None:
    """Of two arms that share their paintings each seed counts once: (0.2 + 0.4) / 2."""
    for seed, accuracy in ((0, 0.2), (1, 0.4)):
        for weights in ("imagenet", None):
            known = {"majority": 0.5, "artist_lookup": accuracy, "color_texture": None}
            folder = write_grid_run(weights, "full", 0.25, seed, baselines=known)
    write_grid_run("imagenet", "classifier", 0.25, 0, baselines=known | {"artist_lookup": 0.2})
    (panel,) = grids.read(runs.find([folder.parent])).panels
    assert panel.baselines == {"majority": {10: 0.5}, "artist_lookup": {10: pytest.approx(0.3)}}


def test_runs_from_before_the_settings_are_of_all_data_and_a_fixed_budget(write_run: WriteRun) -> None:
    folder = write_run("old", [True] * 4, train=12, settings={"tuning.name": "head_only"})
    new = {"data.train_fraction": 1, "model.redraw": False, "patience": None}
    write_run("new", [True] * 4, seed=1, train=12, settings=new | {"tuning.name": "head_only"})
    (panel,) = grids.read(runs.find([folder.parent])).panels
    assert panel.budget == Budget(None, 2)
    (point,) = panel.points
    assert (point.fraction, point.paintings, point.arm.seeds) == (1.0, 12, [0, 1])


def test_panels_by_split_and_budget(write_grid_run: WriteGridRun) -> None:
    for split in ("artist_disjoint", "random"):
        for settings in (PLATEAU, {}):
            folder = write_grid_run("imagenet", "full", 1.0, split=split, settings=settings)
    names = [panel.name for panel in grids.read(runs.find([folder.parent])).panels]
    assert names == [
        "random split, 5 epochs",
        "random split, to plateau (patience 5, at most 60 epochs)",
        "artist-disjoint split, 5 epochs",
        "artist-disjoint split, to plateau (patience 5, at most 60 epochs)",
    ]


def other_validation(folder: Path) -> None:
    path = folder / run_folder.SPLIT
    path.write_text(path.read_text().replace("artist-0_0.jpg", "artist-0_other.jpg"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"settings": {"optimizer.lr": 0.1}},
            r"the runs differ in optimizer\.lr \(0\.01 and 0\.1\), which is not an axis",
        ),
        ({"settings": {"split.seed": 1}}, r"the runs differ in split\.seed \(0 and 1\)"),
        ({"data_hash": "e"}, "have different data: name runs on the same paintings"),
        ({"weights": "some.pth"}, r"start from several weights \(imagenet, some\.pth\)"),
        ({"weights": None, "redraw": True}, "model.redraw=true but no model.weights to redraw"),
        ({"last": {"epoch": 5, "val/accuracy": None}}, "was not validated: leave this run out"),
        ({"spoil": other_validation}, "of split random validate on different paintings: leave one out"),
    ],
)
def test_what_no_grid_may_mix_is_refused(write_grid_run: WriteGridRun, change: dict, message: str) -> None:
    spoil: Callable = change.pop("spoil", lambda folder: None)
    folder = write_grid_run("imagenet", "full", 1.0)
    spoil(write_grid_run(change.pop("weights", "imagenet"), "full", 0.25, **change))
    with pytest.raises(UserError, match=message) as caught:
        grids.read(runs.find([folder.parent]))
    assert "\n" not in str(caught.value)


def test_what_makes_figures_less_comparable_is_a_warning(write_grid_run: WriteGridRun) -> None:
    cut = {"patience": 1, "trainer.max_epochs": 2}  # two epochs were written
    folder = write_grid_run("imagenet", "full", 1.0, settings=cut, precision="32-true")
    write_grid_run("imagenet", "full", 0.25, 1, settings=cut | {"trainer.max_epochs": 9}, precision="bf16-mixed")
    assert grids.read(runs.find([folder.parent])).warnings == [
        "the runs differ in precision (32-true, bf16-mixed), which may cause differences",
        "the arms have different seeds (ImageNet full on 1 seed 0; ImageNet full on 1/4 seed 1): differences are "
        "computed on the common ones",
        f"1 of 2 runs to plateau reached trainer.max_epochs first, for example {folder.name}: with more epochs they "
        "might be better",
    ]


def test_weights_from_a_file_are_named_by_it(write_grid_run: WriteGridRun) -> None:
    (panel,) = grids.read(runs.find([write_grid_run("/there/alexnet-owt.pth", "full", 1.0)])).panels
    assert panel.points[0].arm.name == "alexnet-owt.pth full"


def test_the_figure_has_a_line_for_each_arm(write_grid_run: WriteGridRun) -> None:
    """Accuracies 8, 9 and 10 of 20 paintings, and half of them: the line is their mean, the band their ends."""
    for split in ("random", "artist_disjoint"):
        for seed in (0, 1, 2):
            for fraction, times in ((0.25, 1), (1.0, 2)):
                for weights in ("imagenet", None):
                    folder = write_grid_run(weights, "full", fraction, seed, right=times * (4 + seed), split=split)
                write_grid_run("imagenet", "head_only", fraction, seed, right=1, split=split)
    write_grid_run("imagenet", "full", 0.25, settings=PLATEAU)
    grid = grids.read(runs.find([folder.parent]))
    figure = accuracy_by_data(grid.panels)
    random, plateau, disjoint, empty = figure.axes
    assert (disjoint.get_title(), empty.get_visible()) == ("artist-disjoint split, 5 epochs", False)
    arms = {"ImageNet full", "ImageNet head_only", "random full"}
    baselines = {"majority (no pixel)", "artist look-up (no pixel)"}
    for axes, names in ((random, arms), (disjoint, arms), (plateau, {"ImageNet full"})):
        assert {line.get_label() for line in axes.lines} == names | baselines
    drawn = {line.get_label(): line for line in random.lines}
    assert list(drawn["ImageNet full"].get_xdata()) == [10, 40]
    assert list(drawn["ImageNet full"].get_ydata()) == pytest.approx([0.25, 0.5])
    assert drawn["ImageNet full"].get_color() == drawn["ImageNet head_only"].get_color()
    assert drawn["ImageNet full"].get_color() != drawn["random full"].get_color()
    assert drawn["ImageNet full"].get_marker() == drawn["random full"].get_marker()
    assert drawn["ImageNet full"].get_marker() != drawn["ImageNet head_only"].get_marker()
    bands = [band.get_paths()[0].get_extents() for band in random.collections]
    assert (bands[0].y0, bands[0].y1) == pytest.approx((0.2, 0.6))
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert {"ImageNet", "random", "all layers", "new layer only"} | baselines <= set(labels)
    assert "classifier" not in labels  # nothing of it is drawn
