"""Answers as rows of predictions.csv, as JSON and as lines of the terminal; the table of an interrupted run."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brushwork import csv_files, result_folder
from brushwork.calibration import Calibration
from brushwork.inference.answers import AnsweredBatch, ranked
from brushwork.inference.similar import Neighbor
from brushwork.models.familiarity import Familiarity
from brushwork.readable import readable

PREDICTIONS, SKIPPED, PAGE = "predictions.csv", "skipped.csv", "predictions.html"
CONFUSION, MISTAKES, SCORES = "confusion.png", "mistakes.png", "scores.json"
SKIPPED_COLUMNS = ("path", "reason")
NOT_SURE = "not sure"
_SHOWN = 3  # classes of an answer on the terminal

Told = dict[str, Any]  # what is told of a picture, plain values: an object of --json


@dataclass(frozen=True)
class Telling:
    """What is told of each answer.

    top: so many classes in the table. threshold: answers of a lower probability are withheld; None: none.
    networks: how many answered. similar: so many training paintings. labels: whether true styles are known.
    """

    class_names: Sequence[str]
    top: int
    threshold: float | None = None
    familiarity: Familiarity | None = None
    networks: int = 1
    similar: int = 0
    labels: bool = False

    @property
    def columns(self) -> list[str]:
        """Of predictions.csv."""
        columns = ["path", "predicted", "probability"]
        for place in range(2, min(self.top, len(self.class_names)) + 1):
            columns += [f"style_{place}", f"probability_{place}"]
        if self.threshold is not None:
            columns.append("most_likely")
        if self.familiarity is not None:
            columns += ["unlike_training", "distance"]
        if self.networks > 1:
            columns.append("agreement")
        if self.labels:
            columns.append("true")
        for place in range(1, self.similar + 1):
            columns += [f"similar_{place}", f"similarity_{place}"]
        return columns

    def told(
        self,
        batch: AnsweredBatch,
        names: Sequence[str],
        true: Sequence[str | None],
        similar: Sequence[Sequence[Neighbor]] | None,
    ) -> list[Told]:
        """What is told of each picture of a batch, given each one's name, its true style and its neighbors."""
        found = []
        order = ranked(batch.probabilities)
        values = batch.probabilities.gather(1, order)
        for i, (row, of_row) in enumerate(zip(order.tolist(), values.tolist(), strict=True)):
            best, probability = self.class_names[row[0]], of_row[0]
            told: Told = {"path": names[i], "predicted": best, "probability": probability}
            told["probabilities"] = {self.class_names[c]: p for c, p in zip(row, of_row, strict=True)}
            if self.threshold is not None:
                told["most_likely"] = best
                if probability < self.threshold:
                    told["predicted"] = NOT_SURE
            if self.familiarity is not None:
                told |= {"unlike_training": bool(batch.unlike[i]), "distance": batch.distance[i].item()}
            if self.networks > 1:
                told["agreement"] = batch.agreement[i].item()
            if self.labels:
                told["true"] = true[i]
            if similar is not None:
                told["similar"] = [neighbor._asdict() for neighbor in similar[i]]
            found.append(told)
        return found

    def row(self, told: Told) -> dict[str, str]:
        """The cells of predictions.csv."""
        row = {"path": told["path"], "predicted": told["predicted"], "probability": f"{told['probability']:.6f}"}
        for place, (name, probability) in enumerate([*told["probabilities"].items()][1 : self.top], 2):
            row |= {f"style_{place}": name, f"probability_{place}": f"{probability:.6f}"}
        row["most_likely"] = told.get("most_likely", "")
        if "distance" in told:
            row |= {"unlike_training": "yes" if told["unlike_training"] else "no"}
            row |= {"distance": f"{told['distance']:.4f}"}
        if "agreement" in told:
            row["agreement"] = f"{told['agreement']:.4f}"
        row["true"] = told.get("true") or ""
        for place, neighbor in enumerate(told.get("similar", []), 1):
            row |= {f"similar_{place}": neighbor["path"], f"similarity_{place}": f"{neighbor['similarity']:.4f}"}
        return row

    def line(self, told: Told, width: int) -> str:
        """For the terminal: the name in `width` columns, the first classes, and what is odd."""
        classes = ", ".join(f"{name} {p:.3f}" for name, p in [*told["probabilities"].items()][:_SHOWN])
        notes = [f"{NOT_SURE}: {classes}" if told["predicted"] == NOT_SURE else classes]
        if told.get("agreement", 1) < 1:
            notes.append(f"{round(told['agreement'] * self.networks)} of {self.networks} networks agree")
        if told.get("unlike_training"):
            notes.append(f"unlike the training pictures (distance {told['distance']:.2f})")
        if told.get("true") and told["true"] != next(iter(told["probabilities"])):
            notes.append(f"wrong, it is {told['true']}")
        if told.get("similar"):
            notes.append("like " + ", ".join(f"{n['path']} {n['similarity']:.2f}" for n in told["similar"]))
        return f"{readable(told['path'])[-width:]:<{width}}  {readable('; '.join(notes))}"


def json_line(told: Mapping[str, Any]) -> str:
    """An object on one line; probabilities with the digits of predictions.csv."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(one) for key, one in value.items()}
        return [short(one) for one in value] if isinstance(value, list) else round_6(value)

    return json.dumps(short(dict(told)))


def round_6(value: Any) -> Any:
    """
    >>> round_6(0.12345678), round_6("a")
    (0.123457, 'a')
    """
    return round(value, 6) if isinstance(value, float) else value


def threshold(calibration: Calibration, precision: float | None) -> float | None:
    """The probability under which answers are withheld, so that the others reach a precision; None: none are."""
    return None if precision is None else calibration.threshold(precision)


@dataclass(frozen=True)
class Before:
    """What an interrupted run had done: rows of whole batches with their pictures' numbers, files that it could not
    read, and the number of the picture with which it goes on."""

    rows: list[dict[str, str]]
    numbers: list[int]
    skipped: list[dict[str, str]]
    start: int


def restart(out: Path, columns: Sequence[str], names: Sequence[str], batch_size: int, at_most: int | None) -> Before:
    """Keeps what whole batches of an interrupted run had written, so that the rest has the batches that it would have
    had; `at_most` so many rows, of which all other results are there."""
    rows = result_folder.whole_rows(out / PREDICTIONS)
    reasons = {row["path"]: row["reason"] for row in result_folder.whole_rows(out / SKIPPED)}
    is_complete = len(rows) + len(reasons) == len(names) and (at_most is None or at_most >= len(rows))
    if not is_complete:
        rows = rows[:at_most]
        rows = rows[: len(rows) // batch_size * batch_size]
    numbers, start = [], 0
    for row in rows:
        numbers.append(names.index(row["path"], start))  # those between could not be read
        start = numbers[-1] + 1
    start = len(names) if is_complete else start
    unread = sorted(set(range(start)) - set(numbers))
    skipped = [{"path": names[number], "reason": reasons.get(names[number], "")} for number in unread]
    begin_table(out, columns, rows, skipped)
    return Before(rows, numbers, skipped, start)


def begin_table(
    out: Path, columns: Iterable[str], rows: Iterable[Mapping[str, str]], skipped: Sequence[Mapping[str, str]]
) -> None:
    """Writes predictions.csv with these rows, and skipped.csv where files were skipped."""
    csv_files.write(out / PREDICTIONS, columns, rows)
    if skipped:
        csv_files.write(out / SKIPPED, SKIPPED_COLUMNS, skipped)
    else:
        (out / SKIPPED).unlink(missing_ok=True)


def add_skipped(out: Path, skipped: Sequence[Mapping[str, str]]) -> None:
    """Adds files that can't be read to skipped.csv."""
    if skipped and not (out / SKIPPED).exists():
        csv_files.write(out / SKIPPED, SKIPPED_COLUMNS, [])
    if skipped:
        result_folder.append(out / SKIPPED, SKIPPED_COLUMNS, skipped)
