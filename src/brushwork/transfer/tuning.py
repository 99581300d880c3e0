"""What is trained, from when on, and how fast: from the new layer alone to the whole network."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from torchvision.models import vision_transformer

from brushwork.errors import unknown

TUNINGS = ("head_only", "classifier", "upper", "full")


@dataclass(frozen=True)
class Tuning:
    """What is trained, and how fast.

    name: `head_only` (the new layer), `classifier` (all from the network's classifier on), `upper` (its last stage of
        convolutions as well) or `full`.
    backbone_rate: the learning rate of all but the new layer, as a share of the optimizer's.
    layer_decay: each stage's learning rate, as a share of that of the stage after it.
    probe_epochs: so many epochs train the new layer alone, before the rest joins in (linear probe, then fine-tune:
        Kumar et al. 2022, "Fine-tuning can distort pretrained features").
    thaw_epochs: after each so many epochs one stage more is trained, from the new layer backwards (gradual unfreezing:
        Howard and Ruder 2018, section 3.3); 0: all from the start.
    """

    name: str
    backbone_rate: float = 1.0
    layer_decay: float = 1.0
    probe_epochs: int = 0
    thaw_epochs: int = 0

    @property
    def is_staged(self) -> bool:
        """Whether some stages join in later."""
        return self.probe_epochs > 0 or self.thaw_epochs > 0

    def first_epoch(self, distance: int) -> int:
        """The epoch, from 0, in which the stage so far before the new layer is first trained."""
        return self.probe_epochs + distance * self.thaw_epochs if distance else 0


# Children of torchvision's networks that are no block themselves but hold the blocks.
_HOLD_BLOCKS = ("features", "layers", "blocks", "trunk_output")


def stages(network: nn.Module, new_layer: nn.Module) -> list[list[nn.Module]]:
    """The modules with parameters of each stage, from the first layers to the new layer.

    In AlexNet, VGG and SqueezeNet a stage of convolutions reaches from one max pooling to the next; elsewhere each of
    the network's blocks is one (ResNet's layer1 to layer4). What the classifier holds before the new layer is the
    last stage but one. A normalisation belongs to the stage before it.
    """
    inside = classifier_of(network, new_layer)
    found: list[list[nn.Module]] = []
    for name, child in network.named_children():
        if child is inside:
            break
        blocks = list(child) if name in _HOLD_BLOCKS else _blocks(child)
        pooled = sum(isinstance(block, nn.MaxPool2d) for block in blocks) > 1
        begins = True
        for block in blocks:
            begins = begins or not pooled or isinstance(block, nn.MaxPool2d)
            if has_parameters(block):
                if not found or (begins and _has_kernels(block)):
                    found.append([])
                    begins = False
                found[-1].append(block)
    before = [] if inside is new_layer else [part for part in inside.children() if part is not new_layer]
    before = [part for part in before if has_parameters(part)]
    if any(_has_kernels(part) for part in before):
        found.append(before)
    else:
        found[-1] += before
    return [*found, [new_layer]]


def _blocks(child: nn.Module) -> list[nn.Module]:
    if isinstance(child, vision_transformer.Encoder):
        return [*child.layers, child.ln]
    return [child]


def has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _has_kernels(module: nn.Module) -> bool:
    """Whether it does more than to scale and shift."""
    return any(parameter.ndim > 1 for parameter in module.parameters())


def classifier_of(network: nn.Module, new_layer: nn.Module) -> nn.Module:
    """The child of the network that holds the new layer, or is it."""
    return network.get_submodule(path(network, new_layer).split(".")[0])


def first_trained(network: nn.Module, new_layer: nn.Module, tuning: Tuning) -> nn.Module | None:
    """The module before which all is frozen and from which on all is trained; None where it lies amid convolutions."""
    if tuning.name == "head_only":
        return new_layer
    return classifier_of(network, new_layer) if tuning.name == "classifier" else None


def _trained(network: nn.Module, new_layer: nn.Module, tuning: Tuning, epoch: int | None) -> list[bool]:
    """Whether each stage is trained in an epoch; with None, whether it ever is."""
    if tuning.name not in TUNINGS:
        raise unknown("tuning", tuning.name, TUNINGS)
    found = stages(network, new_layer)
    own = set(classifier_of(network, new_layer).modules())
    classifier = sum(stage[0] in own for stage in found)
    count = {"head_only": 1, "classifier": classifier, "upper": classifier + 1, "full": len(found)}[tuning.name]
    distances = range(len(found) - 1, -1, -1)
    return [d < count and (epoch is None or epoch >= tuning.first_epoch(d)) for d in distances]


def choose_parameters(network: nn.Module, new_layer: nn.Module, tuning: Tuning) -> list[nn.Parameter]:
    """Freeze what is never trained; return the parameters that are."""
    trained = _trained(network, new_layer, tuning, None)
    network.requires_grad_(tuning.name == "full")
    for stage, on in zip(stages(network, new_layer), trained, strict=True):
        for module in stage:
            module.requires_grad_(on)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def with_rates(
    network: nn.Module, new_layer: nn.Module, tuning: Tuning, parameters: list[nn.Parameter], learning_rate: float
) -> list[nn.Parameter] | list[dict[str, Any]]:
    """What the optimizer takes: the parameters, or groups of them with rates of their own, the new layer's first."""
    if tuning.backbone_rate == tuning.layer_decay == 1:
        return parameters
    parts = stages(network, new_layer)
    distance = {p: d for d, stage in enumerate(reversed(parts)) for module in stage for p in module.parameters()}
    members: dict[int, list[nn.Parameter]] = {}
    for parameter in parameters:  # what no stage holds (a class token) is of the first
        members.setdefault(distance.get(parameter, len(parts) - 1), []).append(parameter)
    return [
        {"params": members[d], "lr": learning_rate * tuning.layer_decay**d * (tuning.backbone_rate if d else 1)}
        for d in sorted(members)
    ]


def start_epoch(network: nn.Module, new_layer: nn.Module, tuning: Tuning, epoch: int) -> None:
    """Train mode, in this epoch, for what is trained; what is frozen stays in eval mode, its dropout included."""
    parts, trained = stages(network, new_layer), _trained(network, new_layer, tuning, epoch)
    network.train(sum(trained) > 1)
    new_layer.train()
    for stage, on, ever in zip(parts, trained, _trained(network, new_layer, tuning, None), strict=True):
        for module in stage:
            if not on:
                module.eval()
            if ever and tuning.is_staged:
                module.requires_grad_(on)


def count(parameters: list[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def groups(network: nn.Module, new_layer: nn.Module) -> dict[str, list[nn.Parameter]]:
    """The parameters of each part of the network and, apart from them, of the "new layer"; no empty parts."""
    new = list(new_layer.parameters())
    found = {
        name: [parameter for parameter in part.parameters() if all(parameter is not other for other in new)]
        for name, part in network.named_children()
    }
    return {name: parameters for name, parameters in (found | {"new layer": new}).items() if parameters}


def path(network: nn.Module, layer: nn.Module) -> str:
    """Where in the network a layer is: "classifier.6"."""
    return next(name for name, part in network.named_modules() if part is layer)


def table(network: nn.Module, new_layer: nn.Module, learning_rate: float) -> str:
    """A line for each part of the network: its parameters, how many of them train, the learning rate."""
    rows = [("part", "parameters", "trained", "learning rate")]
    parts = groups(network, new_layer)
    parts[f"{path(network, new_layer)} (new)"] = parts.pop("new layer")
    parts["all"] = list(network.parameters())
    for name, parameters in parts.items():
        trained = count([parameter for parameter in parameters if parameter.requires_grad])
        rows.append((name, f"{count(parameters):,}", f"{trained:,}", f"{learning_rate:g}" if trained else "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        f"  {row[0]:<{widths[0]}}" + "".join(f"  {row[column]:>{widths[column]}}" for column in (1, 2, 3))
        for row in rows
    )
