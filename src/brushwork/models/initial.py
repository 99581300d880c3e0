"""The network that training begins with: a backbone, its initial weights, a new head."""

from pathlib import Path
from typing import Any

from torch import nn

from brushwork.errors import UserError
from brushwork.models import backbones, checkpoint, heads, tuning
from brushwork.models.weights import is_named, load_named, load_strictly, path_of, read_file, state_dict_in


def check(
    architecture: str,
    head: str | heads.Head,
    tuning_name: str,
    weights: str | None,
    init_gain: float | None,
    redraw: bool,
) -> None:
    """Refuse unknown names and values out of range, before any work is done."""
    backbones.weights_enum(architecture)
    heads.check(head)
    tuning.check(tuning_name)
    if init_gain is not None and not init_gain > 0:
        raise UserError(f"expected model.init_gain to be above 0, but got {init_gain:g}")
    if redraw and weights is None:
        raise UserError("model.redraw=true draws loaded weights anew, and model.weights=null loads none: name some")


def initialized(chosen: Any, head: str | heads.Head) -> tuple[nn.Module, nn.Module, str | None]:
    """The network as a `StyleClassifier`'s hyper-parameters choose it.

    Returns:
        The network, its new layer, and the split hash of the checkpoint that its weights come from, or None.

    Raises:
        UserError: there are no such weights, or they don't fit.
    """
    network = backbones.build(chosen.architecture, chosen.init_gain)
    new_layer, split_hash = None, None
    if chosen.weights is not None and is_named(chosen.architecture, chosen.weights):
        load_named(network, chosen.architecture, chosen.weights, chosen.verify_weights)
    elif chosen.weights is not None:
        path = path_of(chosen.architecture, chosen.weights, "model.weights")
        content = read_file(path)
        if checkpoint.KEY in content:  # its head is made first, and loaded with the rest
            new_layer, split_hash = _load_checkpoint(network, path, content, chosen, head)
        else:
            load_strictly(network, state_dict_in(content), path)
    if chosen.redraw:
        backbones.redraw(network)
    return network, new_layer or heads.replace_head(network, head, chosen.num_classes, chosen.zero_init), split_hash


def _load_checkpoint(
    network: nn.Module, path: Path, content: dict[str, Any], chosen: Any, head: str | heads.Head
) -> tuple[nn.Module, str | None]:
    described = content[checkpoint.KEY]
    checkpoint.refuse_other_network(path, described, chosen.architecture, chosen.head)
    if chosen.class_names is not None:
        checkpoint.refuse_other_classes(path, described["class_names"], chosen.class_names)
    new_layer = heads.replace_head(network, head, chosen.num_classes)
    load_strictly(network, checkpoint.network_state(content), path)
    return new_layer, described.get("split_hash")
