"""Maps of many photos: found, read ahead, asked batch by batch, drawn, in constant memory."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from brushwork import images
from brushwork.contact_sheet import Cell, sheet
from brushwork.errors import UserError
from brushwork.predictor import Predictor
from brushwork.saliency import methods, render
from brushwork.saliency.segment import Segment

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explained:
    """One photo and its map.

    number: its place among the paths that were asked for.
    seen: the photo as the network saw it: cut, scaled, (width, height) as the map.
    saliency: (height, width) float32 of the class `target`.
    probabilities: (num_classes,) softmax.
    method: by which the map was made.
    completeness: of integrated gradients, its error and the score's rise (see `methods.Completeness`).
    """

    number: int
    seen: Image.Image
    saliency: np.ndarray
    target: int
    probabilities: np.ndarray
    method: str = "gradient"
    completeness: tuple[float, float] | None = None

    def top(self, count: int) -> list[int]:
        """The `count` most probable classes, the first first."""
        return np.argsort(-self.probabilities, kind="stable")[:count].tolist()


def find(inputs: Iterable[Path]) -> list[Path]:
    """The photos that files and folders name, folders with all below them sorted by path.

    Hidden files are ignored; other files that are no images are counted and logged.

    Raises:
        UserError: an input is not there, or a folder holds no photo.
    """
    found, ignored = [], Counter()
    for given in inputs:
        if given.is_file():
            found.append(given)
            continue
        if not given.is_dir():
            raise UserError(f"there is no file or folder {given.resolve()}: name photos, or a folder of photos")
        before = len(found)
        for path in sorted(given.rglob("*")):
            hidden = any(map(images.is_hidden, path.relative_to(given).parts))
            if hidden or not path.is_file():
                continue
            if images.is_named_as_one(path.name):
                found.append(path)
            else:
                ignored[path.suffix.lower() or "without extension"] += 1
        if len(found) == before:
            raise UserError(f"{given.resolve()} holds no photo ({', '.join(images.EXTENSIONS)}): name another folder")
    if ignored:
        log.warning("ignored what is no image: %s", ", ".join(f"{n} {kind}" for kind, n in ignored.most_common()))
    return found


def stems(paths: Iterable[Path]) -> list[str]:
    """A name for each photo's results: its own without the extension; where that is taken, numbered.

    >>> stems([Path("a/cat.jpg"), Path("b/cat.jpg"), Path("cat.png"), Path("cat_2.jpg")])
    ['cat', 'cat_2', 'cat_3', 'cat_2_2']
    """
    taken, names = set(), []
    for path in paths:
        name, number = path.stem, 1
        while name in taken:
            number += 1
            name = f"{path.stem}_{number}"
        taken.add(name)
        names.append(name)
    return names


class _Photos(Dataset):
    """Each photo as the network takes it, or the line that says why it can't be read."""

    def __init__(self, paths: list[Path], predictor: Predictor, max_megapixels: float) -> None:
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
    paths: list[Path],
    target: int | None,
    *,
    batch_size: int,
    device: torch.device,
    max_megapixels: float = 89,
    method: str = "gradient",
) -> Iterator[Explained | UserError]:
    """The map of each photo in the order of `paths`, or the UserError that names it and says why there is none.

    Args:
        target: a class index; None takes each photo's predicted class.
        method: a name of `methods.METHODS`.
    """
    workers = images.default_workers() if len(paths) > 4 * batch_size else 0  # to start them takes a while
    loader = DataLoader(
        _Photos(paths, predictor, max_megapixels), batch_size=batch_size, num_workers=workers, collate_fn=list
    )
    network = predictor.network.to(device)
    for items in loader:
        good = {number: image for number, image in items if isinstance(image, Tensor)}
        answers = {}
        if good:
            batch = torch.stack(list(good.values())).to(device)  # (batch, 3, height, width)
            targets = None if target is None else torch.full((len(batch),), target)
            logits, saliency, exact = methods.logits_and_map(method, network, batch, targets)
            probabilities = logits.softmax(1)
            targets = logits.argmax(1) if targets is None else targets
            errors = None if exact is None else zip(exact.error.tolist(), exact.rise.tolist(), strict=True)
            rows = zip(
                saliency.cpu().numpy(),
                targets.tolist(),
                probabilities.cpu().numpy(),
                [method] * len(batch),
                errors or [None] * len(batch),
                strict=True,
            )
            answers = dict(zip(good, rows, strict=True))
        for number, image in items:
            if number not in answers:
                yield UserError(image)
            elif not np.isfinite(answers[number][0]).all():
                yield UserError(f"{paths[number]}: its map is not a finite number; are the model's weights sound?")
            else:
                yield Explained(number, predictor.shown(image), *answers[number])


def cells(name: str, answer: Explained, class_names: list[str], top: int, found: Segment | None = None) -> list[Cell]:
    """Photo, map and overlay, with the `top` predicted classes and the class of the map; the object, if found."""
    predicted = [f"{class_names[i]}  {answer.probabilities[i]:.3f}" for i in answer.top(top)]
    described = f'saliency of "{class_names[answer.target]}"  {answer.probabilities[answer.target]:.3f}'
    scale = f"0 to {render.scale(answer.saliency):.3g}, clipped there ({render.PERCENTILE}th percentile)"
    described += f"\nby {answer.method}"
    if answer.completeness is not None:
        described += f"\n{render.completeness(*answer.completeness)}"
    shown = [
        Cell(answer.seen, "\n".join([name, "predicted:", *predicted])),
        Cell(render.picture(answer.saliency), f"{described}\n{scale}"),
        Cell(render.overlay(answer.seen, answer.saliency), "over the photo"),
    ]
    if found is not None:
        shown.append(Cell(render.outlined(answer.seen, found.mask, found.box), "object and its box"))
    return shown


def page(rows: list[list[Cell]]) -> Image.Image:
    """A row of `cells` for each photo."""
    return sheet(rows, side=336, text_size=15)
