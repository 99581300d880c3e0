"""A linear probe: logistic regression on a network's frozen features, its strength chosen by cross-validation."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from brushwork.batch import Batch, FeatureBatch
from brushwork.errors import UserError
from brushwork.models import logistic
from brushwork.models.features import input_of
from brushwork.models.stages import StagesClassifier

if TYPE_CHECKING:
    from brushwork.models.classifier import StyleClassifier

log = logging.getLogger(__name__)

FOLDS = 4
STRENGTHS = [10.0**power for power in range(-8, 1)]
_LIMITS = 1e-14, 1e6  # of strengths where the best one lies at an end
_STRENGTH = 1e-3  # of the features of so few paintings that there are no folds
_WHILE_CHOOSING = 1e-2  # tolerance: a tighter one moves no accuracy by more than 0.002


@dataclass(frozen=True)
class Solved:
    """A probe, and how it was found.

    weight: (width, classes) for the standardised features; bias: (classes,); mean and deviation (width,) of features.
    strength: C. gradient_norm: relative to the weights'. scores: of each strength, over all folds, the accuracy and
        the mean cross-entropy.
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    deviation: Tensor
    strength: float
    gradient_norm: float
    scores: dict[float, tuple[float, float]] = field(default_factory=dict)

    def logits(self, features: Tensor) -> Tensor:
        """(batch, classes) of features (batch, width)."""
        return ((features.double() - self.mean) / self.deviation) @ self.weight + self.bias

    def plain(self) -> dict[str, Any]:
        """For result.json and a checkpoint: numbers only."""
        return {
            "features": len(self.weight),
            "strength": self.strength,
            "gradient_norm": self.gradient_norm,
            "folds": FOLDS if self.scores else 0,
            "cross_validated": {f"{strength:g}": round(right, 6) for strength, (right, _) in self.scores.items()},
        }


def solve(
    features: Tensor,
    labels: Tensor,
    units: Sequence[int],
    classes: int,
    weights: Tensor | None = None,
    tolerance: float = logistic.TOLERANCE,
) -> Solved:
    """The probe of some paintings, all of them at the optimum of the strength that cross-validation chose.

    Args:
        features: (paintings, views, width): of each painting, of its mirror image besides or not. It is scored by the
            first.
        labels: (paintings,). units: (paintings,): what has one number is in one fold.
        weights: (classes,) of the losses. tolerance: see `logistic.path`.
    """
    views, device = features.shape[1], features.device if features.device.type == "cuda" else torch.device("cpu")
    features, labels = features.to(device, torch.float64), labels.to(device)
    deviation, mean = torch.std_mean(features.flatten(0, 1), 0, correction=0)
    deviation = torch.where(deviation > 1e-6 * mean.abs() + 1e-12, deviation, 1.0)
    features = (features - mean) / deviation
    rows, doubled = features.flatten(0, 1), labels.repeat_interleave(views)  # (paintings * views, width)
    share = torch.ones(classes, device=device) if weights is None else weights.to(device)
    shares = (share[doubled] / views)[:, None]
    fold = torch.from_numpy(balanced_folds(np.asarray(units), labels.cpu().numpy())).to(device)
    scores: dict[float, tuple[float, float]] = {}
    if fold.max() > 0:
        within = shares * (fold.repeat_interleave(views)[:, None] != torch.arange(fold.max() + 1, device=device))
        scores = _cross_validated(features[:, 0].float(), rows.float(), doubled, within.float(), labels, fold)
    strength = _best(scores) if scores else _STRENGTH
    (found,) = logistic.path(rows, doubled, shares, [strength], classes, tolerance)
    norm = found.gradient_norm.item()
    return Solved(found.weight[0], found.bias[0], mean, deviation, strength, norm, scores)


def _best(scores: dict[float, tuple[float, float]]) -> float:
    """The strength of the highest accuracy; of equals that of the smallest cross-entropy, since of very small weights
    the direction alone tells the class."""
    return min(scores, key=lambda strength: (-scores[strength][0], scores[strength][1]))


def _cross_validated(
    scored: Tensor, rows: Tensor, of_rows: Tensor, shares: Tensor, labels: Tensor, fold: Tensor
) -> dict[float, tuple[float, float]]:
    """The accuracy and mean cross-entropy of each strength, on a path that goes on where the best lies at its end."""
    classes, found = int(labels.max()) + 1, {}

    def walk(strengths: Iterator[float]) -> None:
        for solution in logistic.path(rows, of_rows, shares, strengths, classes, _WHILE_CHOOSING):
            logits = torch.einsum("nw,pwc->npc", scored, solution.weight) + solution.bias  # (paintings, folds, classes)
            held_out = logits[torch.arange(len(fold)), fold]  # (paintings, classes)
            right = (held_out.argmax(1) == labels).double().mean().item()
            found[solution.strength] = right, nn.functional.cross_entropy(held_out, labels).item()

    def rising() -> Iterator[float]:
        yield from STRENGTHS
        while (top := max(found)) == _best(found) and top < _LIMITS[1]:
            yield top * 10

    walk(rising())
    while (least := min(found)) == _best(found) and least > _LIMITS[0]:
        walk(iter([least / 10]))
    return dict(sorted(found.items()))


def balanced_folds(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The fold of each painting, (paintings,), FOLDS of them where there are units enough; a unit is never divided.

    The largest units are dealt first, each to the fold with the fewest paintings of its classes, in shares of these.

    >>> balanced_folds(np.array([7, 7, 1, 2, 3, 4]), np.array([0, 0, 0, 1, 1, 1])).tolist()
    [0, 0, 1, 2, 3, 1]
    """
    names, first, unit = np.unique(units, return_index=True, return_inverse=True)
    counts = np.zeros((len(names), labels.max(initial=0) + 1))
    np.add.at(counts, (unit, labels), 1)
    shares = counts / np.maximum(counts.sum(0), 1)  # (units, classes)
    filled, fold_of = np.zeros((min(FOLDS, len(names)), counts.shape[1])), np.empty(len(names), int)
    for one in np.lexsort([first, -counts.sum(1)]):
        # Of equals the fold with the fewest paintings of any class.
        fold_of[one] = np.lexsort([filled.sum(1), (filled @ shares[one]).round(12)])[0]
        filled[fold_of[one]] += shares[one]
    return fold_of[unit]


class Probe:
    """Collects the features and labels of an epoch of a `StyleClassifier`, and sets its solution.

    layers, views: see `stages.LAYERS`; with two views the mirror images of training pictures besides.
    """

    def __init__(self, layers: str, views: int) -> None:
        self.layers, self.views = layers, views
        self.described: dict[str, Any] = {"layers": layers, "views": views}  # and how the last solution was found
        self._collected: list[tuple[Tensor, Tensor, Tensor]] = []

    def prepare(self, data: Any) -> None:
        """Before training, of the data module: pictures as they are. Refuses what would vary them."""
        if (augmentation := getattr(data, "augmentation", None)) is None:
            return
        data.augmentation, data.views = replace(augmentation, flip=False), self.views
        if data.transform is not None or data.augmentation != type(augmentation)(flip=False):
            raise UserError(
                "tuning=probe takes each picture as it is (with probe.views=2 mirrored besides): leave "
                "data.crop_scale, data.color_jitter and data.transform out"
            )

    @torch.no_grad()
    def collect(self, model: "StyleClassifier", batch: Batch | FeatureBatch) -> FeatureBatch | None:
        """Keep a batch's features; with the epoch's last batch solve, set the layer, and return all of them."""
        trainer, first = model.trainer, model.first_trained
        if isinstance(batch, FeatureBatch):
            features = batch.features if batch.features.ndim == 3 else batch.features[:, None]
        else:
            images = batch.images.to(model.dtype)
            views = [images, images.flip(3)][: self.views]
            features = torch.stack([input_of(first, model.network, one) for one in views], 1)
        self._collected.append((features, batch.labels, batch.index))
        if not trainer.is_last_batch:
            return None
        if trainer.world_size > 1:
            raise UserError("tuning=probe is solved at once, by one process: use trainer.devices=1")
        whole = FeatureBatch(*(torch.cat(column) for column in zip(*self._collected, strict=True)))
        self._collected.clear()
        self._solve(model, whole)
        model.optimizers().step()  # of no size: Lightning counts the epoch by it
        trainer.should_stop = True  # another epoch would solve the same
        return whole._replace(features=whole.features[:, 0])

    def _solve(self, model: "StyleClassifier", whole: FeatureBatch) -> None:
        start, index = time.perf_counter(), whole.index.tolist()
        known = getattr(model.trainer.datamodule, "units", None)
        units = index if known is None else [known[i] for i in index]
        solved = solve(whole.features, whole.labels, units, model.num_classes, model._class_weights)
        _set(model.network, model.new_layer, solved)
        seconds = time.perf_counter() - start
        self.described |= {"paintings": len(index), **solved.plain(), "seconds": round(seconds, 3)}
        steps = ", ".join(f"{strength:g} {right:.3f}" for strength, (right, _) in solved.scores.items())
        width = whole.features.shape[2]
        log.info("probe: %d features of %d paintings; accuracy over folds by C: %s", width, len(index), steps)
        norm = f"gradient norm {solved.gradient_norm:.1e} of the weights'"
        log.info("probe: C = %g, solved in %.1f s, %s", solved.strength, seconds, norm)


def _set(network: nn.Module, layer: nn.Module, solved: Solved) -> None:
    """Make the solution the network's: in its standardisation and linear layer, or folded into its last layer."""
    if isinstance(network, StagesClassifier):
        network.head[0].mean.copy_(solved.mean)
        network.head[0].deviation.copy_(solved.deviation)
        weight, bias = solved.weight, solved.bias
    else:
        weight = solved.weight / solved.deviation[:, None]
        bias = solved.bias - solved.mean @ weight
    layer.weight.copy_(weight.T)
    layer.bias.copy_(bias)
