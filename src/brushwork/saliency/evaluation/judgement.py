"""Can maps be believed? What the figures of many photos show, as a table and in sentences."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from brushwork import statistics, tables
from brushwork.saliency.evaluation.evaluation import BASELINES, gain
from brushwork.saliency.evaluation.measures import MEASURES
from brushwork.statistics import LEVEL
from brushwork.tables import Table


@dataclass(frozen=True)
class Compared:
    """A method's figure over all photos, and how often it is better than those of both baselines.

    measure, method: names. mean: of the figure over `photos`, those that have it.
    better: the photos in which it is better than both; None where the baselines have no such figure.
    shown: "better" or "worse" than both, or nothing.
    """

    measure: str
    method: str
    mean: float
    photos: int
    better: int | None = None
    shown: str = ""


@dataclass(frozen=True)
class Judgement:
    """What is told of all photos. compared: the figures. sanity, curve: the sanity check, in words and as a figure."""

    compared: list[Compared]
    sanity: str
    curve: Image.Image


METHOD = (
    "Means over the photos. The last two maps saw neither photo nor network: a random one, and a blob in the middle, "
    "where photographers put things. In brackets the photos in which a method is better than both. + and - : better, "
    "worse than both (exact sign tests, corrected by Holm for the number of methods, p under 0.05). The object is what "
    "people marked, whatever class the map is of."
)


def compare(rows: Iterable[Mapping[str, str]]) -> list[Compared]:
    """The table's rows (see `results.COLUMNS`), measure by measure and method by method, the baselines last."""
    photos: dict[str, dict[str, Mapping[str, str]]] = defaultdict(dict)
    for row in rows:
        photos[row["photo"]][row["method"]] = row
    order = list(dict.fromkeys(method for by_method in photos.values() for method in by_method))
    found = []
    for measure in (name for name, measure in MEASURES.items() if measure.better):
        given = {
            method: {photo: float(of[method][measure]) for photo, of in photos.items() if of[method].get(measure)}
            for method in order
        }
        tested = {
            method: _against_both(measure, values, [given[name] for name in BASELINES])
            for method, values in given.items()
            if method not in BASELINES and all(given.get(name) for name in BASELINES)
        }
        ps = dict(zip(tested, statistics.holm([p for _, _, p in tested.values()]), strict=True))
        for method, values in given.items():
            if values:
                better, way, _ = tested.get(method, (None, "", 1.0))
                shown = way if ps.get(method, 1.0) < LEVEL else ""
                mean = float(np.mean(list(values.values())))
                found.append(Compared(measure, method, mean, len(values), better, shown))
    return found


def _against_both(
    measure: str, values: Mapping[str, float], baselines: Sequence[Mapping[str, float]]
) -> tuple[int, str, float]:
    """The photos in which it is better than both, whether it mostly is "better" or "worse", and the larger p of the
    two sign tests: what holds against both holds against the better of them."""
    gains = np.array([[gain(measure, value, of[photo]) for of in baselines] for photo, value in values.items()])
    better, worse = (gains > 0).sum(0), (gains < 0).sum(0)  # (baselines,)
    way = "better" if (better > worse).all() else "worse" if (better < worse).all() else ""
    p = max(statistics.sign_test(int(more), int(less)) for more, less in zip(better, worse, strict=True))
    return int((gains > 0).all(1).sum()), way, p if way else 1.0


def table(compared: Sequence[Compared]) -> Table:
    """A line a method, a column a measure (see `METHOD`)."""
    cells = {(one.method, one.measure): one for one in compared}
    measures = list(dict.fromkeys(one.measure for one in compared))
    methods = list(dict.fromkeys(one.method for one in compared))
    most = max((one.photos for one in compared), default=0)

    def cell(one: Compared | None) -> str:
        if one is None:
            return ""
        mark = {"better": " +", "worse": " -", "": ""}[one.shown]
        counted = f"{one.photos}" if one.better is None else f"{one.better}/{one.photos}"
        return f"{one.mean:.3f}{mark}" + (f" [{counted}]" if one.better is not None or one.photos < most else "")

    head = ["", *(f"{MEASURES[measure].title} {MEASURES[measure].arrow}" for measure in measures)]
    return [head, *([method, *(cell(cells.get((method, measure))) for measure in measures)] for method in methods)]


def sentences(compared: Sequence[Compared]) -> list[str]:
    """What the photos show of each measure that has baselines; 4/5: better than both in four of five photos."""
    by_measure = defaultdict(list)
    for one in compared:
        if one.better is not None:
            by_measure[one.measure].append(one)
    found = []
    for measure, methods in by_measure.items():
        parts = []
        for shown, words in [("better", "better"), ("worse", "worse"), ("", "neither is shown")]:
            these = [f"{one.method} {one.better}/{one.photos}" for one in methods if one.shown == shown]
            if these:
                parts.append(f"{words}: {', '.join(these)}")
        found.append(f"{MEASURES[measure].title}, beside {' and '.join(BASELINES.values())}: {'; '.join(parts)}")
    return found


def explained(compared: Sequence[Compared]) -> dict[str, str]:
    """Each measure for readers who don't know the papers, by its title."""
    measures = [MEASURES[name] for name in dict.fromkeys(one.measure for one in compared)]
    return {
        f"{one.title} {one.arrow}": f"{one.meaning} {one.range}; {one.better} is better. {one.source}."
        for one in measures
    }


def markdown(judgement: Judgement) -> str:
    """All of it as a Markdown document."""
    lines = [
        "# Can the maps be believed?",
        *sentences(judgement.compared),
        judgement.sanity,
        tables.markdown(table(judgement.compared)),
        METHOD,
        *(f"{title}: {text}" for title, text in explained(judgement.compared).items()),
    ]
    return "\n\n".join(lines) + "\n"
