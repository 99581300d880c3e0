"""A network with its own preprocessing and class names."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import modes, predictor
from brushwork.models.predictor import Predictor
from brushwork.paintings import demo


@pytest.fixture(scope="module")
def squeezenet(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    path = tmp_path_factory.mktemp("weights") / "state.pth"
    torch.save(models.squeezenet1_1().state_dict(), path)
    return predictor.imagenet("squeezenet1_1", str(path))


def test_photos_are_preprocessed_as_the_weights_say(squeezenet: Predictor) -> None:
    picture = demo.paint("Dots", 0, 300)
    theirs = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()(picture)
    assert torch.equal(squeezenet.transform(picture), theirs)
    assert theirs.shape == (3, 224, 224)


def test_shown_is_what_the_network_sees(squeezenet: Predictor) -> None:
    picture = Image.new("RGB", (300, 260), (250, 128, 3))
    seen = squeezenet.shown(squeezenet.transform(picture))
    assert seen.size == (224, 224)
    assert max(abs(a - b) for a, b in zip(seen.getpixel((100, 100)), (250, 128, 3), strict=True)) <= 1


def test_frozen_and_in_eval_mode_without_a_random_draw(squeezenet: Predictor, tmp_path: Path) -> None:
    assert not squeezenet.network.training
    assert not any(parameter.requires_grad for parameter in squeezenet.network.parameters())
    before = torch.get_rng_state()
    assert predictor.imagenet("squeezenet1_1", None).name == "squeezenet1_1 (random weights)"
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("target", "index"), [("281", 281), ("tabby", 281), ("Siberian Husky", 250), ("Cardigan", 264), ("0", 0)]
)
def test_classes_by_name_or_number(squeezenet: Predictor, target: str, index: int) -> None:
    assert squeezenet.class_index(target) == index


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("1000", r"class 1000 is out of range: squeezenet1_1 has classes 0 \(tench\) to 999 \(toilet tissue\)"),
        ("-1", "class -1 is out of range"),
        ("CARDIGAN", "CARDIGAN is the name of classes 264 and 474: give the number"),
        ("spaniel", r"no class of squeezenet1_1 is just 'spaniel': name one of Japanese spaniel \(152\)"),
        ("flamigno", r"did you mean 'flamingo'\? valid: tench, .*\.\.\. \(1000 in all\)"),
    ],
)
def test_no_such_class(squeezenet: Predictor, target: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        squeezenet.class_index(target)


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown weights 'imagnet': did you mean 'imagenet'"):
        predictor.imagenet("squeezenet1_1", "imagnet")
    with pytest.raises(UserError, match=r"vgg\.pth does not fit SqueezeNet"):
        torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "vgg.pth")
        predictor.imagenet("squeezenet1_1", str(tmp_path / "vgg.pth"))


def test_an_empty_name_is_not_imagenets() -> None:
    """What a shell makes of --weights "$UNSET"."""
    with pytest.raises(UserError, match="is a folder"):
        predictor.named_predictor("squeezenet1_1", "")


def test_modes_come_back_one_by_one() -> None:
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout(), nn.ReLU()))
    network[1].eval()
    with pytest.raises(ZeroDivisionError), modes.in_eval_mode(network):
        assert not any(module.training for module in network.modules())
        raise ZeroDivisionError
    assert [module.training for module in network.modules()] == [True, True, False, False, False]
