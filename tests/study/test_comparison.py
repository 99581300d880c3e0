"""Two arms compared from written run folders, whose figures are known by hand."""

import csv
import io
from collections.abc import Sequence

import numpy as np
import pytest

from brushwork import run_folder, tables
from brushwork.errors import UserError
from brushwork.study import answers, arms, comparison, comparison_page, comparison_text, figures, reported, runs
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
        return comparison.compare(arms.group(runs.find([folder.parent])))

    return start


def test_a_clear_difference_is_told_with_its_interval(compare) -> None:
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
    assert comparison_text.verdict(one) == "b is better than a by 30.0 points [17.6, 42.4]."
    assert compared.spreads["validation accuracy, last epoch"][0].mean == 0.25
    assert compared.spreads["majority (no pixel)"][1].mean == 0.5
    assert "colour and texture (no network)" not in compared.spreads


def test_worse_is_told_by_how_much(compare) -> None:
    (one,) = compare(a=[right(20), right(22), right(24)], b=[right(10)] * 3).differences
    assert comparison_text.verdict(one) == "b is worse than a by 30.0 points [17.6, 42.4]."


def test_no_difference_says_how_many_seeds_would_show_one(compare) -> None:
    """Differences of 0, 2 and -1 paintings of 40: mean 0.83 points, deviation 3.8: (2.8 * 3.8)^2 + 2 seeds or so."""
    (one,) = compare(a=[right(20)] * 3, b=[right(20), right(22), right(19)]).differences
    assert one.p > 0.05
    assert one.seeds_needed == pytest.approx((2.8016 * 100 * one.over_seeds.deviation) ** 2 + 1.92, abs=1)
    assert comparison_text.verdict(one) == (
        f"no difference shown between b and a: +0.8 points [-8.7, 10.3]; "
        f"to show one of 1 point you would need about {one.seeds_needed} seeds."
    )


def test_seeds_agree_on_what_few_artists_decide(compare) -> None:
    """All that b gains are the paintings of two artists of twenty: other paintings may show nothing."""
    few = [[right(10)[i] or (i >= 36 and i % 4 <= seed) for i in range(PAINTINGS)] for seed in (1, 2, 3)]
    (one,) = compare(a=[right(10)] * 3, b=few).differences
    assert one.p < 0.05
    assert one.over_paintings[0] <= 0
    assert comparison_text.verdict(one).startswith("on these paintings b is better than a by 7.5 points [1.3, 13.7], ")


def test_one_seed_has_no_interval_over_seeds(compare) -> None:
    (one,) = compare(a=[right(20)], b=[right(28)]).differences
    assert (one.over_seeds.interval, one.p, one.seeds_needed) == (None, None, None)
    told = comparison_text.verdict(one)
    assert told.startswith("no difference shown between b and a: +20.0 points; with one seed there is no interval over")
    assert "(McNemar's p 0.008)" in told  # 8 against 0: 2 / 2^8


def test_several_arms_are_corrected(compare, write_run: WriteRun) -> None:
    compared = compare(a=[right(10)] * 3, b=[right(20), right(22), right(24)], c=[right(11), right(12), right(13)])
    b, c = compared.differences
    assert b.p < c.p < 0.08
    assert (b.p_corrected, c.p_corrected) == pytest.approx((2 * b.p, max(2 * b.p, c.p)))
    assert b.mcnemar_corrected == pytest.approx([2 * test.p for test in b.mcnemar])
    assert c.mcnemar_corrected == pytest.approx([test.p for test in c.mcnemar])
    assert comparison_text.differences_table(compared)[0][3] == "p (Holm)"


def test_common_seeds_are_paired(write_run: WriteRun) -> None:
    for head, seeds in [("a", (0, 1, 5)), ("b", (5, 1, 8))]:
        for seed in seeds:
            folder = write_run(f"{head}-{seed}", right(10 + (head == "b") * seed), seed=seed, head=head)
    compared = comparison.compare(arms.group(runs.find([folder.parent])))
    assert compared.differences[0].seeds == [1, 5]
    assert compared.differences[0].by_seed == pytest.approx([1 / 40, 5 / 40])
    assert [test.only_second for test in compared.differences[0].mcnemar] == [1, 5]
    assert "(a seeds 0, 1, 5; b seeds 1, 5, 8)" in compared.warnings[0]


def test_what_cannot_be_compared_is_named(write_run: WriteRun) -> None:
    one = write_run("one", right(10), head="a")
    two = write_run("two", right(10), head="b", seed=1)
    with pytest.raises(UserError, match=r"a \(seed 0\) and b \(seed 1\) have no seed in common"):
        comparison.compare(arms.group(runs.find([one, two])))
    three = write_run("three", right(10), head="b")
    (three / run_folder.PREDICTIONS).unlink()
    with pytest.raises(UserError, match=r"three/predictions\.csv can't be read"):
        comparison.compare(arms.group(runs.find([one, three])))
    four = write_run("four", right(10), head="b", last={"epoch": 2, "val/accuracy": None})
    with pytest.raises(UserError, match="four was not validated"):
        comparison.compare(arms.group(runs.find([one, four])))


def test_arms_on_different_paintings_are_not_compared_painting_by_painting(write_run: WriteRun) -> None:
    folders = [write_run("one", right(10), head="a")]
    folders += [write_run("two", right(10)[:30], head="b", split_hash="t")]
    compared = comparison.compare(arms.group(runs.find(folders)))
    (one,) = compared.differences
    assert (compared.same_paintings, one.mcnemar, one.over_paintings) == (False, None, None)
    assert [len(given.paths) for given in compared.answers] == [40, 30]
    assert comparison_text.verdict(one).endswith("They were scored on different paintings.")
    assert compared.warnings[0].startswith("the runs' split is not the same")
    page = comparison_page.page(compared, [], {}, [], "none", [])
    assert "The arms were scored on different paintings." in page


def test_tables_fit_the_terminal_and_lose_nothing(compare) -> None:
    given = {f"head_{letter}": [right(10 + i), right(12), right(15)] for i, letter in enumerate("abcde")}
    compared = compare(**given)
    table = comparison_text.arms_table(compared)
    lines = list(tables.plain(table, 100))
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert all(cell in text for row in table for cell in row)
    assert "random, seed 0" in text


def test_csv_and_markdown_hold_the_figures(compare) -> None:
    compared = compare(a=[right(10)] * 3, b=[right(20), right(22), right(24)])
    file = io.StringIO()
    writer = csv.DictWriter(file, comparison_text.COLUMNS)  # refuses an unknown column
    writer.writeheader()
    writer.writerows(comparison_text.csv_rows(compared))
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    last = [row for row in rows if row["quantity"] == "validation accuracy, last epoch" and row["arm"] == "b"]
    assert [float(row["value"]) for row in last] == pytest.approx([0.5, 0.55, 0.6, 0.55])
    assert [row["seed"] for row in last] == ["0", "1", "2", ""]
    (difference,) = [row for row in rows if row["quantity"] == "difference" and not row["seed"]]
    assert float(difference["value"]) == pytest.approx(0.3)
    assert (difference["arm"], difference["against"]) == ("b", "a")
    document = comparison_text.markdown(compared, ["x is failed"], ["figure.png"])
    assert document.startswith("# b against a\n\n**b is better than a by 30.0 points [17.6, 42.4].**\n")
    assert "- left out: x is failed" in document
    assert "![figure](figure.png)" in document


def test_paintings_worth_a_look(compare) -> None:
    compared = compare(a=[right(3), right(4)], b=[right(3), right(5, start=1)])
    first, second = compared.answers
    place = {path.rsplit("_")[-1]: number for number, path in enumerate(first.paths)}
    assert set(answers.only_second_right(first, second)) == {place["4.jpg"], place["5.jpg"]}
    assert answers.only_second_right(second, first) == [place["0.jpg"]]
    missed = answers.always_missed([first, second])
    assert [first.paths[i].rsplit("_")[-1] for i in missed] == [f"{i}.jpg" for i in range(39, 5, -1)]
    assert first.described(place["0.jpg"]) == "Baroque"
    assert first.described(place["3.jpg"]) in ("Realism 1, Baroque 1", "Baroque 1, Realism 1")


def test_the_reports_peaks_stand_beside_runs_of_its_protocol_only(write_run: WriteRun) -> None:
    ten = [f"Style {i}" for i in range(10)]
    settings = {"trainer.max_epochs": 5}
    theirs = runs.find([write_run("ours", right(10), styles=ten, settings=settings)])
    other = runs.find([write_run("other", right(10), styles=ten, settings=settings | {"optimizer.lr": 0.1})])
    assert [reported.follows(run) for run in (*theirs, *other)] == [True, False]
    for peak in reported.PEAKS:  # the design's 3.4 points
        assert np.diff(peak.interval) / 2 == pytest.approx(0.034, abs=0.001)
    (drawn,) = figures.curves(arms.group(theirs), ["val/accuracy"]).axes
    labels = drawn.get_legend_handles_labels()[1]
    assert {"report: replace_last 0.368 ± 0.034", "report: replace_two 0.386 ± 0.034"} <= set(labels)
    (drawn,) = figures.curves(arms.group(other), ["val/accuracy"]).axes
    assert not any("report" in label for label in drawn.get_legend_handles_labels()[1])
