"""What the report measured, and which runs follow its protocol."""

from dataclasses import dataclass

from scipy.stats import binomtest

from brushwork.study.runs import Run, flat

PAINTINGS = 790  # in the report's validation part
_PROTOCOL = {
    "data.paint_demo": None,
    "model.architecture": "alexnet",
    "model.weights": "imagenet",
    "tuning.name": "full",
    "optimizer._target_": "torch.optim.SGD",
    "optimizer.lr": 0.01,
    "optimizer.momentum": 0.9,
    "trainer.max_epochs": 5,
}


@dataclass(frozen=True)
class Peak:
    """A peak validation accuracy in the report, and its 95% interval (Wilson) for so few paintings."""

    head: str
    epoch: int
    accuracy: float

    @property
    def interval(self) -> tuple[float, float]:
        found = binomtest(round(self.accuracy * PAINTINGS), PAINTINGS).proportion_ci(method="wilson")
        return float(found.low), float(found.high)


PEAKS = (Peak("replace_last", 5, 0.368), Peak("replace_two", 4, 0.386))  # report, section 2.3


def follows(run: Run) -> bool:
    """Whether a run follows the report's protocol: _PROTOCOL, a split that ignores artists, and ten styles."""
    settings = flat(run.config)
    recall = (run.result["last"] or {}).get("val/recall") or {}
    same_split = settings.get("split.name") in ("random", "given")
    return same_split and len(recall) == 10 and all(settings.get(key) == _PROTOCOL[key] for key in _PROTOCOL)
