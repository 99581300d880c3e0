"""The report's three questions (section 2.4), answered in words as far as the runs allow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class MissingRuns:
    """Runs that an answer lacks, in a line, and the command that trains them."""

    what: str
    command: str


@dataclass(frozen=True)
class Answer:
    """A question, what the data show, the runs that are missing, and what the answer does not cover; a line each."""

    question: str
    findings: list[str]
    missing: list[MissingRuns]
    limits: list[str]


def answers(grid: Grid, compared: Sequence[PanelResults]) -> list[Answer]:
    """The answers to the report's three questions."""
    target = (
        f"the demo's procedural pictures of {grid.styles} styles, which are not paintings"
        if grid.is_demo
        else f"paintings of {grid.styles} styles, which differ from photographs in kind"
    )
    similar = f"How similar the data are to those of the weights was not varied: all runs are on {target}"
    made = []
    for end, size, question in [
        (min, "small", "My dataset is small but similar to the original dataset. Should I fine-tune?"),
        (
            max,
            "large",
            "My dataset is large and similar to the original dataset. Should I fine-tune or train from scratch?",
        ),
    ]:
        findings, amounts = _at_one_end(compared, end)
        limits = [f"{similar}. A {size} set of photographs may behave differently"]
        if amounts and end is min:
            limits.append(f"'Small' is {_paintings(amounts)} of {grid.styles} styles here; fewer were not tried")
        elif amounts:
            findings += [
                f"{one.panel.name}: {crossover(one.results[FINE_TUNED])}"
                for one in compared
                if one.results[FINE_TUNED].gains
            ]
            limits.append(
                f"'Large' is {_paintings(amounts)} here, whereas ImageNet has {_IMAGENET_PHOTOS:,} photographs for "
                f"training: more were not tried, and nothing is extrapolated"
            )
        made.append(Answer(question, findings, _missing(compared, (FINE_TUNED,), end), limits))
    gains = {pair: [gain for one in compared for gain in one.results[pair].gains] for pair in PAIRS}
    findings = [f"{pair.question}: {tally(found)}" for pair, found in gains.items() if found]
    if gains[FINE_TUNED]:
        findings[0] = f"{_advice(gains[FINE_TUNED])}: {tally(gains[FINE_TUNED])}"
    limits = [f"{similar}. The gain from the weights may be another for data that are more, or less, like photographs"]
    question = "My dataset is different from the original. Should I fine-tune?"
    made.append(Answer(question, findings, _missing(compared, PAIRS), limits))
    nothing = ["No answer: these runs do not include the arms of this question"]
    return [Answer(one.question, one.findings or nothing, one.missing, one.limits) for one in made]


def _at_one_end(compared: Sequence[PanelResults], end: Callable) -> tuple[list[str], list[int]]:
    """What fine-tuning gains with the fewest (`min`) or the most (`max`) paintings of each panel, and their numbers."""
    found = [
        (one.panel.name, gain)
        for one in compared
        for gain in one.results[FINE_TUNED].gains
        if gain.paintings == end(one.panel.amounts.values())
    ]
    gains = [gain for _, gain in found]
    if not gains:
        return [], []
    amount = "fewest" if end is min else "most"
    lines = [f"{_advice(gains)}, with the {amount} paintings of each panel: {tally(gains)}"]
    lines += [
        f"{name}, {gain.paintings:,} paintings: {verdict(gain.difference).removesuffix('.')}" for name, gain in found
    ]
    return lines, [gain.paintings for gain in gains]


def tally(gains: Sequence[Gain]) -> str:
    """The outcomes of some comparisons, counted."""
    better, worse = _significant(gains)
    means = sorted({gain.mean for gain in gains})
    ends = " to ".join(points(mean) for mean in (means[0], means[-1])[: len(means)])
    return (
        f"{gains[0].difference.arm} is significantly better than {gains[0].difference.reference} in {better} of "
        f"{len(gains)} comparison{'s' * (len(gains) > 1)}, and significantly worse in {worse} (mean difference {ends} "
        f"points)"
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
    often = "" if better + worse == len(gains) else " (not every comparison is significant)"
    return f"On these data {'fine-tune' if better else 'train from scratch'}{often}"


def crossover(result: Result) -> str:
    """From how many paintings on the order of a pair changes, or that no change is seen."""
    gains = result.gains
    if len(gains) < 2:
        return "a crossover needs at least two amounts of data with both arms"
    one, most = gains[0].difference, gains[-1].paintings
    significant = [_described(place, one) for place in result.crossovers if place.is_significant]
    if significant:
        return "; ".join(significant)
    none = f"no crossover of {one.arm} and {one.reference} up to {most:,} paintings"
    if result.crossovers:
        places = " and ".join(f"{place.paintings:,.0f}" for place in result.crossovers)
        return f"{none} is certain: the mean difference changes sign near {places}, but is significant on neither side"
    means = [gain.mean for gain in gains]
    if not any(means):
        return f"{none}: their means are equal"
    return f"{none}: the mean of {one.arm if max(means) > 0 else one.reference} is never the lower one"


def _described(place: Crossover, one: Difference) -> str:
    first, second = (one.reference, one.arm) if place.rises else (one.arm, one.reference)
    places = sorted(at for at in place.by_seed.values() if at is not None)
    seeds = len(place.by_seed)
    if not places:
        spread = f"none of {seeds} single seeds crosses in this direction" if seeds else "no seed has all amounts"
    else:
        ends = dict.fromkeys(f"{at:,.0f}" for at in (places[0], places[-1]))
        spread = f"single seeds cross at {' to '.join(ends)}"
        spread += f", {seeds - len(places)} of {seeds} do not cross" if len(places) < seeds else ""
    sides = [f"{first} before: {_word(place.before)}", f"{second} after: {_word(place.after)}"]
    return (
        f"from about {place.paintings:,.0f} paintings on, {second} is at least as good as {first} ({spread}; advantage "
        f"of {', of '.join(sides)})"
    )


def _word(is_significant: bool) -> str:
    return "significant" if is_significant else "not significant"


def _missing(
    compared: Sequence[PanelResults], needed: Sequence[Pair], end: Callable | None = None
) -> list[MissingRuns]:
    """What pairs lack, arm by arm; with `end` at that amount of data only."""
    lacking: dict[tuple, list[tuple[Panel, list[float]]]] = {}
    for one in compared:
        amounts = one.panel.amounts
        of_interest = {end(amounts, key=amounts.get)} if end else {*amounts}
        sides: dict[Side, set[float]] = {}
        for pair in needed:
            for side, fractions in one.results[pair].missing.items():
                sides.setdefault(side, set()).update(of_interest.intersection(fractions))
        budget = None if one.panel.budget in _BUDGETS else one.panel.budget  # one command sweeps those with a name
        for side, fractions in sides.items():
            if fractions:
                lacking.setdefault((side, budget), []).append((one.panel, sorted(fractions)))
    return [missing_runs(side, found) for (side, _), found in lacking.items()]


def missing_runs(side: Side, found: Sequence[tuple[Panel, Sequence[float]]]) -> MissingRuns:
    """Which runs are missing where, and the command that trains them.

    Args:
        found: panels, each with the fractions of the data that are missing there; their budgets are in conf/budget/,
            or there is one.
    """
    initialisation, tuning = side
    where = "; ".join(
        f"{panel.name}, {' and '.join('all' if one == 1 else share(one) for one in fractions)} of the data"
        for panel, fractions in found
    )
    fractions = sorted({fraction for _, some in found for fraction in some})
    splits, budgets = (
        dict.fromkeys(key) for key in zip(*((panel.split, panel.budget) for panel, _ in found), strict=True)
    )
    if _BUDGETS.keys() >= budgets.keys():
        budget = f"budget={','.join(_BUDGETS[one] for one in budgets)}"
    else:
        (one,) = budgets
        patience = "null" if one.patience is None else one.patience
        budget = f"budget=report patience={patience} trainer.max_epochs={one.max_epochs}"
    return MissingRuns(
        f"Missing are finished runs of {initialisation} {tuning} with the seeds of the other arm ({where}). Train them "
        f"with the settings of these runs",
        f"{_COMMAND} {_WEIGHTS[initialisation]} tuning={tuning} "
        f"data.train_fraction={','.join(f'{fraction:g}' for fraction in fractions)} split={','.join(splits)} {budget}",
    )


def limits(grid: Grid) -> list[str]:
    """What none of the three answers covers."""
    splits = {panel.split for panel in grid.panels}
    to_plateau = [panel.budget.patience is not None for panel in grid.panels]
    demo = ["These are the demo's procedural pictures: nothing here is about paintings"]
    one_recipe = (
        f"One network ({grid.architecture}) and one recipe: all arms share the optimizer and its learning rate, which "
        f"were not tuned for any of them"
    )
    no_disjoint = (
        "There are no runs with split=artist_disjoint: with an artist's paintings on both sides, a part of the "
        "accuracy may come from recognizing artists"
    )
    no_random = "There are no runs with split=random: nothing is known about artists that were in training"
    no_plateau = (
        "There are no runs to plateau (budget=plateau): in the same number of epochs fewer paintings mean fewer steps, "
        "and random weights may only have needed more"
    )
    no_fixed = "There are no runs of a fixed number of epochs, such as the report's 5 (budget=report)"
    return [
        *(demo if grid.is_demo else []),
        one_recipe,
        *([no_disjoint] if "artist_disjoint" not in splits else []),
        *([no_random] if splits == {"artist_disjoint"} else []),
        *([no_plateau] if not any(to_plateau) else []),
        *([no_fixed] if all(to_plateau) else []),
    ]


def _paintings(amounts: Sequence[int]) -> str:
    """The number of paintings of several panels.

    >>> _paintings([140, 175, 140]), _paintings([1400])
    ('140 to 175 paintings', '1,400 paintings')
    """
    return " to ".join(dict.fromkeys(f"{amount:,}" for amount in (min(amounts), max(amounts)))) + " paintings"
