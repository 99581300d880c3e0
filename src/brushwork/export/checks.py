"""How far an export's answers are from its checkpoint's, how fast it is, and how accurate."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from brushwork.errors import UserError
from brushwork.export.program import Run
from brushwork.export.source import Source, batch
from brushwork.preprocessing import Preprocessing
from brushwork.tables import Table

TOLERANCE = 1e-4  # of a probability: the largest difference that an export may have
_SIZES = (32, 5, 1)  # of batches, in which answers are compared
TIMED = (1, 32)
_SECONDS = 1.0  # of measuring, for each format and batch size
_MOST_RUNS = 20


@dataclass(frozen=True)
class Format:
    """A file of an export and what was measured of it; the checkpoint itself has no difference.

    may_differ: a smaller format, whose answers are others. milliseconds: for a picture, by batch size. correct: whether
    each validation painting was answered correctly.
    """

    name: str
    file: str
    bytes: int
    run: Run
    may_differ: bool = False
    difference: float | None = None
    milliseconds: tuple[float, ...] = ()
    predicted: np.ndarray | None = None
    accuracy: float | None = None


def difference(run: Run, pixels: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of a probability, at several batch sizes."""
    found = 0.0
    for size in _SIZES:
        found = max(found, largest(run(pixels[:size]), expected[:size]))
    return found


def largest(answers: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of a probability; infinite where one is no number."""
    found = float(np.abs(answers - expected).max())
    return found if np.isfinite(found) else float("inf")


def compared(one: Format, pixels: np.ndarray, expected: np.ndarray) -> Format:
    """The format with its difference from the checkpoint's probabilities; UserError where it is too large."""
    found = difference(one.run, pixels, expected)
    if not (one.may_differ or found <= TOLERANCE):
        raise UserError(
            f"{one.name} differs from the checkpoint by {found:.2g} in a probability, over {TOLERANCE:g}: nothing was "
            f"exported; try another --opset, or --format without it"
        )
    return replace(one, difference=found)


def timed(one: Format, pixels: np.ndarray) -> Format:
    """The format with the shortest time for a picture, by batch size."""
    return replace(one, milliseconds=tuple(_milliseconds(one.run, pixels[:size]) for size in TIMED))


def _milliseconds(run: Run, pixels: np.ndarray) -> float:
    run(pixels)
    times, end = [], time.perf_counter() + _SECONDS
    while not times or (len(times) < _MOST_RUNS and time.perf_counter() < end):
        start = time.perf_counter()
        run(pixels)
        times.append(time.perf_counter() - start)
    return 1000 * min(times) / len(pixels)  # other programs only ever add to it


def scored(formats: Sequence[Format], source: Source, class_names: Sequence[str], used: Preprocessing) -> list[Format]:
    """The formats with their answers for the run's whole validation part, and their accuracy."""
    rows = source.rows("val")
    labels = np.array([class_names.index(row["style"]) for row in rows])
    answers: Mapping[str, list[np.ndarray]] = {one.name: [] for one in formats}
    with tqdm(total=len(rows), desc="validation part", unit=" paintings", leave=False, disable=None) as bar:
        for start in range(0, len(rows), 32):
            paths = [source.root / row["path"] for row in rows[start : start + 32]]
            pixels = batch(paths, used)
            for one in formats:
                answers[one.name].append(one.run(pixels).argmax(1))
            bar.update(len(paths))
    found = []
    for one in formats:
        predicted = np.concatenate(answers[one.name])
        found.append(replace(one, predicted=predicted, accuracy=float((predicted == labels).mean())))
    return found


def missing(source: Source | None) -> str | None:
    """Why accuracy can't be measured, if it can't."""
    if source is None:
        return "the checkpoint is not in the folder of a finished run"
    rows = source.rows("val")
    if not rows:
        return "the run has no validation part"
    gone = [row["path"] for row in rows if not (source.root / row["path"]).is_file()]
    if gone:
        return f"{len(gone)} of {len(rows)} validation paintings are not in {source.root.resolve()}: name it by --data"
    return None


def table(formats: Sequence[Format]) -> Table:
    """A row a format, for the terminal; the first is the checkpoint."""
    heading = ["format", "file", "MB", "difference", *(f"ms, batch {size}" for size in TIMED)]
    rows = [heading]
    for one in formats:
        far = "" if one.difference is None else f"{one.difference:.1e}"
        rows.append([one.name, one.file, megabytes(one.bytes), far, *(f"{ms:.2f}" for ms in one.milliseconds)])
    return rows


def megabytes(size: int) -> str:
    """Of a file."""
    return f"{size / 1e6:.2f}"


def costs(formats: Sequence[Format]) -> Table:
    """A row for each format whose accuracy was measured: what it costs, beside the checkpoint's."""
    rows = [["validation part", "accuracy", "points", "other answers than the checkpoint's"]]
    whole = formats[0]
    for one in formats:
        if one.accuracy is None:
            continue
        points = f"{100 * (one.accuracy - whole.accuracy):+.1f}"
        changed = f"{(one.predicted != whole.predicted).sum()} of {len(one.predicted)}"
        cells = ["", ""] if one is whole else [points, changed]
        rows.append([one.name, f"{one.accuracy:.4f}", *cells])
    return rows


def size_of(path: Path) -> int:
    """Bytes of a file, and of the weights beside it."""
    beside = path.with_name(path.name + ".data")
    return path.stat().st_size + (beside.stat().st_size if beside.exists() else 0)
