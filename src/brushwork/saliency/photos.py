"""Photos and their maps: read ahead and explained batch by batch, in constant memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from brushwork import images
from brushwork.errors import UserError
from brushwork.models.predictor import Predictor
from brushwork.saliency.methods import logits_and_maps
from brushwork.saliency.segment import Segment


@dataclass(frozen=True)
class Photo:
    """A photo, its maps, and what else is known of it.

    number: its position among all photos. stem: the name of its results.
    image: as the network takes it, (3, height, width). shown: the same as a picture: cropped, resized.
    maps: (height, width) float32 of the class `target`, by method. probabilities: (num_classes,) softmax.
    completeness: of integrated gradients, error and rise (see `methods.Completeness`).
    true: its class, where it is known. objects: found by each method's map (`segment`), where they were looked for.
    scores: by method or baseline, then by measure (see `evaluation.scores`); empty where it was not evaluated.
    """

    number: int
    path: Path
    image: Tensor
    shown: Image.Image
    maps: dict[str, np.ndarray]
    target: int
    probabilities: np.ndarray
    completeness: tuple[float, float] | None = None
    stem: str = ""
    true: int | None = None
    objects: Mapping[str, Segment | None] | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def top(self, count: int) -> list[int]:
        """The `count` most probable classes, in falling order."""
        return np.argsort(-self.probabilities, kind="stable")[:count].tolist()


class _Photos(Dataset):
    """Each photo as the network takes it, or why it can't be read."""

    def __init__(self, paths: Sequence[Path], predictor: Predictor, max_megapixels: float) -> None:
        self.paths, self.transform, self.max_megapixels = paths, predictor.transform, max_megapixels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[int, Tensor | str]:
        try:
            return number, self.transform(images.load_rgb(self.paths[number], self.max_megapixels))
        except UserError as error:
            return number, str(error)


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
    dataset = _Photos(paths, predictor, max_megapixels)
    device = next(predictor.network.parameters()).device
    for items in DataLoader(dataset, batch_size=batch_size, num_workers=workers, collate_fn=list):
        readable = {number: image for number, image in items if isinstance(image, Tensor)}
        if readable:
            batch = torch.stack(list(readable.values())).to(device)  # (batch, 3, height, width)
            logits, maps, exact = logits_and_maps(methods, predictor.network, batch, target)
            targets = logits.argmax(1).tolist() if target is None else [target] * len(batch)
            maps = {name: of_batch.cpu().numpy() for name, of_batch in maps.items()}
            probabilities = logits.softmax(1).cpu().numpy()
        places = {number: place for place, number in enumerate(readable)}
        for number, image in items:
            if number not in places:
                yield UserError(image)
                continue
            place, path = places[number], paths[number]
            own = {name: of_batch[place] for name, of_batch in maps.items()}
            if not all(np.isfinite(saliency).all() for saliency in own.values()):
                yield UserError(f"{path}: its map is not finite; are the model's weights valid?")
                continue
            completeness = exact and (exact.error[place].item(), exact.rise[place].item())
            shown = predictor.shown(image)
            yield Photo(number, path, image, shown, own, targets[place], probabilities[place], completeness)
