"""Fine-tune or train from scratch: gains and crossovers computed by hand, and what is said of every outcome."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from brushwork import run_folder
from brushwork.statistics import Spread
from brushwork.study import data_grid, finetune_or_scratch, runs
from brushwork.study import finetune_or_scratch_tables as tables
from brushwork.study import finetune_or_scratch_text as text
from brushwork.study.comparison import Difference
from brushwork.study.data_grid import Budget, Grid, Panel
from brushwork.study.finetune_or_scratch import FINE_TUNED, FROZEN, PAIRS, SCALE, Answered, Gain, Missing, Pair, Result
from tests.conftest import REPOSITORY, Run
from tests.study.conftest import WriteGridRun

REPORT, PLATEAU = Budget(None, 5), Budget(5, 60)


def test_budgets_are_those_of_the_configuration() -> None:
    files = sorted((REPOSITORY / "conf/budget").glob("*.yaml"))
    written = {path.stem: yaml.safe_load(path.read_text()) for path in files}
    assert {Budget(one["patience"], one["trainer"]["max_epochs"]): name for name, one in written.items()} == {
        REPORT: "report",
        PLATEAU: "plateau",
    }
    assert text.to_train(("random", "full"), [(Panel("random", REPORT, [], {}, {}), [1.0])]).command.endswith(
        "budget=report"
    )


@pytest.fixture
def crossing(write_grid_run: WriteGridRun) -> Path:
    """Of 20 paintings fine-tuned ones get 8, 9 and 10 more right when 10 train, and 2, 3 and 4 fewer when 40 do."""
    for seed in (0, 1, 2):
        write_grid_run("imagenet", "full", 0.25, seed, right=12 + seed)
        write_grid_run(None, "full", 0.25, seed, right=4)
        write_grid_run("imagenet", "full", 1.0, seed, right=10)
        folder = write_grid_run(None, "full", 1.0, seed, right=12 + seed)
    return folder.parent


def answer(folder: Path) -> tuple[Grid, list[Answered]]:
    grid = data_grid.read(runs.find([folder]))
    return grid, finetune_or_scratch.answer(grid)


def gain(paintings: int, mean: float, shown: bool = True, pair: Pair = FINE_TUNED) -> Gain:
    """A gain whose interval over seeds is 2 points to both sides."""
    arm, reference = (" ".join(side).replace("pretrained", "ImageNet") for side in (pair.arm, pair.reference))
    spread = Spread(mean, 0.008, (mean - 0.02, mean + 0.02), 3)
    by_seed = [mean - 0.008, mean, mean + 0.008]
    p = 0.001 if shown else 0.5
    return Gain(paintings, Difference(arm, reference, [0, 1, 2], by_seed, spread, p, None, [], 30, p_corrected=p))


def answered(
    gains: dict[Pair, list[Gain]], missing: dict[Pair, list[Missing]] | None = None, budget: Budget = REPORT
) -> Answered:
    """A panel of 1/16 and all of 2,240 paintings."""
    panel = Panel("random", budget, [], {0.0625: 140, 1.0: 2240}, {})
    missing = missing or {}
    return Answered(
        panel,
        [
            Result(pair, found := gains.get(pair, []), finetune_or_scratch.crossovers(found), missing.get(pair, []))
            for pair in PAIRS
        ],
    )


def grid(*of: Answered, is_demo: bool = False) -> Grid:
    return Grid([one.panel for one in of], "ImageNet", "alexnet", 7, is_demo, [])


def said(*of: Answered) -> list[Sequence[str]]:
    return [one.says for one in text.answers(grid(*of), of)]


def test_gains_are_paired_by_seed_and_corrected_by_question(crossing: Path, write_grid_run: WriteGridRun) -> None:
    """8, 9 and 10 of 20: 45 points, t = 9 sqrt 3, p = 1 - t / sqrt(t^2 + 2); times two amounts of data."""
    for seed, right in ((0, 2), (1, 3), (7, 20)):
        write_grid_run(None, "head_only", 0.25, seed, right=right)
        write_grid_run("imagenet", "head_only", 0.25, seed + 1, right=right + 2)
    _, (one,) = answer(crossing)
    small, large = one.of(FINE_TUNED).gains
    assert (small.paintings, large.paintings) == (10, 40)
    assert small.difference.by_seed == pytest.approx([0.4, 0.45, 0.5])
    assert large.difference.by_seed == pytest.approx([-0.1, -0.15, -0.2])
    t = 9 * 3**0.5
    assert small.difference.p == pytest.approx(1 - t / (t**2 + 2) ** 0.5)
    assert small.difference.p_corrected == pytest.approx(2 * small.difference.p)
    assert (small.difference.arm, small.difference.reference) == ("ImageNet full", "random full")
    (frozen,) = one.of(FROZEN).gains
    assert (frozen.difference.seeds, frozen.difference.by_seed) == ([1], [pytest.approx(0.05)])
    assert one.of(SCALE).gains == []


def test_the_crossover_is_interpolated_in_the_logarithm(crossing: Path) -> None:
    """From +45 to -15 points: three quarters of the two doublings from 10 to 40, at 10 * 2^1.5; seeds at 2^1.6 (from
    +40 to -10), 2^1.5 and 2^(10/7). After it only two artists of ten make the loss: it is not shown."""
    _, (one,) = answer(crossing)
    (crossover,) = one.of(FINE_TUNED).crossovers
    assert crossover.paintings == pytest.approx(10 * 2**1.5)
    assert crossover.by_seed == pytest.approx({0: 10 * 2**1.6, 1: 10 * 2**1.5, 2: 10 * 2 ** (10 / 7)})
    assert (crossover.rises, crossover.shown_before, crossover.shown_after) == (False, True, False)
    assert text.crossover(one.of(FINE_TUNED)) == (
        "from about 28 paintings on random full is at least as good as ImageNet full (seed by seed from 27 to 30; "
        "that ImageNet full is better before is shown; that random full is better after is not)"
    )


@pytest.mark.parametrize(
    ("gains", "told"),
    [
        ([gain(140, 0.1), gain(2240, 0.05)], "no crossover of {} up to 2,240 paintings: on average A is never behind"),
        ([gain(140, -0.1), gain(560, 0.0)], "no crossover of {} up to 560 paintings: on average B is never behind"),
        ([gain(140, 0.0), gain(560, 0.0)], "no crossover of {} up to 560 paintings: their means are equal"),
        (
            [gain(64, 0.1, shown=False), gain(256, -0.1, shown=False)],
            "no crossover of {} up to 256 paintings is called: the mean difference changes sign near 128, but is shown "
            "on neither side",
        ),
        (
            [gain(64, 0.1), gain(256, -0.1)],
            "from about 128 paintings on B is at least as good as A (seed by seed from 121 to 135; that A is better "
            "before and B after is shown)",
        ),
        (
            [gain(64, -0.004, shown=False), gain(256, 0.004)],
            "from about 128 paintings on A is at least as good as B (seed by seed at 128, and 2 of 3 seeds not at all; "
            "that A is better after is shown; that B is better before is not)",
        ),
        ([gain(140, 0.1)], "a crossover needs at least two amounts of data with both arms"),
    ],
)
def test_a_crossover_is_called_only_where_a_difference_is_shown(gains: list[Gain], told: str) -> None:
    """Seeds are 0.8 points apart: from +9.2 to -10.8 the first crosses over at 64 * 2^0.92 = 121."""
    found = text.crossover(Result(FINE_TUNED, gains, finetune_or_scratch.crossovers(gains), []))
    assert found == told.format("A and B").replace("A", "ImageNet full").replace("B", "random full")


def test_each_crossing_has_its_own_sides() -> None:
    """Of two crossings only the first has a shown difference beside it, far on its left."""
    means = [(64, 0.2, True), (128, 0.1, False), (256, -0.1, False), (512, 0.1, False)]
    first, second = finetune_or_scratch.crossovers([gain(*one) for one in means])
    assert (first.shown_before, first.shown_after, first.rises) == (True, False, False)
    assert (second.is_called, second.rises) == (False, True)
    assert second.paintings == pytest.approx(256 * 2**0.5)


def test_where_fine_tuning_is_better() -> None:
    """To every outcome of the report's questions; 10 points at the fewest paintings, 4 at the most."""
    small, large, different = said(answered({FINE_TUNED: [gain(140, 0.1), gain(2240, 0.04)]}))
    assert small == [
        "On these data fine-tune: with the fewest paintings of each panel, in 1 of 1 comparison ImageNet full is "
        "better than random full (means: +10.0 points)",
        "random split, 5 epochs, 140 paintings: ImageNet full is better than random full by 10.0 points [8.0, 12.0]",
    ]
    assert large[0].startswith("On these data fine-tune: with the most paintings of each panel, in 1 of 1")
    assert large[1].endswith("2,240 paintings: ImageNet full is better than random full by 4.0 points [2.0, 6.0]")
    assert large[2] == (
        "random split, 5 epochs: no crossover of ImageNet full and random full up to 2,240 paintings: on average "
        "ImageNet full is never behind"
    )
    assert different == [
        "On these data fine-tune: in 2 of 2 comparisons ImageNet full is better than random full (means: +4.0 to "
        "+10.0 points)"
    ]


def test_where_training_from_scratch_is_better() -> None:
    small, large, different = said(answered({FINE_TUNED: [gain(140, -0.1), gain(2240, -0.04)]}))
    assert small[0].startswith("On these data train from scratch: ")
    assert small[1].endswith("ImageNet full is worse than random full by 10.0 points [8.0, 12.0]")
    assert large[0].startswith("On these data train from scratch: ")
    assert large[2].endswith("on average random full is never behind")
    assert different[0].startswith("On these data train from scratch: in 2 of 2 comparisons ImageNet full is worse")


def test_where_no_difference_is_shown() -> None:
    gains = {FINE_TUNED: [gain(140, 0.1, False), gain(2240, 0.04, False)], SCALE: [gain(140, 0.001, False, SCALE)]}
    small, large, different = said(answered(gains))
    for lines in (small, large, different):
        assert lines[0].startswith("These data don't decide: ")
    assert small[1].endswith("no difference shown between ImageNet full and random full: +10.0 points [8.0, 12.0]; to "
                             "show one of 1 point you would need about 30 seeds")  # fmt: skip
    assert different == [
        "These data don't decide: no difference is shown between ImageNet full and random full in any of 2 comparisons "
        "(means: +4.0 to +10.0 points)",
        "does the scale alone help? redrawn against random: no difference is shown between redrawn full and random "
        "full (means: +0.1 points)",
    ]


def test_where_it_depends() -> None:
    few = answered({FINE_TUNED: [gain(140, 0.1), gain(2240, -0.04)]})
    long = answered({FINE_TUNED: [gain(140, 0.1), gain(2240, 0.01, False)]}, budget=PLATEAU)
    small, large, different = said(few, long)
    assert small[0].startswith("On these data fine-tune: ")
    assert large[0].startswith("On these data train from scratch, if anything: with the most paintings of each panel, ")
    assert "in 1 of 2 comparisons ImageNet full is worse than random full; in 1 no difference is shown" in large[0]
    assert large[3].startswith("random split, 5 epochs: from about ")
    assert different[0] == (
        "On these data it depends: in 2 of 4 comparisons ImageNet full is better than random full; in 1 ImageNet full "
        "is worse than random full; in 1 no difference is shown (means: -4.0 to +10.0 points)"
    )


def test_missing_runs_are_named_with_the_command_that_trains_them() -> None:
    lacks = [Missing(("random", "full"), [0.0625])]
    gains = {FINE_TUNED: [gain(2240, 0.04)]}
    both = [
        answered(gains, {FINE_TUNED: lacks, SCALE: [Missing(("redrawn", "full"), [0.0625, 1.0])]}),
        answered(gains, {FINE_TUNED: lacks}, PLATEAU),
    ]
    small, large, different = text.answers(grid(*both), both)
    where = "random split, 5 epochs, 1/16 of the data; random split, to plateau (patience 5, at most 60 epochs), 1/16"
    assert small.says == ["Nothing: the arms of this question are not among these runs"]
    (needed,) = small.to_train
    assert needed.what == (
        f"not answered for want of finished runs of random full with the seeds of the other arm ({where} of the data): "
        f"train them with the settings that these runs share"
    )
    assert needed.command == (
        "python train.py -m experiment=finetune_or_scratch model.weights=null tuning=full data.train_fraction=0.0625 "
        "split=random budget=report,plateau"
    )
    assert large.to_train == []
    assert different.to_train[0] == needed
    assert "(random split, 5 epochs, 1/16 and all of the data)" in different.to_train[1].what
    assert different.to_train[1].command.endswith(
        "model.weights=imagenet model.redraw=true tuning=full data.train_fraction=0.0625,1 split=random budget=report"
    )
    assert f": `{needed.command}`\n" in tables.markdown(grid(*both), both, [], "x.png")


def test_what_is_missing_is_found(write_grid_run: WriteGridRun) -> None:
    """Scratch lacks an amount; frozen arms share no seed; of a whole arm every amount is missing."""
    write_grid_run("imagenet", "full", 0.25)
    write_grid_run("imagenet", "full", 1.0)
    write_grid_run(None, "full", 1.0)
    write_grid_run("imagenet", "head_only", 1.0, 0)
    folder = write_grid_run(None, "head_only", 1.0, 1)
    _, (one,) = answer(folder.parent)
    assert one.of(FINE_TUNED).missing == [Missing(("random", "full"), [0.25])]
    both = [Missing((weights, "head_only"), [0.25, 1.0]) for weights in ("pretrained", "random")]
    assert one.of(FROZEN).missing == both
    assert one.of(SCALE).missing == [Missing(("redrawn", "full"), [0.25, 1.0]), Missing(("random", "full"), [0.25])]


def test_what_these_data_do_not_carry_hangs_on_the_runs() -> None:
    one = answered({FINE_TUNED: [gain(140, 0.1), gain(2240, 0.04)]})
    small, large, different = (each.not_carried for each in text.answers(grid(one), [one]))
    assert small[0].startswith(
        "'Similar' was not varied: there is one target, paintings of 7 styles, which differ from"
    )
    assert small[1] == "'Small' is 140 paintings of 7 styles here; of fewer nothing is known"
    assert large[1].startswith("'Large' is 2,240 paintings here, where ImageNet has 1,281,167 photographs")
    assert different[0].startswith("How different data are from those of the weights was not varied")
    limits = " ".join(text.not_carried(grid(one)))
    assert "split=artist_disjoint" in limits
    assert "budget=plateau" in limits
    assert "demo" not in limits
    long = answered({}, budget=PLATEAU)
    assert "budget=plateau" not in " ".join(text.not_carried(grid(one, long)))
    assert text.not_carried(grid(one, is_demo=True))[0].startswith("These are the demo's procedural pictures")


def test_tables_and_files_hold_the_figures(crossing: Path) -> None:
    found, of = answer(crossing)
    assert tables.accuracy_table(of[0].panel)[:3] == [
        ["mean of 3 seeds [95%]", "10 paintings (1/4)", "40 paintings (1)"],
        ["ImageNet full", "0.650 [0.526, 0.774]", "0.500"],  # 4.303 * 0.05 / sqrt 3 = 0.124
        ["random full", "0.200", "0.650 [0.526, 0.774]"],
    ]
    first, second = tables.gains_table(of[0])[1:]
    assert first[:3] == ["ImageNet full - random full", "10", "+45.0 [32.6, 57.4] *"]
    assert second[2] == "-15.0 [-27.4, -2.6]"  # not shown: few artists decide it
    file = io.StringIO()
    writer = csv.DictWriter(file, tables.COLUMNS)  # refuses an unknown column
    writer.writeheader()
    writer.writerows(tables.csv_rows(of))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    accuracies = [r for r in rows if r["arm"] == "ImageNet full" and not r["against"] and r["fraction"] == "0.25"]
    assert [(r["seed"], float(r["value"])) for r in accuracies] == [
        *(("0", 0.6), ("1", 0.65), ("2", 0.7)),
        ("", pytest.approx(0.65)),
    ]
    (mean,) = [r for r in rows if r["quantity"] == "difference" and not r["seed"] and r["paintings"] == "40"]
    assert (float(mean["value"]), mean["against"]) == (pytest.approx(-0.15), "random full")
    document = tables.markdown(found, of, ["x is failed"], "figure.png")
    assert document.startswith("# Fine-tune or train from scratch?\n\n## My dataset is small but similar")
    assert "![Accuracy against the number of training paintings](figure.png)" in document
    assert "- fine-tuned against from scratch: from about 28 paintings on" in document
    assert "- left out: x is failed" in document
    assert "..\n" not in document


def test_the_script_answers_and_leaves_out_by_name(run: Run, crossing: Path, tmp_path: Path) -> None:
    spoilt = next(path for path in sorted(crossing.iterdir()) if "0.25" in (path / "config.yaml").read_text())
    result = run_folder.read_result(spoilt)
    (spoilt / run_folder.RESULT).write_text(json.dumps(result | {"status": "diverged"}))
    code, out, error = run("finetune_or_scratch", crossing, "--out", "out")
    assert (code, error) == (0, "")
    assert f"left out: {spoilt} is diverged\n" in out
    assert "warning: the arms' seeds are not the same" in out
    assert "These data don't decide" in out  # with two seeds of three
    assert "\n    python train.py -m experiment=finetune_or_scratch model.weights=imagenet model.redraw=true " in out
    sentences = [line for line in out.splitlines() if not line.startswith(("left out", "    python"))]
    assert max(map(len, sentences)) <= 100
    assert (
        out.splitlines()[-1] == "results: out (finetune_or_scratch.md, finetune_or_scratch.csv, accuracy-by-data.png)"
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"finetune_or_scratch.md", "finetune_or_scratch.csv", "accuracy-by-data.png"}
    assert Image.open(tmp_path / "out/accuracy-by-data.png").width > 800
    code, out, error = run("finetune_or_scratch", "gone")
    assert (code, error.count("\n")) == (1, 1)


def test_shown_is_what_the_comparison_calls_real() -> None:
    one = gain(140, 0.1).difference
    assert one.shown
    assert not replace(one, over_paintings=(-0.01, 0.2)).shown
    assert replace(one, over_paintings=(0.01, 0.2)).shown
    assert not replace(one, p_corrected=None).shown
