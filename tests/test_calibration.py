"""Calibration against torchmetrics, scikit-learn, closed forms and tables worked by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from brushwork import calibration
from brushwork.calibration import Calibration
from brushwork.errors import UserError

GENERATOR = np.random.default_rng(0)


def drawn(count: int, overconfidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `overconfidence` times those of the probabilities by which the labels are drawn."""
    logits = GENERATOR.normal(0, 1.5, (count, 4))
    labels = np.array([GENERATOR.choice(4, p=row) for row in calibration.probabilities(logits)])
    return (overconfidence * logits).astype(np.float32), labels


@pytest.mark.parametrize("overconfidence", [0.5, 3.0])
def test_the_temperature_undoes_what_was_multiplied(overconfidence: float) -> None:
    logits, labels = drawn(4000, overconfidence)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(overconfidence, rel=0.06)


def test_the_temperature_is_at_the_minimum_of_torchs_cross_entropy() -> None:
    logits, labels = drawn(200, 2.0)
    temperature = calibration.fit_temperature(logits, labels)

    def loss(value: float) -> float:
        return torch.nn.functional.cross_entropy(torch.tensor(logits).double() / value, torch.tensor(labels)).item()

    assert loss(temperature) < min(loss(temperature * 1.01), loss(temperature / 1.01))


def test_answers_that_are_all_right_give_a_bounded_temperature() -> None:
    logits = 10 * np.eye(3, dtype=np.float32)
    assert 0.05 <= calibration.fit_temperature(logits, np.arange(3)) < 0.5
    assert calibration.fit_temperature(logits, np.array([1, 2, 0])) == pytest.approx(20, rel=0.01)


def test_errors_are_those_of_torchmetrics_and_scikit_learn() -> None:
    logits, labels = drawn(300, 2.0)
    probabilities = calibration.probabilities(logits)
    torchs = multiclass_calibration_error(torch.tensor(probabilities), torch.tensor(labels), 4, n_bins=15, norm="l1")
    assert calibration.expected_calibration_error(probabilities, labels) == pytest.approx(torchs.item(), abs=1e-6)
    ours = calibration.brier(probabilities, labels)
    assert ours == pytest.approx(brier_score_loss(labels, probabilities, labels=range(4), scale_by_half=False))


def test_an_artist_is_in_one_fold_and_folds_are_even() -> None:
    artists = [f"a{number % 23}" for number in range(100)] + [""] * 20
    fold = calibration.folds(artists)
    assert all(
        len({f for f, name in zip(fold, artists, strict=True) if name == one}) == 1 for one in set(artists) - {""}
    )
    assert np.bincount(fold).min() >= 20
    assert len(set(fold[100:])) > 1  # unknown artists are not one


def test_a_painting_has_no_part_in_its_own_temperature() -> None:
    logits, labels = drawn(60, 2.0)
    fold = calibration.folds([str(number // 3) for number in range(60)])
    before = calibration.cross_fitted(logits, labels, fold)
    changed = np.where(fold == 2, (labels + 1) % 4, labels)
    after = calibration.cross_fitted(logits, changed, fold)
    assert (before[fold == 2] == after[fold == 2]).all()
    assert (before[fold != 2] != after[fold != 2]).all()


def test_within_one_artist_nothing_is_measured() -> None:
    logits, labels = drawn(12, 1.0)
    assert calibration.within(logits, labels, ["Monet"] * 12, 1.0) is None
    assert calibration.within(logits, labels, [""] * 12, 1.0).measured_on == "validation, cross-fitted by painting"


def test_withholding_by_hand() -> None:
    """Ten confident answers of which nine are right, then ten of which one is."""
    confidence = np.r_[np.linspace(0.99, 0.9, 10), np.linspace(0.6, 0.5, 10)]
    labels = np.array([0] * 9 + [1] + [0] + [1] * 9)
    probabilities = np.stack([confidence, 1 - confidence], 1)
    coverage, risk = calibration.risk_coverage(probabilities, labels)
    assert (coverage[9], risk[9], risk[-1]) == pytest.approx((0.5, 0.1, 0.5))
    fitted = Calibration(1.0, 20, calibration._curve(*calibration.answers(probabilities, labels)))
    assert fitted.threshold(0.9) == pytest.approx(0.6, rel=1e-5)  # 10 of 11
    assert fitted.threshold(0.5) == pytest.approx(0.5, rel=1e-5)
    assert fitted.threshold(0.9) < np.float32(0.6) * (1 - np.finfo(np.float32).eps)  # itself answered in float32
    with pytest.raises(UserError, match=r"no confidence reaches a precision of 0.95 .* \(0.909 is the highest\)"):
        fitted.threshold(0.95)
    with pytest.raises(UserError, match="not calibrated"):
        Calibration().threshold(0.9)
    with pytest.raises(UserError, match=r"above 0 and up to 1, but got 1\.5"):
        fitted.threshold(1.5)


def test_equal_confidences_stand_or_fall_together() -> None:
    confidence, correct = np.full(30, 0.7), np.arange(30) < 15
    assert calibration._curve(confidence, correct) == [[0.7, 0.5, 1.0]]
    assert len(calibration._curve(GENERATOR.random(5000), GENERATOR.random(5000) < 0.5)) == 200
