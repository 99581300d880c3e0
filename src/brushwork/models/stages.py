"""A classifier on several stages of a network, the means and deviations of their channels, and where these are."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import feature_extraction
from torchvision.models.densenet import _DenseBlock
from torchvision.models.squeezenet import Fire
from torchvision.models.swin_transformer import SwinTransformerBlock

from brushwork.errors import UserError, unknown
from brushwork.models import timm_networks
from brushwork.models.modes import in_eval_mode

LAYERS = ("upper", "last", "all")
_UPPER = 4  # stages
_LEAST_DEVIATION = 1e-3  # of a channel: the root has no derivative at 0


def check(layers: str, views: int) -> None:
    """Refuse what is none of `LAYERS`, and other views than the picture alone (1) or its mirror image besides (2)."""
    if layers not in LAYERS:
        raise unknown("probe.layers", layers, LAYERS)
    if views not in (1, 2):
        raise UserError(f"expected probe.views to be 1 or 2 (mirror images besides), but got {views}")


def _within(attribute: str, kinds: type | tuple[type, ...] = nn.Module) -> Callable[[nn.Module], list[str]]:
    """The names of the layers of a kind directly in one part of a network."""

    def names(network: nn.Module) -> list[str]:
        part = network.get_submodule(attribute)
        return [f"{attribute}.{name}" for name, child in part.named_children() if isinstance(child, kinds)]

    return names


def _before_pooling(network: nn.Module) -> list[str]:
    """The ReLUs before each max pooling."""
    layers = list(network.features)
    return [f"features.{i - 1}" for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]


def _blocks(network: nn.Module) -> list[str]:
    return [name for name, module in network.named_modules() if isinstance(module, SwinTransformerBlock)]


# By family, the names of the layers whose outputs are stages, from the lowest to the highest; "upper" is the last four.
_STAGES: dict[type[nn.Module], Callable[[Any], list[str]]] = {
    models.AlexNet: _within("features", nn.ReLU),
    models.VGG: _before_pooling,
    models.SqueezeNet: _within("features", Fire),
    models.ResNet: lambda _: ["maxpool", "layer1", "layer2", "layer3", "layer4"],
    models.RegNet: lambda network: ["stem", *_within("trunk_output")(network)],
    models.ShuffleNetV2: lambda _: ["maxpool", "stage2", "stage3", "stage4", "conv5"],
    models.DenseNet: lambda network: ["features.pool0", *_within("features", _DenseBlock)(network)],
    **dict.fromkeys((models.MobileNetV2, models.MobileNetV3, models.EfficientNet), _within("features")),
    models.MNASNet: _within("layers", nn.Sequential),
    models.ConvNeXt: lambda network: _within("features", nn.Sequential)(network)[1::2],
    models.MaxVit: _within("blocks"),
    models.VisionTransformer: _within("encoder.layers"),
    models.SwinTransformer: _blocks,
}


class Standardise(nn.Module):
    """(features - mean) / deviation, of the training part's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.deviation


class StagesClassifier(nn.Module):
    """Stages of a network, pooled, standardised, and one linear layer: pictures to logits.

    The network's layers after the last stage are not part of it.

    Args:
        network: torchvision's or timm's.
        layers: "upper", the last four stages; "all"; or "last", the channels' means alone before the last layer.
        image_size: pixels a side that the network takes.
    """

    def __init__(self, network: nn.Module, layers: str, num_classes: int, image_size: int) -> None:
        super().__init__()
        of_timm = timm_networks.is_one(network)
        names = timm_networks.stage_names(network, layers, _UPPER) if of_timm else _names(network, layers)
        self.family, self.with_deviation = type(network), layers != "last"
        # A part of the network's own tokens is the class token.
        self.class_token = isinstance(network, models.VisionTransformer) or (
            of_timm and timm_networks.prefix_tokens(network) > 0
        )
        self.channels_last = isinstance(network, models.SwinTransformer)
        what = "means and deviations" if self.with_deviation else "means"
        what = "tokens" if self.class_token or self.channels_last else what
        self.about = f"{what} of {self.family.__name__} {', '.join(names)}"
        nodes = {name: str(number) for number, name in enumerate(names)}
        if of_timm:
            self.backbone = timm_networks.Stages(network, names)
        else:
            self.backbone = feature_extraction.create_feature_extractor(network, nodes, suppress_diff_warning=True)
        self.stages = nn.ModuleList(nn.Identity() for _ in names)  # what is pooled, for those who look at maps
        with torch.no_grad(), in_eval_mode(self.backbone):
            width = self.features(torch.zeros(1, 3, image_size, image_size)).shape[1]
        self.head = nn.Sequential(Standardise(width), nn.Linear(width, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """(batch, width), before they are standardised."""
        found = self.backbone(images).values()
        return torch.cat([self._pooled(one, stage) for one, stage in zip(found, self.stages, strict=True)], 1)

    def _pooled(self, values: Tensor, stage: nn.Module) -> Tensor:
        """Of maps (batch, channels, rows, columns) the channels' means and deviations; of tokens the class token and
        the mean of the others: (batch, numbers)."""
        if self.class_token:
            tokens = stage(values)  # (batch, tokens, width)
            return torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)
        maps = stage(values.permute(0, 3, 1, 2) if self.channels_last else values)
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        mean = maps.mean((2, 3), keepdim=True)
        if self.channels_last or not self.with_deviation:
            return mean.flatten(1)
        deviation = ((maps - mean).square().mean((2, 3)) + _LEAST_DEVIATION**2).sqrt()
        return torch.cat([mean.flatten(1), deviation], 1)


def _names(network: nn.Module, layers: str) -> list[str]:
    """The names of the layers whose outputs are the stages."""
    if layers == "last" and isinstance(network, models.SqueezeNet):
        return ["features"]
    if type(network) not in _STAGES:
        raise UserError(
            f"probe.layers={layers}: the stages of {type(network).__name__} are not known here: use probe.layers=last"
        )
    names = _STAGES[type(network)](network)
    return names if layers == "all" else names[-_UPPER:]


def network_and_layer(
    network: nn.Module, new_layer: nn.Module, layers: str, image_size: int
) -> tuple[nn.Module, nn.Module]:
    """The network that a probe trains, and its layer that is solved: where the features are the input of the network's
    last linear layer, that one itself."""
    if layers == "last" and isinstance(new_layer, nn.Linear):
        return network, new_layer
    found = StagesClassifier(network, layers, _outputs(new_layer), image_size)
    return found, found.head[1]


def is_of_stages(state: Iterable[str]) -> bool:
    """Whether the keys of a checkpoint's weights are of a `StagesClassifier`."""
    return any(".backbone." in key for key in state)


def _outputs(layer: nn.Module) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
