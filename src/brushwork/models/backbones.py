"""torchvision's classifiers: their names, how they are built, their preprocessing."""

import math
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from brushwork.errors import UserError, unknown
from brushwork.preprocessing import Preprocessing

_TRAINED_WITH_AUXILIARY_HEADS = {"googlenet", "inception_v3"}  # several outputs in training


def architectures() -> list[str]:
    """The torchvision classifiers that can be fine-tuned here."""
    return [name for name in models.list_models(module=models) if name not in _TRAINED_WITH_AUXILIARY_HEADS]


def weights_enum(architecture: str) -> type[models.WeightsEnum]:
    """torchvision's weights of an architecture; an unknown one is refused with the nearest name."""
    if architecture not in architectures():
        raise unknown("model.architecture", architecture, architectures())
    return models.get_model_weights(architecture)


def named_weights(architecture: str, weights: str = "imagenet") -> models.WeightsEnum:
    """torchvision's weights of that name; "imagenet" is version 1, the one most papers used."""
    enum = weights_enum(architecture)
    if weights == "imagenet":
        return enum.__members__.get("IMAGENET1K_V1", enum.DEFAULT)
    return enum[weights]


def smallest_size(architecture: str) -> int:
    """Pixels a side of the smallest picture that the network takes."""
    return max(named_weights(architecture).meta["min_size"])


def preprocessing(architecture: str, image_size: int | None = None, resize: str = "squash") -> Preprocessing:
    """The network's own normalisation and input size, which `image_size` overrides if the architecture can take it."""
    weights = named_weights(architecture)
    transforms = weights.transforms()
    own = transforms.crop_size[0]
    size = own if image_size is None else image_size
    smallest = smallest_size(architecture)
    if size < smallest:
        raise UserError(
            f"data.image_size={size} is too small for {architecture}: it needs at least {smallest} pixels a side"
        )
    if architecture.startswith(("vit_", "maxvit_")) and size != own:
        raise UserError(f"data.image_size={size}: {architecture} takes {own} pixels and no other size")
    return Preprocessing(size, tuple(transforms.mean), tuple(transforms.std), resize)


def build(architecture: str, gain: float | None = None) -> nn.Module:
    """A torchvision classifier with random weights, drawn from torch's global random state.

    A `gain` replaces torchvision's initialisation of convolutions and linear layers: standard deviation
    gain / sqrt(fan_in) and zero bias (He et al. 2015 has gain = sqrt 2).
    """
    # A vision transformer takes one size of picture: vit_h_14's weights 518 pixels, where torchvision builds for 224.
    size = {"image_size": preprocessing(architecture).image_size} if architecture.startswith("vit_") else {}
    weights_enum(architecture)
    network = models.get_model(architecture, weights=None, **size)
    if gain is not None:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return network


class _WithoutMemory(TorchFunctionMode):
    """torch.empty, with which layers allocate their weights, allocates nothing, and nothing is drawn.

    torch.device("meta") would do the same to the tensors from which some networks compute their sizes.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}) | ({"device": "meta"} if func is torch.empty else {}))


def shapes(architecture: str) -> nn.Module:
    """A classifier without weights, for its names and shapes: built in hundredths of a second, however large."""
    with torch.random.fork_rng(devices=[]), _WithoutMemory():
        return build(architecture)


def redraw(network: nn.Module, recurse: bool = True, generator: torch.Generator | None = None) -> None:
    """Draw each parameter anew, with its mean and standard deviation; running statistics stay as they are.

    Mean variance initialisation (Raghu et al. 2019, "Transfusion", section 5): only each layer's scale is kept.

    Args:
        recurse: false leaves the weights of the module's children.
        generator: on the CPU, so that all devices get the same weights; None is torch's global one.
    """
    with torch.no_grad():
        for parameter in network.parameters(recurse):
            mean, deviation = parameter.mean(), parameter.std(correction=0)
            drawn = torch.empty_like(parameter, device="cpu").normal_(generator=generator)
            parameter.copy_(drawn).mul_(deviation).add_(mean)
