"""The comparison with the baselines over many photos, from hand-made tables."""

import pytest
from scipy.stats import binomtest

from brushwork.saliency.evaluation import report


def rows(figures: dict[str, list[float]], measure: str = "deletion") -> list[dict[str, str]]:
    """A table of one measure: each method's value of each photo."""
    return [
        {"photo": f"{number}.jpg", "method": method, measure: f"{value:.6f}"}
        for number in range(len(next(iter(figures.values()))))
        for method, value in ((method, values[number]) for method, values in figures.items())
    ]


TEN = {
    "good": [0.1, 0.2] * 5,
    "half": [0.3, 0.8] * 5,
    "bad": [0.7, 0.9] * 5,
    "random": [0.4] * 10,
    "centre": [0.6, 0.5] * 5,
}


def test_compared_with_both_baselines_photo_by_photo() -> None:
    found = {one.method: one for one in report.compare(rows(TEN))}
    assert list(found) == list(TEN)
    assert [one.significant for one in found.values()] == ["better", "", "worse", "", ""]
    assert [one.better for one in found.values()] == [10, 5, 0, None, None]
    assert binomtest(10, 10).pvalue * 3 < 0.05  # by Holm, of three
    table = report.table(list(found.values()))
    assert table[0] == ["", "deletion ↓"]
    assert table[1:] == [
        ["good", "0.150 + [10/10]"],
        ["half", "0.550 [5/10]"],
        ["bad", "0.800 - [0/10]"],
        ["random", "0.400"],
        ["centre", "0.550"],
    ]
    assert report.sentences(list(found.values())) == [
        "deletion, photo by photo compared with a random map and a centred Gaussian: significantly better: good "
        "(better in 10 of 10); significantly worse: bad (better in 0 of 10); no significant difference: half "
        "(better in 5 of 10)"
    ]


def test_of_insertion_more_is_better() -> None:
    found = report.compare(rows(TEN, "insertion"))
    assert [one.significant for one in found] == ["worse", "", "better", "", ""]


def test_better_than_one_baseline_is_not_enough() -> None:
    (one, *_) = report.compare(rows({"some": [0.5] * 10, "random": [0.4] * 10, "centre": [0.6] * 10}))
    assert (one.significant, one.better) == ("", 0)


def test_equal_gains_are_significant() -> None:
    """Of 20 photos all hits, and none by the baselines."""
    figures = {"good": [1.0] * 20, "random": [0.0] * 20, "centre": [0.0] * 20}
    (one, *_) = report.compare(rows(figures, "pointing"))
    assert (one.significant, one.better) == ("better", 20)


def test_few_photos_show_nothing_and_a_lacking_figure_counts_for_none() -> None:
    (one, *_) = report.compare(rows({"good": [0.1], "random": [0.95], "centre": [0.9]}))
    assert (one.significant, one.better) == ("", 1)
    some = rows(TEN)
    for row in some[:5]:
        row["deletion"] = ""
    assert {one.photos for one in report.compare(some)} == {9}
    (alone,) = report.compare(rows({"gradient": [0.2, 0.4]}, "class_contrast"))
    assert (alone.mean, alone.better, alone.significant) == (pytest.approx(0.3), None, "")
