"""Stages of networks as features, and the choice of a probe's strength."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from brushwork.errors import UserError
from brushwork.models import backbones, probe, stages
from brushwork.models.classifier import StyleClassifier
from brushwork.models.modes import freeze
from brushwork.saliency import methods


def test_the_upper_stages_of_squeezenet_are_its_last_four_fire_modules() -> None:
    network = freeze(backbones.build("squeezenet1_1", 1.4))
    images = torch.randn(2, 3, 64, 64)
    outputs = []
    for fire in (9, 10, 11, 12):
        network.features[fire].register_forward_hook(lambda *passed: outputs.append(passed[2]))
    network(images)
    expected = [numbers for maps in outputs for numbers in (maps.mean((2, 3)), maps.std((2, 3), correction=0))]
    found = stages.StagesClassifier(network, "upper", 7, 64)
    assert found.head[1].in_features == 3584
    assert found.features(images).numpy() == pytest.approx(torch.cat(expected, 1).numpy(), abs=1.1e-3)
    last = stages.StagesClassifier(network, "last", 7, 64)
    assert torch.allclose(last.features(images), outputs[3].mean((2, 3)))


@pytest.mark.parametrize(
    ("architecture", "upper", "whole"),
    [("resnet18", 2 * (64 + 128 + 256 + 512), 64), ("mobilenet_v3_small", 1728, 0), ("shufflenet_v2_x0_5", 2720, 0)],
)
def test_stages_of_a_family(architecture: str, upper: int, whole: int) -> None:
    network = backbones.build(architecture).eval()
    found = stages.StagesClassifier(network, "upper", 3, 32)
    assert found.head[1].in_features == upper
    assert stages.StagesClassifier(network, "all", 3, 32).head[1].in_features >= upper + 2 * whole
    assert found.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["alexnet", "vgg11", "regnet_y_400mf", "densenet121", "mobilenet_v2"])
@pytest.mark.parametrize("layers", ["upper", "all"])
def test_stages_of_other_families(architecture: str, layers: str) -> None:
    check_family(architecture, layers)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["efficientnet_b0", "mnasnet0_5", "convnext_tiny", "maxvit_t", "swin_t"])
@pytest.mark.parametrize("layers", ["upper", "all"])
def test_stages_of_larger_families(architecture: str, layers: str) -> None:
    check_family(architecture, layers)


def check_family(architecture: str, layers: str) -> None:
    size = max(64, backbones.smallest_size(architecture))
    found = stages.StagesClassifier(backbones.build(architecture), layers, 3, size).eval()
    assert found(torch.randn(2, 3, size, size)).isfinite().all()
    maps = methods.METHODS["gradcam"](freeze(found), torch.randn(1, 3, size, size), [0])
    assert maps.shape == (1, size, size)


@pytest.mark.slow
def test_a_vision_transformer_gives_class_token_and_mean_patch() -> None:
    network = freeze(backbones.build("vit_b_32"))
    images, tokens = torch.randn(2, 3, 224, 224), []
    network.encoder.layers[-1].register_forward_hook(lambda *passed: tokens.append(passed[2]))
    network(images)
    found = stages.StagesClassifier(network, "upper", 3, 224).eval().features(images)
    assert found.shape == (2, 4 * 2 * 768)
    expected = torch.cat([tokens[0][:, 0], tokens[0][:, 1:].mean(1)], 1)
    assert found[:, -2 * 768 :].numpy() == pytest.approx(expected.numpy(), abs=1e-4)


def test_unknown_stages_and_layers_are_refused() -> None:
    class Other(nn.Module):
        pass

    with pytest.raises(UserError, match=r"stages of Other are not known here: use probe.layers=last"):
        stages.StagesClassifier(Other(), "upper", 3, 64)
    with pytest.raises(UserError, match=r"unknown probe.layers 'lower'"):
        StyleClassifier("squeezenet1_1", "replace_last", 3, weights=None, tuning="probe", probe_layers="lower")
    with pytest.raises(UserError, match=r"expected probe.views to be 1 or 2"):
        StyleClassifier("squeezenet1_1", "replace_last", 3, weights=None, tuning="probe", probe_views=3)


def test_folds_keep_units_whole_and_styles_balanced() -> None:
    rng = np.random.default_rng(0)
    units, labels = rng.integers(0, 60, 400), rng.integers(0, 3, 400)
    fold = probe.balanced_folds(units, labels)
    assert all(len(set(fold[units == unit])) == 1 for unit in range(60))
    counts = np.array([[((fold == f) & (labels == c)).sum() for c in range(3)] for f in range(probe.FOLDS)])
    assert counts.max() - counts.min() < 12
    assert (fold == probe.balanced_folds(units, labels)).all()


def test_the_strength_is_the_best_of_scikit_learns_on_the_same_folds() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(90) % 3
    table = torch.randn(90, 20, generator=generator) + 0.4 * torch.randn(3, 20, generator=generator)[labels]
    units = (torch.arange(90) // 3).tolist()
    solved = probe.solve(table[:, None], labels, units, 3)
    rows = ((table - table.mean(0)) / table.std(0, correction=0)).double().numpy()
    fold = probe.balanced_folds(np.array(units), labels.numpy())
    for strength, (accuracy, _) in solved.scores.items():
        right = 0
        for number in range(probe.FOLDS):
            inside = fold != number
            model = LogisticRegression(C=strength, max_iter=1000).fit(rows[inside], labels[inside])
            right += (model.predict(rows[~inside]) == labels[~inside].numpy()).sum()
        assert accuracy == pytest.approx(right / 90, abs=0.03)
    assert solved.scores[solved.strength][0] == max(accuracy for accuracy, _ in solved.scores.values())
    assert min(solved.scores) < solved.strength < max(solved.scores)
    whole = LogisticRegression(C=solved.strength, tol=1e-8, max_iter=10_000).fit(rows, labels).predict_proba(rows)
    assert solved.logits(table).softmax(1).numpy() == pytest.approx(whole, abs=1e-4)


def test_one_painting_or_unit_leaves_no_folds() -> None:
    solved = probe.solve(torch.randn(4, 1, 3), torch.tensor([0, 1, 0, 1]), [5, 5, 5, 5], 2)
    assert solved.scores == {}
    assert solved.weight.isfinite().all()
