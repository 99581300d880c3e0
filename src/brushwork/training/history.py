"""The history of a run: a row an epoch, and the answers for the held-out paintings, as plain values."""

from typing import Any

from brushwork import run_folder
from brushwork.models.scores import Scores


def describe_epoch(row: dict[str, Any], epochs: int) -> str:
    """One epoch in a line.

    >>> row = {"epoch": 2, "train/loss": 1.5, "train/accuracy": 0.4, "val/loss": None, "val/accuracy": None}
    >>> describe_epoch(row | {"train_images": 100, "train_seconds": 4.0}, 5)
    'epoch 2/5  train loss 1.500 accuracy 0.400  25 images/s'
    """
    words = [
        f"epoch {row['epoch']}/{epochs}",
        f"train loss {row['train/loss']:.3f} accuracy {row['train/accuracy']:.3f}",
    ]
    if row["val/accuracy"] is not None:
        words.append(f"val loss {row['val/loss']:.3f} accuracy {row['val/accuracy']:.3f}")
    words.append(f"{row['train_images'] / row['train_seconds']:.0f} images/s")
    return "  ".join(words)


def best_row(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The epoch of the highest validation accuracy, the earliest of equals; None without validation."""
    scored = [row for row in rows if row["val/accuracy"] is not None]
    return max(scored, key=lambda row: row["val/accuracy"], default=None)


def epoch_entry(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """An epoch's entry in result.json."""
    return row and {key: row.get(key) for key in run_folder.EPOCH_KEYS}


def answers_of(scores: Scores) -> list[list[Any]]:
    """[index, predicted, probability] of each painting, as plain values."""
    columns = (scores.index, scores.predicted, scores.probability)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
