"""Fine-tune or train from scratch, in words: the report's three questions, answered as far as runs carry."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from brushwork.study import finetune_or_scratch as pairs
from brushwork.study.comparison_text import points, verdict
from brushwork.study.data_grid import PRETRAINED, RANDOM, REDRAWN, Budget, Grid, Panel, share
from brushwork.study.finetune_or_scratch import Answered, Crossover, Gain, Pair, Result

NOTHING = "Nothing: the arms of this question are not among these runs"
_COMMAND = "python train.py -m experiment=finetune_or_scratch"
_WEIGHTS = {
    PRETRAINED: "model.weights=imagenet",
    RANDOM: "model.weights=null",
    REDRAWN: "model.weights=imagenet model.redraw=true",
}
_BUDGETS = {Budget(None, 5): "report", Budget(5, 60): "plateau"}  # conf/budget/
_IMAGENET_PHOTOS = 1_281_167  # the training part of ILSVRC 2012


@dataclass(frozen=True)
class ToTrain:
    """Runs that an answer lacks, in a line, and the command that trains them."""

    what: str
    command: str


@dataclass(frozen=True)
class Answer:
    """One of the report's questions (section 2.4): what the data say, and what they don't carry; a line each."""

    question: str
    says: list[str]
    to_train: list[ToTrain]
    not_carried: list[str]


def answers(grid: Grid, answered: Sequence[Answered]) -> list[Answer]:
    """The report's three questions, answered as far as these runs carry."""
    return [_small(grid, answered), _large(grid, answered), _different(grid, answered)]


def _small(grid: Grid, answered: Sequence[Answered]) -> Answer:
    fewest = _at_one_end(answered, min)
    says = _headline("with the fewest paintings of each panel", fewest)
    limits = [_similar(grid, "a small set of photographs")]
    if fewest:
        amount = _range([gain.paintings for _, gain in fewest])
        limits.append(f"'Small' is {amount} of {grid.styles} styles here; of fewer nothing is known")
    return Answer(
        "My dataset is small but similar to the original dataset. Should I fine-tune?",
        says or [NOTHING],
        _to_train(answered, (pairs.FINE_TUNED,), min),
        limits,
    )


def _large(grid: Grid, answered: Sequence[Answered]) -> Answer:
    most = _at_one_end(answered, max)
    says = _headline("with the most paintings of each panel", most)
    for one in answered:
        if (found := one.of(pairs.FINE_TUNED)).gains:
            says.append(f"{one.panel.name}: {crossover(found)}")
    limits = [_similar(grid, "a large set of photographs")]
    if most:
        amount = _range([gain.paintings for _, gain in most])
        limits.append(
            f"'Large' is {amount} here, where ImageNet has {_IMAGENET_PHOTOS:,} photographs to train: what comes "
            f"beyond was not trained, and is not extrapolated"
        )
    return Answer(
        "My dataset is large and similar to the original dataset. Should I fine-tune or train from scratch?",
        says or [NOTHING],
        _to_train(answered, (pairs.FINE_TUNED,), max),
        limits,
    )


def _different(grid: Grid, answered: Sequence[Answered]) -> Answer:
    fine_tuned, *others = [(pair, _every_gain(answered, pair)) for pair in pairs.PAIRS]
    says = [f"{_advice(fine_tuned[1])}: {tally(fine_tuned[1])}"] if fine_tuned[1] else []
    says += [f"{pair.question}: {tally(gains)}" for pair, gains in others if gains]
    return Answer(
        "My dataset is different from the original. Should I fine-tune?",
        says or [NOTHING],
        _to_train(answered, pairs.PAIRS),
        [
            f"How different data are from those of the weights was not varied: there is one target, {_target(grid)}. "
            f"What the weights gain or cost on it does not tell what they would on data nearer to photographs, or "
            f"farther from them",
        ],
    )


def _every_gain(answered: Sequence[Answered], pair: Pair) -> list[Gain]:
    """A pair's gains in all panels."""
    return [gain for one in answered for gain in one.of(pair).gains]


def tally(gains: Sequence[Gain]) -> str:
    """What gains show, counted: "in 3 of 4 comparisons A is better than B; in 1 no difference is shown (...)"."""
    arm, reference = gains[0].difference.arm, gains[0].difference.reference
    means = [gain.difference.over_seeds.mean for gain in gains]
    better, worse = _counts(gains)
    total, unsure = len(gains), len(gains) - better - worse
    of = f" of {total} comparison{'s' * (total > 1)}"
    parts = []
    for word, count in (("better", better), ("worse", worse)):
        if count:
            parts.append(f"in {count}{of} {arm} is {word} than {reference}")
            of = ""
    if unsure == total:
        parts = [
            f"no difference is shown between {arm} and {reference} in any{of}"
            if total > 1
            else f"no difference is shown between {arm} and {reference}"
        ]
    elif unsure:
        parts.append(f"in {unsure} no difference is shown")
    ends_of = f"{points(min(means))} to {points(max(means))}" if len(means) > 1 else points(means[0])
    return f"{'; '.join(parts)} (means: {ends_of} points)"


def _counts(gains: Sequence[Gain]) -> tuple[int, int]:
    """How many gains are shown to be such, and how many to be losses."""
    shown = [gain.difference.over_seeds.mean > 0 for gain in gains if gain.difference.shown]
    return sum(shown), len(shown) - sum(shown)


def _advice(gains: Sequence[Gain]) -> str:
    """Of fine-tuned arms against such from scratch, and of these data only."""
    better, worse = _counts(gains)
    if better and worse:
        return "On these data it depends"
    if not better and not worse:
        return "These data don't decide"
    surely = "" if better + worse == len(gains) else ", if anything"
    return f"On these data {'fine-tune' if better else 'train from scratch'}{surely}"


def _at_one_end(answered: Sequence[Answered], end: Callable) -> list[tuple[str, Gain]]:
    """Each panel's name and gain of fine-tuning with the fewest (`min`) or the most (`max`) paintings of the panel."""
    found = []
    for one in answered:
        amount = end(one.panel.amounts.values())
        found += [(one.panel.name, gain) for gain in one.of(pairs.FINE_TUNED).gains if gain.paintings == amount]
    return found


def _headline(where: str, found: Sequence[tuple[str, Gain]]) -> list[str]:
    if not found:
        return []
    gains = [gain for _, gain in found]
    lines = [f"{_advice(gains)}: {where}, {tally(gains)}"]
    return lines + [
        f"{name}, {gain.paintings:,} paintings: {_sentence(verdict(gain.difference))}" for name, gain in found
    ]


def _sentence(text: str) -> str:
    return text.removesuffix(".")


def crossover(result: Result) -> str:
    """From how many paintings on the order of a pair is another, or that it is not seen to change."""
    gains = result.gains
    if len(gains) < 2:
        return "a crossover needs at least two amounts of data with both arms"
    arm, reference, most = gains[0].difference.arm, gains[0].difference.reference, gains[-1].paintings
    called = [one for one in result.crossovers if one.is_called]
    if called:
        return "; ".join(_called(one, arm, reference) for one in called)
    none = f"no crossover of {arm} and {reference} up to {most:,} paintings"
    if result.crossovers:
        places = " and ".join(f"{one.paintings:,.0f}" for one in result.crossovers)
        return f"{none} is called: the mean difference changes sign near {places}, but is shown on neither side"
    ahead = [gain.difference.over_seeds.mean for gain in gains]
    if max(ahead) <= 0 <= min(ahead):
        return f"{none}: their means are equal"
    leader = arm if max(ahead) > 0 else reference
    return f"{none}: on average {leader} is never behind"


def _called(one: Crossover, arm: str, reference: str) -> str:
    first, second = (reference, arm) if one.rises else (arm, reference)
    places = sorted(place for place in one.by_seed.values() if place is not None)
    seeds = len(one.by_seed)
    if not places:
        spread = f"none of {seeds} seeds alone crosses over so" if seeds else "no seed has all amounts"
    else:
        spread = f"seed by seed {_thousands(places)}"
        if len(places) < seeds:
            spread += f", and {seeds - len(places)} of {seeds} seeds not at all"
    if one.shown_before and one.shown_after:
        sure = f"that {first} is better before and {second} after is shown"
    elif one.shown_before:
        sure = f"that {first} is better before is shown; that {second} is better after is not"
    else:
        sure = f"that {second} is better after is shown; that {first} is better before is not"
    return f"from about {one.paintings:,.0f} paintings on {second} is at least as good as {first} ({spread}; {sure})"


def _thousands(places: Sequence[float]) -> str:
    low, high = f"{places[0]:,.0f}", f"{places[-1]:,.0f}"
    return f"at {low}" if low == high else f"from {low} to {high}"


def _to_train(answered: Sequence[Answered], wanted: Sequence[Pair], end: Callable | None = None) -> list[ToTrain]:
    """What pairs lack, arm by arm; with `end` at that amount of data only."""
    lacking: dict[tuple, list[tuple[Panel, list[float]]]] = {}
    for one in answered:
        amounts = one.panel.amounts
        heeded = {end(amounts, key=amounts.get)} if end else {*amounts}
        sides: dict[tuple[str, str], set[float]] = {}
        for missing in (missing for pair in wanted for missing in one.of(pair).missing):
            sides.setdefault(missing.side, set()).update(heeded.intersection(missing.fractions))
        budget = None if one.panel.budget in _BUDGETS else one.panel.budget  # a command can sweep those that have names
        for side, fractions in sides.items():
            if fractions:
                lacking.setdefault((side, budget), []).append((one.panel, sorted(fractions)))
    return [to_train(side, found) for (side, _), found in lacking.items()]


def to_train(side: tuple[str, str], found: Sequence[tuple[Panel, Sequence[float]]]) -> ToTrain:
    """Which runs are missing where, and the command that trains them.

    Args:
        side: initial weights and tuning.
        found: panels, each with the fractions of the data that are missing there; of budgets that conf/budget/ has,
            or of one.
    """
    initialisation, tuning = side
    where = "; ".join(
        f"{panel.name}, {' and '.join('all' if one == 1 else share(one) for one in fractions)} of the data"
        for panel, fractions in found
    )
    fractions = sorted({fraction for _, some in found for fraction in some})
    splits = dict.fromkeys(panel.split for panel, _ in found)
    command = (
        f"{_COMMAND} {_WEIGHTS[initialisation]} tuning={tuning} "
        f"data.train_fraction={','.join(f'{fraction:g}' for fraction in fractions)} split={','.join(splits)} "
        f"{_budget_overrides(dict.fromkeys(panel.budget for panel, _ in found))}"
    )
    named = "pretrained" if initialisation == PRETRAINED else initialisation
    return ToTrain(
        f"not answered for want of finished runs of {named} {tuning} with the seeds of the other arm ({where}): train "
        f"them with the settings that these runs share",
        command,
    )


def _budget_overrides(budgets: Iterable[Budget]) -> str:
    """
    >>> _budget_overrides([Budget(None, 5), Budget(5, 60)])
    'budget=report,plateau'
    >>> _budget_overrides([Budget(None, 8)])
    'budget=report patience=null trainer.max_epochs=8'
    """
    budgets = list(budgets)
    if all(budget in _BUDGETS for budget in budgets):
        return f"budget={','.join(_BUDGETS[budget] for budget in budgets)}"
    (budget,) = budgets
    patience = "null" if budget.patience is None else budget.patience
    return f"budget=report patience={patience} trainer.max_epochs={budget.max_epochs}"


def _target(grid: Grid) -> str:
    if grid.is_demo:
        return f"the demo's procedural pictures of {grid.styles} styles, which are no paintings"
    return f"paintings of {grid.styles} styles, which differ from photographs in kind"


def _similar(grid: Grid, example: str) -> str:
    return (
        f"'Similar' was not varied: there is one target, {_target(grid)}. How {example} would fare is not in these data"
    )


def not_carried(grid: Grid) -> list[str]:
    """What none of the three answers carries."""
    lines = [
        f"One network ({grid.architecture}) and one recipe: all arms share optimizer and learning rate, which were not "
        f"tuned for any of them"
    ]
    if grid.is_demo:
        lines.insert(0, "These are the demo's procedural pictures: nothing here is about paintings")
    splits = {panel.split for panel in grid.panels}
    if "artist_disjoint" not in splits:
        lines.append(
            "No runs with split=artist_disjoint are among these: where an artist's paintings are on both sides, an "
            "accuracy may come of knowing painters"
        )
    if splits == {"artist_disjoint"}:
        lines.append("No runs with split=random are among these: nothing is known of artists met in training")
    if not any(panel.budget.patience is not None for panel in grid.panels):
        lines.append(
            "No runs to plateau are among these (budget=plateau): in equally many epochs fewer paintings are fewer "
            "steps, and random weights may just have needed more"
        )
    if all(panel.budget.patience is not None for panel in grid.panels):
        lines.append("No runs of a fixed number of epochs, as the report's 5, are among these (budget=report)")
    return lines


def _range(amounts: Sequence[int]) -> str:
    """So many paintings, of the panels together.

    >>> _range([140, 175, 140]), _range([1400])
    ('140 to 175 paintings', '1,400 paintings')
    """
    low, high = f"{min(amounts):,}", f"{max(amounts):,}"
    return f"{low if low == high else f'{low} to {high}'} paintings"
