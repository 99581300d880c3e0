"""What is trained: the new layer (`head_only`), also the classifier before it (`classifier`), also the last stage of
convolutions (`upper`), or the whole network (`full`); or a probe is solved (`probe`)."""

from torch import nn
from torchvision.models import vision_transformer

from brushwork.errors import unknown
from brushwork.models.stages import StagesClassifier

TUNINGS = ("head_only", "classifier", "upper", "full", "probe")

# Names of the children of torchvision's and timm's networks that contain the blocks.
_HOLD_BLOCKS = ("features", "layers", "blocks", "stages", "trunk_output")


def check(tuning: str) -> None:
    """Refuse a name that is none of `TUNINGS`."""
    if tuning not in TUNINGS:
        raise unknown("tuning", tuning, TUNINGS)


def stages(network: nn.Module, new_layer: nn.Module) -> list[list[nn.Module]]:
    """The modules with parameters of each stage, from the first layers to the new layer.

    In AlexNet, VGG and SqueezeNet a stage of convolutions reaches from one max pooling to the next; elsewhere each of
    the network's blocks is one (ResNet's layer1 to layer4). What the classifier holds before the new layer is the
    last stage but one. A normalisation, and the attention by which SigLIP pools, belong to the stage before them.
    """
    inside = classifier_of(network, new_layer)
    found: list[list[nn.Module]] = []
    for name, child in network.named_children():
        if child is inside:
            break
        if isinstance(child, vision_transformer.Encoder):
            blocks = [*child.layers, child.ln]
        else:
            blocks = list(child) if name in _HOLD_BLOCKS else [child]
        pooled = sum(isinstance(block, nn.MaxPool2d) for block in blocks) > 1
        begins = True
        for block in blocks:
            begins = begins or not pooled or isinstance(block, nn.MaxPool2d)
            if _has_parameters(block):
                if not found or (begins and _has_kernels(block) and name != "attn_pool"):
                    found.append([])
                    begins = False
                found[-1].append(block)
    before = [part for part in inside.children() if _has_parameters(part) and new_layer not in (inside, part)]
    if any(_has_kernels(part) for part in before):
        found.append(before)
    else:
        found[-1] += before
    return [*found, [new_layer]]


def _has_parameters(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _has_kernels(module: nn.Module) -> bool:
    """Whether it does more than to scale and shift."""
    return any(parameter.ndim > 1 for parameter in module.parameters())


def classifier_of(network: nn.Module, new_layer: nn.Module) -> nn.Module:
    """The child of the network that holds the new layer, or is it."""
    return network.get_submodule(path(network, new_layer).split(".")[0])


def first_trained(network: nn.Module, new_layer: nn.Module, tuning: str) -> nn.Module | None:
    """The module where training begins, all before it frozen; None where that is inside the convolutions."""
    if tuning == "probe" and isinstance(network, StagesClassifier):
        return network.head
    if tuning in ("head_only", "probe"):
        return new_layer
    return classifier_of(network, new_layer) if tuning == "classifier" else None


def _trained_stages(network: nn.Module, new_layer: nn.Module, tuning: str) -> list[tuple[list[nn.Module], bool]]:
    """The stages, and whether each is trained."""
    check(tuning)
    found = stages(network, new_layer)
    own = set(classifier_of(network, new_layer).modules())
    classifier = sum(stage[0] in own for stage in found)
    count = {"head_only": 1, "probe": 1, "classifier": classifier, "upper": classifier + 1, "full": len(found)}[tuning]
    return [(stage, position >= len(found) - count) for position, stage in enumerate(found)]


def choose_parameters(network: nn.Module, new_layer: nn.Module, tuning: str) -> list[nn.Parameter]:
    """Freeze what is not trained; return the parameters that are."""
    trained = _trained_stages(network, new_layer, tuning)
    network.requires_grad_(tuning == "full")  # with what no stage holds, a class token
    for stage, is_trained in trained:
        for module in stage:
            module.requires_grad_(is_trained)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def set_train_mode(network: nn.Module, new_layer: nn.Module, tuning: str) -> None:
    """Train mode for what is trained; what is frozen stays in eval mode, its dropout included."""
    network.train(tuning not in ("head_only", "probe"))
    for stage, is_trained in _trained_stages(network, new_layer, tuning):
        for module in stage:
            module.train(is_trained)


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
    """The name of a layer in the network: "classifier.6"."""
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
