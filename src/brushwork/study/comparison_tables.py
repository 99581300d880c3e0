"""The figures of a comparison: what they are, as tables of text, and as the rows of its CSV."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from brushwork import statistics
from brushwork.run_folder import BASELINES
from brushwork.statistics import Interval, Spread
from brushwork.study import arms
from brushwork.study.arms import Arm
from brushwork.study.difference import Difference, in_points, p_value, points
from brushwork.study.runs import Run
from brushwork.tables import Table

if TYPE_CHECKING:
    from brushwork.study.comparison import Comparison

CsvRow = dict[str, Any]
COLUMNS = ("arm", "against", "quantity", "seed", "value", "deviation", "low", "high", "p", "p_corrected")


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

    def spread(self, arm: Arm) -> Spread | None:
        """Over the seeds of an arm; None where a run has no value."""
        values = [self.read(run) for run in arm.runs]
        return None if None in values else statistics.spread(values)


LAST = Quantity("validation accuracy, last epoch", ("last", "val/accuracy"))
TEST_LAST = Quantity("test accuracy, last epoch", ("test", "last", "accuracy"))
KNOWN_LAST = Quantity("known artists, last epoch", ("known", "last", "accuracy"))
QUANTITIES = (
    LAST,
    Quantity("validation accuracy, best epoch", ("best", "val/accuracy")),
    Quantity("epoch of the peak", ("best", "epoch"), 1, False),
    Quantity("balanced accuracy, last epoch", ("last", "val/balanced_accuracy")),
    *(Quantity(label, ("baselines", name)) for name, label in BASELINES.items()),
    TEST_LAST,
    Quantity("test accuracy, best epoch", ("test", "best", "accuracy")),
    *(Quantity(f"test: {label}", ("test", "baselines", name)) for name, label in BASELINES.items()),
    KNOWN_LAST,
    Quantity("known artists, best epoch", ("known", "best", "accuracy")),
    *(Quantity(f"known artists: {label}", ("known", "baselines", name)) for name, label in BASELINES.items()),
    Quantity("temperature", ("calibration", "last", "temperature"), 2, False),
    *(
        Quantity(f"{label}, {when} calibration", ("calibration", "last", f"{name}_{when}"), 3, False)
        for name, label in (("ece", "calibration error"), ("brier", "Brier score"))
        for when in ("before", "after")
    ),
    Quantity("seconds", ("seconds",), 0, False),
    Quantity("images/s in training", ("images_per_second",), 0, False),
)


def of_arms(compared: "Comparison") -> Table:
    """A column an arm, a row a quantity: mean ± standard deviation over seeds [95% interval]."""
    rows = [
        ["", *(arm.name for arm in compared.arms)],
        ["seeds", *(", ".join(map(str, arm.seeds)) for arm in compared.arms)],
        ["split", *(arm.runs[0].split for arm in compared.arms)],
    ]
    if len(compared.arms[0].settings) > 1:  # a single one is the arm's name
        for key in compared.arms[0].settings:
            if not key.endswith("_partial_"):  # repeats its _target_
                rows.append([key, *(arms.shown(key, arm.settings[key]) for arm in compared.arms)])
    for quantity in QUANTITIES:
        if spreads := compared.spreads.get(quantity.label):
            cells = [spread_text(one, quantity.digits, quantity.has_interval) if one else "n/a" for one in spreads]
            rows.append([quantity.label, *cells])
        if found := _over_paintings(compared).get(quantity):
            intervals = [f"[{one[0]:.3f}, {one[1]:.3f}]" if one else "n/a" for one in found]
            rows.append(["95% over paintings", *intervals])
    return rows


def _over_paintings(compared: "Comparison") -> dict[Quantity, list[Interval | None]]:
    """The quantities that have an interval for other paintings, and for each arm this interval."""
    found = {compared.quantity: compared.over_paintings}
    return found | ({KNOWN_LAST: compared.over_known} if any(compared.over_known) else {})


def spread_text(spread: Spread, digits: int = 3, has_interval: bool = True, has_deviation: bool = True) -> str:
    """A mean over seeds; its deviation and interval only where the seeds differ.

    >>> spread_text(Spread(0.4, 0.1, (0.152, 0.648), seeds=3)), spread_text(Spread(0.3, None, None, seeds=1))
    ('0.400 ± 0.100 [0.152, 0.648]', '0.300')
    """
    text = f"{spread.mean:.{digits}f}"
    if spread.interval and has_deviation:
        text += f" ± {spread.deviation:.{digits}f}"
    if spread.interval and has_interval:
        text += " [{:.{digits}f}, {:.{digits}f}]".format(*spread.interval, digits=digits)
    return text


def of_differences(compared: "Comparison") -> Table:
    """A row an arm: its difference from the reference, in points."""
    holm = ["p (Holm)"] if len(compared.differences) > 1 else []
    rows = [["last epoch, in points", "mean [95% over seeds]", "p", *holm, "95% over paintings"]]
    for one in compared.differences:
        ps = [p_value(one.p), p_value(one.p_corrected)][: 1 + len(holm)]
        rows.append([f"{one.arm} - {one.reference}", one.in_points, *ps, in_points(one.over_paintings)])
    return rows


def of_seeds(compared: "Comparison") -> Table:
    """A row an arm and seed: the difference in points, paintings that only one got right, McNemar's exact test."""
    holm = ["p (Holm)"] if len(compared.differences) > 1 else []
    rows = [["by seed", "points", "correct: arm only", "reference only", "McNemar's p", *holm]]
    for one in compared.differences:
        for number, (seed, difference) in enumerate(zip(one.seeds, one.by_seed, strict=True)):
            cells = ["n/a"] * 4
            if one.mcnemar is not None:
                test, corrected = one.mcnemar[number], one.mcnemar_corrected[number]
                cells = [str(test.only_second), str(test.only_first), p_value(test.p), p_value(corrected)]
            rows.append([f"{one.arm}, seed {seed}", points(difference), *cells[: 3 + len(holm)]])
    return rows


def csv_rows(compared: "Comparison") -> Iterator[CsvRow]:
    """All figures, a row each: of one seed, or over seeds where `seed` is empty."""
    for quantity in QUANTITIES:
        for arm, spread in zip(compared.arms, compared.spreads.get(quantity.label, []), strict=False):
            base, values = {"arm": arm.name, "quantity": quantity.label}, map(quantity.read, arm.runs)
            yield from spread_rows(base, arm.seeds, values, spread)
    for quantity, intervals in _over_paintings(compared).items():
        for arm, spread, interval in zip(compared.arms, compared.spreads[quantity.label], intervals, strict=True):
            if interval is not None:
                base = {"arm": arm.name, "quantity": f"{quantity.label}, over paintings"}
                yield base | {"value": spread.mean, "low": interval[0], "high": interval[1]}
    for one in compared.differences:
        yield from difference_rows(one)
        base = {"arm": one.arm, "against": one.reference}
        for seed, test, corrected in zip(one.seeds, one.mcnemar or [], one.mcnemar_corrected or [], strict=False):
            ps = {"p": test.p, "p_corrected": corrected}
            yield base | {"seed": seed, "quantity": "McNemar: only the arm right", "value": test.only_second} | ps
            yield base | {"seed": seed, "quantity": "McNemar: only the reference right", "value": test.only_first}


def spread_rows(
    base: CsvRow, seeds: Iterable[int], values: Iterable[float | None], spread: Spread | None, **of_mean: float | None
) -> Iterator[CsvRow]:
    """A row a seed, and one of their mean."""
    for seed, value in zip(seeds, values, strict=True):
        yield base | {"seed": seed, "value": value}
    if spread is not None:
        low, high = spread.interval or (None, None)
        yield base | {"value": spread.mean, "deviation": spread.deviation, "low": low, "high": high} | of_mean


def difference_rows(one: Difference) -> Iterator[CsvRow]:
    """A difference by seed, over seeds, and over paintings."""
    base = {"arm": one.arm, "against": one.reference, "quantity": "difference"}
    yield from spread_rows(base, one.seeds, one.by_seed, one.over_seeds, p=one.p, p_corrected=one.p_corrected)
    if one.over_paintings is not None:
        low, high = one.over_paintings
        yield base | {"quantity": "difference, over paintings", "value": one.over_seeds.mean, "low": low, "high": high}
