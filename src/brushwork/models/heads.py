"""The two ways to change a classifier's head: `replace_last` and `replace_two`."""

from collections.abc import Callable

from torch import nn
from torchvision import models

from brushwork.errors import UserError, unknown
from brushwork.models import timm_networks

# The name of each family's last layer: a 1x1 convolution in SqueezeNet, Linear in the others.
_LAST_LAYER: dict[type[nn.Module], str] = {
    models.AlexNet: "classifier.6",
    models.VGG: "classifier.6",
    models.SqueezeNet: "classifier.1",
    models.ResNet: "fc",
    models.RegNet: "fc",
    models.ShuffleNetV2: "fc",
    models.MobileNetV2: "classifier.1",
    models.MobileNetV3: "classifier.3",
    models.MNASNet: "classifier.1",
    models.EfficientNet: "classifier.1",
    models.DenseNet: "classifier",
    models.ConvNeXt: "classifier.2",
    models.MaxVit: "classifier.5",
    models.VisionTransformer: "heads.head",
    models.SwinTransformer: "head",
}

# Of families with three linear layers: the types in `classifier`, and the position of the second linear layer.
_THREE_LINEAR = {
    models.AlexNet: ([nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Linear], 4),
    models.VGG: ([nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear], 3),
}


def replace_last(model: nn.Module, num_classes: int) -> nn.Module:
    """Replace the last layer by a fresh one with `num_classes` outputs (report, section 2.2).

    In AlexNet, Linear(4096, 1000) becomes Linear(4096, num_classes); in SqueezeNet, it remains a 1x1 convolution.

    Args:
        model: a network of torchvision's or timm's, changed in place. Its output becomes (batch, num_classes).

    Returns:
        The new layer, randomly initialised by torch's defaults (SqueezeNet's as torchvision does).

    Raises:
        UserError: the architecture is not known, or its last layer is not what torchvision's has.
    """
    if timm_networks.is_one(model):
        return _replace_last_of_timm(model, num_classes)
    if type(model) not in _LAST_LAYER:
        raise unknown("architecture for head=replace_last", type(model).__name__, (c.__name__ for c in _LAST_LAYER))
    name, is_convolution = _LAST_LAYER[type(model)], isinstance(model, models.SqueezeNet)
    _check_layer(model, name, nn.Conv2d if is_convolution else nn.Linear)
    old = model.get_submodule(name)
    if is_convolution:
        new = nn.Conv2d(old.in_channels, num_classes, old.kernel_size)
        # As torchvision: a ReLU follows, and with torch's default bias some classes die at the start.
        nn.init.normal_(new.weight, std=0.01)
        nn.init.zeros_(new.bias)
    else:
        new = nn.Linear(old.in_features, num_classes)
    model.set_submodule(name, new)
    if hasattr(model, "num_classes"):
        model.num_classes = num_classes
    return new


def _replace_last_of_timm(model: nn.Module, num_classes: int) -> nn.Module:
    """The layer that timm's own `reset_classifier` makes, with its initialisation."""
    model.reset_classifier(num_classes)
    new = model.get_classifier()
    if not isinstance(new, nn.Linear | nn.Conv2d):
        kind = f"{len(new)} layers" if isinstance(new, list | tuple) else f"a {type(new).__name__}"
        raise UserError(
            f"the classifier of timm's {model.pretrained_cfg['architecture']} is {kind} and no single linear layer, "
            f"which head=replace_last needs: choose another network"
        )
    return new


def replace_two(model: nn.Module, num_classes: int) -> nn.Module:
    """Replace the last two linear layers by ONE fresh layer with `num_classes` outputs (report, section 2.2).

    AlexNet's classifier ends Dropout, Linear(9216, 4096), ReLU, Dropout, Linear(4096, num_classes):

        before  Dropout Linear ReLU Dropout Linear(4096,4096) ReLU Linear(4096,1000)
        after   Dropout Linear ReLU Dropout Linear(4096,num_classes)

    Args:
        model: a network of the AlexNet or VGG family, changed in place.

    Returns:
        The new layer, randomly initialised by torch's defaults.

    Raises:
        UserError: the network has no two fully connected layers to replace.
    """
    if timm_networks.is_one(model):
        refuse_of_timm("replace_two")
    if type(model) not in _THREE_LINEAR:
        raise UserError(
            f"head=replace_two needs a network with three fully connected layers (AlexNet or VGG); "
            f"{type(model).__name__} has not: use head=replace_last"
        )
    types, middle = _THREE_LINEAR[type(model)]
    for position, expected in enumerate(types):
        _check_layer(model, f"classifier.{position}", expected)
    if len(model.classifier) != len(types):
        raise UserError(f"{type(model).__name__}.classifier has {len(model.classifier)} layers instead of {len(types)}")
    new = nn.Linear(model.classifier[middle].in_features, num_classes)
    model.classifier[middle] = new
    del model.classifier[middle + 1 :]
    return new


def last_layer(model: nn.Module) -> str:
    """The name of a network's last layer, before its head is changed; of a network of timm that has none, of an
    identity in its place."""
    if timm_networks.is_one(model):
        classifier = model.get_classifier()
        return next((name for name, part in model.named_modules() if part is classifier), "head")
    return _LAST_LAYER[type(model)]


def thrown_away(model: nn.Module, head: "str | Head") -> list[str]:
    """The names of the layers that a strategy replaces or removes; for a function, the last layer's."""
    if head in ("replace_two", replace_two) and type(model) in _THREE_LINEAR:
        return [f"classifier.{_THREE_LINEAR[type(model)][1]}", last_layer(model)]
    return [last_layer(model)]


def tail(model: nn.Module, layer: nn.Module) -> nn.Module:
    """From `layer`, which is in the classifier or all of it, to the logits: in a SqueezeNet more layers follow it."""
    if isinstance(model, models.SqueezeNet):
        after = [] if layer is model.classifier else model.classifier[2:]
        return nn.Sequential(layer, *after, nn.Flatten())
    return layer


def _check_layer(model: nn.Module, name: str, expected: type[nn.Module]) -> None:
    layer = dict(model.named_modules()).get(name)
    if type(layer) is not expected:
        raise UserError(
            f"expected {type(model).__name__}.{name} to be a {expected.__name__}, but got "
            f"{type(layer).__name__}: the network was changed before"
        )


def refuse_of_timm(head: "str | Head") -> None:
    """Refuse a strategy that no network of timm can have."""
    if head in ("replace_two", replace_two):
        raise UserError(
            "head=replace_two merges the last two of three fully connected layers (AlexNet, VGG), and timm's networks "
            "have one: use head=replace_last"
        )


Head = Callable[[nn.Module, int], nn.Module]  # changes a network in place, returns its new layer

HEADS: dict[str, Head] = {"replace_last": replace_last, "replace_two": replace_two}


def check(head: str | Head) -> None:
    """Refuse a name that is none of `HEADS`."""
    if not callable(head) and head not in HEADS:
        raise unknown("head", head, HEADS)


def name_of(head: str | Head) -> str:
    """The name of a head in a checkpoint: for a custom function, its module's name and its own.

    >>> name_of(replace_two), name_of("replace_last")
    ('replace_two', 'replace_last')
    """
    if isinstance(head, str):
        return head
    return next((name for name, known in HEADS.items() if known is head), f"{head.__module__}.{head.__qualname__}")


def replace_head(model: nn.Module, head: str | Head, num_classes: int, zero_init: bool = False) -> nn.Module:
    """Change the head by a strategy's name or by a function; return the new layer, all zeros with `zero_init`."""
    check(head)
    new = (head if callable(head) else HEADS[head])(model, num_classes)
    if zero_init:
        if isinstance(new, nn.Conv2d):
            raise UserError("head.zero_init=true stops a SqueezeNet for ever, since a ReLU follows: use false")
        nn.init.zeros_(new.weight)
        nn.init.zeros_(new.bias)
    return new
