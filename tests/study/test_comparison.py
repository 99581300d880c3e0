"""Two arms compared from written run folders, whose figures are known by hand."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from brushwork import csv_files, run_folder, tables
from brushwork.errors import UserError
from brushwork.study import arms, comparison, comparison_tables, figures, predictions, reported, runs
from brushwork.study.comparison import Comparison
from tests.study.conftest import WriteRun

PAINTINGS = 40


def right(count: int, start: int = 0) -> list[bool]:
    """So many of 40 paintings, from `start` on."""
    return [start <= i < start + count for i in range(PAINTINGS)]


@pytest.fixture
def compare(write_run: WriteRun) -> Comparison:
    """Compare arms given as {name of the head: the right answers of seeds 0, 1, ...}."""

    def start(**given: Sequence[Sequence[bool]]) -> Comparison:
        for head, seeds in given.items():
            for seed, answered in enumerate(seeds):
                folder = write_run(f"{head}-{seed}", answered, seed=seed, head=head)
        return comparison.of_arms(arms.group(runs.find([folder.parent])))

    return start


def test_a_clear_difference_has_its_interval(compare) -> None:
    """Of 40 paintings 10 10 10 against 20 22 24: 25, 30 and 35 points; 30 ± 4.303 * 5 / sqrt 3 = 17.6 to 42.4."""
    compared = compare(a=[right(10)] * 3, b=[right(20), right(22), right(24)])
    (one,) = compared.differences
    assert one.by_seed == pytest.approx([0.25, 0.3, 0.35])
    assert one.over_seeds.mean == pytest.approx(0.3)
    assert one.over_seeds.interval == pytest.approx((0.176, 0.424), abs=1e-3)
    assert one.p == one.p_corrected < 0.05
    assert [(test.only_first, test.only_second) for test in one.mcnemar] == [(0, 10), (0, 12), (0, 14)]
    assert [test.p for test in one.mcnemar] == pytest.approx([2**-9, 2**-11, 2**-13])
    assert one.over_paintings[0] > 0.1
    assert one.verdict == "b is better than a by 30.0 points (95% interval over seeds 17.6 to 42.4; 3 seeds)."
    assert compared.spreads["validation accuracy, last epoch"][0].mean == 0.25
    assert compared.spreads["majority (no pixel)"][1].mean == 0.5
    assert "colour and texture (no network)" not in compared.spreads


def test_an_arm_is_tested_against_the_probe_of_its_initial_weights(write_run: WriteRun) -> None:
    for head, counts in {"a": [10, 10, 10], "b": [30, 32, 34]}.items():
        for seed, count in enumerate(counts):
            folder = write_run(f"{head}-{seed}", right(count), seed=seed, head=head)
            rows = csv_files.read(folder / run_folder.PREDICTIONS)
            names = sorted({row["style"] for row in rows})
            answers = [(names.index(row["style"]) + (i >= 10)) % 2 for i, row in enumerate(rows)]  # 10 right
            np.savez(folder / run_folder.LOGITS, class_names=np.array(names), probe_val=np.array(answers))
    compared = comparison.of_arms(arms.group(runs.find([folder.parent])))
    same, better = compared.from_probes
    assert same.over_seeds.mean == 0
    assert better.by_seed == pytest.approx([0.5, 0.55, 0.6])
    assert better.verdict.startswith("b is better than the linear probe of its initial weights by 55.0 points (95%")
    assert compared.verdicts[-1] == better.verdict


def test_worse_says_by_how_much(compare) -> None:
    (one,) = compare(a=[right(20), right(22), right(24)], b=[right(10)] * 3).differences
    assert one.verdict == "b is worse than a by 30.0 points (95% interval over seeds 17.6 to 42.4; 3 seeds)."


def test_no_difference_says_how_many_seeds_would_show_one(compare) -> None:
    """Differences of 0, 2 and -1 paintings of 40: mean 0.83 points, deviation 3.8: (2.8 * 3.8)^2 + 2 seeds or so."""
    (one,) = compare(a=[right(20)] * 3, b=[right(20), right(22), right(19)]).differences
    assert one.p > 0.05
    assert one.seeds_needed == pytest.approx((2.8016 * 100 * one.over_seeds.deviation) ** 2 + 1.92, abs=1)
    assert one.verdict == (
        f"No significant difference between b and a: +0.8 points (95% interval over seeds -8.7 to 10.3; 3 seeds). "
        f"Detecting a difference of 1 point would take about {one.seeds_needed} seeds."
    )


def test_seeds_agree_on_what_few_artists_decide(compare) -> None:
    """All that b gains are the paintings of two artists of twenty: other paintings may show nothing."""
    few = [[right(10)[i] or (i >= 36 and i % 4 <= seed) for i in range(PAINTINGS)] for seed in (1, 2, 3)]
    (one,) = compare(a=[right(10)] * 3, b=few).differences
    assert one.p < 0.05
    assert one.over_paintings[0] <= 0
    assert one.verdict.startswith(
        "b is better than a by 7.5 points on these paintings (95% interval over seeds 1.3 to 13.7; 3 seeds), but not "
        "significantly on others (95% interval over paintings "
    )


def test_one_seed_has_no_interval_over_seeds(compare) -> None:
    (one,) = compare(a=[right(20)], b=[right(28)]).differences
    assert (one.over_seeds.interval, one.p, one.seeds_needed) == (None, None, None)
    sentence = one.verdict
    assert sentence.startswith(
        "The difference between b and a is +20.0 points, but not tested: with one seed there is no interval over seeds."
    )
    assert "(McNemar's p 0.008)" in sentence  # 8 against 0: 2 / 2^8


def test_several_arms_are_corrected(compare, write_run: WriteRun) -> None:
    compared = compare(a=[right(10)] * 3, b=[right(20), right(22), right(24)], c=[right(11), right(12), right(13)])
    b, c = compared.differences
    assert b.p < c.p < 0.08
    assert (b.p_corrected, c.p_corrected) == pytest.approx((2 * b.p, max(2 * b.p, c.p)))
    assert b.mcnemar_corrected == pytest.approx([2 * test.p for test in b.mcnemar])
    assert c.mcnemar_corrected == pytest.approx([test.p for test in c.mcnemar])
    assert comparison_tables.of_differences(compared)[0][3] == "p (Holm)"


def test_common_seeds_are_paired(write_run: WriteRun) -> None:
    for head, seeds in [("a", (0, 1, 5)), ("b", (5, 1, 8))]:
        for seed in seeds:
            folder = write_run(f"{head}-{seed}", right(10 + (head == "b") * seed), seed=seed, head=head)
    compared = comparison.of_arms(arms.group(runs.find([folder.parent])))
    assert compared.differences[0].seeds == [1, 5]
    assert compared.differences[0].by_seed == pytest.approx([1 / 40, 5 / 40])
    assert [test.only_second for test in compared.differences[0].mcnemar] == [1, 5]
    assert "(a seeds 0, 1, 5; b seeds 1, 5, 8)" in compared.warnings[0]


def test_what_cannot_be_compared_is_named(write_run: WriteRun) -> None:
    one = write_run("one", right(10), head="a")
    two = write_run("two", right(10), head="b", seed=1)
    with pytest.raises(UserError, match=r"a \(seed 0\) and b \(seed 1\) have no seed in common"):
        comparison.of_arms(arms.group(runs.find([one, two])))
    three = write_run("three", right(10), head="b")
    (three / run_folder.PREDICTIONS).unlink()
    with pytest.raises(UserError, match=r"three/predictions\.csv can't be read"):
        comparison.of_arms(arms.group(runs.find([one, three])))
    four = write_run("four", right(10), head="b", last={"epoch": 2, "val/accuracy": None})
    with pytest.raises(UserError, match="four was not validated"):
        comparison.of_arms(arms.group(runs.find([one, four])))


def test_arms_on_different_paintings_are_not_compared_painting_by_painting(write_run: WriteRun, tmp_path: Path) -> None:
    folders = [write_run("one", right(10), head="a")]
    folders += [write_run("two", right(10)[:30], head="b", split_hash="t")]
    compared = comparison.of_arms(arms.group(runs.find(folders)))
    (one,) = compared.differences
    assert (compared.same_paintings, one.mcnemar, one.over_paintings) == (False, None, None)
    assert [len(one.paths) for one in compared.predictions] == [40, 30]
    assert one.verdict.endswith("The arms were scored on different paintings.")
    assert compared.warnings[0].startswith("the runs differ in their split")
    compared.write(tmp_path / "out")
    assert "<p>The arms were scored on different paintings.</p>" in (tmp_path / "out/comparison.html").read_text()


def test_tables_fit_the_terminal_and_lose_nothing(compare) -> None:
    given = {f"head_{letter}": [right(10 + i), right(12), right(15)] for i, letter in enumerate("abcde")}
    compared = compare(**given)
    table = comparison_tables.of_arms(compared)
    lines = list(tables.plain(table, 100))
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert all(cell in text for row in table for cell in row)
    assert "random, seed 0" in text


def test_csv_holds_the_figures(compare) -> None:
    compared = compare(a=[right(10)] * 3, b=[right(20), right(22), right(24)])
    file = io.StringIO()
    writer = csv.DictWriter(file, comparison_tables.COLUMNS)  # refuses an unknown column
    writer.writeheader()
    writer.writerows(comparison_tables.csv_rows(compared))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    last = [row for row in rows if row["quantity"] == "validation accuracy, last epoch" and row["arm"] == "b"]
    assert [float(row["value"]) for row in last] == pytest.approx([0.5, 0.55, 0.6, 0.55])
    assert [row["seed"] for row in last] == ["0", "1", "2", ""]
    (difference,) = [row for row in rows if row["quantity"] == "difference" and not row["seed"]]
    assert float(difference["value"]) == pytest.approx(0.3)
    assert (difference["arm"], difference["against"]) == ("b", "a")


def test_the_object_shows_what_the_script_does(write_run: WriteRun, tmp_path: Path) -> None:
    """As text, as HTML with names escaped, and as files."""
    for name, counts in {"<a>": (10, 10, 10), "<b>": (20, 22, 24)}.items():
        for seed, count in enumerate(counts):
            folder = write_run(f"{name[1]}-{seed}", right(count), seed=seed, head=name)
    write_run("failed", right(1), status="failed")
    compared = comparison.compare(folder.parent, reference="<a>")
    sentence = "<b> is better than <a> by 30.0 points (95% interval over seeds 17.6 to 42.4; 3 seeds)."
    assert compared.title == "<b> against <a>"
    assert compared.verdicts == [sentence]
    text = str(compared)
    assert text.endswith(f"left out: {folder.parent}/failed is failed\n{sentence}")
    assert "\n<b> - <a>              +30.0 [17.6, 42.4]" in text
    shown = compared._repr_html_()
    assert "<b>&lt;b&gt; is better than &lt;a&gt; by 30.0 points" in shown
    assert shown.count("<table>") == 3
    assert "<a>" not in shown
    written = compared.write(str(tmp_path / "out"))
    assert {path.name for path in written} == {path.name for path in (tmp_path / "out").iterdir()}
    assert len(written) == 3 + 3 + 2
    document = (tmp_path / "out/comparison.md").read_text()
    assert document.startswith(f"# <b> against <a>\n\n**{sentence}**\n\n## The arms\n\n|  | \\<a> | \\<b> |\n")
    assert f"- left out: {folder.parent}/failed is failed\n" in document
    assert "![figure-7-both](figure-7-both.png)\n" in document
    page = (tmp_path / "out/comparison.html").read_text()
    assert "<p>No maps: none were given</p>" in page
    assert "&lt;b&gt; is correct more often than &lt;a&gt;: 14 paintings, the clearest 12 are shown</h3>" in page
    assert "<h3>wrong for every seed of every arm: 16 paintings, the clearest 12 are shown</h3>" in page
    assert "<a>" not in page
    assert comparison.compare([str(folder.parent)]).arms[0].name == "<a>"


def test_paintings_worth_a_look(compare) -> None:
    compared = compare(a=[right(3), right(4)], b=[right(3), right(5, start=1)])
    first, second = compared.predictions
    place = {path.rsplit("_")[-1]: number for number, path in enumerate(first.paths)}
    assert set(predictions.more_often_correct(first, second)) == {place["4.jpg"], place["5.jpg"]}
    assert predictions.more_often_correct(second, first) == [place["0.jpg"]]
    wrong = predictions.always_wrong([first, second])
    assert [first.paths[i].rsplit("_")[-1] for i in wrong] == [f"{i}.jpg" for i in range(39, 5, -1)]
    assert first.described(place["0.jpg"]) == "Baroque"
    assert first.described(place["3.jpg"]) in ("Realism 1, Baroque 1", "Baroque 1, Realism 1")


def test_the_reports_peaks_stand_beside_runs_of_its_protocol_only(write_run: WriteRun) -> None:
    ten = [f"Style {i}" for i in range(10)]
    settings = {"trainer.max_epochs": 5}
    theirs = runs.find([write_run("ours", right(10), styles=ten, settings=settings)])
    other = runs.find([write_run("other", right(10), styles=ten, settings=settings | {"optimizer.lr": 0.1})])
    assert [reported.follows(run) for run in (*theirs, *other)] == [True, False]
    for _, peak in reported.PEAKS.values():  # the design's 3.4 points
        assert np.diff(reported.interval(peak)) / 2 == pytest.approx(0.034, abs=0.001)
    (drawn,) = figures.curves(arms.group(theirs), ["val/accuracy"]).axes
    labels = drawn.get_legend_handles_labels()[1]
    assert {"report: replace_last 0.368 ± 0.034", "report: replace_two 0.386 ± 0.034"} <= set(labels)
    (drawn,) = figures.curves(arms.group(other), ["val/accuracy"]).axes
    assert not any("report" in label for label in drawn.get_legend_handles_labels()[1])
