"""Figures of an architecture, and of its classifier with each head strategy (report, figures 2 to 4)."""

from matplotlib.figure import Figure

from brushwork import drawing
from brushwork.errors import UserError
from brushwork.models import backbones, graph, heads, tuning


def architecture(name: str, image_size: int | None = None) -> Figure:
    """The layers of a torchvision classifier, with output shapes and parameters, before its head is changed."""
    size = backbones.preprocessing(name, image_size).image_size
    found = graph.layers(backbones.build(name), size)
    rows = []
    for layer in found:
        description = layer.description if layer.description != layer.name else ""
        shape = " x ".join(map(str, layer.shape[1:]))
        rows.append((layer.name, description, shape, f"{layer.parameters:,}" if layer.parameters else ""))
    rows.append(("all", "", "", f"{sum(layer.parameters for layer in found):,}"))
    return drawing.layer_table(rows, f"{name} of ImageNet, on {size} x {size} pixels")


def classifiers(name: str, num_classes: int, image_size: int | None = None) -> Figure:
    """The classifier before, and with each head strategy that the architecture can have, side by side."""
    size = backbones.preprocessing(name, image_size).image_size
    network = backbones.build(name)
    classifier = tuning.path(network, heads.replace_last(network, num_classes)).split(".")[0]
    strategies = []
    for head in (None, *heads.HEADS):
        network = backbones.build(name)
        try:
            new_layer = head and heads.replace_head(network, head, num_classes)
        except UserError:  # replace_two of a network with one fully connected layer
            continue
        found = graph.layers(network, size)
        part = graph.part(found, classifier)
        names = [layer.name for layer in part]
        new = names.index(tuning.path(network, new_layer).removeprefix(f"{classifier}.")) if new_layer else None
        title = f"{head or f'{name} of ImageNet'}\n{sum(layer.parameters for layer in found):,} parameters"
        strategies.append(drawing.Strategy(title, [layer.description for layer in part], new))
    return drawing.classifiers(strategies)
