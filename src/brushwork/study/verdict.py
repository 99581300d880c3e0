"""A difference between two arms in a sentence, and its numbers as text."""

from typing import Any

from brushwork import web_page
from brushwork.statistics import LEVEL, MOST_SEEDS, Interval
from brushwork.study.difference import Difference


def verdict(difference: Difference) -> str:
    """What a difference shows, in a sentence or two."""
    texts = {"points": points, "ends": _ends, "p_value": p_value}
    return sentence("study/verdict.jinja", one=difference, level=LEVEL, most_seeds=MOST_SEEDS, **texts)


def sentence(template: str, **values: Any) -> str:
    """A template filled in, as a single line."""
    return " ".join(web_page.render(template, **values).split())


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
    """An interval of accuracies in percentage points: "[-0.3, 2.1]"."""
    return "n/a" if interval is None else f"[{_ends(interval, separator=', ')}]"


def p_value(p: float | None) -> str:
    """A p value as text."""
    return "n/a" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"
