"""Answers of a trained network, or of several, for any number of pictures: batch by batch, in constant memory."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from brushwork.errors import UserError
from brushwork.inference.reading import Squares, read_ahead
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import normalize

log = logging.getLogger(__name__)

BATCH_SIZE = 64  # where a checkpoint does not say its run's
_AHEAD = 2  # batches of decoded pictures in memory beside the one that the network has


@dataclass(frozen=True)
class AnsweredBatch:
    """Answers for pictures, tensors (batch, ...) float32 on the CPU, and what could not be read since the last batch.

    numbers: the pictures' positions among all paths. pictures: uint8 (batch, height, width, 3), as the first network
    sees them. logits (batch, classes) and features (batch, width) are the first network's, too.
    probabilities: (batch, classes), of several networks the mean. distance: (batch,) from the training pictures, and
    whether it makes a picture unlike them (`familiarity`); None where the checkpoint does not know.
    agreement: (batch,) the share of the networks whose own answer is the common one; None for one network.
    """

    numbers: list[int]
    paths: list[Path]
    pictures: Tensor
    logits: Tensor
    features: Tensor
    probabilities: Tensor
    distance: Tensor | None = None
    unlike: Tensor | None = None
    agreement: Tensor | None = None
    failed: list[tuple[int, UserError]] = field(default_factory=list)


@dataclass(frozen=True)
class Answered:
    """The answer for one picture: see `AnsweredBatch`."""

    number: int
    path: Path
    picture: Tensor
    logits: Tensor
    features: Tensor
    probabilities: Tensor
    distance: float | None
    unlike: bool | None
    agreement: float | None

    def top(self, count: int) -> list[int]:
        """The `count` most probable classes, in falling order."""
        return ranked(self.probabilities)[:count].tolist()


def ranked(probabilities: Tensor) -> Tensor:
    """(..., classes) indices of the classes by falling probability, of equals the first."""
    return probabilities.sort(dim=-1, descending=True, stable=True).indices


def batch_size_of(predictor: Predictor) -> int:
    """That of the run which trained the network: with it the answers are the run's to the last bit."""
    return int(predictor.described.get("batch_size") or BATCH_SIZE)


def predict(
    predictors: Predictor | Sequence[Predictor],
    paths: Sequence[Path],
    *,
    batch_size: int | None = None,
    max_megapixels: float = 89,
    calibrated: bool = True,
) -> Iterator[Answered | UserError]:
    """The answer for each picture in the order of `paths`, or a UserError that names the picture and says why not.

    Args:
        predictors: networks of checkpoints (`load_predictor`); of several of the same classes an ensemble's answers.
        batch_size: None: that of the run which trained the (first) network.
        calibrated: divide the logits by the temperature that was fitted on the validation part.
    """
    for batch in batches(
        predictors, paths, batch_size=batch_size, max_megapixels=max_megapixels, calibrated=calibrated
    ):
        found: list[tuple[int, Answered | UserError]] = [*batch.failed]
        for i, (number, path) in enumerate(zip(batch.numbers, batch.paths, strict=True)):
            tensors = (batch.pictures[i], batch.logits[i], batch.features[i], batch.probabilities[i])
            rest = (None if of is None else of[i].item() for of in (batch.distance, batch.unlike, batch.agreement))
            found.append((number, Answered(number, path, *tensors, *rest)))
        for _, answer in sorted(found, key=lambda one: one[0]):
            yield answer


def batches(
    predictors: Predictor | Sequence[Predictor],
    paths: Sequence[Path],
    *,
    batch_size: int | None = None,
    max_megapixels: float = 89,
    calibrated: bool = True,
) -> Iterator[AnsweredBatch]:
    """As `predict`, `batch_size` readable pictures at a time; the last batch may have fewer, or none but failures."""
    members = [predictors] if isinstance(predictors, Predictor) else list(predictors)
    orders = class_orders(members)
    size = batch_size or batch_size_of(members[0])
    wanted = [(member.preprocessing.image_size, member.preprocessing.resize) for member in members]
    shapes = list(dict.fromkeys(wanted))  # a picture is decoded once for all networks of a shape
    numbers: list[int] = []
    squares: list[Squares] = []
    failed: list[tuple[int, UserError]] = []
    last = len(paths) - 1
    for number, read in enumerate(read_ahead(paths, shapes, max_megapixels, _AHEAD * size)):
        if isinstance(read, UserError):
            failed.append((number, read))
        else:
            numbers.append(number)
            squares.append(read)
        if len(numbers) == size or number == last:
            pictures = [torch.stack(of_size) for of_size in zip(*squares, strict=True)]
            if pictures:
                given = [pictures[shapes.index(shape)] for shape in wanted]
                ordered = list(zip(members, given, orders, strict=True))
                yield _answered(ordered, numbers, [paths[i] for i in numbers], calibrated, failed)
            else:
                nothing = torch.zeros(0, 0)
                yield AnsweredBatch([], [], nothing, nothing, nothing, nothing, failed=failed)
            numbers, squares, failed = [], [], []


def _answered(
    members: list[tuple[Predictor, Tensor, Tensor]],
    numbers: list[int],
    paths: list[Path],
    calibrated: bool,
    failed: list[tuple[int, UserError]],
) -> AnsweredBatch:
    """The answers of networks for a batch, given to each as it takes it, with the order of its classes."""
    found, first = [], None
    for member, pictures, order in members:
        device = next(member.network.parameters()).device
        images = normalize(pictures.permute(0, 3, 1, 2).to(device), member.preprocessing)
        logits, features = member.logits_and_features(images)
        temperature = member.calibration.temperature if calibrated else 1.0
        found.append((logits / temperature).softmax(1).cpu()[:, order])
        if first is None:
            first = member, pictures, logits.cpu(), features
    member, pictures, logits, features = first
    probabilities = found[0] if len(found) == 1 else torch.stack(found).mean(0)
    if not probabilities.isfinite().all():
        name = paths[int((~probabilities.isfinite()).any(1).nonzero()[0])]
        raise UserError(f"{name}: the probabilities are not finite; are the weights of {member.name} valid?")
    common = ranked(probabilities)[:, 0]
    own = [(ranked(of_member)[:, 0] == common).float() for of_member in found]
    known = member.familiarity
    return AnsweredBatch(
        numbers,
        paths,
        pictures,
        logits,
        features.cpu(),
        probabilities,
        distance=known and known.distance(features).cpu(),
        unlike=known and known.is_unlike(features).cpu(),
        agreement=torch.stack(own).mean(0) if len(found) > 1 else None,
        failed=failed,
    )


def class_orders(members: Sequence[Predictor]) -> list[Tensor]:
    """Where each network has the first one's classes. UserError where one has others."""
    first = members[0]
    for number, other in enumerate(members, 1):
        if sorted(first.class_names) != sorted(other.class_names):
            only_first = ", ".join(name for name in first.class_names if name not in other.class_names) or "none"
            only_other = ", ".join(name for name in other.class_names if name not in first.class_names) or "none"
            raise UserError(
                f"an ensemble needs networks of the same classes: only in network 1, {first.name}: {only_first}; "
                f"only in network {number}, {other.name}: {only_other}; name checkpoints of the same styles"
            )
    return [torch.tensor([member.class_names.index(name) for name in first.class_names]) for member in members]
