"""What the runs of an arm predicted, painting by painting, and the paintings on which arms disagree."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from brushwork import calibration, csv_files, run_folder
from brushwork.calibration import HeldOut
from brushwork.errors import UserError
from brushwork.study.runs import Run

_COLUMNS = ("path", "artist", "style", "predicted", "probability")


class Predictions(NamedTuple):
    """The predictions of an arm's runs for the same paintings, a row a seed.

    paths, artists, styles: (paintings,), sorted by path.
    predicted: (seeds, paintings) styles; probability: (seeds, paintings) of them, in [0, 1].
    """

    paths: np.ndarray
    artists: np.ndarray
    styles: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """(seeds, paintings) bool."""
        return self.predicted == self.styles

    def described(self, painting: int) -> str:
        """The predictions for a painting, with the number of seeds: "Baroque 2, Realism 1"."""
        counts = Counter(self.predicted[:, painting].tolist())
        return ", ".join(style if len(counts) == 1 else f"{style} {count}" for style, count in counts.most_common())


def read(runs: Sequence[Run], part: str | None = None) -> Predictions | None:
    """Predictions of the last epoch for a part (None: `Run.part`), of pooled folds together; None where runs were
    scored on different paintings. Raises UserError where a run has none."""
    tables = []
    for run in runs:
        together = np.concatenate([_table(one, part or run.part) for one in run.members])
        tables.append(together[np.argsort(together[:, 0], kind="stable")])  # folds' known paintings may be the same
    if any(not np.array_equal(table[:, :3], tables[0][:, :3]) for table in tables):
        return None
    predicted, probability = (np.stack([table[:, column] for table in tables]) for column in (3, 4))
    return Predictions(*tables[0][:, :3].T, predicted, probability.astype(float))


def _rows(run: Run, part: str) -> list[dict[str, str]]:
    """Of a run's predictions.csv those of a part by the last epoch."""
    rows = csv_files.read(run.folder / run_folder.PREDICTIONS)
    return [row for row in rows if (row["part"], row["epoch"]) == (part, "last")]


def _table(run: Run, part: str) -> np.ndarray:
    """(paintings, 5): _COLUMNS, sorted by path."""
    path = run.folder / run_folder.PREDICTIONS
    try:
        values = sorted([row[column] for column in _COLUMNS] for row in _rows(run, part))
    except (OSError, KeyError) as error:
        raise UserError(f"{path} can't be read ({error}): train this run again, or leave it out") from None
    if not values:
        raise UserError(f"{path} has no predictions of the last epoch: train this run again, or leave it out")
    return np.array(values)


def by_initial_probe(run: Run) -> np.ndarray | None:
    """Whether the linear probe of a run's initial weights is right, (paintings,) bool, in the order of `read`, of
    pooled folds together; None for a run without it."""
    paths, right = [], []
    for one in run.members:
        try:
            with np.load(one.folder / run_folder.LOGITS) as kept:
                predicted = kept["class_names"][kept[f"probe_{run.part}"]]
        except (OSError, KeyError):  # of an earlier version, or of random weights
            return None
        rows = _rows(one, run.part)
        paths += [row["path"] for row in rows]
        right += (predicted == np.array([row["style"] for row in rows])).tolist()
    return np.array(right)[np.argsort(paths, kind="stable")]


def held_out(run: Run) -> HeldOut | None:
    """The last epoch's probabilities before and after calibration, on the test part or else within the validation part;
    None for a run of an earlier version, or one that was not calibrated."""
    figures, path = run.result["calibration"]["last"], run.folder / run_folder.LOGITS
    if figures is None or not path.exists():
        return None
    part = "test" if figures["measured_on"] == "test" else "val"
    with np.load(path) as kept:
        logits, names = kept[f"{part}_last"], kept["class_names"].tolist()
    rows = _rows(run, part)
    labels, artists = np.array([names.index(row["style"]) for row in rows]), [row["artist"] for row in rows]
    return calibration.held_out(part, logits, labels, artists, figures["temperature"])


def more_often_correct(first: Predictions, second: Predictions) -> list[int]:
    """The paintings for which more of the second arm's seeds are correct, the greatest share first."""
    lead = second.correct.mean(0) - first.correct.mean(0)  # (paintings,)
    return [i for i in np.argsort(-lead, kind="stable").tolist() if lead[i] > 0]


def always_wrong(predictions: Sequence[Predictions]) -> list[int]:
    """The paintings for which every seed of every arm is wrong, the highest mean probability first."""
    wrong = ~np.any([one.correct.any(0) for one in predictions], axis=0)  # (paintings,)
    probability = np.mean([one.probability.mean(0) for one in predictions], axis=0)
    return [i for i in np.argsort(-probability, kind="stable").tolist() if wrong[i]]
