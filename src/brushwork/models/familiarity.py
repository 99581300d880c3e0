"""Is a picture like those that a network was trained on? A distance in its feature space."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from brushwork.calibration import folds

FALSE_ALARMS = 0.05  # of held-out paintings, by the choice of the threshold
_DIRECTIONS = 64
_COMPONENT_VALUES = 2**18  # half a megabyte in float16


@dataclass(frozen=True)
class Familiarity:
    """What training pictures look like to a network, as the plane in which their features vary most.

    A picture's residual is the Euclidean distance of its features from that plane (Wang et al. 2022, "ViM", section
    4.1). It is large for what the network knows nothing of, a photo, and small for what hardly excites it, noise; so
    its distance from the training pictures is how far the residual's logarithm lies from the typical one, either way.

    mean: (width,) float32, of the training pictures' features. components: (directions, width) float16, orthonormal:
    the directions of their largest variance. typical: the median logarithm of the validation paintings' residuals.
    threshold: of `distance`, above which a picture is called unlike the training pictures.
    false_alarms: the share of held-out paintings above a threshold that other artists' paintings gave.
    """

    mean: Tensor
    components: Tensor
    typical: float
    threshold: float
    false_alarms: float

    def distance(self, features: Tensor) -> Tensor:
        """(batch,) float32, 0 or more, of features (batch, width)."""
        residual = _log_residual(features, self.mean.to(features.device), self.components.to(features.device))
        return (residual - self.typical).abs()

    def is_unlike(self, features: Tensor) -> Tensor:
        """(batch,) bool."""
        return self.distance(features) > self.threshold

    def plain(self) -> dict[str, Any]:
        """For a checkpoint: numbers and tensors only."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any] | None) -> "Familiarity | None":
        """From what `plain` returned."""
        return cls(**plain) if plain else None


def fit(training: Tensor, held_out: Tensor, artists: Sequence[str]) -> Familiarity | None:
    """From the features of some training paintings and of held-out ones, (paintings, width) each, and the artists of
    the latter; None where there are too few."""
    if len(training) < 4 or len(held_out) < 2:
        return None
    training = training.double().cpu()
    mean = training.mean(0)
    kept = min(_DIRECTIONS, len(training) // 2, training.shape[1] // 2, _COMPONENT_VALUES // training.shape[1])
    # The principal directions by way of the paintings' products, which are fewer than the features as a rule.
    centred = training - mean
    values, vectors = torch.linalg.eigh(centred @ centred.T)  # in rising order
    values, vectors = values.flip(0)[:kept], vectors.flip(1)[:, :kept]
    real = values > max(1e-12, values[0].item() * 1e-10)  # the others are rounding
    directions = (vectors[:, real].T @ centred) / values[real].sqrt()[:, None]
    mean, components = mean.float(), directions.half()
    residuals = _log_residual(held_out.float().cpu(), mean, components).double()
    typical, threshold = _threshold(residuals)
    alarms = torch.zeros(len(residuals), dtype=torch.bool)
    fold = torch.from_numpy(folds(artists))
    for number in fold.unique():
        centre, limit = _threshold(residuals[fold != number])
        own = fold == number
        alarms[own] = (residuals[own] - centre).abs() > limit
    return Familiarity(mean, components, typical, threshold, alarms.double().mean().item())


def _log_residual(features: Tensor, mean: Tensor, components: Tensor) -> Tensor:
    """(batch,): the logarithm of the features' distance from the plane."""
    centred, components = features.float() - mean, components.float()
    rest = centred - (centred @ components.T) @ components
    return rest.norm(dim=1).clamp_min(1e-12).log()


def _threshold(residuals: Tensor) -> tuple[float, float]:
    """The median, and how far from it all but FALSE_ALARMS of the values lie."""
    typical = residuals.median()
    return typical.item(), (residuals - typical).abs().quantile(1 - FALSE_ALARMS).item()
