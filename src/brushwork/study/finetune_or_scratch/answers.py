"""The report's three questions (section 2.4), answered in words as far as the runs allow."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from brushwork import web_page
from brushwork.study.difference import Difference
from brushwork.study.finetune_or_scratch.grid import PRETRAINED, RANDOM, REDRAWN, Budget, Grid, Panel, Side, share
from brushwork.study.finetune_or_scratch.pairs import FINE_TUNED, PAIRS, Crossover, Gain, Pair, PanelResults, Result
from brushwork.study.verdict import points, verdict

_COMMAND = "python train.py -m experiment=finetune_or_scratch"
_WEIGHTS = {
    PRETRAINED: "model.weights=imagenet",
    RANDOM: "model.weights=null",
    REDRAWN: "model.weights=imagenet model.redraw=true",
}
_BUDGETS = {Budget(None, 5): "report", Budget(5, 60): "plateau"}  # conf/budget/
_IMAGENET_PHOTOS = 1_281_167  # the training part of ILSVRC 2012


def markdown(grid: Grid, compared: Sequence[PanelResults]) -> str:
    """Each question with what the data show, the runs that are missing, and what the answer does not cover."""
    gains = {pair: [gain for one in compared for gain in one.results[pair].gains] for pair in PAIRS}
    tallies = [f"{pair.question}: {tally(found)}" for pair, found in gains.items() if found]
    if gains[FINE_TUNED]:
        tallies[0] = f"{_advice(gains[FINE_TUNED])}: {tally(gains[FINE_TUNED])}"
    fine_tuned = [(one.panel.name, one.results[FINE_TUNED]) for one in compared]
    return web_page.render(
        "study/finetune_or_scratch/answers.md.jinja",
        grid=grid,
        at_ends=[_at_one_end(compared, min), _at_one_end(compared, max)],
        crossovers=[f"{name}: {crossover(result)}" for name, result in fine_tuned if result.gains],
        tallies=tallies,
        missing=_missing(compared, PAIRS),
        imagenet_photos=f"{_IMAGENET_PHOTOS:,}",
    )


def _at_one_end(compared: Sequence[PanelResults], end: Callable) -> dict[str, Any]:
    """What fine-tuning gains with the fewest (`min`) or the most (`max`) paintings of each panel, and their numbers."""
    found: dict[str, Gain] = {}
    for one in compared:
        amount = end(one.panel.amounts.values())
        for gain in one.results[FINE_TUNED].gains:
            if gain.paintings == amount:
                found[one.panel.name] = gain
    gains, findings, paintings = [*found.values()], [], ""
    if gains:
        amounts = sorted(gain.paintings for gain in gains)
        paintings = f"{_range(f'{amount:,}' for amount in amounts)} paintings"
        word = "fewest" if end is min else "most"
        findings = [f"{_advice(gains)} (with the {word} paintings of each panel): {tally(gains)}"]
        for name, gain in found.items():
            findings.append(f"{name}, {gain.paintings:,} paintings: {verdict(gain.difference).removesuffix('.')}")
    return {"findings": findings, "paintings": paintings, "missing": _missing(compared, (FINE_TUNED,), end)}


def _range(ordered: Iterable[str]) -> str:
    """
    >>> _range(["140", "150", "175"]), _range(["140", "140"])
    ('140 to 175', '140')
    """
    first, *_, last = [*ordered] * 2
    return first if first == last else f"{first} to {last}"


def tally(gains: Sequence[Gain]) -> str:
    """The outcomes of some comparisons, counted."""
    better, worse = _significant(gains)
    one, count = gains[0].difference, len(gains)
    means = _range(points(mean) for mean in sorted(gain.mean for gain in gains))
    return (
        f"{one.arm} is significantly better than {one.reference} in {better} of {count} comparison{'s' * (count > 1)}, "
        f"significantly worse in {worse} (mean difference {means} points)"
    )


def _significant(gains: Sequence[Gain]) -> tuple[int, int]:
    """The numbers of significant gains and losses."""
    better = [gain.mean > 0 for gain in gains if gain.difference.is_significant]
    return sum(better), len(better) - sum(better)


def _advice(gains: Sequence[Gain]) -> str:
    """Of fine-tuned arms against such from scratch, and for these data only."""
    better, worse = _significant(gains)
    if better and worse:
        return "On these data it depends"
    if not better and not worse:
        return "These data do not decide"
    partly = "" if better + worse == len(gains) else ", though not every comparison is significant"
    return f"On these data {'fine-tune' if better else 'train from scratch'}{partly}"


def crossover(result: Result) -> str:
    """From how many paintings on the order of a pair changes, or that no change is seen."""
    gains = result.gains
    if len(gains) < 2:
        return "a crossover needs at least two amounts of data with both arms"
    one, means = gains[0].difference, [gain.mean for gain in gains]
    significant = [_described(place, one) for place in result.crossovers if place.is_significant]
    if significant:
        return "; ".join(significant)
    none = f"no crossover of {one.arm} and {one.reference} up to {gains[-1].paintings:,} paintings"
    if result.crossovers:
        places = " and ".join(f"{place.paintings:,.0f}" for place in result.crossovers)
        return f"{none} is certain: the mean difference changes sign near {places}, but is significant on neither side"
    if not any(means):
        return f"{none}: their means are equal"
    return f"{none}: the mean of {one.arm if max(means) > 0 else one.reference} is never the lower one"


def _described(place: Crossover, one: Difference) -> str:
    first, second = (one.reference, one.arm) if place.rises else (one.arm, one.reference)
    places = sorted(at for at in place.by_seed.values() if at is not None)
    seeds, none = len(place.by_seed), len(place.by_seed) - len(places)
    if places:
        spread = f"single seeds cross at {_range(f'{at:,.0f}' for at in places)}"
        spread += f", {none} of {seeds} do not cross" if none else ""
    else:
        spread = f"none of {seeds} single seeds crosses in this direction" if seeds else "no seed has all amounts"
    before, after = ("significant" if side else "not significant" for side in (place.before, place.after))
    return (
        f"from about {place.paintings:,.0f} paintings on, {second} is at least as good as {first} ({spread}; advantage "
        f"of {first} before: {before}, of {second} after: {after})"
    )


def _missing(
    compared: Sequence[PanelResults], needed: Sequence[Pair], end: Callable | None = None
) -> list[tuple[str, str]]:
    """The runs that pairs lack, arm by arm; with `end` at that amount of data only."""
    lacking: dict[tuple[Side, Budget | None], list[tuple[Panel, list[float]]]] = {}
    for one in compared:
        amounts = one.panel.amounts
        of_interest = {end(amounts, key=amounts.get)} if end else {*amounts}
        sides: dict[Side, set[float]] = {}
        for side, fractions in ((side, of) for pair in needed for side, of in one.results[pair].missing.items()):
            sides.setdefault(side, set()).update(of_interest.intersection(fractions))
        budget = None if one.panel.budget in _BUDGETS else one.panel.budget  # one command sweeps those with a name
        for side, fractions in sides.items():
            if fractions:
                lacking.setdefault((side, budget), []).append((one.panel, sorted(fractions)))
    return [missing_runs(side, found) for (side, _), found in lacking.items()]


def missing_runs(side: Side, found: Sequence[tuple[Panel, Sequence[float]]]) -> tuple[str, str]:
    """Which runs are missing, by panel and fractions of the data, and the command that trains them. The panels' budgets
    are in conf/budget/, or they are the same."""
    where = "; ".join(
        f"{panel.name}, {' and '.join('all' if one == 1 else share(one) for one in fractions)} of the data"
        for panel, fractions in found
    )
    fractions = ",".join(f"{fraction:g}" for fraction in sorted({one for _, some in found for one in some}))
    splits, budgets = (
        dict.fromkeys(panel.split for panel, _ in found),
        dict.fromkeys(panel.budget for panel, _ in found),
    )
    one = next(iter(budgets))
    if one in _BUDGETS:
        budget = f"budget={','.join(_BUDGETS[budget] for budget in budgets)}"
    else:
        patience = "null" if one.patience is None else one.patience
        budget = f"budget=report patience={patience} trainer.max_epochs={one.max_epochs}"
    settings = f"{_WEIGHTS[side[0]]} tuning={side[1]} data.train_fraction={fractions} split={','.join(splits)} {budget}"
    return f"{' '.join(side)} with the seeds of the other arm ({where})", f"{_COMMAND} {settings}"
