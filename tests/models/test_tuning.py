"""What trains, and in which mode."""

import pytest
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import heads, tuning


@pytest.fixture
def parts() -> tuple[nn.Module, nn.Module]:
    network = models.squeezenet1_1()
    return network, heads.replace_last(network, 7)


def test_full(parts: tuple[nn.Module, nn.Module]) -> None:
    network, new = parts
    assert len(tuning.choose_parameters(network, new, "full")) == len(list(network.parameters()))
    network.eval()
    tuning.set_train_mode(network, new, "full")
    assert all(module.training for module in network.modules())


def test_head_only(parts: tuple[nn.Module, nn.Module]) -> None:
    network, new = parts
    trained = tuning.choose_parameters(network, new, "head_only")
    assert [id(parameter) for parameter in trained] == [id(parameter) for parameter in new.parameters()]
    network.train()
    tuning.set_train_mode(network, new, "head_only")
    assert [name for name, module in network.named_modules() if module.training] == ["classifier.1"]
    assert not network.classifier[0].training  # the dropout


def test_table(parts: tuple[nn.Module, nn.Module]) -> None:
    network, new = parts
    tuning.choose_parameters(network, new, "head_only")
    lines = [line.split() for line in tuning.table(network, new, 0.01).splitlines()]
    assert lines == [
        ["part", "parameters", "trained", "learning", "rate"],
        ["features", "722,496", "0", "-"],
        ["classifier.1", "(new)", "3,591", "3,591", "0.01"],
        ["all", "726,087", "3,591", "0.01"],
    ]


def test_unknown_tuning(parts: tuple[nn.Module, nn.Module]) -> None:
    with pytest.raises(UserError, match="unknown tuning 'fulll': did you mean 'full'"):
        tuning.choose_parameters(*parts, "fulll")


STAGES = {
    "alexnet": ["features.0", "features.3", "features.6", "classifier.1", "classifier.6"],
    "vgg16": [f"features.{i}" for i in (0, 5, 10, 17, 24)] + ["classifier.0", "classifier.6"],
    "squeezenet1_1": ["features.0", "features.3", "features.6", "features.9", "classifier.1"],
    "resnet18": ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"],
    "densenet121": [
        f"features.{name}"
        for name in ("conv0", "denseblock1", "transition1", "denseblock2", "transition2", "denseblock3", "transition3")
    ]
    + ["features.denseblock4", "classifier"],
}


@pytest.mark.parametrize("architecture", STAGES)
def test_stages(architecture: str) -> None:
    network = models.get_model(architecture)
    new = heads.replace_last(network, 7)
    found = tuning.stages(network, new)
    assert [tuning.path(network, stage[0]) for stage in found] == STAGES[architecture]
    owned = [parameter for stage in found for module in stage for parameter in module.parameters()]
    assert len(owned) == len({*owned}) == len(list(network.parameters()))


@pytest.mark.parametrize(
    ("architecture", "name", "first", "dropout"),
    [
        ("alexnet", "upper", "features.6", True),  # conv3 to conv5
        ("alexnet", "classifier", "classifier.1", True),
        ("squeezenet1_1", "upper", "features.9.squeeze", True),
        ("squeezenet1_1", "classifier", "classifier.1", True),  # there is but the new layer to train
    ],
)
def test_upper_and_classifier(architecture: str, name: str, first: str, dropout: bool) -> None:
    network = models.get_model(architecture)
    new = heads.replace_last(network, 7)
    trained = tuning.choose_parameters(network, new, name)
    tuning.set_train_mode(network, new, name)
    names = [key for key, _ in network.named_parameters()]
    start = names.index(f"{first}.weight")
    assert trained == list(network.parameters())[start:]
    frozen = {key.rpartition(".")[0] for key in names[:start]}
    assert all(not network.get_submodule(module).training for module in frozen)
    assert new.training and network.classifier[0].training == dropout


def test_frozen_normalisations_keep_their_statistics() -> None:
    network = models.resnet18()
    new = heads.replace_last(network, 7)
    tuning.choose_parameters(network, new, "upper")
    tuning.set_train_mode(network, new, "upper")
    modes = {name: m.training for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert all(on == name.startswith("layer4") for name, on in modes.items())
