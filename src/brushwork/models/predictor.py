"""A trained network ready to be asked about pictures: its class names and its own preprocessing with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn

from brushwork.errors import UserError, unknown
from brushwork.models import backbones
from brushwork.preprocessing import as_picture


@dataclass(frozen=True)
class Predictor:
    """A network in eval mode with frozen parameters, and what belongs to it.

    network: (batch, 3, height, width) to logits (batch, len(class_names)).
    transform: an RGB picture of any size to what the network takes, (3, height, width).
    mean, std: by which `transform` normalises.
    """

    name: str
    network: nn.Module
    class_names: list[str]
    transform: Callable[[Image.Image], Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def shown(self, image: Tensor) -> Image.Image:
        """The picture as the network sees it, from what `transform` made of it (3, height, width)."""
        return as_picture(image, self.mean, self.std)

    def class_index(self, target: str) -> int:
        """The class that an index or a name stands for; in another case where no class is written just so.

        Raises:
            UserError: there is no such class, or the name is that of several.
        """
        names, last = self.class_names, len(self.class_names) - 1
        if target.lstrip("-").isdecimal():
            index = int(target)
            if not 0 <= index <= last:
                raise UserError(
                    f"class {index} is out of range: {self.name} knows classes 0 ({names[0]}) to {last} ({names[-1]})"
                )
            return index
        found = [index for index, name in enumerate(names) if name == target] or [
            index for index, name in enumerate(names) if name.lower() == target.lower()
        ]
        if len(found) > 1:
            raise UserError(f"{target} is the name of classes {' and '.join(map(str, found))}: give the number")
        if not found:
            near = [f"{name} ({index})" for index, name in enumerate(names) if target.lower() in name.lower()]
            if near:
                raise UserError(f"no class of {self.name} is just '{target}': name one of {', '.join(near[:10])}")
            raise unknown(f"class of {self.name}", target, names)
        return found[0]


def freeze(network: nn.Module) -> nn.Module:
    """Eval mode, no gradients of parameters: what a map is drawn from need not remember how to train.

    Its kernels are channels-last in memory, in which convolutions are faster. They round otherwise, so that a ReLU
    here and there falls on the other side of zero: a map's ranks stay, a pixel may differ by hundredths of the largest.
    """
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@contextmanager
def in_eval_mode(network: nn.Module) -> Iterator[None]:
    """Eval mode; afterwards each module's own mode again (a frozen part's differs from the rest's)."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def imagenet(
    architecture: str, weights: str | None, verify: bool = True, ways_on: str = backbones.WAYS_ON
) -> Predictor:
    """A torchvision classifier of ImageNet's 1000 classes with its weights' own preprocessing of photos.

    Args:
        weights: "imagenet", a name of torchvision's, the path of a state dict, or None for random weights.
        ways_on: see `backbones.load_named_weights`.

    Raises:
        UserError: no such architecture or weights, or they can't be had.
    """
    enum = backbones.named_weights(architecture)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are overwritten: nobody's draws may change
        network = backbones.build(architecture)
    if weights is not None and backbones.is_named(architecture, weights):
        enum = backbones.named_weights(architecture, weights)
        backbones.load_named_weights(network, architecture, weights, verify, ways_on)
    elif weights is not None:
        path = backbones.weights_file(architecture, weights, "weights")
        backbones.load_strictly(network, backbones.state_dict_in(backbones.read_checkpoint(path)), path)
    transform = enum.transforms()
    categories = backbones.named_weights(architecture).meta["categories"]
    name = architecture if weights is not None else f"{architecture} (random weights)"
    return Predictor(name, freeze(network), categories, transform, tuple(transform.mean), tuple(transform.std))
