"""Predictions for pictures as class names and probabilities."""

import html
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from brushwork import images
from brushwork.errors import UserError
from brushwork.models.features import logits_and_features
from brushwork.models.modes import in_eval_mode

if TYPE_CHECKING:
    from brushwork.models.classifier import StyleClassifier

Picture = str | Path | Image.Image | Tensor

_AT_ONCE = 64  # pictures that are predicted in a batch
UNLIKE = "unlike the training pictures"
_SHOWN = 3  # classes of an answer that are printed


class Answer(NamedTuple):
    """The prediction for one picture."""

    path: str | None  # None for a picture that is not a file
    predicted: str  # the class of the highest probability
    probability: float  # of that class, in [0, 1]; calibrated where the checkpoint has a temperature
    probabilities: dict[str, float]  # by class name, the highest first
    unlike: bool = False  # whether the picture is unlike the training pictures (see `Familiarity`), as far as known

    def __str__(self) -> str:
        classes = ", ".join(f"{name} {value:.3f}" for name, value in [*self.probabilities.items()][:_SHOWN])
        line = f"{self.path}: {classes}" if self.path else classes
        return f"{line} ({UNLIKE})" if self.unlike else line


class Answers(list[Answer]):
    """The answers for several pictures, in their order; a notebook shows them as a table."""

    @classmethod
    def of(
        cls,
        probabilities: Tensor,
        class_names: Sequence[str],
        paths: Sequence[str | None],
        unlike: Tensor | None = None,
    ) -> "Answers":
        """From probabilities (pictures, classes), and whether each is unlike the training pictures, (pictures,)."""
        answers = cls()
        flags = [False] * len(paths) if unlike is None else unlike.tolist()
        for path, row, flag in zip(paths, probabilities, flags, strict=True):
            values, order = row.sort(descending=True, stable=True)
            by_name = dict(zip([class_names[i] for i in order.tolist()], values.tolist(), strict=True))
            answers.append(Answer(path, *next(iter(by_name.items())), by_name, flag))
        return answers

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def _repr_html_(self) -> str:
        rows = []
        for number, answer in enumerate(self):
            others = ", ".join(f"{name} {value:.3f}" for name, value in [*answer.probabilities.items()][1:_SHOWN])
            others += f" ({UNLIKE})" * answer.unlike
            cells = (answer.path or f"picture {number}", answer.predicted, f"{answer.probability:.3f}", others)
            rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
        heading = "<tr><th>picture</th><th>predicted</th><th>probability</th><th>then</th></tr>"
        return f"<table>{heading}{''.join(rows)}</table>"


def answered(model: "StyleClassifier", forward: Callable[[], Tensor], paths: Sequence[str | None]) -> Answers:
    """The answers of a model whose logits `forward` computes; `paths` are those of the pictures."""
    logits, features = logits_and_features(model.new_layer, forward)
    probabilities = (logits / model.calibration.temperature).softmax(1).cpu()
    unlike = model.familiarity and model.familiarity.is_unlike(features)
    return Answers.of(probabilities, model.class_names, paths, unlike)


def predicted(model: "StyleClassifier", pictures: Sequence[Picture]) -> Answers:
    """The answers for pictures, or for a tensor as `transform` returns it: see `StyleClassifier.predict`."""
    answers = Answers()
    with torch.inference_mode(), in_eval_mode(model.network):
        for start in range(0, len(pictures), _AT_ONCE):
            some = pictures[start : start + _AT_ONCE]
            images = some.to(model.device) if isinstance(some, Tensor) else model.transform(some)
            paths = [str(one) if isinstance(one, str | Path) else None for one in some]
            answers += answered(model, partial(model, images), paths)
    return answers


def listed(pictures: Picture | Sequence[Picture]) -> Sequence[Picture]:
    """One picture or several as a sequence; a tensor (batch, 3, height, width) is one already."""
    is_one = isinstance(pictures, str | Path | Image.Image) or (isinstance(pictures, Tensor) and pictures.ndim == 3)
    return [pictures] if is_one else pictures


def load(picture: Picture) -> Image.Image:
    """An upright RGB picture from a path, a PIL picture, or a tensor (3, height, width), uint8 or floats in [0, 1]."""
    if isinstance(picture, Tensor):
        if picture.is_floating_point() and not 0 <= picture.min() <= picture.max() <= 1:
            raise UserError(
                "a picture of floats must lie in [0, 1]: give normalised images as a batch of four dimensions"
            )
        return to_pil_image((picture if picture.dtype == torch.uint8 else picture.float()).cpu())
    if isinstance(picture, Image.Image):
        return images.upright_rgb(picture)
    return images.load_rgb(picture)
