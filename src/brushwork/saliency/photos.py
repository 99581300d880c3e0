"""Photos and their maps: read ahead and explained batch by batch, in constant memory."""

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from brushwork import images
from brushwork.errors import UserError
from brushwork.models.predictor import Predictor
from brushwork.saliency.methods import logits_and_maps
from brushwork.saliency.segment import Segment


@dataclass(frozen=True)
class Photo:
    """A photo, its maps, and what else is known of it."""

    number: int  # its position among all photos
    path: Path
    image: Tensor  # as the network takes it, (3, height, width)
    shown: Image.Image  # the same as a picture: cropped, resized
    maps: dict[str, np.ndarray]  # by method, (height, width) float32
    target: int  # the class of the maps
    probabilities: np.ndarray  # (num_classes,) softmax
    completeness: tuple[float, float] | None = None  # of integrated gradients: error, rise of the score
    stem: str = ""  # the name of its results
    true: int | None = None  # its class, where it is known
    objects: Mapping[str, Segment | None] | None = None  # by method (`segment`), where they were looked for
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by method or baseline, then by measure

    def top(self, count: int) -> list[int]:
        """The `count` most probable classes, in falling order."""
        return np.argsort(-self.probabilities, kind="stable")[:count].tolist()


def _read(
    transform: Callable[[Image.Image], Tensor], max_megapixels: float, photos: list[tuple[int, Path]]
) -> list[tuple[int, Path, Tensor | str]]:
    """Adds to each photo's number and path what the network takes, or why it can't be read."""
    found = []
    for number, path in photos:
        try:
            found.append((number, path, transform(images.load_rgb(path, max_megapixels))))
        except UserError as error:
            found.append((number, path, str(error)))
    return found


def explain(
    predictor: Predictor,
    paths: Sequence[Path],
    target: int | None,
    *,
    batch_size: int = 8,
    max_megapixels: float = 89,
    methods: Sequence[str] = ("gradient",),
) -> Iterator[Photo | UserError]:
    """Each photo with its maps of the class `target` (None: the predicted one), in the order of `paths`, or a UserError
    that names it and says why it has none."""
    workers = images.default_workers() if len(paths) > 4 * batch_size else 0  # starting them takes a while
    read = functools.partial(_read, predictor.transform, max_megapixels)  # runs in the workers
    device = next(predictor.network.parameters()).device
    numbered = list(enumerate(paths))
    for items in DataLoader(numbered, batch_size=batch_size, num_workers=workers, collate_fn=read):
        readable = [image for _, _, image in items if isinstance(image, Tensor)]
        if readable:
            batch = torch.stack(readable).to(device)  # (batch, 3, height, width)
            logits, maps, exact = logits_and_maps(methods, predictor.network, batch, target)
            targets = logits.argmax(1).tolist() if target is None else [target] * len(batch)
            maps = {name: of_batch.cpu().numpy() for name, of_batch in maps.items()}
            probabilities = logits.softmax(1).cpu().numpy()
        places = itertools.count()
        for number, path, image in items:
            if isinstance(image, str):
                yield UserError(image)
                continue
            place = next(places)
            own = {name: of_batch[place] for name, of_batch in maps.items()}
            if not all(np.isfinite(saliency).all() for saliency in own.values()):
                yield UserError(f"{path}: its map is not finite; are the model's weights valid?")
                continue
            completeness = exact and tuple(values[place].item() for values in exact)
            shown = predictor.shown(image)
            yield Photo(number, path, image, shown, own, targets[place], probabilities[place], completeness)
