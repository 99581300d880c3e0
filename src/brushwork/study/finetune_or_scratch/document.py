"""The results as text: the report's three questions (section 2.4) answered as far as the runs allow, tables, a Markdown
document, and the rows of a CSV."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from brushwork import run_folder, statistics, tables, web_page
from brushwork.study import comparison_tables
from brushwork.study.comparison_tables import LAST, CsvRow, difference_rows, spread_rows, spread_text
from brushwork.study.difference import in_points, p_value, points, sentence
from brushwork.study.finetune_or_scratch.grid import PRETRAINED, RANDOM, REDRAWN, Budget, Grid, Panel, Side, share
from brushwork.study.finetune_or_scratch.pairs import FINE_TUNED, PAIRS, Pair, PanelResults, Result
from brushwork.tables import Table

COLUMNS = ("split", "budget", *comparison_tables.COLUMNS[:3], "fraction", "paintings", *comparison_tables.COLUMNS[3:])
_WEIGHTS = {PRETRAINED: "imagenet", RANDOM: "null", REDRAWN: "imagenet model.redraw=true"}
_BUDGETS = {Budget(None, 5): "report", Budget(5, 60): "plateau"}  # conf/budget/


def document(grid: Grid, compared: Sequence[PanelResults], left_out: Sequence[str], figure: str) -> str:
    """The whole answer as a Markdown document, which lists runs that are left out and shows a figure beside it."""
    texts = {"answers": answers(grid, compared), "figure": figure, "left_out": left_out}
    functions = {"accuracy_table": accuracy_table, "gains_table": gains_table, "crossover": crossover, "share": share}
    template = "study/finetune_or_scratch/document.md.jinja"
    return web_page.render(template, grid=grid, compared=compared, markdown=tables.markdown, **texts, **functions)


def answers(grid: Grid, compared: Sequence[PanelResults]) -> str:
    """Each question with what the data show, the runs that are missing, and what the answer does not cover."""
    return web_page.render(
        "study/finetune_or_scratch/answers.md.jinja",
        grid=grid,
        fewest=_at_one_end(compared, min),
        most=_at_one_end(compared, max),
        fine_tuned={panel.name: results[FINE_TUNED] for panel, results in compared},
        fine_tuned_pair=FINE_TUNED,
        gains={pair: [gain for _, results in compared for gain in results[pair].gains] for pair in PAIRS},
        missing=_missing(compared, PAIRS),
        **{"crossover": crossover, "points": points, "span": _span},
    )


def crossover(result: Result) -> str:
    """From how many paintings on the order of a pair changes, or that no change is seen."""
    template = "study/finetune_or_scratch/crossover.jinja"
    return sentence(template, gains=result.gains, crossovers=result.crossovers, span=_span)


def _span(ordered: Sequence[float], shown: Callable[[float], str]) -> str:
    """The first and the last of some numbers: "140 to 1,750", or "140" where both are the same."""
    return " to ".join(dict.fromkeys(shown(end) for end in (ordered[0], ordered[-1])))


def _at_one_end(compared: Sequence[PanelResults], end: Callable) -> dict[str, Any]:
    """What fine-tuning gains with the fewest (`min`) or the most (`max`) paintings of each panel, and their numbers."""
    found = [(panel, gain) for panel, results in compared for gain in results[FINE_TUNED].gains]
    gains = {panel.name: gain for panel, gain in found if gain.paintings == end(panel.amounts.values())}
    amounts = sorted(gain.paintings for gain in gains.values())
    paintings = _span(amounts, "{:,}".format) if amounts else ""
    return {"gains": gains, "paintings": paintings, "missing": _missing(compared, [FINE_TUNED], end)}


def _missing(compared: Sequence[PanelResults], needed: Sequence[Pair], end: Callable | None = None) -> list[tuple]:
    """The runs that pairs lack: sides, and for each the two texts of `missing_runs`; with `end` at that amount only."""
    lacking: dict[tuple[Side, str], dict[str, tuple[Panel, set[float]]]] = {}
    for panel, results in compared:
        of_interest = {end(panel.amounts, key=panel.amounts.get)} if end else {*panel.amounts}
        kind = "" if panel.budget in _BUDGETS else panel.budget.name  # one command sweeps the budgets with a name
        for side, fractions in (of_side for pair in needed for of_side in results[pair].missing.items()):
            if found := of_interest.intersection(fractions):
                lacking.setdefault((side, kind), {}).setdefault(panel.name, (panel, set()))[1].update(found)
    return [(side, *missing_runs(side, [*panels.values()])) for (side, _), panels in lacking.items()]


def missing_runs(side: Side, found: Sequence[tuple[Panel, set[float]]]) -> tuple[str, str]:
    """Where runs are missing, by panel and fractions of the data, and the command that trains them. The panels' budgets
    are in conf/budget/, or they are the same."""
    where = [
        f"{panel.name}, {' and '.join('all' if one == 1 else share(one) for one in sorted(fractions))} of the data"
        for panel, fractions in found
    ]
    fractions = ",".join(f"{fraction:g}" for fraction in sorted(set.union(*(some for _, some in found))))
    splits = ",".join(dict.fromkeys(panel.split for panel, _ in found))
    budgets = list(dict.fromkeys(panel.budget for panel, _ in found))
    budget = f"budget={','.join(_BUDGETS.get(one, 'report') for one in budgets)}"
    if budgets[0] not in _BUDGETS:
        patience = "null" if budgets[0].patience is None else budgets[0].patience
        budget += f" patience={patience} trainer.max_epochs={budgets[0].max_epochs}"
    settings = (
        f"model.weights={_WEIGHTS[side[0]]} tuning={side[1]} data.train_fraction={fractions} split={splits} {budget}"
    )
    return "; ".join(where), f"python train.py -m experiment=finetune_or_scratch {settings}"


def accuracy_table(panel: Panel) -> Table:
    """A row an arm and a baseline, a column an amount of data: mean accuracy over seeds and its 95% interval."""
    counts = sorted({len(point.arm.seeds) for point in panel.points})
    seeds = f"mean of {' or '.join(map(str, counts))} seed{'s' * (counts != [1])} [95%]"
    rows = [[seeds, *(f"{paintings:,} paintings ({share(one)})" for one, paintings in panel.amounts.items())]]
    for line in panel.lines.values():
        cells = {one.fraction: spread_text(statistics.spread(one.accuracies), has_deviation=False) for one in line}
        rows.append([line[0].arm.name, *(cells.get(fraction, "-") for fraction in panel.amounts)])
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
