"""Backbones: input sizes, names, initial weights (FAULTS 20, 24)."""

import copy
import math

import pytest
import torch
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import backbones


@pytest.mark.parametrize(("architecture", "smallest"), [("alexnet", 63), ("vgg16", 32)])
def test_smallest_input(architecture: str, smallest: int) -> None:
    assert backbones.preprocessing(architecture, smallest).image_size == smallest
    with pytest.raises(UserError, match=f"image_size={smallest - 1} is too small for {architecture}.*{smallest}"):
        backbones.preprocessing(architecture, smallest - 1)


@pytest.mark.parametrize("architecture", ["vit_b_16", "maxvit_t"])
def test_networks_of_one_size(architecture: str) -> None:
    assert backbones.preprocessing(architecture).image_size == 224
    with pytest.raises(UserError, match="takes 224 pixels and no other size"):
        backbones.preprocessing(architecture, 256)


def test_preprocessing_is_the_weights_own() -> None:
    ours = backbones.preprocessing("alexnet")
    theirs = models.AlexNet_Weights.IMAGENET1K_V1.transforms()
    assert (ours.image_size, list(ours.mean), list(ours.std)) == (224, theirs.mean, theirs.std)


def test_unknown_architecture_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown model\.architecture 'resnet81': did you mean 'resnet18'"):
        backbones.build("resnet81")


def test_initialisation_by_gain() -> None:
    torch.manual_seed(0)
    layer = backbones.build("alexnet", gain=1.2).classifier[1]
    assert isinstance(layer, nn.Linear)
    assert layer.weight.std().item() == pytest.approx(1.2 / math.sqrt(9216), rel=0.01)
    assert not layer.bias.any()


def test_redrawn_weights_keep_each_layers_mean_and_deviation() -> None:
    network = backbones.build("alexnet")
    nn.init.uniform_(network.classifier[4].weight, 1, 3)
    nn.init.constant_(network.classifier[4].bias, 0.5)
    before = network.classifier[4].weight.clone()
    backbones.redraw(network)
    after = network.classifier[4].weight
    assert after.mean().item() == pytest.approx(2, abs=1e-3)
    assert after.std().item() == pytest.approx(2 / 12**0.5, abs=1e-3)  # of a uniform distribution
    assert after.max() > 3.5  # no longer uniform
    assert abs(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1]) < 0.01
    assert (network.classifier[4].bias == 0.5).all()


def test_redraw_of_one_module_by_its_own_generator() -> None:
    block = nn.Sequential(nn.Linear(8, 8), nn.MultiheadAttention(8, 2))
    twin = copy.deepcopy(block)
    random_state = torch.get_rng_state()
    for one in (block, twin):
        backbones.redraw(one[1], recurse=False, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(block[1].in_proj_weight, twin[1].in_proj_weight)
    before = block[1].out_proj.weight.clone()
    backbones.redraw(block[1], recurse=False, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(block[1].in_proj_weight, twin[1].in_proj_weight)
    assert torch.equal(block[1].out_proj.weight, before)
