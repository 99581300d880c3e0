"""Fine-tune or train from scratch, as tables for the terminal, Markdown and CSV."""

from collections.abc import Iterator, Sequence
from typing import Any

from brushwork import run_folder, statistics, tables
from brushwork.statistics import Spread
from brushwork.study import finetune_or_scratch_text as text
from brushwork.study.comparison_text import cells, ends, in_points, p_value, points
from brushwork.study.data_grid import Grid, Panel, share
from brushwork.study.finetune_or_scratch import Answered, Result
from brushwork.tables import Table

TITLE = "Fine-tune or train from scratch?"
COLUMNS = (
    "split",
    "budget",
    "arm",
    "against",
    "quantity",
    "fraction",
    "paintings",
    "seed",
    "value",
    "deviation",
    "low",
    "high",
    "p",
    "p_corrected",
)


def accuracy_table(panel: Panel) -> Table:
    """A row an arm and a baseline, a column an amount of data: mean accuracy over seeds and its 95% interval."""
    counts = sorted({len(point.arm.seeds) for line in panel.lines for point in line.points})
    seeds = f"mean of {' or '.join(map(str, counts))} seed{'s' * (counts != [1])} [95%]"
    rows = [[seeds, *(f"{paintings:,} paintings ({share(one)})" for one, paintings in panel.amounts.items())]]
    for line in panel.lines:
        by_fraction = {point.fraction: statistics.spread(point.accuracies) for point in line.points}
        rows.append([line.name, *(_accuracy(by_fraction.get(fraction)) for fraction in panel.amounts)])
    for name, by_paintings in panel.baselines.items():
        means = [by_paintings.get(paintings) for paintings in panel.amounts.values()]
        rows.append([run_folder.BASELINES[name], *("n/a" if mean is None else f"{mean:.3f}" for mean in means)])
    return rows


def _accuracy(spread: Spread | None) -> str:
    """
    >>> _accuracy(statistics.spread([0.3, 0.4, 0.5])), _accuracy(statistics.spread([0.3])), _accuracy(None)
    ('0.400 [0.152, 0.648]', '0.300', '-')
    """
    if spread is None:
        return "-"
    interval = f" [{spread.interval[0]:.3f}, {spread.interval[1]:.3f}]" if spread.interval else ""
    return f"{spread.mean:.3f}{interval}"


def gains_table(answered: Answered) -> Table:
    """A row a pair and amount of data: what the arm gains over the reference, in points; * where that is shown."""
    rows = [["last epoch, in points", "paintings", "mean [over seeds]", "p (Holm)", "[over paintings]"]]
    for gain in (gain for result in answered.results for gain in result.gains):
        found = gain.difference
        interval = f" {in_points(found.over_seeds.interval)}" if found.over_seeds.interval else ""
        rows.append(
            [
                f"{found.arm} - {found.reference}",
                f"{gain.paintings:,}",
                f"{points(found.over_seeds.mean)}{interval}{' *' * found.shown}",
                p_value(found.p_corrected),
                in_points(found.over_paintings),
            ]
        )
    return rows


def markdown(grid: Grid, answered: Sequence[Answered], left_out: Sequence[str], figure: str) -> str:
    """The whole answer as a Markdown document.

    Args:
        left_out: a line for each run that was found and not taken.
        figure: the name of a file beside it.
    """
    blocks = [f"# {TITLE}", *(f"Warning: {warning}." for warning in grid.warnings)]
    for one in text.answers(grid, answered):
        blocks += [f"## {one.question}", "**What these data say**", _list(one.says)]
        blocks.append("\n".join(f"- {lacks.what}: `{lacks.command}`" for lacks in one.to_train))
        blocks += ["**What they don't carry**", _list(one.not_carried)]
    blocks += ["## What none of the answers carries", _list(text.not_carried(grid))]
    blocks += ["## The figure", f"![Accuracy against the number of training paintings]({figure})", METHOD["figure"]]
    for one in answered:
        blocks += [f"## {one.panel.name.capitalize()}", tables.markdown(accuracy_table(one.panel))]
        if any(result.gains for result in one.results):
            crossed = [f"{result.pair.question}: {text.crossover(result)}" for result in one.results if result.gains]
            blocks += [tables.markdown(gains_table(one)), _list(crossed)]
    blocks += ["## How these figures are made", *(METHOD[what] for what in ("accuracy", "gains", "crossover"))]
    blocks += [
        "## The runs",
        "\n".join(f"- {line}" for line in [*_run_lines(grid), *(f"left out: {line}" for line in left_out)]),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


METHOD = {
    "figure": "Validation accuracy of the last epoch, mean over seeds, in a band from the lowest to the highest seed. "
    "The baselines are of the same training paintings.",
    "accuracy": "Mean over seeds and the 95% interval of the mean by Student's t. A seed draws the training paintings, "
    "the fewer among the more, and the random weights, so the interval holds both. Runs to plateau were stopped by the "
    "accuracy on the paintings that they are scored on, which flatters all of them a little.",
    "gains": "Pairs that were named before any run. Each seed of an arm against the same seed of the reference: the "
    "paired t test, corrected by Holm over the amounts of data of a pair (the 95% intervals are not). Over paintings: "
    "a bootstrap that draws whole artists. Shown (*): the corrected p is under 0.05 and the interval over paintings "
    "leaves out zero.",
    "crossover": "Where a mean difference changes sign, by linear interpolation in log2(paintings), called only where "
    "a difference is shown on at least one side of it. Seed by seed tells how far it is known: with few seeds no "
    "better interval can be had.",
}


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}." for line in lines)


def _run_lines(grid: Grid) -> Iterator[str]:
    for panel in grid.panels:
        for point in (point for line in panel.lines for point in line.points):
            for run in point.arm.runs:
                yield f"{panel.name}, {share(point.fraction)}, {point.arm.name}, seed {run.seed}: `{run.folder}`"


def csv_rows(answered: Sequence[Answered]) -> Iterator[dict[str, Any]]:
    """All figures, a row each: of one seed, or over seeds where `seed` is empty."""
    for one in answered:
        panel = {"split": one.panel.split, "budget": one.panel.budget.name}
        for point in (point for line in one.panel.lines for point in line.points):
            base = panel | {"arm": point.arm.name, "fraction": point.fraction, "paintings": point.paintings}
            base["quantity"] = "validation accuracy, last epoch"
            for seed, accuracy in zip(point.arm.seeds, point.accuracies, strict=True):
                yield base | {"seed": seed, "value": accuracy}
            yield base | cells(statistics.spread(point.accuracies))
        for name, by_paintings in one.panel.baselines.items():
            for paintings, accuracy in by_paintings.items():
                yield panel | {"quantity": run_folder.BASELINES[name], "paintings": paintings, "value": accuracy}
        for result in one.results:
            yield from (panel | row for row in _gain_rows(result))


def _gain_rows(result: Result) -> Iterator[dict[str, Any]]:
    for gain in result.gains:
        found = gain.difference
        base = {"arm": found.arm, "against": found.reference, "paintings": gain.paintings}
        for seed, difference in zip(found.seeds, found.by_seed, strict=True):
            yield base | {"quantity": "difference", "seed": seed, "value": difference}
        tested = {"p": found.p, "p_corrected": found.p_corrected}
        yield base | {"quantity": "difference"} | tested | cells(found.over_seeds)
        if found.over_paintings is not None:
            over = {"quantity": "difference, over paintings", "value": found.over_seeds.mean}
            yield base | over | ends(found.over_paintings)
    for one in result.crossovers:
        found = result.gains[0].difference
        called = "crossover" if one.is_called else "change of sign, not shown on either side"
        base = {"arm": found.arm, "against": found.reference, "quantity": f"{called}, in paintings"}
        for seed, place in one.by_seed.items():
            if place is not None:
                yield base | {"value": place, "seed": seed}
        yield base | {"value": one.paintings}
