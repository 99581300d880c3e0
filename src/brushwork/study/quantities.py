"""The figures of a run that a comparison shows, and where result.json has them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from brushwork import statistics
from brushwork.run_folder import BASELINES
from brushwork.statistics import Spread
from brushwork.study.runs import Run


class Quantity(NamedTuple):
    """A figure of a run, by its keys in result.json; shown with some digits, and with its interval where it helps."""

    label: str
    keys: tuple[str, ...]
    digits: int = 3
    has_interval: bool = True

    def read(self, run: Run) -> float | None:
        """None where the run has none."""
        value: Any = run.result
        for key in self.keys:
            value = value.get(key) if value else None
        return value

    def spread(self, runs: Sequence[Run]) -> Spread | None:
        """Over the seeds of an arm; None where a run has no value."""
        values = [self.read(run) for run in runs]
        return None if None in values else statistics.spread(values)


LAST = Quantity("validation accuracy, last epoch", ("last", "val/accuracy"))
QUANTITIES = (
    LAST,
    Quantity("validation accuracy, best epoch", ("best", "val/accuracy")),
    Quantity("epoch of the peak", ("best", "epoch"), 1, False),
    Quantity("balanced accuracy, last epoch", ("last", "val/balanced_accuracy")),
    *(Quantity(label, ("baselines", name)) for name, label in BASELINES.items()),
    Quantity("test accuracy, last epoch", ("test", "last", "accuracy")),
    Quantity("test accuracy, best epoch", ("test", "best", "accuracy")),
    *(Quantity(f"test: {label}", ("test", "baselines", name)) for name, label in BASELINES.items()),
    Quantity("seconds", ("seconds",), 0, False),
    Quantity("images/s in training", ("images_per_second",), 0, False),
)
