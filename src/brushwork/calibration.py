"""Probabilities that mean something: temperature scaling, its measures, and the confidence to answer from."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from brushwork.errors import UserError
from brushwork.statistics import named_clusters

BINS = 15  # of confidence, of equal width (Guo et al. 2017)
FOLDS = 5
_LOG_TEMPERATURES = (np.log(0.05), np.log(20.0))  # beyond them nothing changes that a reader would see
_FEWEST = 10  # answers by which a confidence threshold's precision is judged
_POINTS = 200  # of a stored curve
_ROUNDING = 1e-6  # of float32, in which predictions compute: the painting at a threshold is above it


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
                "train with callbacks.calibrate and a validation part, or leave --withhold out"
            )
        reached = [confidence for confidence, of_answers, _ in self.curve if of_answers >= precision]
        if not reached:
            best = max((point[1] for point in self.curve), default=0.0)
            raise UserError(
                f"no confidence reaches a precision of {precision:g} on the {self.paintings} validation paintings "
                f"({best:.3f} is the highest): ask for less"
            )
        return float(min(reached)) * (1 - _ROUNDING)


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


def folds(clusters: Sequence[str]) -> np.ndarray:
    """The fold of each painting, (paintings,) from 0 to FOLDS - 1: paintings of one cluster (an artist) share theirs.

    An empty name is a cluster of its own. The largest clusters are dealt first, each to the smallest fold.

    >>> folds(["a", "a", "a", "b", "c", ""]).tolist()
    [0, 0, 0, 1, 2, 3]
    """
    names = named_clusters(clusters)
    _, first, cluster, counts = np.unique(names, return_index=True, return_inverse=True, return_counts=True)
    sizes, fold_of = np.zeros(min(FOLDS, len(counts)), int), np.empty(len(counts), int)
    for one in np.lexsort([first, -counts]):
        fold_of[one] = sizes.argmin()
        sizes[fold_of[one]] += counts[one]
    return fold_of[cluster]


def cross_fitted(logits: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """For each painting, (paintings,), the temperature that the other folds give: it was not fitted on this painting.

    fold: (paintings,), two different ones at least (`folds`).
    """
    temperatures = np.empty(len(labels))
    for number in np.unique(fold):
        temperatures[fold == number] = fit_temperature(logits[fold != number], labels[fold != number])
    return temperatures


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean distance of accuracy and confidence, in [0, 1], over BINS bins of equal width (Guo et al. 2017, eq. 3).

    >>> expected_calibration_error(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1]))
    0.4
    """
    return float(sum(share * abs(accuracy - confidence) for confidence, accuracy, share in bins(probabilities, labels)))


def bins(probabilities: np.ndarray, labels: np.ndarray) -> list[tuple[float, float, float]]:
    """Of each bin of confidence that has paintings: their mean confidence, accuracy, and share of all paintings."""
    confidence, correct = answers(probabilities, labels)
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    inside = [number == one for one in range(BINS)]
    return [(float(confidence[m].mean()), float(correct[m].mean()), float(m.mean())) for m in inside if m.any()]


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The Brier score, the mean of sum over classes of (probability - truth)^2, in [0, 2] (Brier 1950).

    >>> round(brier(np.array([[0.9, 0.1], [0.9, 0.1]]), np.array([0, 1])), 6)
    0.82
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(1).mean())


def risk_coverage(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and risk, (paintings,) each: of the most confident answers, their share of all and the share that is
    wrong (El-Yaniv and Wiener 2010)."""
    confidence, correct = answers(probabilities, labels)
    counts = np.arange(1, len(labels) + 1)
    wrong = (~correct[np.argsort(-confidence, kind="stable")]).cumsum()
    return counts / len(labels), wrong / counts


@dataclass(frozen=True)
class HeldOut:
    """Probabilities of paintings on which their temperature was not fitted, before calibration and after it.

    measured_on: "test", or "validation, cross-fitted by artist". temperature: the one that predictions use.
    before, after: (paintings, classes). labels: (paintings,).
    """

    measured_on: str
    temperature: float
    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray

    def figures(self) -> dict[str, Any]:
        """As plain values: what was measured, the calibration error and the Brier score before and after."""
        found = {"temperature": self.temperature, "measured_on": self.measured_on, "paintings": len(self.labels)}
        for name, measure in (("ece", expected_calibration_error), ("brier", brier)):
            found |= {f"{name}_{when}": measure(getattr(self, when), self.labels) for when in ("before", "after")}
        return found


def held_out(
    part: str, logits: np.ndarray, labels: np.ndarray, artists: Sequence[str], temperature: float
) -> HeldOut | None:
    """Of the part "test", as `on_test`; of another one as `within`."""
    if part == "test":
        return on_test(logits, labels, temperature)
    return within(logits, labels, artists, temperature)


def on_test(logits: np.ndarray, labels: np.ndarray, temperature: float) -> HeldOut:
    """The test part's, by a temperature of the validation part."""
    return HeldOut("test", temperature, probabilities(logits), probabilities(logits, temperature), labels)


def within(logits: np.ndarray, labels: np.ndarray, artists: Sequence[str], temperature: float) -> HeldOut | None:
    """The validation part's, by cross-fitting over artists; None where all paintings are by one."""
    fold = folds(artists)
    if fold.max() == 0:
        return None
    after = probabilities(logits, cross_fitted(logits, labels, fold))
    unit = "artist" if any(artists) else "painting"
    return HeldOut(f"validation, cross-fitted by {unit}", temperature, probabilities(logits), after, labels)


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
