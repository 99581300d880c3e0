"""What the runs of an arm answered, painting by painting, and which paintings are worth a look."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brushwork import run_folder
from brushwork.errors import UserError
from brushwork.study.arms import Arm
from brushwork.study.runs import Run


@dataclass(frozen=True)
class Answers:
    """The answers of an arm's runs on the same paintings, a row a seed.

    paths, artists, styles: (paintings,), sorted by path.
    predicted: (seeds, paintings) styles; probability: (seeds, paintings) of them, in [0, 1].
    """

    paths: np.ndarray
    artists: np.ndarray
    styles: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """(seeds, paintings) bool."""
        return self.predicted == self.styles

    def described(self, painting: int) -> str:
        """What a painting was taken for, by how many seeds: "Baroque 2, Realism 1"."""
        counts = Counter(self.predicted[:, painting].tolist())
        return ", ".join(style if len(counts) == 1 else f"{style} {count}" for style, count in counts.most_common())


def read(arm: Arm, part: str = "val", epoch: str = "last") -> Answers | None:
    """An arm's answers; None where its runs were scored on different paintings.

    Raises:
        UserError: a run's predictions can't be read, or it has none.
    """
    tables = [_table(run, part, epoch) for run in arm.runs]
    paths, artists, styles = tables[0][:, :3].T
    if any(not np.array_equal(table[:, :3], tables[0][:, :3]) for table in tables):
        return None
    predicted = np.stack([table[:, 3] for table in tables])
    return Answers(paths, artists, styles, predicted, np.stack([table[:, 4] for table in tables]).astype(float))


def _table(run: Run, part: str, epoch: str) -> np.ndarray:
    """(paintings, 5): path, artist, style, predicted, probability."""
    path = run.folder / run_folder.PREDICTIONS
    columns = ("path", "artist", "style", "predicted", "probability")
    try:
        rows = [
            [row[column] for column in columns]
            for row in run_folder.read_csv(path)
            if (row["part"], row["epoch"]) == (part, epoch)
        ]
    except (OSError, KeyError) as error:
        raise UserError(f"{path} can't be read ({error}): train this run again, or leave it out") from None
    if not rows:
        raise UserError(f"{path} has no answers of the {epoch} epoch: train this run again, or leave it out")
    return np.array(sorted(rows))


def on_same_paintings(answers: Sequence[Answers | None]) -> bool:
    """Whether all arms were scored on the same paintings."""
    first = answers[0]
    return first is not None and all(
        one is not None and np.array_equal(one.paths, first.paths) and np.array_equal(one.styles, first.styles)
        for one in answers
    )


def only_second_right(first: Answers, second: Answers) -> list[int]:
    """The paintings on which more of the second arm's seeds are right, the greatest share first."""
    lead = second.right.mean(0) - first.right.mean(0)  # (paintings,)
    order = np.argsort(-lead, kind="stable")
    return order[lead[order] > 0].tolist()


def always_missed(answers: Sequence[Answers]) -> list[int]:
    """The paintings that every seed of every arm misses, those first of which they were surest."""
    missed = ~np.any([one.right.any(0) for one in answers], axis=0)  # (paintings,)
    sureness = np.mean([one.probability.mean(0) for one in answers], axis=0)
    order = np.argsort(-sureness, kind="stable")
    return order[missed[order]].tolist()
