"""What the report measured, and which runs follow its protocol."""

from scipy.stats import binomtest

from brushwork.study.runs import Run, flat

PEAKS = {"replace_last": (5, 0.368), "replace_two": (4, 0.386)}  # epoch and validation accuracy (section 2.3)
_PAINTINGS = 790  # in its validation part
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


def interval(accuracy: float) -> tuple[float, float]:
    """The 95% interval (Wilson) of an accuracy on so few paintings."""
    found = binomtest(round(accuracy * _PAINTINGS), _PAINTINGS).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def follows(run: Run) -> bool:
    """Whether a run follows the report's protocol: _PROTOCOL, a split that ignores artists, and ten styles."""
    settings = flat(run.config)
    recall = (run.result["last"] or {}).get("val/recall") or {}
    same_split = settings.get("split.name") in ("random", "given")
    return same_split and len(recall) == 10 and all(settings.get(key) == _PROTOCOL[key] for key in _PROTOCOL)
