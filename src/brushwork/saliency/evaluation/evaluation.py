"""Can a photo's maps be believed? Their figures, beside those of maps that saw no network."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from brushwork.saliency.evaluation import agreement, faithfulness, localisation, objects
from brushwork.saliency.evaluation.measures import MEASURES
from brushwork.saliency.photos import Photo
from brushwork.saliency.segment import segment

# Maps that saw neither photo nor network. Scattered holes spoil a photo for a network: the first is good at deletion.
# Photographers put things in the middle: the second is good at the rest.
BASELINES = {"random": "a random map", "centre": "a blob in the middle"}

Figures = dict[str, float]  # by the name of a measure; NaN is left out


def evaluated(
    network: nn.Module, photo: Photo, mask: np.ndarray | None, batch_size: int, progress: Callable[[str], None]
) -> Photo:
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
            kind: faithfulness.area(
                faithfulness.curve(network, image, saliency, answer.target, kind, batch_size=batch_size)
            )
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
            mark = "✓" if all(gain(name, value, other) > 0 for other in others.values()) else "✗"
            beside = ", ".join(f"{baseline} {other:.3f}" for baseline, other in others.items())
            found.append((f"{mark} {MEASURES[name].title} {value:.3f}", beside))
    return found


def gain(measure: str, value: float, other: float) -> float:
    """What a value is better than another by."""
    return other - value if MEASURES[measure].better == "lower" else value - other
