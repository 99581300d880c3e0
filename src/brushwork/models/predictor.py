"""A network ready to classify pictures, with its class names and its preprocessing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from brushwork import run_folder
from brushwork.errors import UserError, unknown
from brushwork.models import backbones
from brushwork.models.classifier import StyleClassifier
from brushwork.models.modes import freeze
from brushwork.models.weights import ALTERNATIVES, load_named
from brushwork.preprocessing import as_batch, as_picture


@dataclass(frozen=True)
class Predictor:
    """A network in eval mode with frozen parameters, its class names and its preprocessing."""

    name: str
    network: nn.Module  # (batch, 3, height, width) to logits (batch, len(class_names))
    class_names: list[str]
    transform: Callable[[Image.Image], Tensor]  # an RGB picture of any size to the network's input (3, height, width)
    mean: tuple[float, ...]  # with `std`, by which `transform` normalises
    std: tuple[float, ...]

    def shown(self, image: Tensor) -> Image.Image:
        """The picture as the network sees it, from its transformed image (3, height, width)."""
        return as_picture(image, self.mean, self.std)

    def class_index(self, target: str) -> int:
        """The class of an index or a name, whose case matters only where names differ in nothing else.

        Raises a UserError where there is no such class, or several have the name.
        """
        names, last = self.class_names, len(self.class_names) - 1
        if target.lstrip("-").isdecimal():
            index = int(target)
            if not 0 <= index <= last:
                raise UserError(
                    f"class {index} is out of range: {self.name} has classes 0 ({names[0]}) to {last} ({names[-1]})"
                )
            return index
        same = [index for index, name in enumerate(names) if name == target]
        found = same or [index for index, name in enumerate(names) if name.lower() == target.lower()]
        if len(found) > 1:
            raise UserError(f"{target} is the name of classes {' and '.join(map(str, found))}: give the number")
        if found:
            return found[0]
        near = [f"{name} ({index})" for index, name in enumerate(names) if target.lower() in name.lower()]
        if near:
            raise UserError(f"no class of {self.name} is just '{target}': name one of {', '.join(near[:10])}")
        raise unknown(f"class of {self.name}", target, names)


def imagenet(
    architecture: str, weights: str | None, verify: bool = True, alternatives: str = ALTERNATIVES
) -> Predictor:
    """A torchvision classifier of ImageNet's 1000 classes with its weights' own preprocessing of photos.

    Args:
        weights: "imagenet", a name of torchvision's, the path of a state dict, or None for random weights.
        alternatives: what a UserError suggests where the weights are unavailable.
    """
    enum = backbones.weights_enum(architecture)
    with torch.random.fork_rng(devices=[]):  # the caller's random state must not change
        network = backbones.build(architecture)
    if weights is not None:
        load_named(network, architecture, weights, verify, alternatives, setting="weights")
    chosen = backbones.named_weights(architecture, weights if weights in enum.__members__ else "imagenet")
    transform = chosen.transforms()
    categories = backbones.named_weights(architecture).meta["categories"]  # some weights' own have None
    name = architecture if weights is not None else f"{architecture} (random weights)"
    return Predictor(name, freeze(network), categories, transform, tuple(transform.mean), tuple(transform.std))


def load_predictor(path: Path) -> Predictor:
    """The trained network of a checkpoint, with the preprocessing of its validation; needs no data."""
    model = StyleClassifier.load_from_checkpoint(path)
    network, used = freeze(model.network), model.preprocessing

    def transform(picture: Image.Image) -> Tensor:
        return as_batch([picture], used)[0]

    return Predictor(path.name, network, model.class_names, transform, used.mean, used.std)


def named_predictor(model: str, weights: str | None) -> Predictor:
    """The network that a script's --model and --weights name: a torchvision classifier, or a checkpoint of ours."""
    if model in backbones.architectures():
        alternatives = "or use --weights PATH of a state dict, or --weights null for random weights"
        return imagenet(model, None if weights == "null" else weights or "imagenet", alternatives=alternatives)
    if Path(model).is_file():
        if weights is not None:
            raise UserError(f"--model {model} is a checkpoint and has its own weights: leave --weights {weights} out")
        return load_predictor(Path(model))
    if Path(model).suffix in (".ckpt", ".pth", ".pt") or len(Path(model).parts) > 1:
        raise UserError(f"there is no checkpoint {Path(model).resolve()}: name one that a run wrote, {run_folder.BEST}")
    raise unknown("--model", model, [*backbones.architectures(), "a checkpoint's path"])
