"""Cascading randomisation: of networks whose maps can't change, and of real ones."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from brushwork import images
from brushwork.models import backbones, predictor
from brushwork.saliency import methods
from brushwork.saliency.evaluation import sanity
from brushwork.saliency.evaluation.agreement import between_images, rank_correlation
from tests.saliency.test_maps import CLASSES, state
from tests.saliency.test_methods import SQUARES, network


def layer_names(model: nn.Module, side: int = 64) -> list[str]:
    return [name for name, _ in sanity.layers(model.eval(), torch.randn(1, 3, side, side))]


def test_layers_from_the_first_convolution_to_the_classifier() -> None:
    torch.manual_seed(0)
    found = layer_names(models.squeezenet1_1())
    assert found[:3] == ["features.0", "features.3.squeeze", "features.3.expand1x1"]
    assert (found[-2:], len(found)) == (["features.12.expand3x3", "classifier.1"], 26)
    found = layer_names(models.resnet18())
    assert found[:3] == ["conv1", "bn1", "layer1.0.conv1"]
    assert (found[-2:], len(found)) == (["layer4.1.bn2", "fc"], 41)
    assert found.index("layer2.0.bn2") < found.index("layer2.0.downsample.0") < found.index("layer2.1.conv1")


def test_layers_of_a_transformer() -> None:
    """Parameters that belong to no leaf, and an output layer that attention uses without calling it."""
    found = layer_names(models.VisionTransformer(32, 16, 1, 2, 8, 16), side=32)
    block = "encoder.layers.encoder_layer_0"
    assert found == [
        "conv_proj",
        "VisionTransformer",  # the class token
        "encoder",  # the places' embedding
        f"{block}.ln_1",
        f"{block}.self_attention",
        f"{block}.self_attention.out_proj",
        f"{block}.ln_2",
        f"{block}.mlp.0",
        f"{block}.mlp.3",
        "encoder.ln",
        "heads.head",
    ]


class Backwards(nn.Module):
    """Made in another order than it is used in; one layer isn't used at all."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.unused, self.first = nn.Linear(4, 5), nn.Linear(4, 4), nn.Conv2d(3, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.first(images).relu().mean((2, 3)))


def test_the_order_is_that_of_use_not_of_making() -> None:
    assert layer_names(Backwards()) == ["first", "last"]


class Unmoved(nn.Module):
    """Its map is the brightness of the image, whatever its weights are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 5)

    def forward(self, images: Tensor) -> Tensor:
        weight = self.layer.weight.sum() * 0
        return (images.square().sum((1, 2, 3)) + weight)[:, None].repeat(1, 5)


def test_a_map_that_does_not_depend_on_the_weights_stays() -> None:
    model = Unmoved()
    originals = {"gradient": methods.in_batches("gradient", model, SQUARES, CLASSES, 3)}
    ((layers, correlations),) = sanity.cascade(model, SQUARES, CLASSES, originals)
    assert layers == ["layer"]
    assert correlations["gradient"] == pytest.approx(np.ones(4))


def test_a_linear_model_by_hand() -> None:
    """Its map is its weight: after the step, the redrawn one, of the same mean and deviation."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 5))
    originals = {"gradient": methods.in_batches("gradient", model, SQUARES, CLASSES, 4)}
    ((_, correlations),) = sanity.cascade(model, SQUARES, CLASSES, originals, seed=3)
    redrawn = copy.deepcopy(model)
    backbones.redraw(redrawn, generator=torch.Generator().manual_seed(3))
    maps = redrawn[1].weight.detach().view(5, 3, 32, 32).abs().amax(1)[CLASSES].numpy()
    assert correlations["gradient"] == pytest.approx(rank_correlation(originals["gradient"], maps))
    assert abs(correlations["gradient"]).max() < 0.15  # of 1024 pixels: 4.5 deviations


def test_each_step_keeps_the_weights_above_redrawn_and_those_below_as_they_were(monkeypatch) -> None:
    model = network().eval()
    seen = []

    def keep(name: str, model: nn.Module, *_: object) -> np.ndarray:
        seen.append({name: value.clone() for name, value in model.named_parameters()})
        return np.zeros((4, 2, 2))

    monkeypatch.setattr(methods, "in_batches", keep)
    steps = list(sanity.cascade(model, SQUARES, CLASSES, {"gradient": np.zeros((4, 2, 2))}, steps=4))
    order = layer_names(model, side=32)
    assert [name for layers, _ in steps for name in layers] == order[::-1]
    sizes = [len(layers) for layers, _ in steps]
    assert sizes[0] == 1
    assert max(sizes[1:]) - min(sizes[1:]) <= 1
    original = dict(model.named_parameters())
    redrawn = set()
    for (layers, _), weights in zip(steps, seen, strict=True):
        redrawn |= set(layers)
        for name, value in weights.items():
            spread = original[name].std(correction=0) > 0  # a bias of zeros has nothing to draw
            assert torch.equal(value, original[name]) == (not spread or name.rpartition(".")[0] not in redrawn), name
    assert np.isnan(steps[0][1]["gradient"]).all()  # maps that are the same everywhere


def test_the_number_of_steps() -> None:
    model = network().eval()
    maps = {"gradient": methods.in_batches("gradient", model, SQUARES, CLASSES, 4)}

    def layers(steps: int) -> list[list[str]]:
        return [layers for layers, _ in sanity.cascade(model, SQUARES, CLASSES, maps, steps=steps)]

    assert [len(layers(steps)) for steps in (1, 2, 12)] == [1, 2, 12]
    order = layer_names(model, side=32)[::-1]
    assert layers(99) == [[name] for name in order]
    with pytest.raises(ValueError, match="expected steps to be at least 1, but got 0"):
        layers(0)


def test_the_network_and_the_random_state_stay_and_a_seed_is_a_seed() -> None:
    model = network().train()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    names = ("gradient", "gradcam")
    originals = {name: methods.in_batches(name, model, SQUARES, CLASSES, 4) for name in names}
    before = state(model)
    with torch.inference_mode():
        first, same, other = (
            list(sanity.cascade(model, SQUARES, CLASSES, originals, steps=3, seed=seed, batch_size=3))
            for seed in (0, 0, 1)
        )
    assert state(model) == before
    for name in names:
        assert np.array_equal(first[-1][1][name], same[-1][1][name], equal_nan=True)
    assert not np.array_equal(first[-1][1]["gradient"], other[-1][1]["gradient"])


def test_a_real_network(shared: Path) -> None:
    """The gradient depends on the weights: redrawn, it is hardly more similar than maps of different photos."""
    squeezenet = predictor.imagenet("squeezenet1_1", str(shared / "weights/squeezenet1_1-imagenet.pth"))
    photos = sorted((shared / "data/photos/assignment").glob("*.jpg"))
    batch = torch.stack([squeezenet.transform(images.load_rgb(photo)) for photo in photos])
    logits, found, _ = methods.logits_and_maps(["gradient"], squeezenet.network, batch)
    originals = {"gradient": found["gradient"].numpy()}
    steps = list(sanity.cascade(squeezenet.network, batch, logits.argmax(1), originals, steps=3))
    assert steps[0][0] == ["classifier.1"]
    assert steps[-1][0][-1] == "features.0"
    means = [correlations["gradient"].mean() for _, correlations in steps]
    floor = between_images(originals["gradient"]).mean()
    assert means[0] > means[-1]
    assert means[-1] < 0.5
    assert floor < means[0]
