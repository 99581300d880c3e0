"""The measures by which maps are evaluated (measures.toml), by the name of their column, and the baselines."""

import tomllib
from importlib import resources
from typing import NamedTuple


class Measure(NamedTuple):
    """How a measure is shown, and in which direction a score is better."""

    title: str
    better: str  # "higher", "lower", or "" where it only gives the scale of another measure
    explanation: str  # for readers who don't know the paper

    def gain(self, value: float, other: float) -> float:
        """By how much a value is better than another."""
        return other - value if self.better == "lower" else value - other


_TABLE = resources.files("brushwork.saliency.evaluation") / "measures.toml"
MEASURES = {name: Measure(**fields) for name, fields in tomllib.loads(_TABLE.read_text(encoding="utf-8")).items()}
# Maps that depend on neither photo nor network. Scattered holes degrade a photo for a network: the first is good at
# deletion. Photographers centre their subject: the second is good at the rest.
BASELINES = {"random": "a random map", "centre": "a centred Gaussian"}
