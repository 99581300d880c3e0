"""torchvision's classifiers: their names, weights, sizes of pictures, and how they are built."""

from collections.abc import Callable

from PIL import Image
from torch import Tensor, nn
from torchvision import models

from brushwork.errors import UserError, unknown
from brushwork.preprocessing import Preprocessing

_TRAINED_WITH_AUXILIARY_HEADS = {"googlenet", "inception_v3"}  # several outputs in training
IMAGENET_CLASSES: list[str] = models.AlexNet_Weights.IMAGENET1K_V1.meta["categories"]


def architectures() -> list[str]:
    """The torchvision classifiers that can be fine-tuned here."""
    return [name for name in models.list_models(module=models) if name not in _TRAINED_WITH_AUXILIARY_HEADS]


def check(name: str, setting: str = "model.architecture") -> None:
    """Refuse an unknown name, with the nearest one."""
    if name not in architectures():
        raise unknown(setting, name, architectures())


def weights_enum(name: str) -> type[models.WeightsEnum]:
    """torchvision's weights of a network."""
    check(name)
    return models.get_model_weights(name)


def named_weights(name: str, weights: str = "imagenet") -> models.WeightsEnum:
    """torchvision's weights of that name; "imagenet" is version 1, the one most papers used."""
    enum = weights_enum(name)
    if weights == "imagenet":
        return enum.__members__.get("IMAGENET1K_V1", enum.DEFAULT)
    return enum[weights]


def weight_names(name: str) -> list[str]:
    """What `model.weights` may be, beside a path."""
    return ["imagenet", *weights_enum(name).__members__]


def smallest_size(name: str, image_size: int | None = None) -> int:
    """Pixels a side of the smallest picture that the network takes, whatever it is built for."""
    return max(named_weights(name).meta["min_size"])


def preprocessing(name: str, image_size: int | None = None, resize: str = "squash") -> Preprocessing:
    """See `backbones.preprocessing`."""
    transforms = named_weights(name).transforms()
    own = transforms.crop_size[0]
    size = own if image_size is None else image_size
    smallest = smallest_size(name)
    if size < smallest:
        raise UserError(f"data.image_size={size} is too small for {name}: it needs at least {smallest} pixels a side")
    if name.startswith(("vit_", "maxvit_")) and size != own:
        raise UserError(f"data.image_size={size}: {name} takes {own} pixels and no other size")
    return Preprocessing(size, tuple(transforms.mean), tuple(transforms.std), resize)


def build(name: str, image_size: int | None = None) -> nn.Module:
    """The network with random weights."""
    # A vision transformer takes one size of picture: vit_h_14's weights 518 pixels, where torchvision builds for 224.
    size = {"image_size": preprocessing(name).image_size} if name.startswith("vit_") else {}
    check(name)
    return models.get_model(name, weights=None, **size)


def transform(name: str, weights: str | None, image_size: int | None = None) -> Callable[[Image.Image], Tensor]:
    """A picture as these weights expect it (those of no name of torchvision's: as "imagenet"), at their own size."""
    return named_weights(name, weights if weights in weights_enum(name).__members__ else "imagenet").transforms()
