"""A network's layers, against what is known of AlexNet, for every family that can be fine-tuned."""

import pytest
import torch
from torchvision import models

from brushwork.models import anatomy, backbones, graph, heads


def test_alexnet_layer_by_layer() -> None:
    """Shapes and parameters of Krizhevsky's one-column AlexNet, as torchvision has it."""
    found = {layer.name: layer for layer in graph.layers(models.alexnet(), 224)}
    assert found["features.0"].shape == (1, 64, 55, 55)
    assert found["features.12"].shape == (1, 256, 6, 6)
    assert found["flatten"].shape == (1, 9216)
    assert found["classifier.1"].description == "Linear(9216, 4096)"
    assert found["classifier.1"].parameters == 9216 * 4096 + 4096
    assert found["classifier.1"].inputs == ("classifier.0",)
    assert found["classifier.6"].shape == (1, 1000)
    assert sum(layer.parameters for layer in found.values()) == 61_100_840


@pytest.mark.parametrize(
    "name",
    [
        "vgg16_bn",
        "squeezenet1_1",
        "resnet18",
        "regnet_y_400mf",
        "shufflenet_v2_x0_5",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "mnasnet0_5",
        "efficientnet_b0",
        "densenet121",
        "convnext_tiny",
        "vit_b_16",
        "swin_t",
    ],
)
def test_every_family(name: str) -> None:
    network = backbones.build(name)
    heads.replace_last(network, 7)
    network.train()
    before = torch.get_rng_state()
    statistics = {key: value.clone() for key, value in network.named_buffers()}
    found = graph.layers(network, 224)
    assert found[-1].shape == (1, 7)
    names = [layer.name for layer in found]
    assert len(set(names)) == len(names)
    assert {name for layer in found for name in layer.inputs} <= set(names)
    if name not in ("vit_b_16", "swin_t", "convnext_tiny"):  # these hold parameters outside of layers
        assert sum(layer.parameters for layer in found) == sum(p.numel() for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(value, statistics[key]) for key, value in network.named_buffers())


def test_the_missing_layers_are_seen() -> None:
    """Figures 3 and 4."""
    figure = anatomy.classifiers("alexnet", 10)
    before, last, two = ([text.get_text() for text in axes.texts if text.get_text()] for axes in figure.axes)
    assert before[6] == "[6]  Linear(4096, 1000)"
    assert last[6] == "[6]  Linear(4096, 10)  new"
    assert two[4:] == ["[4]  Linear(4096, 10)  new", "[5]  removed", "[6]  removed"]
    assert last[:4] == two[:4] == before[:4]
    assert "57,044,810" in figure.axes[1].get_title()
    assert "40,263,498" in figure.axes[2].get_title()
    assert len(anatomy.classifiers("squeezenet1_1", 10).axes) == 2


def test_the_architecture_as_a_table() -> None:
    """Figure 2."""
    (table,) = anatomy.architecture("alexnet").axes[0].tables
    texts = [cell.get_text().get_text() for cell in table.get_celld().values()]
    assert {"classifier.4", "Linear(4096, 4096)", "64 x 55 x 55", "16,781,312", "61,100,840"} <= set(texts)
