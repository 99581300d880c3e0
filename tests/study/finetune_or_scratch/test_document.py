"""Fine-tune or train from scratch: gains and crossovers computed by hand, and the sentences for every outcome."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from PIL import Image

from brushwork import run_folder
from brushwork.statistics import Spread
from brushwork.study import runs
from brushwork.study.difference import Difference
from brushwork.study.finetune_or_scratch import document, pairs
from brushwork.study.finetune_or_scratch import grid as grids
from brushwork.study.finetune_or_scratch.grid import Budget, Grid, Panel, Side
from brushwork.study.finetune_or_scratch.pairs import FINE_TUNED, FROZEN, PAIRS, SCALE, Gain, Pair, PanelResults, Result
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
    _, command = document.missing_runs(("random", "full"), [(Panel("random", REPORT, {}, {}, {}), {1.0})])
    assert command.endswith("budget=report")
    _, command = document.missing_runs(("random", "full"), [(Panel("random", Budget(None, 8), {}, {}, {}), {1.0})])
    assert command.endswith("budget=report patience=null trainer.max_epochs=8")


@pytest.fixture
def crossing(write_grid_run: WriteGridRun) -> Path:
    """Of 20 paintings fine-tuned ones get 8, 9 and 10 more right when 10 train, and 2, 3 and 4 fewer when 40 do."""
    for seed in (0, 1, 2):
        write_grid_run("imagenet", "full", 0.25, seed, right=12 + seed)
        write_grid_run(None, "full", 0.25, seed, right=4)
        write_grid_run("imagenet", "full", 1.0, seed, right=10)
        folder = write_grid_run(None, "full", 1.0, seed, right=12 + seed)
    return folder.parent


def compare(folder: Path) -> tuple[Grid, list[PanelResults]]:
    grid = grids.read(runs.find([folder]))
    return grid, pairs.compare(grid.panels)


def gain(paintings: int, mean: float, significant: bool = True, pair: Pair = FINE_TUNED) -> Gain:
    """A gain whose interval over seeds is 2 points to both sides."""
    arm, reference = (" ".join(side).replace("pretrained", "ImageNet") for side in (pair.arm, pair.reference))
    spread = Spread(mean, 0.008, (mean - 0.02, mean + 0.02), 3)
    by_seed = [mean - 0.008, mean, mean + 0.008]
    p = 0.001 if significant else 0.5
    return Gain(paintings, Difference(arm, reference, [0, 1, 2], by_seed, spread, p, None, [], 30, p_corrected=p))


def compared(
    gains: dict[Pair, list[Gain]], missing: dict[Pair, dict[Side, list[float]]] | None = None, budget: Budget = REPORT
) -> PanelResults:
    """A panel of 1/16 and all of 2,240 paintings."""
    panel = Panel("random", budget, {}, {0.0625: 140, 1.0: 2240}, {})
    missing = missing or {}
    results = {
        pair: Result(found := gains.get(pair, []), pairs.crossovers(found), missing.get(pair, {})) for pair in PAIRS
    }
    return panel, results


def grid(*of: PanelResults, is_demo: bool = False) -> Grid:
    return Grid([panel for panel, _ in of], "ImageNet", "alexnet", 7, is_demo, [])


def sections(*of: PanelResults, is_demo: bool = False) -> list[list[str]]:
    """The lines of the three answers, and those about all of them."""
    text = document.answers(grid(*of, is_demo=is_demo), of)
    return [[line for line in part.splitlines()[1:] if line] for part in text.split("## ")[1:]]


def findings(*of: PanelResults) -> list[list[str]]:
    """What the three answers say, but for what they do not cover and the runs that are missing."""
    other = ("- Not covered", "- Missing", "   ")
    return [[line[2:-1] for line in lines if not line.startswith(other)] for lines in sections(*of)[:3]]


def test_gains_are_paired_by_seed_and_corrected_by_question(crossing: Path, write_grid_run: WriteGridRun) -> None:
    """8, 9 and 10 of 20: 45 points, t = 9 sqrt 3, p = 1 - t / sqrt(t^2 + 2); times two amounts of data."""
    for seed, right in ((0, 2), (1, 3), (7, 20)):
        write_grid_run(None, "head_only", 0.25, seed, right=right)
        write_grid_run("imagenet", "head_only", 0.25, seed + 1, right=right + 2)
    _, ((_, results),) = compare(crossing)
    small, large = results[FINE_TUNED].gains
    assert (small.paintings, large.paintings) == (10, 40)
    assert small.difference.by_seed == pytest.approx([0.4, 0.45, 0.5])
    assert large.difference.by_seed == pytest.approx([-0.1, -0.15, -0.2])
    t = 9 * 3**0.5
    assert small.difference.p == pytest.approx(1 - t / (t**2 + 2) ** 0.5)
    assert small.difference.p_corrected == pytest.approx(2 * small.difference.p)
    assert (small.difference.arm, small.difference.reference) == ("ImageNet full", "random full")
    (frozen,) = results[FROZEN].gains
    assert (frozen.difference.seeds, frozen.difference.by_seed) == ([1], [pytest.approx(0.05)])
    assert results[SCALE].gains == []


def test_the_crossover_is_interpolated_in_the_logarithm(crossing: Path) -> None:
    """From +45 to -15 points: three quarters of the two doublings from 10 to 40, at 10 * 2^1.5; seeds at 2^1.6 (from
    +40 to -10), 2^1.5 and 2^(10/7). After it only two artists of ten make the loss: it is not significant."""
    _, ((_, results),) = compare(crossing)
    (crossover,) = results[FINE_TUNED].crossovers
    assert crossover.paintings == pytest.approx(10 * 2**1.5)
    assert crossover.by_seed == pytest.approx({0: 10 * 2**1.6, 1: 10 * 2**1.5, 2: 10 * 2 ** (10 / 7)})
    assert (crossover.rises, crossover.before, crossover.after) == (False, True, False)
    assert document.crossover(results[FINE_TUNED]) == (
        "from about 28 paintings on, random full is at least as good as ImageNet full (single seeds cross at 27 to 30; "
        "advantage of ImageNet full before: significant, of random full after: not significant)"
    )


@pytest.mark.parametrize(
    ("gains", "text"),
    [
        (
            [gain(140, 0.1), gain(2240, 0.05)],
            "no crossover of {} up to 2,240 paintings: the mean of A is never the lower one",
        ),
        (
            [gain(140, -0.1), gain(560, 0.0)],
            "no crossover of {} up to 560 paintings: the mean of B is never the lower one",
        ),
        ([gain(140, 0.0), gain(560, 0.0)], "no crossover of {} up to 560 paintings: their means are equal"),
        (
            [gain(64, 0.1, significant=False), gain(256, -0.1, significant=False)],
            "no crossover of {} up to 256 paintings is certain: the mean difference changes sign near 128, but is "
            "significant on neither side",
        ),
        (
            [gain(64, 0.1), gain(256, -0.1)],
            "from about 128 paintings on, B is at least as good as A (single seeds cross at 121 to 135; advantage of A "
            "before: significant, of B after: significant)",
        ),
        (
            [gain(64, -0.004, significant=False), gain(256, 0.004)],
            "from about 128 paintings on, A is at least as good as B (single seeds cross at 128, 2 of 3 do not cross; "
            "advantage of B before: not significant, of A after: significant)",
        ),
        ([gain(140, 0.1)], "a crossover needs at least two amounts of data with both arms"),
    ],
)
def test_a_crossover_is_stated_only_where_a_difference_is_significant(gains: list[Gain], text: str) -> None:
    """Seeds are 0.8 points apart: from +9.2 to -10.8 the first crosses over at 64 * 2^0.92 = 121."""
    found = document.crossover(Result(gains, pairs.crossovers(gains), {}))
    assert found == text.format("A and B").replace("A", "ImageNet full").replace("B", "random full")


def test_each_crossing_has_its_own_sides() -> None:
    """Of two crossings only the first has a significant difference beside it, far on its left."""
    means = [(64, 0.2, True), (128, 0.1, False), (256, -0.1, False), (512, 0.1, False)]
    first, second = pairs.crossovers([gain(*one) for one in means])
    assert (first.before, first.after, first.rises) == (True, False, False)
    assert (second.is_significant, second.rises) == (False, True)
    assert second.paintings == pytest.approx(256 * 2**0.5)


def test_where_fine_tuning_is_better() -> None:
    """To every outcome of the report's questions; 10 points at the fewest paintings, 4 at the most."""
    small, large, different = findings(compared({FINE_TUNED: [gain(140, 0.1), gain(2240, 0.04)]}))
    assert small == [
        "On these data fine-tune (with the fewest paintings of each panel): ImageNet full is significantly better than "
        "random full in 1 of 1 comparison, significantly worse in 0 (mean difference +10.0 points)",
        "random split, 5 epochs, 140 paintings: ImageNet full is better than random full by 10.0 points (95% interval "
        "over seeds 8.0 to 12.0; 3 seeds)",
    ]
    assert large[0].startswith("On these data fine-tune (with the most paintings of each panel): ImageNet full is")
    assert "2,240 paintings: ImageNet full is better than random full by 4.0 points (95% interval over " in large[1]
    assert large[2] == (
        "random split, 5 epochs: no crossover of ImageNet full and random full up to 2,240 paintings: the mean of "
        "ImageNet full is never the lower one"
    )
    assert different == [
        "On these data fine-tune: ImageNet full is significantly better than random full in 2 of 2 comparisons, "
        "significantly worse in 0 (mean difference +4.0 to +10.0 points)"
    ]


def test_where_training_from_scratch_is_better() -> None:
    small, large, different = findings(compared({FINE_TUNED: [gain(140, -0.1), gain(2240, -0.04)]}))
    assert small[0].startswith("On these data train from scratch (with the fewest")
    assert "ImageNet full is worse than random full by 10.0 points (95% interval over seeds 8.0 to 12.0; " in small[1]
    assert large[0].startswith("On these data train from scratch (with the most")
    assert large[2].endswith("the mean of random full is never the lower one")
    assert "in 0 of 2 comparisons, significantly worse in 2 (mean difference -10.0 to -4.0 points)" in different[0]


def test_where_no_difference_is_significant() -> None:
    gains = {FINE_TUNED: [gain(140, 0.1, False), gain(2240, 0.04, False)], SCALE: [gain(140, 0.001, False, SCALE)]}
    small, large, different = findings(compared(gains))
    for lines in (small, large, different):
        assert lines[0].startswith("These data do not decide")
    assert small[1].endswith(
        "No significant difference between ImageNet full and random full: +10.0 points (95% interval over seeds 8.0 to "
        "12.0; 3 seeds). Detecting a difference of 1 point would take about 30 seeds"
    )
    assert different == [
        "These data do not decide: ImageNet full is significantly better than random full in 0 of 2 comparisons, "
        "significantly worse in 0 (mean difference +4.0 to +10.0 points)",
        "does the scale alone help? redrawn against random: redrawn full is significantly better than random full in 0 "
        "of 1 comparison, significantly worse in 0 (mean difference +0.1 points)",
    ]


def test_where_it_depends() -> None:
    few = compared({FINE_TUNED: [gain(140, 0.1), gain(2240, -0.04)]})
    long = compared({FINE_TUNED: [gain(140, 0.1), gain(2240, 0.01, False)]}, budget=PLATEAU)
    small, large, different = findings(few, long)
    assert small[0].startswith("On these data fine-tune (with the fewest")
    start = "On these data train from scratch, though not every comparison is significant (with the most paintings of "
    assert large[0].startswith(start)
    assert "better than random full in 0 of 2 comparisons, significantly worse in 1 (" in large[0]
    assert large[3].startswith("random split, 5 epochs: from about ")
    assert different[0] == (
        "On these data it depends: ImageNet full is significantly better than random full in 2 of 4 comparisons, "
        "significantly worse in 1 (mean difference -4.0 to +10.0 points)"
    )


def test_missing_runs_are_named_with_the_command_that_trains_them() -> None:
    lacks = {("random", "full"): [0.0625]}
    gains = {FINE_TUNED: [gain(2240, 0.04)]}
    both = [
        compared(gains, {FINE_TUNED: lacks, SCALE: {("redrawn", "full"): [0.0625, 1.0]}}),
        compared(gains, {FINE_TUNED: lacks}, PLATEAU),
    ]
    small, large, different, _ = sections(*both)
    assert small[0] == "- No answer: these runs do not include the arms of this question."
    where = "random split, 5 epochs, 1/16 of the data; random split, to plateau (patience 5, at most 60 epochs), 1/16"
    needed = [
        f"- Missing are finished runs of random full with the seeds of the other arm ({where} of the data). Train them "
        "with the settings of these runs:",
        "      python train.py -m experiment=finetune_or_scratch model.weights=null tuning=full "
        "data.train_fraction=0.0625 split=random budget=report,plateau",
    ]
    assert small[1:3] == needed
    assert not any("python train.py" in line for line in large)
    assert different[1:3] == needed
    assert "(random split, 5 epochs, 1/16 and all of the data)" in different[3]
    assert different[4].endswith(
        "model.weights=imagenet model.redraw=true tuning=full data.train_fraction=0.0625,1 split=random budget=report"
    )
    assert f"\n{needed[1]}\n" in document.document(grid(*both), both, [], "x.png")


def test_what_is_missing_is_found(write_grid_run: WriteGridRun) -> None:
    """Scratch lacks an amount; frozen arms share no seed; of a whole arm every amount is missing."""
    write_grid_run("imagenet", "full", 0.25)
    write_grid_run("imagenet", "full", 1.0)
    write_grid_run(None, "full", 1.0)
    write_grid_run("imagenet", "head_only", 1.0, 0)
    folder = write_grid_run(None, "head_only", 1.0, 1)
    _, ((_, results),) = compare(folder.parent)
    assert results[FINE_TUNED].missing == {("random", "full"): [0.25]}
    both = {(weights, "head_only"): [0.25, 1.0] for weights in ("pretrained", "random")}
    assert results[FROZEN].missing == both
    assert results[SCALE].missing == {("redrawn", "full"): [0.25, 1.0], ("random", "full"): [0.25]}


def test_what_these_data_do_not_cover_depends_on_the_runs() -> None:
    one = compared({FINE_TUNED: [gain(140, 0.1), gain(2240, 0.04)]})
    *three, limits = sections(one)
    small, large, different = ([line for line in lines if line.startswith("- Not covered: ")] for lines in three)
    for lines in (small, large, different):
        assert "since all runs are on paintings of 7 styles, which differ from photographs in kind. " in lines[0]
    assert small[1] == "- Not covered: 'small' is 140 paintings of 7 styles here; fewer were not tried."
    assert "'large' is 2,240 paintings here, whereas ImageNet has 1,281,167 photographs" in large[1]
    assert len(different) == 1
    assert [word in " ".join(limits) for word in ("artist_disjoint", "budget=plateau", "demo")] == [True, True, False]
    long = compared({}, budget=PLATEAU)
    assert "budget=" not in " ".join(sections(one, long)[3])
    assert "budget=report" in " ".join(sections(long)[3])
    *three, limits = sections(one, is_demo=True)
    assert limits[0].startswith("- These are the demo's procedural pictures")
    assert "the demo's procedural pictures of 7 styles, which are not paintings. A small" in " ".join(three[0])


def test_tables_and_files_hold_the_figures(crossing: Path) -> None:
    found, of = compare(crossing)
    assert document.accuracy_table(of[0][0])[:3] == [
        ["mean of 3 seeds [95%]", "10 paintings (1/4)", "40 paintings (1)"],
        ["ImageNet full", "0.650 [0.526, 0.774]", "0.500"],  # 4.303 * 0.05 / sqrt 3 = 0.124
        ["random full", "0.200", "0.650 [0.526, 0.774]"],
    ]
    first, second = document.gains_table(of[0][1])[1:]
    assert first[:3] == ["ImageNet full - random full", "10", "+45.0 [32.6, 57.4] *"]
    assert second[2] == "-15.0 [-27.4, -2.6]"  # not significant: few artists decide it
    file = io.StringIO()
    writer = csv.DictWriter(file, document.COLUMNS)  # refuses an unknown column
    writer.writeheader()
    writer.writerows(document.csv_rows(of))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    accuracies = [r for r in rows if r["arm"] == "ImageNet full" and not r["against"] and r["fraction"] == "0.25"]
    assert [(r["seed"], float(r["value"])) for r in accuracies] == [
        *(("0", 0.6), ("1", 0.65), ("2", 0.7)),
        ("", pytest.approx(0.65)),
    ]
    (mean,) = [r for r in rows if r["quantity"] == "difference" and not r["seed"] and r["paintings"] == "40"]
    assert (float(mean["value"]), mean["against"]) == (pytest.approx(-0.15), "random full")
    text = document.document(found, of, ["x is failed"], "figure.png")
    assert text.startswith("# Fine-tune or train from scratch?\n\n## My dataset is small but similar")
    assert "![Accuracy against the number of training paintings](figure.png)" in text
    assert "- fine-tuned against from scratch: from about 28 paintings on," in text
    assert "- left out: x is failed" in text
    assert "..\n" not in text


def test_the_script_answers_and_leaves_out_by_name(run: Run, crossing: Path, tmp_path: Path) -> None:
    spoilt = next(path for path in sorted(crossing.iterdir()) if "0.25" in (path / "config.yaml").read_text())
    result = run_folder.read_result(spoilt)
    (spoilt / run_folder.RESULT).write_text(json.dumps(result | {"status": "diverged"}))
    code, out, error = run("finetune_or_scratch", crossing, "--out", "out")
    assert (code, error) == (0, "")
    assert f"left out: {spoilt} is diverged\n" in out
    assert "warning: the arms have different seeds (" in out
    assert "These data do not decide" in out  # with two seeds of three
    assert "\n      python train.py -m experiment=finetune_or_scratch model.weights=imagenet model.redraw=true " in out
    sentences = [line for line in out.splitlines() if not line.startswith(("left out", "      python"))]
    assert max(map(len, sentences)) <= 100
    assert (
        out.splitlines()[-1] == "results: out (finetune_or_scratch.md, finetune_or_scratch.csv, accuracy-by-data.png)"
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"finetune_or_scratch.md", "finetune_or_scratch.csv", "accuracy-by-data.png"}
    assert Image.open(tmp_path / "out/accuracy-by-data.png").width > 800
    code, out, error = run("finetune_or_scratch", "gone")
    assert (code, error.count("\n")) == (1, 1)


def test_significance_needs_both_intervals() -> None:
    one = gain(140, 0.1).difference
    assert one.is_significant
    assert not replace(one, over_paintings=(-0.01, 0.2)).is_significant
    assert replace(one, over_paintings=(0.01, 0.2)).is_significant
    assert not replace(one, p_corrected=None).is_significant
