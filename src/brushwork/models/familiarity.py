"""Is a picture like those that a network was trained on? A distance in its feature space."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Familiarity:
    """What training pictures look like to a network; at most 1 MB in a checkpoint.

    mean: (width,) of the training pictures' features; components: (kept, width), their principal directions;
    deviations: (kept,), the features' standard deviation along each. residual: their root mean square distance from
    the plane of these directions. All float32.
    threshold: of `distance`, above which a picture is called unlike the training pictures.
    false_alarms: the share of held-out paintings above it.
    """

    mean: Tensor
    components: Tensor
    deviations: Tensor
    residual: float
    threshold: float
    false_alarms: float

    def distance(self, features: Tensor) -> Tensor:
        """(batch,) float32: how far features (batch, width) are from the training pictures', in deviations."""
        centred = features.float() - self.mean.to(features.device)
        along = centred @ self.components.to(features.device).T  # (batch, kept)
        scaled = (along / self.deviations.to(features.device)).square().sum(1)
        rest = (centred.square().sum(1) - along.square().sum(1)).clamp_min(0) / self.residual**2
        return ((scaled + rest) / (len(self.deviations) + 1)).sqrt()

    def is_unlike(self, features: Tensor) -> Tensor:
        """(batch,) bool."""
        return self.distance(features) > self.threshold

    def plain(self) -> dict[str, Any]:
        """For a checkpoint: numbers and tensors only."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any] | None) -> "Familiarity | None":
        """From what `plain` returned."""
        return cls(**{**plain, "mean": torch.as_tensor(plain["mean"])}) if plain else None
