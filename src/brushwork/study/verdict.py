"""A difference between two arms in a sentence, and its numbers as text."""

from brushwork.statistics import LEVEL, MOST_SEEDS, Interval
from brushwork.study.difference import NOT_SIGNIFICANT, NOT_TESTED, THESE_PAINTINGS, Difference


def verdict(difference: Difference) -> str:
    """What a difference shows, in a sentence or two."""
    arm, reference, mean = difference.arm, difference.reference, difference.over_seeds.mean
    seeds = f"{len(difference.seeds)} seeds"
    other = "" if difference.mcnemar is not None else " The arms were scored on different paintings."
    if difference.outcome == NOT_TESTED:
        return _not_tested(difference) + other
    if difference.outcome == NOT_SIGNIFICANT:
        holm = "" if difference.p >= LEVEL else f"; p {p_value(difference.p_corrected)} after Holm's correction"
        return (
            f"No significant difference between {arm} and {reference}: {points(mean)} points (95% interval over seeds "
            f"{_ends(difference.over_seeds.interval)}; {seeds}{holm}). Detecting a difference of 1 point would take "
            f"about {difference.seeds_needed or f'more than {MOST_SEEDS}'} seeds.{other}"
        )
    sign = 1 if mean > 0 else -1
    amount = f"{'better' if mean > 0 else 'worse'} than {reference} by {abs(100 * mean):.1f} points"
    over_seeds = f"(95% interval over seeds {_ends(difference.over_seeds.interval, sign)}; {seeds})"
    if difference.outcome == THESE_PAINTINGS:
        over_paintings = f"(95% interval over paintings {_ends(difference.over_paintings, sign)})"
        return f"{arm} is {amount} on these paintings {over_seeds}, but not significantly on others {over_paintings}."
    return f"{arm} is {amount} {over_seeds}.{other}"


def _not_tested(difference: Difference) -> str:
    count = len(difference.seeds)
    why = "with one seed" if count == 1 else f"with the same difference for all {count} seeds"
    sentence = (
        f"The difference between {difference.arm} and {difference.reference} is {points(difference.over_seeds.mean)} "
        f"points, but not tested: {why} there is no interval over seeds."
    )
    if difference.over_paintings is None:
        return sentence
    ps = ", ".join(p_value(test.p) for test in difference.mcnemar)
    ends = _ends(difference.over_paintings)
    return f"{sentence} Between these networks the 95% interval over paintings is {ends} points (McNemar's p {ps})."


def points(accuracy: float) -> str:
    """A difference of accuracies in percentage points.

    >>> points(-0.0123), points(-0.0001)
    ('-1.2', '0.0')
    """
    rounded = round(100 * accuracy, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def _ends(interval: Interval, sign: int = 1, separator: str = " to ") -> str:
    """
    >>> _ends((-0.003, 0.021)), _ends((-0.003, 0.021), -1)
    ('-0.3 to 2.1', '-2.1 to 0.3')
    """
    return separator.join(f"{round(100 * end, 1) + 0.0:.1f}" for end in sorted(sign * end for end in interval))


def in_points(interval: Interval | None) -> str:
    """An interval of accuracies in percentage points.

    >>> in_points((-0.003, 0.021))
    '[-0.3, 2.1]'
    """
    return "n/a" if interval is None else f"[{_ends(interval, separator=', ')}]"


def p_value(p: float | None) -> str:
    """A p value as text."""
    return "n/a" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
