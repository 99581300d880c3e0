"""The results as tables of text, as a Markdown document, and as the rows of a CSV."""

from collections.abc import Iterator, Mapping, Sequence

from brushwork import run_folder, statistics, tables, web_page
from brushwork.study import comparison_tables
from brushwork.study.comparison_tables import LAST, CsvRow, difference_rows, spread_rows, spread_text
from brushwork.study.difference import in_points, p_value
from brushwork.study.finetune_or_scratch import answers
from brushwork.study.finetune_or_scratch.grid import Grid, Panel, share
from brushwork.study.finetune_or_scratch.pairs import Pair, PanelResults, Result
from brushwork.tables import Table

COLUMNS = ("split", "budget", *comparison_tables.COLUMNS[:3], "fraction", "paintings", *comparison_tables.COLUMNS[3:])


def accuracy_table(panel: Panel) -> Table:
    """A row an arm and a baseline, a column an amount of data: mean accuracy over seeds and its 95% interval."""
    counts = sorted({len(point.arm.seeds) for point in panel.points})
    seeds = f"mean of {' or '.join(map(str, counts))} seed{'s' * (counts != [1])} [95%]"
    rows = [[seeds, *(f"{paintings:,} paintings ({share(one)})" for one, paintings in panel.amounts.items())]]
    for points in panel.lines.values():
        cells = {one.fraction: spread_text(statistics.spread(one.accuracies), has_deviation=False) for one in points}
        rows.append([points[0].arm.name, *(cells.get(fraction, "-") for fraction in panel.amounts)])
    for name, by_paintings in panel.baselines.items():
        means = [by_paintings.get(paintings) for paintings in panel.amounts.values()]
        rows.append([run_folder.BASELINES[name], *("n/a" if mean is None else f"{mean:.3f}" for mean in means)])
    return rows


def gains_table(results: Mapping[Pair, Result]) -> Table:
    """A row a pair and amount of data: the arm's gain over the reference, in points; * where it is significant. Empty
    without gains."""
    rows = [["last epoch, in points", "paintings", "mean [over seeds]", "p (Holm)", "[over paintings]"]]
    for gain in (gain for result in results.values() for gain in result.gains):
        found = gain.difference
        mean = f"{found.in_points}{' *' * found.is_significant}"
        cells = [f"{gain.paintings:,}", mean, p_value(found.p_corrected), in_points(found.over_paintings)]
        rows.append([f"{found.arm} - {found.reference}", *cells])
    return rows if len(rows) > 1 else []


def markdown(grid: Grid, compared: Sequence[PanelResults], left_out: Sequence[str], figure: str) -> str:
    """The whole answer as a Markdown document, which lists runs that are left out and shows a figure beside it."""
    return web_page.render(
        "study/finetune_or_scratch/document.md.jinja",
        grid=grid,
        answers=answers.markdown(grid, compared),
        figure=figure,
        compared=compared,
        accuracy_table=accuracy_table,
        gains_table=gains_table,
        markdown=tables.markdown,
        crossover=answers.crossover,
        share=share,
        left_out=left_out,
    )


def csv_rows(compared: Sequence[PanelResults]) -> Iterator[CsvRow]:
    """All figures, a row each: of one seed, or over seeds where `seed` is empty."""
    for panel, results in compared:
        of_panel = {"split": panel.split, "budget": panel.budget.name}
        for point in panel.points:
            base = of_panel | {"arm": point.arm.name, "fraction": point.fraction, "paintings": point.paintings}
            base["quantity"] = LAST.label
            yield from spread_rows(base, point.arm.seeds, point.accuracies, statistics.spread(point.accuracies))
        for name, by_paintings in panel.baselines.items():
            for paintings, accuracy in by_paintings.items():
                yield of_panel | {"quantity": run_folder.BASELINES[name], "paintings": paintings, "value": accuracy}
        for result in results.values():
            for gain in result.gains:
                yield from (of_panel | {"paintings": gain.paintings} | row for row in difference_rows(gain.difference))
            for crossover in result.crossovers:
                found = result.gains[0].difference
                kind = "crossover" if crossover.is_significant else "change of sign, not shown on either side"
                base = of_panel | {"arm": found.arm, "against": found.reference, "quantity": f"{kind}, in paintings"}
                by_seed = {seed: place for seed, place in crossover.by_seed.items() if place is not None}
                yield from spread_rows(base, by_seed, by_seed.values(), None)
                yield base | {"value": crossover.paintings}
