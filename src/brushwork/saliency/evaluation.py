"""Can maps be believed? Their figures, photo by photo and over all, beside those of maps that saw no network."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from brushwork import statistics, tables
from brushwork.saliency import agreement, faithfulness, localisation, objects
from brushwork.saliency.measures import MEASURES
from brushwork.saliency.photos import Photo
from brushwork.saliency.segment import segment
from brushwork.statistics import LEVEL, Spread
from brushwork.tables import Table

# Maps that saw neither photo nor network. Scattered holes spoil a photo for a network: the first is good at deletion.
# Photographers put things in the middle: the second is good at the rest.
BASELINES = {"random": "a random map", "centre": "a blob in the middle"}

Figures = dict[str, float]  # by the name of a measure; NaN is left out


def evaluated(network: nn.Module, photo: Photo, mask: np.ndarray | None, progress: Callable[[str], None]) -> Photo:
    """The photo with the figures of its maps and of the baselines', and with what they say.

    Args:
        mask: (height, width) bool, where the objects are; None leaves out what needs it. The overlap of boxes needs
            the photo's `objects` as well.
        progress: is told each map's method.
    """
    answer = photo.answer
    image = answer.image.to(next(network.parameters()).device)
    height, width = image.shape[1:]
    baselines = {
        "random": faithfulness.random_map(height, width, photo.number),
        "centre": faithfulness.centre_map(height, width),
    }
    figures = {}
    for method, saliency in (answer.maps | baselines).items():
        progress(method)
        found = {
            kind: faithfulness.area(faithfulness.curve(network, image, saliency, answer.target, kind))
            for kind in faithfulness.KINDS
        }
        if mask is not None:
            found["pointing"] = localisation.pointing(saliency, mask)
            found["energy"] = localisation.energy(saliency, mask)
            found["object_share"] = float(mask.mean())
            if photo.objects is not None:
                piece = photo.objects[method] if method in photo.objects else segment(answer.seen, saliency)
                found["box_iou"] = localisation.box_iou(piece.box, objects.box(mask)) if piece else 0.0
        if method in answer.maps:
            target = torch.tensor([answer.target])
            (contrast,) = agreement.class_contrast(method, network, image[None], target, saliency[None])
            found["class_contrast"] = float(contrast)
        figures[method] = {name: value for name, value in found.items() if np.isfinite(value)}
    return replace(photo, figures=figures, verdicts={method: verdicts(figures, method) for method in answer.maps})


def verdicts(by_method: Mapping[str, Figures], method: str) -> list[tuple[str, str]]:
    """What one photo's figures say of one of its maps: ✓ where it is better than both baselines, and what these have.

    >>> baselines = {"random": {"deletion": 0.2}, "centre": {"deletion": 0.15}}
    >>> verdicts({"gradient": {"deletion": 0.1, "pointing": 1.0}} | baselines, "gradient")
    [('✓ deletion 0.100', 'random 0.200, centre 0.150'), ('✓ brightest on the object', '')]
    """
    found = []
    for name, value in by_method.get(method, {}).items():
        others = {baseline: by_method[baseline][name] for baseline in BASELINES if name in by_method[baseline]}
        if name == "pointing":
            found.append(("✓ brightest on the object" if value > 0.5 else "✗ brightest off the object", ""))
        elif MEASURES[name].better and len(others) == len(BASELINES):
            mark = "✓" if all(_gain(name, value, other) > 0 for other in others.values()) else "✗"
            beside = ", ".join(f"{baseline} {other:.3f}" for baseline, other in others.items())
            found.append((f"{mark} {MEASURES[name].title} {value:.3f}", beside))
    return found


@dataclass(frozen=True)
class Compared:
    """A method's figure over all photos, and what it gains on the better of the baselines, photo by photo.

    measure, method: names. over_photos: the figure. beside: the baseline that has the better mean.
    gain: in the measure's better direction, so that above 0 is better than the baseline; None where there is none.
    better: the photos in which it is better. p: of the paired t test, by Holm over the measure's methods.
    """

    measure: str
    method: str
    over_photos: Spread
    beside: str = ""
    gain: Spread | None = None
    better: int = 0
    p: float | None = None

    @property
    def shown(self) -> str:
        """What the photos show: "better" or "worse" than the baseline, or nothing."""
        if self.gain is None or self.p is None or self.p >= LEVEL:
            return ""
        return "better" if self.gain.mean > 0 else "worse"


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
        beside = max(
            (name for name in BASELINES if given.get(name)),
            key=lambda name: np.mean([_gain(measure, value, 0) for value in given[name].values()]),
            default="",
        )
        others = given.get(beside, {})
        gains = {
            method: [_gain(measure, value, others[photo]) for photo, value in values.items() if photo in others]
            for method, values in given.items()
            if method not in BASELINES
        }
        ps = statistics.holm([statistics.paired_p(of) if of else None for of in gains.values()])
        corrected = dict(zip(gains, ps, strict=True))
        for method, values in given.items():
            if values:
                gain = gains.get(method)
                found.append(
                    Compared(
                        measure,
                        method,
                        statistics.spread(list(values.values())),
                        beside,
                        statistics.spread(gain) if gain else None,
                        sum(value > 0 for value in gain or ()),
                        corrected.get(method),
                    )
                )
    return found


def table(compared: Sequence[Compared], intervals: bool = False) -> Table:
    """A line a method, a column a measure (see `METHOD`).

    Args:
        intervals: in brackets, of what it is better by than the better baseline.
    """
    cells = {(one.method, one.measure): one for one in compared}
    measures = list(dict.fromkeys(one.measure for one in compared))
    methods = list(dict.fromkeys(one.method for one in compared))

    def cell(one: Compared | None) -> str:
        if one is None:
            return ""
        mark = {"better": " +", "worse": " -", "": ""}[one.shown]
        low_high = one.gain and one.gain.interval
        between = f" [{low_high[0]:.2f}, {low_high[1]:.2f}]" if intervals and low_high else ""
        return f"{one.over_photos.mean:.3f}{mark}{between}"

    head = ["", *(f"{MEASURES[measure].title} {MEASURES[measure].arrow}".strip() for measure in measures)]
    return [head, *([method, *(cell(cells.get((method, measure))) for measure in measures)] for method in methods)]


def sentences(compared: Sequence[Compared]) -> list[str]:
    """What the photos show of each measure that has a baseline; 4/5: in four of five photos it is better."""
    by_measure = defaultdict(list)
    for one in compared:
        if one.gain is not None:
            by_measure[one.measure].append(one)
    found = []
    for measure, methods in by_measure.items():
        parts = []
        for shown, words in [("better", "better"), ("worse", "worse"), ("", "not shown to differ")]:
            these = [f"{one.method} {one.better}/{one.gain.seeds}" for one in methods if one.shown == shown]
            if these:
                parts.append(f"{words}: {', '.join(these)}")
        found.append(f"{MEASURES[measure].title}, beside {BASELINES[methods[0].beside]}: {'; '.join(parts)}")
    return found


METHOD = (
    "Means over the photos. The last two maps saw neither photo nor network: a random one, and a blob in the middle, "
    "where photographers put things. + and - : better and worse than the better of these two, photo by photo (paired t "
    "test, corrected by Holm for the number of methods, p under 0.05); 4/5 : better in four of five photos."
)
INTERVALS = "In brackets the 95% interval of what a method is better by (Student's t, uncorrected)."


def report(compared: Sequence[Compared], told: str) -> str:
    """All as Markdown: sentences, the table with its intervals, what each figure means.

    Args:
        told: one more sentence.
    """
    lines = [
        "# Can the maps be believed?",
        *sentences(compared),
        told,
        tables.markdown(table(compared, intervals=True)),
        f"{METHOD} {INTERVALS}",
        *dict.fromkeys(explained(one.measure) for one in compared),
    ]
    return "\n\n".join(lines) + "\n"


def explained(measure: str) -> str:
    """A figure for readers who don't know the papers."""
    one = MEASURES[measure]
    return f"{one.title} {one.arrow}: {one.meaning} {one.range}; {one.better} is better. {one.source}."


def _gain(measure: str, value: float, other: float) -> float:
    """What a value is better than another by."""
    return other - value if MEASURES[measure].better == "lower" else value - other
