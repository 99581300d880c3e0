"""The two heads against DESIGN's exact counts and torchvision's own layers."""

import copy

import pytest
import torch
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import heads


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def pretrained() -> nn.Module:
    return models.alexnet()


@pytest.mark.parametrize(("head", "total"), [("replace_last", 57_044_810), ("replace_two", 40_263_498)])
def test_parameter_counts_of_the_report(head: str, total: int) -> None:
    with torch.device("meta"):
        network = models.alexnet()
        new = heads.HEADS[head](network, 10)
    assert count(network) == total
    assert count(new) == 40_970


def test_replace_last_keeps_all_but_the_last(pretrained: nn.Module) -> None:
    network = copy.deepcopy(pretrained)
    new = heads.replace_last(network, 10)
    assert network.classifier[6] is new
    assert [type(layer).__name__ for layer in network.classifier] == [
        *("Dropout", "Linear", "ReLU", "Dropout", "Linear", "ReLU", "Linear")
    ]
    assert_kept(network, pretrained, new_keys={"classifier.6.weight", "classifier.6.bias"})


def test_replace_two_removes_two_and_adds_one(pretrained: nn.Module) -> None:
    network = copy.deepcopy(pretrained)
    new = heads.replace_two(network, 10)
    assert network.classifier[4] is new
    assert [type(layer).__name__ for layer in network.classifier] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert_kept(network, pretrained, new_keys={"classifier.4.weight", "classifier.4.bias"})
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 10)


def assert_kept(network: nn.Module, pretrained: nn.Module, new_keys: set[str]) -> None:
    before = pretrained.state_dict()
    for key, value in network.state_dict().items():
        if key not in new_keys:
            assert torch.equal(value, before[key]), key


def test_vgg_family() -> None:
    for build in (models.vgg11, models.vgg16_bn):
        with torch.device("meta"):
            network = build()
            kept = count(network.features) + count(network.classifier[0])
            new = heads.replace_two(network, 10)
            assert count(network) == kept + 40_970
            assert network.classifier[3] is new
            assert len(network.classifier) == 4
            assert count(heads.replace_last(build(), 10)) == 40_970


@pytest.mark.parametrize(
    "name",
    [
        *("alexnet", "vgg11", "squeezenet1_0", "squeezenet1_1", "resnet18", "shufflenet_v2_x0_5", "mobilenet_v2"),
        *("mobilenet_v3_small", "mnasnet0_5", "efficientnet_b0", "densenet121", "convnext_tiny", "swin_t"),
        *("regnet_y_400mf", "vit_b_32"),
    ],
)
def test_replace_last_on_other_classifiers(name: str) -> None:
    network = models.get_model(name).eval()
    new = heads.replace_last(network, 7)
    size = 224 if name == "vit_b_32" else 64
    with torch.no_grad():
        logits = network(torch.zeros(1, 3, size, size))
    assert logits.shape == (1, 7)
    assert any(module is new for module in network.modules())


def test_replace_two_needs_three_fully_connected_layers() -> None:
    for build in (models.squeezenet1_1, models.resnet18):
        with pytest.raises(UserError, match=r"replace_two needs .*(AlexNet or VGG).*use head=replace_last"):
            heads.replace_two(build(), 10)


def test_a_changed_network_is_refused(pretrained: nn.Module) -> None:
    network = copy.deepcopy(pretrained)
    heads.replace_two(network, 10)
    for head in heads.HEADS.values():
        with pytest.raises(UserError, match=r"expected AlexNet\.classifier\.\d to be a .*changed before"):
            head(network, 10)


def test_zero_init_starts_at_zero_and_learns() -> None:
    network = models.mobilenet_v3_small()
    new = heads.replace_head(network, "replace_last", 4, zero_init=True)
    logits = network(torch.rand(2, 3, 64, 64))
    assert not logits.any()
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert new.weight.grad.any()


def test_zero_init_is_refused_where_a_relu_follows() -> None:
    with pytest.raises(UserError, match="stops a SqueezeNet for ever"):
        heads.replace_head(models.squeezenet1_1(), "replace_last", 4, zero_init=True)


def test_unknown_head() -> None:
    with pytest.raises(UserError, match="unknown head 'replace_lst': did you mean 'replace_last'"):
        heads.replace_head(models.squeezenet1_1(), "replace_lst", 4)
