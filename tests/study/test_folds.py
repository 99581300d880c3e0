"""Folds pooled from written run folders, whose figures are known by hand."""

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from brushwork import csv_files, files, run_folder
from brushwork.errors import UserError
from brushwork.study import comparison
from tests.study.conftest import WriteRun

# Of each fold's paintings which are right, by arm; the last paintings of fold 1 are by artist 3.
ANSWERS = {
    "a": ["1100", "100000"],
    "b": ["1110", "111000"],
}
KNOWN = {"a": ["10", "11"], "b": ["11", "11"]}


@pytest.fixture
def write_fold(write_run: WriteRun):
    """Write a finished run of a fold, whose validation got one of two paintings right; returns its folder."""

    def write(head: str, number: int, right: str, seed: int = 0, known: str = "", count: int = 2) -> Path:
        split = {"name": "artist_disjoint", "seed": 0, "folds": count, "fold": number}
        scored = {"paintings": len(right), "best": None, "baselines": {"majority": number / 2, "artist_lookup": None}}
        scored["last"] = {"accuracy": right.count("1") / len(right)}
        kept = {"paintings": len(known), "best": None, "last": {"accuracy": known.count("1") / max(len(known), 1)}}
        folder = write_run(
            f"{head}-{number}-{seed}",
            [True, False],
            seed=seed,
            head=head,
            settings={"split": split},
            split_hash=f"s{number}",
            test=scored,
            known=kept if known else None,
        )
        rows = csv_files.read(folder / run_folder.PREDICTIONS)
        for part, answers in (("test", right), ("known", known)):
            for i, answer in enumerate(answers):
                style, other = ("Baroque", "Realism") if i % 2 else ("Realism", "Baroque")
                rows.append(
                    {"part": part, "epoch": "last", "path": f"{style}/{part}-{number}-{i}.jpg", "style": style}
                    | {"artist": f"{part}-{number}-{i // 2}", "predicted": style if answer == "1" else other}
                    | {"probability": 0.5}
                )
        csv_files.write(folder / run_folder.PREDICTIONS, run_folder.PREDICTIONS_COLUMNS, rows)
        return folder

    return write


def compared(write_fold, seeds: Sequence[int] = (0,), without: Sequence[tuple[str, int]] = ()) -> comparison.Comparison:
    for head, answers in ANSWERS.items():
        for number, right in enumerate(answers):
            for seed in seeds:
                if (head, number) not in without:
                    folder = write_fold(head, number, right, seed, KNOWN[head][number])
    return comparison.compare(folder.parent)


def test_every_painting_counts_once(write_fold, tmp_path: Path) -> None:
    """a: 2 of 4 and 1 of 6; b: 3 of 4 and 3 of 6. Pooled 3 and 6 of 10, not the means of the folds' shares."""
    found = compared(write_fold)
    assert [(arm.name, arm.seeds, len(arm.members)) for arm in found.arms] == [("a", [0], 2), ("b", [0], 2)]
    assert found.warnings == []
    assert [one.mean for one in found.spreads["test accuracy, last epoch"]] == pytest.approx([0.3, 0.6])
    assert [one.mean for one in found.spreads["known artists, last epoch"]] == pytest.approx([0.75, 1.0])
    assert found.spreads["validation accuracy, last epoch"][0].mean == 0.5
    assert found.spreads["test: majority (no pixel)"][0].mean == pytest.approx(0.5 * 6 / 10)
    (one,) = found.differences
    assert one.by_seed == pytest.approx([0.3])
    assert (one.mcnemar[0].only_first, one.mcnemar[0].only_second) == (0, 3)
    # Five artists of two paintings each gain 0, 1, 1, 1, 0 of them.
    assert one.over_paintings == pytest.approx((0.1, 0.5))
    assert found.over_known[0][0] >= 0.5
    text = " ".join(str(found).split())
    assert "Pooled: the test parts of folds 0, 1 (of 2; split artist_disjoint, seed 0), 10 paintings, each" in text
    rows = {row[0]: row[1:] for row in found.tables["arms"]}
    assert rows["split"] == ["artist_disjoint, seed 0, 2 of 2 folds"] * 2
    found.write(tmp_path / "out")
    page = (tmp_path / "out/comparison.html").read_text()
    assert "Accuracy of the last epoch on the test parts" in page
    assert "a, seed 0, fold 1: " in page
    rows = csv_files.read(tmp_path / "out/comparison.csv")
    kept = next(r for r in rows if r["quantity"] == "test accuracy, last epoch, over paintings" and r["arm"] == "b")
    assert float(kept["value"]) == pytest.approx(0.6)


def test_each_seed_is_pooled(write_fold) -> None:
    found = compared(write_fold, seeds=(0, 1))
    assert [arm.seeds for arm in found.arms] == [[0, 1], [0, 1]]
    assert found.differences[0].by_seed == pytest.approx([0.3, 0.3])
    assert found.predictions[0].predicted.shape == (2, 10)


def test_a_missing_fold_is_named(write_fold) -> None:
    """Both are then held against each other on fold 1: 1 and 3 of 6."""
    found = compared(write_fold, without=[("a", 0)])
    assert found.warnings == ["a, seed 0: fold 0 has no finished run, pooled are 1, which all have"]
    assert [one.mean for one in found.spreads["test accuracy, last epoch"]] == pytest.approx([1 / 6, 3 / 6])
    assert len(found.predictions[0].paths) == 6


def test_one_arm_of_folds_has_its_pooled_accuracy(write_fold, tmp_path: Path) -> None:
    folders = [write_fold("a", number, right) for number, right in enumerate(ANSWERS["a"])]
    found = comparison.compare(folders)
    assert (found.title, found.differences, list(found.tables)) == ("a", [], ["arms"])
    assert found.over_paintings[0][0] < 0.3 < found.over_paintings[0][1]
    assert found.over_known == [None]
    found.write(tmp_path / "out")


def test_what_cannot_be_pooled_is_refused(write_fold, write_run: WriteRun, caplog: pytest.LogCaptureFixture) -> None:
    one, two = write_fold("a", 0, "10"), write_fold("b", 1, "10")
    with pytest.raises(UserError, match=r"no fold has a finished run of each seed and arm \(.*a-0-0 has fold 0\)"):
        comparison.compare([one, two])
    plain = write_run("plain", [True, False], head="c")
    with pytest.raises(UserError, match="a has folds, whose test parts are pooled, and c has none: compare runs of"):
        comparison.compare([one, plain])
    again = write_fold("a", 0, "11", seed=7)
    (again / run_folder.CONFIG).write_text((one / run_folder.CONFIG).read_text())
    with caplog.at_level(logging.WARNING, "brushwork"):
        assert comparison.compare([one, again]).arms[0].members[0].folder == again
    assert f"{again} repeats fold 0: it is used, {one} is not" in caplog.messages
    result = run_folder.read_result(two)
    files.write_json(two / run_folder.RESULT, result | {"test": result["test"] | {"last": None}})
    with pytest.raises(UserError, match=r"the test part of .*b-1-0 was not scored"):
        comparison.compare([one, two])
