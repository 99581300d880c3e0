"""A comparison in words, and as tables for the terminal, Markdown and CSV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from brushwork import tables
from brushwork.statistics import LEVEL, MOST_SEEDS, Spread
from brushwork.study import arms, comparison
from brushwork.study.comparison import Comparison, Difference, Quantity
from brushwork.study.runs import Run
from brushwork.tables import Table

COLUMNS = ("arm", "against", "quantity", "seed", "value", "deviation", "low", "high", "p", "p_corrected")


def title(compared: Comparison) -> str:
    """What is compared: "replace_two against replace_last"."""
    reference, *others = [arm.name for arm in compared.arms]
    return f"{others[0] if len(others) == 1 else f'{len(others)} arms'} against {reference}"


def verdict(difference: Difference) -> str:
    """What a difference shows, in a sentence or two."""
    arm, reference, mean = difference.arm, difference.reference, difference.over_seeds.mean
    apart = "" if difference.mcnemar is not None else " They were scored on different paintings."
    if difference.over_seeds.interval is None:
        return _without_interval(difference) + apart
    interval = in_points(difference.over_seeds.interval)
    if difference.p_corrected >= LEVEL:
        needed = difference.seeds_needed or f"more than {MOST_SEEDS}"
        corrected = (
            "" if difference.p >= LEVEL else f" (p {p_value(difference.p_corrected)}, corrected for all comparisons)"
        )
        return (
            f"no difference shown between {arm} and {reference}: {points(mean)} points {interval}{corrected}; "
            f"to show one of 1 point you would need about {needed} seeds.{apart}"
        )
    if mean < 0:
        interval = in_points(tuple(-end for end in reversed(difference.over_seeds.interval)))
    amount = f"{'better' if mean > 0 else 'worse'} than {reference} by {abs(100 * mean):.1f} points {interval}"
    if not difference.shown:
        others = f"no difference is shown on others: over paintings {in_points(difference.over_paintings)}"
        return f"on these paintings {arm} is {amount}, but {others}."
    return f"{arm} is {amount}.{apart}"


def _without_interval(difference: Difference) -> str:
    arm, reference, count = difference.arm, difference.reference, len(difference.seeds)
    why = "with one seed" if count == 1 else f"as all {count} seeds differ by the same"
    start = f"no difference shown between {arm} and {reference}: {points(difference.over_seeds.mean)} points; {why} "
    if difference.over_paintings is None:
        return f"{start}there is no interval over seeds."
    ps = ", ".join(p_value(test.p) for test in difference.mcnemar)
    return (
        f"{start}there is no interval over seeds. Over paintings these networks differ by "
        f"{in_points(difference.over_paintings)} (McNemar's p {ps})."
    )


def points(accuracy: float) -> str:
    """A difference of accuracies in percent points.

    >>> points(-0.0123), points(-0.0001)
    ('-1.2', '0.0')
    """
    rounded = round(100 * accuracy, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def in_points(interval: tuple[float, float] | None) -> str:
    """An interval of accuracies in percent points.

    >>> in_points((-0.003, 0.021))
    '[-0.3, 2.1]'
    """
    return "n/a" if interval is None else "[" + ", ".join(f"{round(100 * end, 1) + 0.0:.1f}" for end in interval) + "]"


def p_value(p: float | None) -> str:
    """A p value as text."""
    return "n/a" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _described(spread: Spread | None, quantity: Quantity) -> str:
    """Mean ± standard deviation [95% interval]; the mean alone where the seeds show no spread."""
    if spread is None:
        return "n/a"
    mean, digits = f"{spread.mean:.{quantity.digits}f}", quantity.digits
    if spread.interval is None:
        return mean
    low, high = spread.interval
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if quantity.has_interval else ""
    return f"{mean} ± {spread.deviation:.{digits}f}{interval}"


def arms_table(compared: Comparison) -> Table:
    """A column an arm, a row a quantity: mean ± standard deviation over seeds [95% interval]."""
    rows = [
        ["", *(arm.name for arm in compared.arms)],
        ["seeds", *(", ".join(map(str, arm.seeds)) for arm in compared.arms)],
        ["split", *(split(arm.runs[0]) for arm in compared.arms)],
    ]
    if len(compared.arms[0].settings) > 1:  # a single one is the arm's name
        for key in compared.arms[0].settings:
            if not key.endswith("_partial_"):  # says nothing that its _target_ does not
                rows.append([key, *(arms.shown(key, arm.settings[key]) for arm in compared.arms)])
    for quantity in comparison.QUANTITIES:
        if quantity.label in compared.spreads:
            spreads = compared.spreads[quantity.label]
            rows.append([quantity.label, *(_described(spread, quantity) for spread in spreads)])
        if quantity is comparison.LAST:
            intervals = [one and f"[{one[0]:.3f}, {one[1]:.3f}]" for one in compared.over_paintings]
            rows.append(["95% over paintings", *(one or "n/a" for one in intervals)])
    return rows


def split(run: Run) -> str:
    """The kind of a run's split."""
    return f"{run.config['split']['name']}, seed {run.config['split']['seed']}"


def differences_table(compared: Comparison) -> Table:
    """A row an arm: its difference from the reference, in points."""
    several = len(compared.differences) > 1
    rows = [["last epoch, in points", "mean [95% over seeds]", "p", *["p (Holm)"] * several, "95% over paintings"]]
    for one in compared.differences:
        interval = f" {in_points(one.over_seeds.interval)}" if one.over_seeds.interval else ""
        rows.append(
            [
                f"{one.arm} - {one.reference}",
                f"{points(one.over_seeds.mean)}{interval}",
                p_value(one.p),
                *[p_value(one.p_corrected)] * several,
                in_points(one.over_paintings),
            ]
        )
    return rows


def seeds_table(compared: Comparison) -> Table:
    """A row an arm and seed: the difference in points, paintings that only one got right, McNemar's exact test."""
    several = len(compared.differences) > 1
    rows = [["by seed", "points", "right: arm only", "reference only", "McNemar's p", *["p (Holm)"] * several]]
    for one in compared.differences:
        for number, (seed, difference) in enumerate(zip(one.seeds, one.by_seed, strict=True)):
            row = [f"{one.arm}, seed {seed}", points(difference)]
            if one.mcnemar is not None:
                test = one.mcnemar[number]
                row += [str(test.only_second), str(test.only_first), p_value(test.p)]
                row += [p_value(one.mcnemar_corrected[number])] * several
            rows.append(row + ["n/a"] * (len(rows[0]) - len(row)))
    return rows


def markdown(compared: Comparison, left_out: Sequence[str], figures: Sequence[str]) -> str:
    """The comparison as a Markdown document.

    Args:
        left_out: a line for each run that was found and not taken.
        figures: names of files beside it.
    """
    lines = [
        f"# {title(compared)}",
        *(f"**{verdict(one)}**" for one in compared.differences),
        *(f"Warning: {warning}." for warning in compared.warnings),
        "## The arms",
        tables.markdown(arms_table(compared)),
        METHOD["arms"],
        "## The differences",
        tables.markdown(differences_table(compared)),
        METHOD["differences"],
        tables.markdown(seeds_table(compared)),
        METHOD["seeds"],
        "## The figures",
        "\n".join(f"![{Path(name).stem}]({name})" for name in figures),
        "## The runs",
        "\n".join(f"- {arm.name}, seed {run.seed}: `{run.folder}`" for arm in compared.arms for run in arm.runs),
        "\n".join(f"- left out: {line}" for line in left_out),
    ]
    return "\n\n".join(filter(None, lines)) + "\n"


METHOD = {
    "arms": "Mean ± standard deviation over seeds, and the 95% interval of the mean by Student's t: what other seeds "
    "would give on the same paintings. Over paintings: what these networks would score on others, by a bootstrap that "
    "draws whole artists where they are known, since paintings by one artist are alike. The best epoch was chosen on "
    "the paintings it is scored on, so it flatters: compare the last.",
    "differences": "Over seeds: the paired t test and its interval, each seed of an arm against the same seed of the "
    "reference. Over paintings: the bootstrap, paired by painting. With several arms p (Holm) is corrected for "
    "their number; intervals are not. A difference is called real where the corrected p is under 0.05 and the interval "
    "over paintings leaves out zero.",
    "seeds": "McNemar's exact test of two networks on the same paintings, seed by seed: it tells of two networks, not "
    "of two ways to train one. Seeds are not pooled, for they share their paintings.",
}


def csv_rows(compared: Comparison) -> Iterator[dict[str, Any]]:
    """All figures, a row each: of one seed, or over seeds where `seed` is empty."""
    for quantity in comparison.QUANTITIES:
        for arm, spread in zip(compared.arms, compared.spreads.get(quantity.label, []), strict=False):
            base = {"arm": arm.name, "quantity": quantity.label}
            for run in arm.runs:
                yield base | {"seed": run.seed, "value": quantity.read(run.result)}
            if spread is not None:
                yield base | cells(spread)
    for arm, interval in zip(compared.arms, compared.over_paintings, strict=True):
        if interval is not None:
            mean = compared.spreads[comparison.LAST.label][compared.arms.index(arm)].mean
            yield {"arm": arm.name, "quantity": f"{comparison.LAST.label}, over paintings", "value": mean} | ends(
                interval
            )
    for one in compared.differences:
        base = {"arm": one.arm, "against": one.reference}
        for seed, difference in zip(one.seeds, one.by_seed, strict=True):
            yield base | {"quantity": "difference", "seed": seed, "value": difference}
        yield base | {"quantity": "difference", "p": one.p, "p_corrected": one.p_corrected} | cells(one.over_seeds)
        if one.over_paintings is not None:
            value = {"quantity": "difference, over paintings", "value": one.over_seeds.mean}
            yield base | value | ends(one.over_paintings)
        for seed, test, corrected in zip(one.seeds, one.mcnemar or [], one.mcnemar_corrected or [], strict=False):
            value = {"quantity": "McNemar: only the arm right", "seed": seed, "value": test.only_second}
            yield base | value | {"p": test.p, "p_corrected": corrected}
            yield base | value | {"quantity": "McNemar: only the reference right", "value": test.only_first}


def cells(spread: Spread) -> dict[str, Any]:
    """A mean over seeds as cells of a CSV."""
    return {"value": spread.mean, "deviation": spread.deviation} | ends(spread.interval or (None, None))


def ends(interval: tuple[float | None, float | None]) -> dict[str, Any]:
    """An interval as cells of a CSV."""
    return dict(zip(("low", "high"), interval, strict=True))
