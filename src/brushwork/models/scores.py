"""A network's scores on a part of the paintings: accuracy, and class-averaged metrics."""

from dataclasses import dataclass

import numpy as np
import torch
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_recall


@dataclass(frozen=True)
class Scores:
    """A part's predictions, each painting once, sorted by index. Arrays are (paintings,)."""

    index: np.ndarray  # in the catalogue
    labels: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray  # of the predicted class
    loss: np.ndarray
    logits: np.ndarray  # (paintings, num_classes) float32
    num_classes: int

    @classmethod
    def of(cls, index: torch.Tensor, *others: torch.Tensor, num_classes: int) -> "Scores":
        """From tensors in any order; of a painting that occurs twice (DDP's padding), the first is used."""
        index, *others = (column.cpu().numpy() for column in (index, *others))
        index, first = np.unique(index, return_index=True)
        return cls(index, *(column[first] for column in others), num_classes)

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.predicted == self.labels))

    @property
    def recall(self) -> list[float | None]:
        """The recall of each class; None for a class without a painting in this part."""
        return self._by_class(multiclass_recall)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have paintings here."""
        return float(np.mean([value for value in self.recall if value is not None]))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the classes that have paintings here."""
        return float(np.mean([value for value in self._by_class(multiclass_f1_score) if value is not None]))

    def _by_class(self, score) -> list[float | None]:  # noqa: ANN001 (one of torchmetrics' functions)
        predicted, labels = torch.from_numpy(self.predicted), torch.from_numpy(self.labels)
        values = score(predicted, labels, self.num_classes, average=None)
        there = np.bincount(self.labels, minlength=self.num_classes) > 0
        return [float(value) if present else None for value, present in zip(values, there, strict=True)]
