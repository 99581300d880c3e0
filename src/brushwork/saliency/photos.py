"""Maps of many photos: found, read ahead, asked batch by batch, drawn, in constant memory."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from brushwork import images
from brushwork.contact_sheet import Cell, sheet
from brushwork.errors import UserError
from brushwork.models.predictor import Predictor
from brushwork.saliency.display import render
from brushwork.saliency.methods import logits_and_maps
from brushwork.saliency.segment import Segment

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Explained:
    """One photo and its maps.

    number: its place among the paths that were asked for.
    image: the photo as the network took it, (3, height, width). seen: the same as a picture: cut, scaled.
    maps: (height, width) float32 of the class `target`, by method.
    probabilities: (num_classes,) softmax.
    completeness: of integrated gradients, its error and the score's rise (see `methods.Completeness`).
    """

    number: int
    image: Tensor
    seen: Image.Image
    maps: dict[str, np.ndarray]
    target: int
    probabilities: np.ndarray
    completeness: tuple[float, float] | None = None

    def top(self, count: int) -> list[int]:
        """The `count` most probable classes, the first first."""
        return np.argsort(-self.probabilities, kind="stable")[:count].tolist()


@dataclass(frozen=True)
class Photo:
    """A photo, its maps, and what else is known and said of it.

    number: its place among all photos. stem: what its results are called. true: its class, where it is known.
    objects: what each method's map points at; None where it was not looked for.
    figures, verdicts: by method, and of the baselines (see `evaluation`); empty where it was not evaluated.
    """

    number: int
    path: Path
    stem: str
    answer: Explained
    true: int | None = None
    objects: Mapping[str, Segment | None] | None = None
    figures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    verdicts: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


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
            if images.is_image_file(path.name):
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
    batch_size: int,
    device: torch.device,
    max_megapixels: float = 89,
    methods: Sequence[str] = ("gradient",),
) -> Iterator[Explained | UserError]:
    """The maps of each photo in the order of `paths`, or the UserError that names it and says why there are none.

    Args:
        target: a class index; None takes each photo's predicted class.
        methods: names of `METHODS`.
    """
    workers = images.default_workers() if len(paths) > 4 * batch_size else 0  # to start them takes a while
    loader = DataLoader(
        _Photos(paths, predictor, max_megapixels), batch_size=batch_size, num_workers=workers, collate_fn=list
    )
    network = predictor.network.to(device)
    for items in loader:
        good = {number: image for number, image in items if isinstance(image, Tensor)}
        answers = dict(zip(good, _ask(network, list(good.values()), target, methods, device), strict=True))
        for number, image in items:
            if number not in answers:
                yield UserError(image)
            elif not all(np.isfinite(saliency).all() for saliency in answers[number][0].values()):
                yield UserError(f"{paths[number]}: its map is not a finite number; are the model's weights sound?")
            else:
                yield Explained(number, image, predictor.shown(image), *answers[number])


def _ask(
    network: nn.Module, images: list[Tensor], target: int | None, methods: Sequence[str], device: torch.device
) -> Iterator[tuple]:
    """Maps, class, probabilities and completeness of each image."""
    if not images:
        return
    batch = torch.stack(images).to(device)  # (batch, 3, height, width)
    targets = None if target is None else torch.full((len(batch),), target)
    logits, found, exact = logits_and_maps(methods, network, batch, targets)
    targets = logits.argmax(1) if targets is None else targets
    maps, probabilities = {name: of.cpu().numpy() for name, of in found.items()}, logits.softmax(1).cpu().numpy()
    for i, of_class in enumerate(targets.tolist()):
        completeness = None if exact is None else (exact.error[i].item(), exact.rise[i].item())
        yield {name: of[i] for name, of in maps.items()}, of_class, probabilities[i], completeness


def cells(photo: Photo, class_names: Sequence[str], top: int) -> list[list[Cell]]:
    """A row for each method: photo, map and overlay, with the `top` predicted classes and the class of the map; where
    it was looked for, the object in one more column."""
    answer = photo.answer
    predicted = [f"{class_names[i]}  {answer.probabilities[i]:.3f}" for i in answer.top(top)]
    seen = Cell(answer.seen, "\n".join([photo.path.name, "predicted:", *predicted]))
    rows = []
    for method, saliency in answer.maps.items():
        described = [
            f'{method} of "{class_names[answer.target]}"  {answer.probabilities[answer.target]:.3f}',
            f"0 to {render.scale(saliency):.3g}, clipped there ({render.PERCENTILE}th percentile)",
        ]
        if method == "integrated_gradients":
            described.append(render.completeness(*answer.completeness))
        over = ["over the photo"]
        for verdict, beside in photo.verdicts.get(method, ()):
            over += [verdict, f"    {beside}"] if beside else [verdict]
        row = [
            Cell(None) if rows else seen,
            Cell(render.picture(saliency), "\n".join(described)),
            Cell(render.overlay(answer.seen, saliency), "\n".join(over)),
        ]
        if photo.objects is not None:
            found = photo.objects[method]
            drawn = None if found is None else render.outlined(answer.seen, found.mask, found.box)
            row.append(Cell(drawn, "object and its box" if drawn else "no object found"))
        rows.append(row)
    return rows


def notes(photo: Photo) -> list[str]:
    """What is to be said of a photo's maps on the terminal, beside its classes."""
    lines = []
    for method, saliency in photo.answer.maps.items():
        found = [render.defect(saliency)]
        if method == "integrated_gradients":
            found.append(render.completeness(*photo.answer.completeness))
        if photo.objects is not None:
            piece = photo.objects[method]
            found.append("box " + " ".join(map(str, piece.box)) if piece else "no object found")
        found += [verdict for verdict, _ in photo.verdicts.get(method, ())]
        if any(found):
            lines.append(f"{method}: {', '.join(filter(None, found))}")
    return lines


def page(rows: list[list[Cell]]) -> Image.Image:
    """Rows of `cells`, of one photo or of many."""
    return sheet(rows, side=336, text_size=15)
