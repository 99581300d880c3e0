"""The evaluation of many photos' maps: each method compared with the baselines, as a table and in sentences."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from brushwork import statistics, tables
from brushwork.saliency.evaluation.measures import BASELINES, MEASURES, Measure
from brushwork.statistics import LEVEL
from brushwork.tables import Table

METHOD = (
    "Means over the photos. Two baselines depend on neither photo nor network: a random map, and a centred Gaussian "
    "(photographers centre their subject). In brackets: the number of photos in which a method is better than both. "
    "+ and -: significantly better or worse than both (exact sign tests, Holm-corrected for the number of methods, "
    "p < 0.05). The object is what people annotated, for a map of any class."
)
_ARROWS = {"higher": "↑", "lower": "↓"}
_WORDS = {"better": "significantly better", "worse": "significantly worse", "": "no significant difference"}


class Comparison(NamedTuple):
    """A method's score over all photos, and how often it is better than those of both baselines."""

    measure: str
    method: str
    mean: float
    photos: int  # that have the score
    better: int | None  # in how many it is better than both; None where the baselines have no such score
    significant: str  # "better" or "worse" than both, or ""


class Evaluation(NamedTuple):
    """The evaluation of all photos."""

    comparisons: list[Comparison]
    sanity: str  # the result of the sanity check as a sentence
    curve: Image.Image  # the same as a figure


def compare(rows: Iterable[Mapping[str, str]]) -> list[Comparison]:
    """The table's rows (see `results.COLUMNS`), measure by measure and method by method, the baselines last."""
    rows, found = list(rows), []
    for name, measure in MEASURES.items():
        scores: dict[str, dict[str, float]] = {row["method"]: {} for row in rows}  # by method, then by photo
        for row in rows:
            if measure.better and row.get(name):
                scores[row["method"]][row["photo"]] = float(row[name])
        scores = {method: values for method, values in scores.items() if values}
        baselines = [scores[baseline] for baseline in BASELINES if baseline in scores]
        tested = {
            method: _sign_tests(measure, values, baselines)
            for method, values in scores.items()
            if method not in BASELINES and len(baselines) == len(BASELINES)
        }
        ps = dict(zip(tested, statistics.holm([p for _, _, p in tested.values()]), strict=True))
        for method, values in scores.items():
            better, direction, _ = tested.get(method, (None, "", 1.0))
            significant = direction if ps.get(method, 1.0) < LEVEL else ""
            mean = float(np.mean(list(values.values())))
            found.append(Comparison(name, method, mean, len(values), better, significant))
    return found


def _sign_tests(
    measure: Measure, values: Mapping[str, float], baselines: Sequence[Mapping[str, float]]
) -> tuple[int, str, float]:
    """The number of photos in which it is better than both, whether it mostly is "better" or "worse", and the larger
    p of the two sign tests: both must reject."""
    gains = np.array([[measure.gain(value, of[photo]) for of in baselines] for photo, value in values.items()])
    better, worse = (gains > 0).sum(0), (gains < 0).sum(0)  # (baselines,)
    direction = "better" if (better > worse).all() else "worse" if (better < worse).all() else ""
    p = max(statistics.sign_test(int(more), int(less)) for more, less in zip(better, worse, strict=True))
    return int((gains > 0).all(1).sum()), direction, p if direction else 1.0


def table(comparisons: Sequence[Comparison]) -> Table:
    """A line a method, a column a measure (see `METHOD`)."""
    cells: dict[str, dict[str, str]] = {}
    most = max((one.photos for one in comparisons), default=0)
    for one in comparisons:
        mark = {"better": " +", "worse": " -", "": ""}[one.significant]
        counted = f"{one.photos}" if one.better is None else f"{one.better}/{one.photos}"
        count = f" [{counted}]" if one.better is not None or one.photos < most else ""
        cells.setdefault(one.method, {})[one.measure] = f"{one.mean:.3f}{mark}{count}"
    measures = list(dict.fromkeys(one.measure for one in comparisons))
    head = ["", *(f"{MEASURES[measure].title} {_ARROWS[MEASURES[measure].better]}" for measure in measures)]
    return [head, *([method, *(of.get(measure, "") for measure in measures)] for method, of in cells.items())]


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """The result for each measure that has baselines."""
    by_measure: dict[str, dict[str, list[str]]] = defaultdict(lambda: {significant: [] for significant in _WORDS})
    for one in comparisons:
        if one.better is not None:
            by_measure[one.measure][one.significant].append(f"{one.method} (better in {one.better} of {one.photos})")
    return [
        f"{MEASURES[measure].title}, photo by photo compared with {' and '.join(BASELINES.values())}: "
        + "; ".join(f"{_WORDS[key]}: {', '.join(methods)}" for key, methods in results.items() if methods)
        for measure, results in by_measure.items()
    ]


def explanations(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Each measure for readers who don't know the papers, by its title."""
    measures = [MEASURES[name] for name in dict.fromkeys(one.measure for one in comparisons)]
    return {f"{one.title} {_ARROWS[one.better]}": one.explanation for one in measures}


def markdown(evaluation: Evaluation) -> str:
    """All of it as a Markdown document."""
    comparisons = evaluation.comparisons
    explained = (f"{title}: {text}" for title, text in explanations(comparisons).items())
    report = [*sentences(comparisons), evaluation.sanity, tables.markdown(table(comparisons)), METHOD, *explained]
    return "\n\n".join(["# Evaluation of the saliency maps", *report]) + "\n"
