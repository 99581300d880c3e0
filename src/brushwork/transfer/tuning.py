"""What is trained: `full` (the whole network) or `head_only` (the new layer alone)."""

from torch import nn

from brushwork.errors import unknown

TUNINGS = ("full", "head_only")


def choose_parameters(network: nn.Module, new_layer: nn.Module, tuning: str) -> list[nn.Parameter]:
    """Freeze what is not trained; return the parameters that are."""
    if tuning not in TUNINGS:
        raise unknown("tuning", tuning, TUNINGS)
    network.requires_grad_(tuning == "full")
    new_layer.requires_grad_(True)
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def set_train_mode(network: nn.Module, new_layer: nn.Module, tuning: str) -> None:
    """Train mode for what is trained; what is frozen stays in eval mode, its dropout included."""
    network.train(tuning == "full")
    new_layer.train()


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
