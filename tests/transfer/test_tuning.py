"""What trains, and in which mode."""

import pytest
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.transfer import heads, tuning
from brushwork.transfer.tuning import Tuning


@pytest.fixture
def parts() -> tuple[nn.Module, nn.Module]:
    network = models.squeezenet1_1()
    return network, heads.replace_last(network, 7)


def test_full(parts: tuple[nn.Module, nn.Module]) -> None:
    network, new = parts
    assert len(tuning.choose_parameters(network, new, Tuning("full"))) == len(list(network.parameters()))
    network.eval()
    tuning.start_epoch(network, new, Tuning("full"), 0)
    assert all(module.training for module in network.modules())


def test_head_only(parts: tuple[nn.Module, nn.Module]) -> None:
    network, new = parts
    trained = tuning.choose_parameters(network, new, Tuning("head_only"))
    assert [id(parameter) for parameter in trained] == [id(parameter) for parameter in new.parameters()]
    network.train()
    tuning.start_epoch(network, new, Tuning("head_only"), 0)
    assert [name for name, module in network.named_modules() if module.training] == ["classifier.1"]
    assert not network.classifier[0].training  # the dropout


def test_table(parts: tuple[nn.Module, nn.Module]) -> None:
    network, new = parts
    tuning.choose_parameters(network, new, Tuning("head_only"))
    lines = [line.split() for line in tuning.table(network, new, 0.01).splitlines()]
    assert lines == [
        ["part", "parameters", "trained", "learning", "rate"],
        ["features", "722,496", "0", "-"],
        ["classifier.1", "(new)", "3,591", "3,591", "0.01"],
        ["all", "726,087", "3,591", "0.01"],
    ]


def test_unknown_tuning(parts: tuple[nn.Module, nn.Module]) -> None:
    with pytest.raises(UserError, match="unknown tuning 'fulll': did you mean 'full'"):
        tuning.choose_parameters(*parts, Tuning("fulll"))
