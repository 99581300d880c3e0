"""The scores of one photo's maps by each measure, next to those of the baselines."""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from brushwork import images
from brushwork.models.predictor import Predictor
from brushwork.saliency.evaluation import agreement, annotations, faithfulness, localisation
from brushwork.saliency.evaluation.annotations import Annotation
from brushwork.saliency.evaluation.measures import BASELINES, MEASURES
from brushwork.saliency.photos import Photo
from brushwork.saliency.segment import segment

Scores = Mapping[str, Mapping[str, float]]  # by method or baseline, then by measure; NaN is left out


def evaluate(
    predictor: Predictor,
    photo: Photo,
    annotation: Annotation,
    progress: Callable[[str], None],
    batch_size: int = 8,
    max_megapixels: float = 89,
) -> dict[str, dict[str, float]]:
    """The scores of a photo's maps and of the baselines; those of objects where the annotation has some, the overlap of
    boxes only with `photo.objects`. `progress` is called with the name of each. Raises as `annotations.mask`."""
    network, mask = predictor.network, None
    if annotation.polygons or annotation.boxes:
        mask = annotations.mask(annotation, images.load_rgb(photo.path, max_megapixels).size, predictor)
    image = photo.image.to(next(network.parameters()).device)
    height, width = image.shape[1:]
    random = faithfulness.random_map(height, width, photo.number)
    scores, centre = {}, faithfulness.centre_map(height, width)
    for method, saliency in (photo.maps | {"random": random, "centre": centre}).items():
        progress(f"{photo.path.name}: {method}")
        found = {}
        for kind in faithfulness.KINDS:
            curve = faithfulness.curve(network, image, saliency, photo.target, kind, batch_size=batch_size)
            found[kind] = faithfulness.area(curve)
        if mask is not None:
            pointing, energy = localisation.pointing(saliency, mask), localisation.energy(saliency, mask)
            found |= {"pointing": pointing, "energy": energy, "object_share": float(mask.mean())}
            if photo.objects is not None:
                piece = photo.objects[method] if method in photo.objects else segment(photo.shown, saliency)
                found["box_iou"] = localisation.box_iou(piece.box, annotations.box(mask)) if piece else 0.0
        if method in photo.maps:
            target = torch.tensor([photo.target])
            (contrast,) = agreement.class_contrast(method, network, image[None], target, saliency[None])
            found["class_contrast"] = float(contrast)
        scores[method] = {name: value for name, value in found.items() if np.isfinite(value)}
    return scores


def verdicts(scores: Scores, method: str) -> list[tuple[str, str]]:
    """One photo's scores of a method as lines: ✓ where it is better than both baselines, and the baselines' scores.

    >>> baselines = {"random": {"deletion": 0.2}, "centre": {"deletion": 0.15}}
    >>> verdicts({"gradient": {"deletion": 0.1, "pointing": 1.0}} | baselines, "gradient")
    [('✓ deletion 0.100', 'random 0.200, centre 0.150'), ('✓ maximum on the object', '')]
    """
    found = []
    for name, value in scores.get(method, {}).items():
        measure = MEASURES[name]
        others = {baseline: scores[baseline][name] for baseline in BASELINES if name in scores[baseline]}
        if name == "pointing":
            found.append(("✓ maximum on the object" if value > 0.5 else "✗ maximum off the object", ""))
        elif measure.better and len(others) == len(BASELINES):
            mark = "✓" if all(measure.gain(value, other) > 0 for other in others.values()) else "✗"
            listed = ", ".join(f"{baseline} {other:.3f}" for baseline, other in others.items())
            found.append((f"{mark} {measure.title} {value:.3f}", listed))
    return found
