"""A network ready to classify pictures, with its class names and its preprocessing."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from brushwork import run_folder
from brushwork.calibration import Calibration
from brushwork.errors import UserError, unknown
from brushwork.models import backbones, checkpoint, class_names, heads, misfits, published, torchvision_networks
from brushwork.models.classifier import StyleClassifier
from brushwork.models.familiarity import Familiarity
from brushwork.models.features import logits_and_features
from brushwork.models.modes import freeze
from brushwork.models.weight_files import read_file, tensors_in
from brushwork.models.weights import ALTERNATIVES, load, path_of
from brushwork.preprocessing import Preprocessing, as_batch, as_picture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Predictor:
    """A network in eval mode with frozen parameters, its class names and its preprocessing."""

    name: str
    network: nn.Module  # (batch, 3, height, width) to logits (batch, len(class_names))
    class_names: list[str]
    transform: Callable[[Image.Image], Tensor]  # an RGB picture of any size to the network's input (3, height, width)
    mean: tuple[float, ...]  # with `std`, by which `transform` normalises
    std: tuple[float, ...]
    head: nn.Module  # the network's last layer, whose input are the features
    # Of a checkpoint of ours only:
    preprocessing: Preprocessing | None = None  # what `transform` does
    calibration: Calibration = field(default_factory=Calibration)
    familiarity: Familiarity | None = None
    described: Mapping[str, Any] = field(default_factory=dict)  # see `checkpoint.describe`

    @torch.no_grad()
    def logits_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (batch, num_classes) and the features before the head (batch, width), float32, of images
        (batch, 3, height, width) as `transform` makes them; in the precision of the run that trained the network."""
        with self._precision(images.device):
            return logits_and_features(self.head, lambda: self.network(images))

    def _precision(self, device: torch.device) -> AbstractContextManager:
        """The autocast in which the run was validated, on the same kind of device; elsewhere float32."""
        precision = str(self.described.get("precision"))
        if precision not in ("16-mixed", "bf16-mixed") or device.type != self.described.get("device_type"):
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16 if precision == "bf16-mixed" else torch.float16)

    def shown(self, image: Tensor) -> Image.Image:
        """The picture as the network sees it, from its transformed image (3, height, width)."""
        return as_picture(image, self.mean, self.std)

    def class_index(self, target: str) -> int:
        """The class of a number or a name: see `class_names.index_of`."""
        return class_names.index_of(target, self.class_names, self.name)


def imagenet(
    architecture: str,
    weights: str | None,
    verify: bool = True,
    alternatives: str = ALTERNATIVES,
    image_size: int | None = None,
) -> Predictor:
    """A published classifier with its weights' own preprocessing of photos; its classes are ImageNet's 1000.

    Where it has another number of classes, they are numbered. A checkpoint of ours is as `load_predictor` has it.

    Args:
        weights: "imagenet" (timm's: of the name's tag), a name of torchvision's, a file's path; None: random.
        alternatives: what a UserError suggests where the weights are unavailable.
        image_size: pixels a side for which timm's transformers are built; None: their own.
    """
    backbones.check(architecture)
    with torch.random.fork_rng(devices=[]):  # the caller's random state must not change
        network = backbones.build(architecture, image_size=image_size)
    if weights is not None:
        path = path_of(architecture, weights, verify, alternatives, setting="weights")
        content = read_file(path)
        if checkpoint.is_ours(content):
            theirs = content[checkpoint.KEY]["architecture"]
            if theirs != architecture:
                raise UserError(
                    f"{path} is a checkpoint of {theirs}, not of {architecture}: use that network, or it as --model"
                )
            return _trained(path, content)
        load(network, path, content)
    transform, used = backbones.transform(architecture, weights, image_size), backbones.preprocessing(architecture)
    categories = torchvision_networks.IMAGENET_CLASSES
    last = network.get_submodule(heads.last_layer(network))
    if not hasattr(last, "bias"):
        raise UserError(f"{architecture} has no classes of its own: train a classifier on it first, by train.py")
    outputs = len(last.bias)
    if outputs != len(categories):
        categories = [str(number) for number in range(outputs)]
    name = architecture if weights is not None else f"{architecture} (random weights)"
    return Predictor(name, freeze(network), categories, transform, used.mean, used.std, last)


def load_predictor(path: Path) -> Predictor:
    """The trained network of a checkpoint, or of what scripts/export.py made of one (a folder, or hf://USER/NAME), with
    the preprocessing of its validation; needs no data."""
    return _trained(path, checkpoint.read(path))


def _trained(path: Path, content: dict[str, Any]) -> Predictor:
    model = checkpoint.made_again(StyleClassifier, path, content)
    network, used = freeze(model.network), model.preprocessing

    def transform(picture: Image.Image) -> Tensor:
        return as_batch([picture], used)[0]

    return Predictor(
        path.name,
        network,
        model.class_names,
        transform,
        used.mean,
        used.std,
        model.new_layer,
        preprocessing=used,
        calibration=model.calibration,
        familiarity=model.familiarity,
        described=content[checkpoint.KEY],
    )


def named_predictor(model: str, weights: str | None, classes: Path | None = None) -> Predictor:
    """The network that a script's --model and --weights name: torchvision's or timm's, or a checkpoint of ours.

    `classes` is a file of the names of its classes: see `class_names.read`.
    """
    found = _named(model, weights)
    if classes is not None:
        return replace(found, class_names=class_names.read(classes, len(found.class_names)))
    if found.class_names == [str(number) for number in range(len(found.class_names))]:
        log.info("%s: its %d classes have numbers for names: --classes FILE names them", model, len(found.class_names))
    return found


def _named(model: str, weights: str | None) -> Predictor:
    if backbones.is_timm(model) or model in backbones.architectures():
        alternatives = "or use --weights PATH of a state dict, or --weights null for random weights"
        return imagenet(model, {None: "imagenet", "null": None}.get(weights, weights), alternatives=alternatives)
    if Path(model).is_file() or published.is_one(model):
        if weights is not None:
            raise UserError(f"--model {model} is a checkpoint and has its own weights: leave --weights {weights} out")
        content = read_file(Path(model))
        if not checkpoint.is_ours(content):
            architecture = misfits.architecture_of(tensors_in(content)) or "NETWORK"
            way = f"--model {architecture.split()[0]} --weights {model}"
            raise UserError(f"{model} is no checkpoint of Brushwork: use weights of others by {way}")
        return _trained(Path(model), content)
    if Path(model).suffix in (".ckpt", ".pth", ".pt", ".safetensors") or len(Path(model).parts) > 1:
        raise UserError(f"there is no checkpoint {Path(model).resolve()}: name one that a run wrote, {run_folder.BEST}")
    raise unknown("--model", model, [*backbones.architectures(), "a checkpoint's path", "hf://USER/NAME"])
