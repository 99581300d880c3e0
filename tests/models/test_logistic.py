"""The solver beside scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from brushwork.models import logistic


def made(rows: int, width: int, apart: float, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Rows (rows, width) of rather dependent columns, and labels that they tell."""
    generator = torch.Generator().manual_seed(rows + width)
    labels = torch.arange(rows) % classes
    table = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    table = table @ torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    return table + apart * torch.randn(classes, width, generator=generator, dtype=torch.float64)[labels], labels


def logits(table: Tensor, weight: Tensor, bias: Tensor) -> np.ndarray:
    """Less their mean over the classes: a number more or less in all of a picture's logits changes nothing."""
    found = table @ weight + bias
    return (found - found.mean(1, keepdim=True)).numpy()


def theirs(table: Tensor, labels: Tensor, strength: float, shares: Tensor | None = None) -> np.ndarray:
    model = LogisticRegression(C=strength, solver="newton-cg", tol=1e-10, max_iter=10_000)
    model.fit(table.numpy(), labels.numpy(), None if shares is None else shares.numpy())
    return logits(table, torch.from_numpy(model.coef_.T), torch.from_numpy(model.intercept_))


CASES = {
    "more rows": made(80, 12, 0.3),
    "more dimensions": made(30, 90, 0.3),
    "separable": made(60, 8, 4.0),
    "separable, more dimensions": made(24, 60, 3.0),
}


@pytest.mark.parametrize("case", CASES)
def test_the_optimum_is_that_of_scikit_learn(case: str) -> None:
    table, labels = CASES[case]
    strengths = [1e-4, 1e-2, 1.0, 100.0]
    for found in logistic.path(table, labels, torch.ones(len(labels), 1), strengths, 3):
        assert found.gradient_norm.item() <= logistic.TOLERANCE
        ours = logits(table, found.weight[0], found.bias[0])
        assert ours == pytest.approx(theirs(table, labels, found.strength), abs=1e-4)


@pytest.mark.parametrize("case", ["more rows", "more dimensions"])
def test_each_part_is_solved_as_if_it_were_alone(case: str) -> None:
    table, labels = CASES[case]
    shares = torch.stack([torch.arange(len(labels)) % 4 != fold for fold in range(4)], 1)
    for found in logistic.path(table, labels, shares, [0.01, 1.0], 3):
        for fold, used in enumerate(shares.T):
            expected = theirs(table[used], labels[used], found.strength)
            assert logits(table[used], found.weight[fold], found.bias[fold]) == pytest.approx(expected, abs=1e-4)


def test_rows_weigh_what_they_are_given() -> None:
    table, labels = CASES["more rows"]
    shares = 0.5 + labels.double()
    (found,) = logistic.path(table, labels, shares[:, None], [0.1], 3)
    expected = theirs(table, labels, 0.1, shares)
    assert logits(table, found.weight[0], found.bias[0]) == pytest.approx(expected, abs=1e-4)


def test_a_constant_column_equal_rows_and_a_class_of_one() -> None:
    table, labels = CASES["more dimensions"]
    table = torch.cat([table, torch.zeros(len(table), 1)], 1)
    table, labels = torch.cat([table, table[:1]]), torch.cat([labels, torch.tensor([3])])  # equal rows, two classes
    (found,) = logistic.path(table, labels, torch.ones(len(labels), 1), [1.0], 4)
    assert logits(table, found.weight[0], found.bias[0]) == pytest.approx(theirs(table, labels, 1.0), abs=1e-4)


def test_a_class_without_rows_is_not_predicted() -> None:
    table, labels = CASES["more rows"]
    (found,) = logistic.path(table, labels, torch.ones(len(labels), 1), [1.0], 4)
    answers = (table @ found.weight[0] + found.bias[0]).argmax(1)
    assert found.weight.isfinite().all()
    assert not (answers == 3).any()


def test_single_precision_finds_nearly_the_same() -> None:
    table, labels = CASES["more dimensions"]
    (found,) = logistic.path(table.float(), labels, torch.ones(len(labels), 1), [0.1], 3, tolerance=1e-4)
    assert logits(table.float(), found.weight[0], found.bias[0]) == pytest.approx(theirs(table, labels, 0.1), abs=1e-2)
