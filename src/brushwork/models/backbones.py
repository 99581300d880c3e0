"""What a network is built from: torchvision's classifiers and timm's networks, by one interface."""

import math
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from brushwork.errors import UserError
from brushwork.models import timm_networks, torchvision_networks
from brushwork.models.modes import without_memory
from brushwork.models.torchvision_networks import architectures
from brushwork.preprocessing import Preprocessing

# From whose names, sizes and weights all else is made; each has the functions that are called here.
Library = Any


def library_of(architecture: str) -> tuple[Library, str]:
    """The module for a network, and its name there: "timm:NAME" is timm's, any other name torchvision's."""
    if is_timm(architecture):
        return timm_networks, architecture.removeprefix(timm_networks.PREFIX)
    return torchvision_networks, architecture


def is_timm(architecture: str) -> bool:
    """Whether a name is one of timm's."""
    return architecture.startswith(timm_networks.PREFIX)


def check(architecture: str, setting: str = "model.architecture") -> None:
    """Refuse an unknown name, with the nearest one."""
    library, name = library_of(architecture)
    if library is torchvision_networks and name not in architectures() and timm_networks.knows(name):
        raise UserError(f"{setting}={name} is a network of timm: use {setting}={timm_networks.PREFIX}{name}")
    library.check(name, setting)


def weight_names(architecture: str) -> list[str]:
    """The names of published weights, of which the first is the usual one."""
    library, name = library_of(architecture)
    return library.WEIGHTS if library is timm_networks else library.weight_names(name)


def smallest_size(architecture: str, image_size: int | None = None) -> int:
    """Pixels a side of the smallest picture that the network takes, as it is built for `image_size`."""
    library, name = library_of(architecture)
    return library.smallest_size(name, image_size)


def preprocessing(architecture: str, image_size: int | None = None, resize: str = "squash") -> Preprocessing:
    """The network's own normalisation and input size, which `image_size` overrides if the architecture can take it."""
    library, name = library_of(architecture)
    return library.preprocessing(name, image_size, resize)


def transform(architecture: str, weights: str | None, image_size: int | None = None) -> Callable[[Image.Image], Tensor]:
    """Any picture to the input (3, height, width) of a published network, as its weights expect it."""
    library, name = library_of(architecture)
    return library.transform(name, weights, image_size)


def refuse_other_size(network: nn.Module, image_size: int | None) -> None:
    """Refuse pictures of another size than a network was built for, which only timm's transformers are."""
    built = timm_networks.built_size(network)
    if built and image_size and image_size != built:
        raise UserError(
            f"image_size={image_size}: the network was built for {built} pixels: "
            f"StyleClassifier(..., image_size={image_size})"
        )


def build(architecture: str, gain: float | None = None, image_size: int | None = None) -> nn.Module:
    """A classifier with random weights, drawn from torch's global random state.

    A `gain` replaces the library's initialisation of convolutions and linear layers: standard deviation
    gain / sqrt(fan_in) and zero bias (He et al. 2015 has gain = sqrt 2).
    """
    library, name = library_of(architecture)
    network = library.build(name, image_size)
    if gain is not None:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return network


def shapes(architecture: str) -> nn.Module:
    """A classifier without weights, for its names and shapes: built in hundredths of a second, however large."""
    with without_memory():
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
