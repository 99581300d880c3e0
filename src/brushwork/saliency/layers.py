"""Saliency methods that work on a network's layers, guided backprop and Grad-CAM, and the networks that have them."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu
from torch.overrides import TorchFunctionMode
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import timm_networks
from brushwork.models.stages import StagesClassifier
from brushwork.saliency.maps import Targets, method, score_gradient

# The last layer of each family whose output is spatial maps, (batch, channels, rows, columns): Grad-CAM's.
_LAST_SPATIAL: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    # The last convolution's ReLU; a pooling follows.
    **dict.fromkeys((models.AlexNet, models.VGG), lambda model: model.features[-2]),
    **dict.fromkeys((models.SqueezeNet, models.DenseNet, models.ConvNeXt), lambda model: model.features),
    **dict.fromkeys((models.MobileNetV2, models.MobileNetV3, models.EfficientNet), lambda model: model.features),
    models.ResNet: lambda model: model.layer4,
    models.RegNet: lambda model: model.trunk_output,
    models.ShuffleNetV2: lambda model: model.conv5,
    models.MNASNet: lambda model: model.layers,
    models.MaxVit: lambda model: model.blocks[-1],
    # What the last attention reads: after it only the class token reaches the classifier.
    models.VisionTransformer: lambda model: model.encoder.layers[-1].ln_1,
    models.SwinTransformer: lambda model: model.permute,  # before it channels come last
}
_OTHER_THAN_RELU = (nn.GELU, nn.SiLU, nn.Hardswish)
_RELUS = {relu, torch.relu, torch.relu_, nn.functional.hardtanh, nn.functional.relu6}  # hardtanh: of nn.ReLU6


@method
def guided_backprop(model: nn.Module, images: Tensor, targets: Targets) -> Tensor:
    """The gradient, where each ReLU passes back what is positive only (Springenberg et al. 2015).

    M(i, j) = max over channels of |dS_c / dI| by that rule. Its maps are sharp, and may hardly depend on the class or
    on the weights of later layers (Adebayo et al. 2018, "Sanity Checks for Saliency Maps"). Arguments and errors as
    for `gradient`, and a UserError where activations are not ReLUs.
    """
    require_relus(model)
    with EachCall(_guide):
        return score_gradient(model, images, targets)[1].abs().amax(1)


class EachCall(TorchFunctionMode):
    """Calls `observe(function, arguments, output)` after every torch function, of a layer or bare, in place or not."""

    def __init__(self, observe: Callable[[Callable, tuple, Any], object]) -> None:
        super().__init__()
        self.observe = observe

    def __torch_function__(
        self, function: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        output = function(*args, **kwargs)
        self.observe(function, (*args, *kwargs.values()), output)
        return output


def _guide(function: Callable, arguments: tuple, output: Any) -> None:
    """A ReLU passes back no negative gradient; its own rule (nothing where its input was negative) then follows.

    Hooks on modules would miss bare functions (DenseNet's last ReLU), and full backward hooks fail on what works in
    place.
    """
    if function in _RELUS and output.requires_grad:
        output.register_hook(lambda gradient: gradient.clamp(min=0))


@method
def gradcam(model: nn.Module, images: Tensor, targets: Targets) -> Tensor:
    """Grad-CAM: the last layer's spatial maps, weighted by their gradients (Selvaraju et al. 2017, section 3).

    M = ReLU(sum over k of w_k A_k), w_k = mean over places of dS_c / dA_k, where A_k is channel k of the last
    spatial layer, before pooling; scaled up to the image bilinearly. Coarse: SqueezeNet has 13 x 13 places; the map
    may be zero everywhere. A vision transformer's patches are the places, as its last attention reads them: 14 x 14
    of ViT-B/16. Arguments and errors as for `gradient`, and a UserError where no such layer is known.
    """
    seen = []

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        seen.append(output)
        return output.clone()  # what follows may work in place (DenseNet's last ReLU)

    with last_spatial_layer(model).register_forward_hook(keep):
        of_layer = score_gradient(model, images, targets, at=lambda: seen[0])[1]
    of_layer, values = (_as_maps(network_of(model), one) for one in (of_layer, seen[0].detach()))
    weights = of_layer.mean((2, 3), keepdim=True)  # (batch, channels, 1, 1)
    coarse = relu((weights * values).sum(1, keepdim=True))  # (batch, 1, rows, columns)
    return interpolate(coarse.float(), images.shape[2:], mode="bilinear")[:, 0]


def _as_maps(network: nn.Module, values: Tensor) -> Tensor:
    """Maps (batch, channels, rows, columns), of a vision transformer's tokens (batch, tokens, channels) those of the
    patches as the grid that they are; class token and registers are no places and are left out."""
    if values.ndim != 3:
        return values
    patches = values[:, getattr(network, "num_prefix_tokens", 1) :]  # torchvision's have a class token
    side = math.isqrt(patches.shape[1])
    return patches.unflatten(1, (side, side)).permute(0, 3, 1, 2)


def network_of(model: nn.Module) -> nn.Module:
    """The network, whose type is the architecture: a LightningModule may hold it as `network`."""
    return getattr(model, "network", model)


def require_relus(model: nn.Module) -> None:
    """Raises a UserError where activations are not ReLUs."""
    network = network_of(model)
    other = next((type(m).__name__ for m in network.modules() if isinstance(m, _OTHER_THAN_RELU)), None)
    if other or not any(isinstance(m, nn.ReLU | nn.ReLU6) for m in network.modules()):
        has = f"{type(network).__name__} has {other or 'none'}"
        raise UserError(f"guided_backprop is defined for ReLUs, and {has}: use gradient or smoothgrad")


def last_spatial_layer(model: nn.Module) -> nn.Module:
    """The layer whose output are the last spatial maps; raises a UserError where none is known."""
    network = network_of(model)
    if isinstance(network, StagesClassifier):
        return network.stages[-1]  # of the lower ones a map would be finer
    kind = type(network)
    if timm_networks.is_one(network) and (layer := _last_spatial_of_timm(network)):
        return layer
    if kind not in _LAST_SPATIAL:
        raise UserError(
            f"gradcam needs spatial maps before the classifier; {kind.__name__} has none known: use gradient"
        )
    return _LAST_SPATIAL[kind](network)


def _last_spatial_of_timm(network: nn.Module) -> nn.Module | None:
    if hasattr(blocks := getattr(network, "blocks", None), "__len__") and hasattr(blocks[-1], "norm1"):
        return blocks[-1].norm1
    kind, last = type(network).__name__, {"ResNet": "layer4", "EfficientNet": "bn2", "ConvNeXt": "stages"}
    return network.get_submodule(last[kind]) if kind in last else None


REQUIREMENTS = {"guided_backprop": require_relus, "gradcam": last_spatial_layer}
