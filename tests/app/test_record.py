"""How often a network was right, against counts by hand, and in words."""

from pathlib import Path

import pytest

from brushwork import csv_files, run_folder
from brushwork.app import record
from brushwork.app.record import HeldOut, OfStyle, Record

HELD_OUT = [
    HeldOut("a", "x", "Baroque", "Baroque"),
    HeldOut("b", "x", "Baroque", "Rococo"),
    HeldOut("c", "y", "Baroque", "Rococo"),
    HeldOut("d", "", "Rococo", "Rococo"),
]


def of(part: str = "val", artists: tuple[str, ...] = ("z",), majority: float | None = 0.25) -> Record:
    return Record(part, HELD_OUT, HELD_OUT, frozenset(artists), majority)


def test_counts() -> None:
    assert of().by_style() == [OfStyle("Baroque", 3, 1, 1), OfStyle("Rococo", 1, 3, 1)]
    assert of().correct == 2


def test_sentences() -> None:
    assert of().of_style("Baroque", "Baroque") == (
        "Of 3 Baroque paintings of the validation part, which it was not trained on, it recognises 1 (33 %). "
        "Of 1 that it calls Baroque, 1 is (100 %)."
    )
    assert of("test").of_style("Rococo", "Rokoko").startswith("Of 1 Rokoko painting of the test part, ")
    unknown = of().of_style("Cubism", "Cubism")
    assert unknown.startswith("No painting of the validation part, which it was not trained on, is Cubism: ")
    assert unknown.endswith("It called none of them Cubism.")
    assert of().overall() == (
        "It named the right style for 2 of 4 paintings of the validation part (50 %; 95 % interval 15 % to 85 %). "
        "Always naming the commonest style would be right for 25 %."
    )
    assert "commonest" not in of(majority=None).overall()


def test_painters() -> None:
    assert of().of_painters() == (
        "None of the 3 whose painter is known is by a painter on whom it was trained: these figures hold for painters "
        "that it has never seen."
    )
    assert of(artists=("x",)).of_painters().startswith("2 of these paintings are by painters on whom it was also")
    assert "are not known" in of(artists=()).of_painters()


def test_of_a_run(run_of_app: Path, tmp_path: Path) -> None:
    best, last = (record.of_run(run_of_app, epoch) for epoch in ("best", "last"))
    rows = [row for row in csv_files.read(run_of_app / run_folder.PREDICTIONS) if row["epoch"] == "best"]
    right = sum(row["style"] == row["predicted"] for row in rows)
    assert (len(best.held_out), best.correct) == (len(rows), right) == (9, 7)
    assert last.correct == 3
    assert (best.majority, best.calibration_error, last.calibration_error) == (pytest.approx(1 / 3), 0.061, None)
    assert record.of_run(tmp_path, "best") is None


def test_the_test_part_is_preferred(run_of_app: Path, tmp_path: Path) -> None:
    rows = csv_files.read(run_of_app / run_folder.PREDICTIONS)
    rows += [row | {"part": "test", "predicted": "Dots"} for row in rows[:2]]
    csv_files.write(tmp_path / run_folder.PREDICTIONS, run_folder.PREDICTIONS_COLUMNS, rows)
    (tmp_path / run_folder.SPLIT).write_bytes((run_of_app / run_folder.SPLIT).read_bytes())
    found = record.of_run(tmp_path, "best")
    assert (found.part, len(found.held_out), len(found.validated), found.majority) == ("test", 1, 9, None)
