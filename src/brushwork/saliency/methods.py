"""Saliency methods from several gradients or passes, and all methods by their names.

Arguments, results and errors of each are those of `maps.gradient`.
"""

import itertools
import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from brushwork.errors import UserError, unknown
from brushwork.saliency import layers, maps
from brushwork.saliency.maps import Targets

log = logging.getLogger(__name__)

_AT_ONCE = 16  # images in one pass of `occlusion`, or the whole batch where that is more


@maps.method
def smoothgrad(model: nn.Module, images: Tensor, targets: Targets, samples: int = 50, noise: float = 0.15) -> Tensor:
    """The gradient averaged over noisy copies of the image (Smilkov et al. 2017).

    M(i, j) = max over channels of |mean over samples of dS_c / dI (I + e)|, where e is Gaussian with deviation
    `noise` * (max I - min I) of the image. The noise comes from a generator of its own and is the same for each
    image, so that a map does not depend on the images beside it. The paper sees little gain above 50 samples; noise of
    0.1 to 0.2 is best.
    """
    generator = torch.Generator().manual_seed(0)  # on the CPU: the same noise on every device
    deviation = noise * (images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))
    total = torch.zeros_like(images)
    for _ in range(samples):
        drawn = torch.randn(images.shape[1:], generator=generator).to(images)
        total += maps.score_gradient(model, images + deviation * drawn, targets)[1]
    return (total / samples).abs().amax(1)


@maps.method
def input_x_gradient(model: nn.Module, images: Tensor, targets: Targets) -> Tensor:
    """The image times its gradient (Shrikumar et al. 2016, "Not Just a Black Box").

    M(i, j) = |sum over channels of I * dS_c / dI|. I is the normalised image, so that the mean colour is zero.
    """
    return (images * maps.score_gradient(model, images, targets)[1]).sum(1).abs()


def integrated_gradients(model: nn.Module, images: Tensor, targets: Targets, steps: int = 50) -> Tensor:
    """The image times the mean gradient between it and the mean colour (Sundararajan et al. 2017, section 3).

    M(i, j) = |sum over channels of I * mean over a of dS_c / dI (a I)|, a from 0 to 1. The baseline is zero in the
    normalised image: the mean colour of the training pictures. (With a black one, as in the paper, black pixels could
    never count.) `steps` are points of Gauss-Legendre quadrature, 20 to 300 in the paper.
    """
    return integrated_gradients_and_completeness(model, images, targets, steps)[0]


def integrated_gradients_and_completeness(
    model: nn.Module, images: Tensor, targets: Targets, steps: int = 50
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """As `integrated_gradients`, and how exact they are, (batch,) float32 each: the error |sum of all attributions -
    rise|, 0 if exact, and the rise S_c(image) - S_c(baseline)."""
    points, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]; the weights add up to 2
    with maps.preserved_state(model, images) as pixels:
        total = torch.zeros_like(pixels)
        for point, weight in zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
            total += weight * maps.score_gradient(model, point * pixels, targets)[1]
        attribution = (pixels * total).sum(1)  # (batch, height, width)
        with torch.no_grad():
            rise = _score(model, pixels, targets) - _score(model, torch.zeros_like(pixels), targets)
        error = (attribution.sum((1, 2)) - rise).abs()
    return attribution.float().abs(), (error.float(), rise.float())


@maps.method
def occlusion(model: nn.Module, images: Tensor, targets: Targets) -> Tensor:
    """How far the score falls when a square of the mean colour covers the place (Zeiler, Fergus 2014, section 4.2).

    M(i, j) = ReLU(mean of S_c(I) - S_c(I covered) over the squares on (i, j)): of the score, as in all our maps,
    where the paper has the probability. A square's side is a seventh of the image's shorter one (32 pixels of 224);
    each lies half a side from the next, and the last ones are cut at the edge. The map may be zero everywhere.
    """
    side = max(1, min(images.shape[2:]) // 7)
    step = max(1, side // 2)
    sides = [[slice(at, at + side) for at in range(0, size - side + step, step)] for size in images.shape[2:]]
    squares = list(itertools.product(*sides))  # (rows, columns)
    falls, counts = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])  # (batch, height, width), (h, w)
    together = max(1, _AT_ONCE // max(1, len(images)))
    with torch.no_grad():
        score = _score(model, images, targets)
        for start in range(0, len(squares), together):
            chunk = squares[start : start + together]
            covered = images.repeat(len(chunk), 1, 1, 1, 1)  # (squares, batch, 3, height, width)
            for copy, (rows, columns) in zip(covered, chunk, strict=True):
                copy[:, :, rows, columns] = 0
            scores = _score(model, covered.flatten(0, 1), targets.repeat(len(chunk)))
            for without, (rows, columns) in zip(scores.view(len(chunk), -1), chunk, strict=True):
                falls[:, rows, columns] += (score - without)[:, None, None]
                counts[rows, columns] += 1
    return relu(falls / counts)


def _score(model: nn.Module, pixels: Tensor, targets: Targets) -> Tensor:
    """(batch,): the class score of each image."""
    logits = model(pixels)
    return logits.gather(1, maps.checked_targets(targets, logits)[:, None])[:, 0]


_PIXELS = (maps.gradient, smoothgrad, input_x_gradient, integrated_gradients)
_LAYERS = (layers.guided_backprop, layers.gradcam)
METHODS: dict[str, maps.Method] = {method.__name__: method for method in (*_PIXELS, *_LAYERS, occlusion)}


def logits_and_maps(
    names: Sequence[str], model: nn.Module, images: Tensor, targets: Targets | None = None
) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor, Tensor] | None]:
    """The logits (batch, num_classes), the maps by the methods' names, and the completeness of integrated gradients
    where they are among them. targets=None: each image's predicted class."""
    found, completeness = {}, None
    with maps.preserved_state(model, images) as pixels, torch.set_grad_enabled("gradient" in names):
        if "gradient" in names:  # one pass gives both
            logits, of_pixels = maps.score_gradient(model, pixels, targets)
            found["gradient"] = of_pixels.float().abs().amax(1)
        else:
            logits = model(pixels)
    logits = logits.float()
    targets = logits.argmax(1) if targets is None else targets
    for name in names:
        if name == "integrated_gradients":
            found[name], completeness = integrated_gradients_and_completeness(model, images, targets)
        elif name not in found:
            found[name] = METHODS[name](model, images, targets)
    return logits, {name: found[name] for name in names}, completeness


def in_batches(name: str, model: nn.Module, images: Tensor, targets: Tensor, batch_size: int) -> np.ndarray:
    """The maps (count, height, width) of many images, on any device: `batch_size` at a time."""
    device = next(model.parameters()).device
    parts = zip(images.split(batch_size), targets.split(batch_size), strict=True)
    return np.concatenate([METHODS[name](model, part.to(device), of.to(device)).cpu().numpy() for part, of in parts])


def named(text: str, model: nn.Module) -> list[str]:
    """The methods that a text names: one, several with commas between, or "all" that are defined for this network;
    each passes `check`."""
    chosen = []
    for name in METHODS if text == "all" else dict.fromkeys(map(str.strip, text.split(","))):
        try:
            check(name, model)
            chosen.append(name)
        except UserError as error:
            if text != "all":
                raise
            log.warning("without %s: %s", name, error)
    return chosen


def check(name: str, model: nn.Module) -> None:
    """Raises a UserError for an unknown method, or one that is not defined for this network; names alternatives."""
    if name not in METHODS:
        raise unknown("saliency method", name, METHODS)
    if name in layers.REQUIREMENTS:
        layers.REQUIREMENTS[name](model)
