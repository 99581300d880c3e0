"""Saliency methods by name: what in a picture speaks for a class, as seven papers ask it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from torch.overrides import TorchFunctionMode
from torchvision import models

from brushwork.errors import UserError, unknown
from brushwork.saliency import maps

log = logging.getLogger(__name__)

Method = Callable[[nn.Module, Tensor, Tensor], Tensor]

# The last layer of each family whose output is spatial maps, (batch, channels, rows, columns): Grad-CAM's.
_LAST_SPATIAL: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    models.AlexNet: lambda model: model.features[-2],  # the last convolution's ReLU; a pooling follows
    models.VGG: lambda model: model.features[-2],
    models.SqueezeNet: lambda model: model.features,
    models.ResNet: lambda model: model.layer4,
    models.RegNet: lambda model: model.trunk_output,
    models.ShuffleNetV2: lambda model: model.conv5,
    models.MobileNetV2: lambda model: model.features,
    models.MobileNetV3: lambda model: model.features,
    models.MNASNet: lambda model: model.layers,
    models.EfficientNet: lambda model: model.features,
    models.DenseNet: lambda model: model.features,
    models.ConvNeXt: lambda model: model.features,
    models.MaxVit: lambda model: model.blocks[-1],
    models.SwinTransformer: lambda model: model.permute,  # before it channels come last
}

_OTHER_THAN_RELU = (nn.GELU, nn.SiLU, nn.Hardswish)


def smoothgrad(model: nn.Module, images: Tensor, targets: Tensor, samples: int = 50, noise: float = 0.15) -> Tensor:
    """The gradient averaged over noisy copies of the image (Smilkov et al. 2017).

    M(i, j) = max over channels of |mean over samples of dS_c / dI (I + e)|, where e is Gaussian with deviation
    `noise` * (max I - min I) of the image. The noise comes from a generator of its own and is the same for each
    image, so that a map does not hang on the images beside it.

    Args, result and errors as for `maps.class_saliency`, and:
        samples: passes forward and back; the paper sees little gain above 50.
        noise: the paper finds 0.1 to 0.2 best.
    """
    generator = torch.Generator().manual_seed(0)  # on the CPU: the same noise on every device
    with maps.without_a_trace(model, images) as pixels:
        deviation = noise * (pixels.amax((1, 2, 3), keepdim=True) - pixels.amin((1, 2, 3), keepdim=True))
        total = torch.zeros_like(pixels)
        for _ in range(samples):
            drawn = torch.randn(pixels.shape[1:], generator=generator).to(pixels)
            total += maps.score_gradient(model, pixels + deviation * drawn, targets)[1]
    return (total / samples).float().abs().amax(1)


def input_x_gradient(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The image times its gradient (Shrikumar et al. 2016, "Not Just a Black Box").

    M(i, j) = |sum over channels of I * dS_c / dI|. I is the normalised image, so that the mean colour is zero. In a
    network of convolutions, ReLUs and poolings without biases the terms add up to the score.

    Args, result and errors as for `maps.class_saliency`.
    """
    with maps.without_a_trace(model, images) as pixels:
        gradient = maps.score_gradient(model, pixels, targets)[1]
        attribution = (pixels * gradient).sum(1)  # (batch, height, width)
    return attribution.float().abs()


def integrated_gradients(model: nn.Module, images: Tensor, targets: Tensor, steps: int = 50) -> Tensor:
    """The image times the mean gradient on the way to it from the mean colour (Sundararajan et al. 2017, section 3).

    M(i, j) = |sum over channels of I * mean over a of dS_c / dI (a I)|, a from 0 to 1. The baseline is zero in the
    normalised image: the mean colour of the training pictures everywhere. (With a black one, as in the paper,
    black pixels could never count.)

    Args, result and errors as for `maps.class_saliency`, and:
        steps: points of Gauss-Legendre quadrature on the way; the paper takes 20 to 300 (section 5).
    """
    return integrated_gradients_and_completeness(model, images, targets, steps)[0]


@dataclass(frozen=True)
class Completeness:
    """How exact integrated gradients are: their sum should be the score's rise from the baseline (section 3).

    error: (batch,) float32, |sum of all attributions - rise|, in units of the score.
    rise: (batch,) float32, S_c(image) - S_c(baseline).
    """

    error: Tensor
    rise: Tensor


def integrated_gradients_and_completeness(
    model: nn.Module, images: Tensor, targets: Tensor, steps: int = 50
) -> tuple[Tensor, Completeness]:
    """As `integrated_gradients`, and how far their sum is from what it should be."""
    points, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]; the weights add up to 2
    with maps.without_a_trace(model, images) as pixels:
        total = torch.zeros_like(pixels)
        for point, weight in zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
            total += weight * maps.score_gradient(model, point * pixels, targets)[1]
        attribution = (pixels * total).sum(1)  # (batch, height, width)
        with torch.no_grad():
            rise = _score(model, pixels, targets) - _score(model, torch.zeros_like(pixels), targets)
        error = (attribution.sum((1, 2)) - rise).abs()
    return attribution.float().abs(), Completeness(error.float(), rise.float())


def guided_backprop(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The gradient, where each ReLU passes back what is positive only (Springenberg et al. 2015).

    M(i, j) = max over channels of |dS_c / dI| by that rule. Its maps are sharp, and may hardly hang on the class or
    on the weights of later layers (Adebayo et al. 2018, "Sanity Checks for Saliency Maps").

    Args, result and errors as for `maps.class_saliency`, and:

    Raises:
        UserError: the network's activations are not ReLUs.
    """
    check("guided_backprop", model)
    with maps.without_a_trace(model, images) as pixels, _GuidedReLU():
        gradient = maps.score_gradient(model, pixels, targets)[1]
    return gradient.float().abs().amax(1)


class _GuidedReLU(TorchFunctionMode):
    """Each ReLU in the forward pass, a layer or a bare function, in place or not, passes back no negative gradient.

    The ReLU's own rule (nothing where its input was negative) then follows. Hooks on modules would miss the bare
    functions (DenseNet's last ReLU), and full backward hooks fail on what works in place.
    """

    def __torch_function__(
        self, function: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        if function in _RELUS and output.requires_grad:
            output.register_hook(lambda gradient: gradient.clamp(min=0))
        return output


# nn.ReLU6 calls hardtanh, which has no other use in torchvision.
_RELUS = {relu, torch.relu, torch.relu_, nn.functional.hardtanh, nn.functional.relu6}


def gradcam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM: the last layer's spatial maps, weighted by their gradients (Selvaraju et al. 2017, section 3).

    M = ReLU(sum over k of w_k A_k), w_k = mean over places of dS_c / dA_k, where A_k is channel k of the last
    spatial layer, before pooling; scaled up to the image bilinearly. Coarse: SqueezeNet has 13 x 13 places.

    Args, result and errors as for `maps.class_saliency`; the result may be zero everywhere. And:

    Raises:
        UserError: the architecture has no such layer (a vision transformer), or is none of torchvision's.
    """
    check("gradcam", model)
    with maps.without_a_trace(model, images) as pixels, _activation(_LAST_SPATIAL[type(model)](model)) as seen:
        gradient = maps.score_gradient(model, pixels, targets, at=lambda: seen[0])[1]
        weights = gradient.mean((2, 3), keepdim=True)  # (batch, channels, 1, 1)
        coarse = relu((weights * seen[0].detach()).sum(1, keepdim=True))  # (batch, 1, rows, columns)
        return interpolate(coarse.float(), pixels.shape[2:], mode="bilinear")[:, 0]


@contextmanager
def _activation(layer: nn.Module) -> Iterator[list[Tensor]]:
    """A list that holds the layer's output once the model has run."""
    seen = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        seen.append(output)
        return output.clone()  # what follows may work in place (DenseNet's last ReLU)

    hook = layer.register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()


def occlusion(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """How far the score falls when a square of the mean colour covers the place (Zeiler, Fergus 2014, section 4.2).

    M(i, j) = ReLU(mean of S_c(I) - S_c(I covered) over the squares on (i, j)): of the score, as in all our maps,
    where the paper has the probability. A square's side is a seventh of the image's shorter one (32 pixels of 224);
    each lies half a side from the next, and the last ones are cut at the edge.

    Args, result and errors as for `maps.class_saliency`; the result may be zero everywhere.
    """
    with maps.without_a_trace(model, images) as pixels, torch.no_grad():
        height, width = pixels.shape[2:]
        side = max(1, min(height, width) // 7)
        squares = [
            (slice(i, i + side), slice(j, j + side)) for i in _starts(height, side) for j in _starts(width, side)
        ]
        score = _score(model, pixels, targets)
        falls, counts = torch.zeros_like(pixels[:, 0]), torch.zeros_like(pixels[0, 0])  # (batch, height, width), (h, w)
        together = max(1, _AT_ONCE // max(1, len(pixels)))
        for start in range(0, len(squares), together):
            chunk = squares[start : start + together]
            covered = pixels.repeat(len(chunk), 1, 1, 1, 1)  # (squares, batch, 3, height, width)
            for copy, (rows, columns) in zip(covered, chunk, strict=True):
                copy[:, :, rows, columns] = 0
            scores = _score(model, covered.flatten(0, 1), targets.repeat(len(chunk)))
            for without, (rows, columns) in zip(scores.view(len(chunk), -1), chunk, strict=True):
                falls[:, rows, columns] += (score - without)[:, None, None]
                counts[rows, columns] += 1
        return relu(falls / counts).float()


_AT_ONCE = 16  # images in one pass of `occlusion`, or the whole batch where that is more


def _starts(length: int, side: int) -> range:
    """Where squares begin so that the last one reaches the end.

    >>> list(_starts(10, 4)), list(_starts(11, 4))
    ([0, 2, 4, 6], [0, 2, 4, 6, 8])
    """
    step = max(1, side // 2)
    return range(0, length - side + step, step)


def _score(model: nn.Module, pixels: Tensor, targets: Tensor) -> Tensor:
    """(batch,): the class score of each image."""
    logits = model(pixels)
    return logits.gather(1, maps.checked(targets, logits)[:, None])[:, 0]


METHODS: dict[str, Method] = {
    "gradient": maps.class_saliency,
    "smoothgrad": smoothgrad,
    "input_x_gradient": input_x_gradient,
    "integrated_gradients": integrated_gradients,
    "guided_backprop": guided_backprop,
    "gradcam": gradcam,
    "occlusion": occlusion,
}


def logits_and_maps(
    names: Sequence[str], model: nn.Module, images: Tensor, targets: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor], Completeness | None]:
    """The logits (batch, num_classes), the maps of one class by the methods' names, and how exact integrated gradients
    are, where they are among them.

    Args:
        targets: None takes each image's predicted class.

    Raises:
        ValueError, UserError: as `METHODS[name]`.
    """
    found, completeness = {}, None
    if "gradient" in names:  # one pass gives both
        logits, found["gradient"] = maps.logits_and_saliency(model, images, targets)
    else:
        with maps.without_a_trace(model, images) as pixels, torch.no_grad():
            logits = model(pixels).float()
    targets = logits.argmax(1) if targets is None else targets
    for name in names:
        if name == "integrated_gradients":
            found[name], completeness = integrated_gradients_and_completeness(model, images, targets)
        elif name not in found:
            found[name] = METHODS[name](model, images, targets)
    return logits, {name: found[name] for name in names}, completeness


def in_batches(method: str, model: nn.Module, images: Tensor, targets: Tensor, batch_size: int) -> np.ndarray:
    """The maps (count, height, width) of many images, on any device, by a method's name: `batch_size` at a time."""
    device = next(model.parameters()).device
    parts = zip(images.split(batch_size), targets.split(batch_size), strict=True)
    return np.concatenate([METHODS[method](model, part.to(device), of.to(device)).cpu().numpy() for part, of in parts])


def named(text: str, model: nn.Module) -> list[str]:
    """The methods that a text names: one, several with commas between, or "all" that are defined for this network.

    Raises:
        UserError: as `check`.
    """
    if text == "all":
        chosen = []
        for name in METHODS:
            try:
                check(name, model)
                chosen.append(name)
            except UserError as error:
                log.warning("without %s: %s", name, error)
        return chosen
    chosen = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in chosen:
        check(name, model)
    return chosen


def check(method: str, model: nn.Module) -> None:
    """Before anything is computed: is there such a method, and is it defined for this network?

    Raises:
        UserError: it is not; names the methods there are, or another that works.
    """
    if method not in METHODS:
        raise unknown("saliency method", method, METHODS)
    name = type(model).__name__
    if method == "gradcam" and type(model) not in _LAST_SPATIAL:
        raise UserError(f"gradcam needs spatial maps before the classifier; {name} has none known: use gradient")
    if method == "guided_backprop":
        other = next((type(m).__name__ for m in model.modules() if isinstance(m, _OTHER_THAN_RELU)), None)
        if other or not any(isinstance(m, nn.ReLU | nn.ReLU6) for m in model.modules()):
            raise UserError(
                f"guided_backprop is defined for ReLUs, and {name} has {other or 'none'}: use gradient or smoothgrad"
            )
