"""An architecture, and what the two head strategies make of its classifier, as figures (report, figures 2 to 4)."""

from contextlib import suppress

from matplotlib.figure import Figure

from brushwork import drawing
from brushwork.errors import UserError
from brushwork.models import backbones, graph, heads, tuning


def architecture(name: str, image_size: int | None = None) -> Figure:
    """The layers of a torchvision classifier, with output shapes and parameters, before its head is changed."""
    size = backbones.preprocessing(name, image_size).image_size
    found = graph.layers(backbones.build(name), size)
    rows = [
        (
            layer.name,
            layer.description if layer.description != layer.name else "",
            " x ".join(map(str, layer.shape[1:])),
            f"{layer.parameters:,}" if layer.parameters else "",
        )
        for layer in found
    ]
    total = sum(layer.parameters for layer in found)
    return drawing.layer_table([*rows, ("all", "", "", f"{total:,}")], f"{name} of ImageNet, on {size} x {size} pixels")


def classifiers(name: str, num_classes: int, image_size: int | None = None) -> Figure:
    """The classifier before, and with each head strategy that the architecture can have, side by side."""
    size = backbones.preprocessing(name, image_size).image_size
    network = backbones.build(name)
    where = tuning.path(network, heads.replace_last(network, num_classes)).split(".")[0]
    strategies = []
    for head in (None, *heads.HEADS):
        with suppress(UserError):  # replace_two of a network with one fully connected layer
            strategies.append(_strategy(name, where, size, head, num_classes))
    return drawing.classifiers(strategies)


def _strategy(name: str, where: str, image_size: int, head: str | None, num_classes: int) -> drawing.Strategy:
    network = backbones.build(name)
    new_layer = head and heads.replace_head(network, head, num_classes)
    found = graph.layers(network, image_size)
    part = graph.part(found, where)
    names = [layer.name for layer in part]
    new = names.index(tuning.path(network, new_layer).removeprefix(f"{where}.")) if new_layer else None
    title = f"{head or f'{name} of ImageNet'}\n{sum(layer.parameters for layer in found):,} parameters"
    return drawing.Strategy(title, [layer.description for layer in part], new)
