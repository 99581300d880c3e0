"""Probabilities that mean something: temperature scaling, its measures, and the confidence to answer from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from brushwork.errors import UserError

BINS = 15  # of confidence, of equal width (Guo et al. 2017)
FOLDS = 5
_LOG_TEMPERATURES = (np.log(0.05), np.log(20.0))  # beyond them nothing changes that a reader would see
_FEWEST = 10  # answers by which a confidence threshold's precision is judged
_POINTS = 200  # of a stored curve


@dataclass(frozen=True)
class Calibration:
    """What turns a network's logits into probabilities, fitted on the validation part; plain values.

    temperature: the logits are divided by it before the softmax (Guo et al. 2017, section 4.2); 1 changes nothing.
    paintings: on how many it was fitted; 0 where it was not.
    curve: of the calibrated answers of those paintings, [confidence, precision, coverage]: of the answers of at least
        this confidence, the share that is correct, and their share of all answers; by falling confidence.
    """

    temperature: float = 1.0
    paintings: int = 0
    curve: Sequence[Sequence[float]] = ()

    @property
    def is_fitted(self) -> bool:
        return self.paintings > 0

    def plain(self) -> dict[str, Any]:
        """For a checkpoint: numbers and lists only."""
        return asdict(self)

    def threshold(self, precision: float) -> float:
        """The lowest confidence whose answers reach a precision on the validation part, in [0, 1].

        Raises UserError where no confidence does, or nothing was fitted.
        """
        if not 0 < precision <= 1:
            raise UserError(f"expected a precision above 0 and up to 1, but got {precision:g}")
        if not self.is_fitted:
            raise UserError(
                "this checkpoint was not calibrated, so no confidence is known that reaches a precision: "
                "train with callbacks.calibration and a validation part, or leave --withhold out"
            )
        reached = [confidence for confidence, of_answers, _ in self.curve if of_answers >= precision]
        if not reached:
            best = max((point[1] for point in self.curve), default=0.0)
            raise UserError(
                f"no confidence reaches a precision of {precision:g} on the {self.paintings} validation paintings "
                f"({best:.3f} is the highest): ask for less"
            )
        return float(min(reached))


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fit a temperature and the curve of confidence on held-out answers.

    Args:
        logits: (paintings, classes) float32. labels: (paintings,) class indices.
    """
    temperature = fit_temperature(logits, labels)
    confidence, correct = answers(probabilities(logits, temperature), labels)
    return Calibration(temperature, len(labels), _curve(confidence, correct))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the smallest mean negative log-likelihood (Guo et al. 2017, section 4.2), in [0.05, 20]."""
    logits = np.asarray(logits, np.float64)

    def loss(log_temperature: float) -> float:
        chosen = log_softmax(logits / np.exp(log_temperature), axis=1)[np.arange(len(labels)), labels]
        return -float(chosen.mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x))


def probabilities(logits: np.ndarray, temperature: float | np.ndarray = 1.0) -> np.ndarray:
    """softmax(logits / temperature), (paintings, classes); a temperature for all, or (paintings,)."""
    temperature = np.asarray(temperature, np.float64).reshape(-1, 1)
    return softmax(np.asarray(logits, np.float64) / temperature, axis=1)


def answers(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each answer, (paintings,) in [0, 1], and whether it is correct."""
    return probabilities.max(1), probabilities.argmax(1) == labels


def _curve(confidence: np.ndarray, correct: np.ndarray) -> list[list[float]]:
    """[confidence, precision, coverage] of the most confident answers, at least _FEWEST, at most _POINTS rows."""
    order = np.argsort(-confidence, kind="stable")
    counts = np.arange(1, len(order) + 1)
    rows = np.stack([confidence[order], correct[order].cumsum() / counts, counts / len(order)], axis=1)
    rows = rows[
        np.append(np.diff(rows[:, 0]) != 0, True) & (counts >= min(_FEWEST, len(counts)))
    ]  # none between equals
    if len(rows) > _POINTS:
        rows = rows[np.linspace(0, len(rows) - 1, _POINTS).round().astype(int)]
    return rows.tolist()
