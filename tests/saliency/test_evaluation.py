"""What many photos' figures show, from hand-made tables, and the figures of a map that is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from brushwork.saliency import evaluation, faithfulness
from brushwork.saliency.photos import Explained, Photo


def rows(figures: dict[str, list[float]], measure: str = "deletion") -> list[dict[str, str]]:
    """A table of one measure: each method's value of each photo."""
    return [
        {"photo": f"{number}.jpg", "method": method, measure: f"{value:.6f}"}
        for number in range(len(next(iter(figures.values()))))
        for method, value in ((method, values[number]) for method, values in figures.items())
    ]


FIGURES = {
    "good": [0.10, 0.21, 0.12, 0.17, 0.11],
    "same": [0.38, 0.43, 0.41, 0.42, 0.36],
    "bad": [0.70, 0.83, 0.71, 0.75, 0.78],
    "random": [0.6, 0.6, 0.6, 0.6, 0.6],
    "centre": [0.4, 0.4, 0.4, 0.4, 0.4],
}


def test_held_against_the_better_baseline_photo_by_photo() -> None:
    found = {one.method: one for one in evaluation.compare(rows(FIGURES))}
    assert list(found) == list(FIGURES)
    assert [one.shown for one in found.values()] == ["better", "", "worse", "", ""]
    assert [one.better for one in found.values()] == [5, 2, 0, 0, 0]
    gains = np.array(FIGURES["centre"]) - FIGURES["good"]
    assert found["good"].gain.mean == pytest.approx(gains.mean())
    ps = [stats.ttest_rel(FIGURES["centre"], FIGURES[method]).pvalue for method in ("good", "same", "bad")]
    assert sorted(ps) == [ps[2], ps[0], ps[1]]  # Holm: times 3, 2 and 1
    assert [found[method].p for method in ("bad", "good", "same")] == pytest.approx([3 * ps[2], 2 * ps[0], ps[1]])
    assert found["random"].gain is None
    assert evaluation.sentences(list(found.values())) == [
        "deletion, beside a blob in the middle: better: good 5/5; worse: bad 0/5; not shown to differ: same 2/5"
    ]
    table = evaluation.table(list(found.values()))
    assert table[0] == ["", "deletion ↓"]
    assert table[1:4] == [["good", "0.142 +"], ["same", "0.400"], ["bad", "0.754 -"]]


def test_of_insertion_more_is_better() -> None:
    found = {one.method: one for one in evaluation.compare(rows(FIGURES, "insertion"))}
    assert {one.beside for one in found.values()} == {"random"}
    assert [one.shown for one in found.values()] == ["worse", "worse", "better", "", ""]


def test_one_photo_shows_nothing_and_a_lacking_figure_counts_for_none() -> None:
    (one, *_) = evaluation.compare(rows({"good": [0.1], "random": [0.95], "centre": [0.9]}))
    assert (one.shown, one.p, one.better) == ("", None, 1)
    some = rows(FIGURES)
    for row in some[:5]:
        row["deletion"] = ""
    found = evaluation.compare(some)
    assert {one.over_photos.seeds for one in found} == {4}


def test_a_patch_that_alone_decides_the_class() -> None:
    """The network sees four pixels; a map of these is the best there is by each figure."""
    mask = np.zeros((12, 12), bool)
    mask[2:4, 8:10] = True
    linear = nn.Linear(3 * 144, 2, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0] = torch.from_numpy(np.stack([mask] * 3)).flatten().float()
    network = nn.Sequential(nn.Flatten(), linear)
    image = torch.ones(3, 12, 12)
    maps = {"gradient": mask.astype(np.float32), "occlusion": (~mask).astype(np.float32)}
    answer = Explained(0, image, None, maps, 0, np.array([1.0, 0.0]))
    asked = []
    photo = evaluation.evaluated(network, Photo(0, Path("x.png"), "x", answer), mask, asked.append)
    found = photo.figures
    assert list(found) == asked == ["gradient", "occlusion", "random", "centre"]
    best, worst = found["gradient"], found["occlusion"]
    assert (best["pointing"], best["energy"]) == (1, 1)
    assert (worst["pointing"], worst["energy"]) == (0, 0)
    assert best["object_share"] == pytest.approx(4 / 144)
    sure = 1 / (1 + np.exp(-12.0))
    # 12 pixels a step: after the first all four are gone, and half of the probability stays.
    assert best["deletion"] == pytest.approx((sure / 2 + 11 * 0.5 + 0.25) / 12, abs=1e-6)
    assert worst["deletion"] > found["random"]["deletion"] > best["deletion"]
    assert best["insertion"] > found["random"]["insertion"] > worst["insertion"]
    assert [line[0] for line, _ in photo.verdicts["gradient"]] == ["✓"] * 4
    assert [line[0] for line, _ in photo.verdicts["occlusion"]] == ["✗"] * 4
    assert "class_contrast" not in best  # the other class has a map of zeros


def test_baselines_see_nothing() -> None:
    assert faithfulness.random_map(4, 5, 1).tolist() == faithfulness.random_map(4, 5, 1).tolist()
    centre = faithfulness.centre_map(5, 7)
    assert np.unravel_index(centre.argmax(), centre.shape) == (2, 3)
