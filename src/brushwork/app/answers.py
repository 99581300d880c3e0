"""The network's answer for one picture, what in it supports a style, and paintings like it: plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from brushwork import files, images
from brushwork.app.state import State
from brushwork.errors import UserError
from brushwork.inference.similar import Neighbor
from brushwork.preprocessing import normalize
from brushwork.saliency.display import render
from brushwork.saliency.methods import METHODS

SIMILAR = 8
_SAME = 0.99  # as similar as this is a picture to itself, whatever is rounded
_SIDE = 640  # pixels of the longer side of a picture with its map


@dataclass(frozen=True)
class Answer:
    """What a network says of a picture.

    probabilities: (class index, calibrated probability), the highest first. is_unlike: whether the picture is unlike
    the training pictures, None where the checkpoint can't say. similar: the nearest training paintings, if known.
    was_trained_on: whether the file is one of these.
    """

    name: str
    probabilities: list[tuple[int, float]]
    is_unlike: bool | None
    similar: Sequence[Neighbor]
    was_trained_on: bool = False

    @property
    def predicted(self) -> int:
        return self.probabilities[0][0]


@dataclass(frozen=True)
class Evidence:
    """What in a picture supports a class, by a saliency method.

    picture: the painting in its proportions, as far as the network saw it; overlay: the map over it, or None where
    `defect` says why there is none.
    """

    target: int
    method: str
    picture: Image.Image
    overlay: Image.Image | None
    defect: str | None


def answer(state: State, path: Path) -> Answer:
    """Raises a UserError, whose text is for the page, where the file can't be read as a picture."""
    logits, features = state.predictor.logits_and_features(_input(state, path))
    probabilities = (logits[0] / state.predictor.calibration.temperature).softmax(0)
    values, order = probabilities.sort(descending=True, stable=True)
    known = state.predictor.familiarity
    similar = state.index.nearest(features, SIMILAR)[0] if state.index else []
    is_unlike = None if known is None else bool(known.is_unlike(features)[0])
    shares = list(zip(order.tolist(), values.tolist(), strict=True))
    return Answer(path.name, shares, is_unlike, similar, _is_one_of(state, path, similar))


def evidence(state: State, path: Path, method: str, target: int) -> Evidence:
    """The map of a class by a method, over the picture; errors as for `answer`."""
    found = METHODS[method](state.predictor.network, _input(state, path), target)[0].cpu().numpy()
    picture = _shown(state, path)
    problem = render.defect(found)
    overlay = None if problem else render.picture(_enlarged(found, picture.size), photo=picture)
    return Evidence(target, method, picture, overlay, problem)


def _is_one_of(state: State, path: Path, paintings: Sequence[Neighbor]) -> bool:
    """Whether a file has the content of one of these training paintings."""
    close = [state.index.root / one.path for one in paintings if one.similarity > _SAME]
    return bool(close) and files.sha256(path) in {files.sha256(other) for other in close if other.is_file()}


def reason(error: UserError, path: Path) -> str:
    """Why a file can't be used, as a sentence for the page: its name in place of its path, without advice for the
    command line."""
    kind = path.suffix.lower()
    if kind in images.UNREADABLE:
        return f"{path.name} is a {kind} file, which can't be read here. Save it as a JPEG or PNG and try again."
    what = str(error).removeprefix(f"{path}: ").partition(";")[0]
    way = "make it smaller" if "megapixels" in what else "try another file, a JPEG or PNG for example"
    if not path.is_file():
        what, way = "it is no longer there", "give it again"
    return f"{path.name} can't be used: {what}. Please {way}."


def _input(state: State, path: Path) -> Tensor:
    """What the network takes, (1, 3, height, width), read as in validation and in `scripts/predict.py`."""
    how, device = state.predictor.preprocessing, next(state.predictor.network.parameters()).device
    pixels = images.load_square(path, how.image_size, how.resize, state.max_megapixels)
    return normalize(pixels.permute(2, 0, 1)[None].to(device), how)


def _shown(state: State, path: Path) -> Image.Image:
    """The picture, as far as the network sees it, larger than it takes it; in its own proportions, if all is seen."""
    how = state.predictor.preprocessing
    picture = images.load_rgb(path, state.max_megapixels, at_least=_SIDE)
    if how.resize != "squash":
        return images.resize(picture, _SIDE, how.resize)
    scale = _SIDE / max(picture.size)
    return picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)


def _enlarged(saliency_map: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (height, width) in the size (width, height) of the picture that it is laid over."""
    return np.asarray(Image.fromarray(saliency_map.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
