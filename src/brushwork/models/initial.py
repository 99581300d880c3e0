"""The network that training begins with: a backbone, its initial weights, a new head."""

from typing import Any

from torch import nn

from brushwork.errors import UserError
from brushwork.models import backbones, checkpoint, heads, stages, tuning
from brushwork.models.weight_files import read_file
from brushwork.models.weights import load, load_strictly, path_of


def check(
    architecture: str,
    head: str | heads.Head,
    tuning_name: str,
    weights: str | None,
    gain: float | None,
    redraw: bool,
    probe_layers: str = "upper",
    probe_views: int = 1,
) -> None:
    """Refuse unknown names and values out of range, before any work is done."""
    backbones.check(architecture)
    heads.check(head)
    if backbones.is_timm(architecture):
        heads.refuse_of_timm(head)
    tuning.check(tuning_name)
    stages.check(probe_layers, probe_views)
    if gain is not None and not gain > 0:
        raise UserError(f"expected model.init_gain to be above 0, but got {gain:g}")
    if redraw and weights is None:
        raise UserError("model.redraw=true draws loaded weights anew, and model.weights=null loads none: name some")


def initialized(chosen: Any, head: str | heads.Head) -> tuple[nn.Module, nn.Module, str | None]:
    """The network that a `StyleClassifier`'s hyper-parameters describe.

    Returns:
        The network, its new layer, and the split hash of the checkpoint that its weights come from, or None.

    Raises:
        UserError: there are no such weights, or they don't fit.
    """
    network = backbones.build(chosen.architecture, chosen.init_gain, chosen.image_size)
    new_layer, split_hash, random = None, None, []  # random: parameters that the weights lack
    if chosen.weights is not None:
        path = path_of(chosen.architecture, chosen.weights, chosen.verify_weights)
        content = read_file(path)
        if checkpoint.is_ours(content):
            described = content[checkpoint.KEY]
            checkpoint.refuse_other_network(path, described, chosen.architecture, chosen.head)
            if chosen.class_names is not None:
                checkpoint.refuse_other_classes(path, described["class_names"], chosen.class_names)
            if (layers := described.get("probe", {}).get("layers")) and stages.is_of_stages(content["state_dict"]):
                raise UserError(
                    f"{path} is a probe of several stages (probe.layers={layers}), whose layers no head has: name the "
                    f"weights that it began with, {described['initial_weights']}"
                )
            new_layer = heads.replace_head(network, head, chosen.num_classes)  # its weights are in the checkpoint too
            load_strictly(network, checkpoint.network_state(content), path)
            split_hash = described.get("split_hash")
        else:
            random = load(network, path, content, heads.thrown_away(network, head))
    if chosen.redraw:
        backbones.redraw(network)
    if new_layer is None:
        left = {name: parameter for name, parameter in network.named_parameters() if name in random}
        new_layer = heads.replace_head(network, head, chosen.num_classes, chosen.zero_init)
        for name, parameter in left.items():
            if any(parameter is other for other in network.parameters()):
                raise UserError(
                    f"{path} has no {name} that fits, and head {chosen.head} keeps it: choose other weights"
                )
    if chosen.tuning == "probe":
        size = backbones.smallest_size(chosen.architecture, chosen.image_size)
        network, new_layer = stages.network_and_layer(network, new_layer, chosen.probe_layers, size)
    return network, new_layer, split_hash
