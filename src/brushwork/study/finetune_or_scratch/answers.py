"""The report's three questions (section 2.4), answered in words as far as the runs allow."""

from collections.abc import Callable, Sequence
from typing import Any

from brushwork import web_page
from brushwork.study.difference import points, sentence
from brushwork.study.finetune_or_scratch.grid import PRETRAINED, RANDOM, REDRAWN, Budget, Grid, Panel, Side, share
from brushwork.study.finetune_or_scratch.pairs import FINE_TUNED, PAIRS, Pair, PanelResults, Result

_WEIGHTS = {
    PRETRAINED: "model.weights=imagenet",
    RANDOM: "model.weights=null",
    REDRAWN: "model.weights=imagenet model.redraw=true",
}
_BUDGETS = {Budget(None, 5): "report", Budget(5, 60): "plateau"}  # conf/budget/


def markdown(grid: Grid, compared: Sequence[PanelResults]) -> str:
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
    """
    >>> _span([140, 1750], "{:,}".format), _span([140, 140], "{:,}".format)
    ('140 to 1,750', '140')
    """
    return " to ".join(dict.fromkeys(shown(end) for end in (ordered[0], ordered[-1])))


def _at_one_end(compared: Sequence[PanelResults], end: Callable) -> dict[str, Any]:
    """What fine-tuning gains with the fewest (`min`) or the most (`max`) paintings of each panel, and their numbers."""
    found = [(panel, gain) for panel, results in compared for gain in results[FINE_TUNED].gains]
    gains = {panel.name: gain for panel, gain in found if gain.paintings == end(panel.amounts.values())}
    amounts = sorted(gain.paintings for gain in gains.values())
    paintings = _span(amounts, "{:,}".format) if amounts else ""
    return {"gains": gains, "paintings": paintings, "missing": _missing(compared, [FINE_TUNED], end)}


def _missing(
    compared: Sequence[PanelResults], needed: Sequence[Pair], end: Callable | None = None
) -> list[tuple[Side, str, str]]:
    """The runs that pairs lack, arm by arm; with `end` at that amount of data only."""
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
    settings = f"{_WEIGHTS[side[0]]} tuning={side[1]} data.train_fraction={fractions} split={splits} {budget}"
    return "; ".join(where), f"python train.py -m experiment=finetune_or_scratch {settings}"
