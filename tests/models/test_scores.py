"""Scores of a part, against a table worked by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from brushwork.models.scores import Scores


def scores(labels: list[int], predicted: list[int], num_classes: int) -> Scores:
    count = len(labels)
    arrays = np.arange(count), np.array(labels), np.array(predicted), np.full(count, 0.5), np.ones(count)
    return Scores(*arrays, np.zeros((count, num_classes)), num_classes)


def test_by_hand() -> None:
    """Class 2 has no painting here, though one is taken for it."""
    found = scores([0, 0, 0, 0, 1, 3, 3], [0, 0, 0, 2, 1, 3, 0], 4)
    assert found.accuracy == pytest.approx(5 / 7)
    assert found.recall == [pytest.approx(3 / 4), 1.0, None, 0.5]
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 1 + 1 / 2) / 3)
    # F1 = 2 TP / (2 TP + FP + FN): class 0: 6 / (6 + 1 + 1), class 1: 1, class 3: 2 / (2 + 0 + 1)
    assert found.macro_f1 == pytest.approx((6 / 8 + 1 + 2 / 3) / 3)


def test_as_scikit_learn_where_every_class_is_there() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 5, 300), rng.integers(0, 5, 300)
    found = scores(labels.tolist(), predicted.tolist(), 5)
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found.recall == pytest.approx(metrics.recall_score(labels, predicted, average=None))


def test_chance_is_one_in_the_classes_whatever_their_sizes() -> None:
    found = scores([0] * 90 + [1] * 10, [0] * 100, 2)
    assert found.accuracy == 0.9
    assert found.balanced_accuracy == 0.5
