"""class_saliency against captum, against a formula, and wherever it may be called."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from captum.attr import Saliency
from scipy.stats import spearmanr
from torch import Tensor, nn
from torchvision import models

from brushwork.models import predictor
from brushwork.saliency import methods
from brushwork.saliency.maps import class_saliency

TARGETS = torch.tensor([281, 0, 999])


def oracle(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return Saliency(model).attribute(images.clone().requires_grad_(), target=targets, abs=True).amax(1)


def error(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference as a share of the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=["squeezenet1_1", "alexnet", "vgg16"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """Real weights where they are at hand: SqueezeNet's."""
    model = models.get_model(request.param)
    if request.param == "squeezenet1_1":
        path = request.getfixturevalue("shared") / "weights/squeezenet1_1-imagenet.pth"
        model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def test_equals_captum(network: nn.Module, images: Tensor) -> None:
    theirs = oracle(network, images, TARGETS)
    ours = class_saliency(network, images, TARGETS)
    assert ours.shape == (3, 64, 64)
    assert (ours >= 0).all()
    assert error(ours, theirs) < 1e-5
    singly = [class_saliency(network, images[i : i + 1], TARGETS[i : i + 1]) for i in range(3)]
    assert error(torch.cat(singly), theirs) < 1e-5


def test_channels_last_has_the_same_ranks(network: nn.Module, images: Tensor) -> None:
    plain = class_saliency(network, images, TARGETS)
    network.to(memory_format=torch.channels_last)
    last = class_saliency(network, images.contiguous(memory_format=torch.channels_last), TARGETS)
    network.to(memory_format=torch.contiguous_format)
    for ours, theirs in zip(last, plain, strict=True):
        assert spearmanr(ours.flatten(), theirs.flatten()).statistic > 0.999


def test_images_come_in_the_layout_of_the_network() -> None:
    model, seen = predictor.freeze(small()), []
    model[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    class_saliency(model, PICTURES, CLASSES)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_photos_in_the_size_of_the_network(shared: Path) -> None:
    """Real photos, real weights, 224 pixels."""
    from brushwork import images as files

    squeezenet = predictor.imagenet("squeezenet1_1", str(shared / "weights/squeezenet1_1-imagenet.pth"))
    photos = sorted((shared / "data/photos/assignment").iterdir())
    batch = torch.stack([squeezenet.transform(files.load_rgb(path)) for path in photos])
    logits, found, _ = methods.logits_and_maps(["gradient"], squeezenet.network, batch)
    ours = found["gradient"]
    predicted = squeezenet.network(batch).argmax(1)
    assert torch.equal(logits.argmax(1), predicted)
    assert error(ours, oracle(squeezenet.network, batch, predicted)) < 1e-5
    named = dict(zip([path.stem for path in photos], predicted.tolist(), strict=True))
    assert squeezenet.class_names[named["doberman"]] == "Doberman"
    assert squeezenet.class_names[named["flamingo1"]] == "flamingo"
    assert squeezenet.class_names[named["teddybear"]] == "teddy"


def test_a_linear_models_map_is_its_weight() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 5, 2))
    expected = model[1].weight.detach().view(2, 3, 4, 5).abs().amax(1)  # (classes, height, width)
    maps = class_saliency(model, torch.randn(2, 3, 4, 5), torch.tensor([1, 0]))
    assert torch.equal(maps, expected[[1, 0]])


def small() -> nn.Module:
    """With what can go wrong: batch statistics, dropout, an in-place ReLU."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(128, 5),
    )


PICTURES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
CLASSES = torch.tensor([0, 1, 4, 2])


def frozen(model: nn.Module) -> None:
    model.requires_grad_(False)


def partly_training(model: nn.Module) -> None:
    model.train()
    model[1].eval()


@pytest.mark.parametrize("prepare", [nn.Module.eval, nn.Module.train, frozen, partly_training])
@pytest.mark.parametrize(
    "context",
    [
        torch.enable_grad,
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
    ],
)
def test_everything_stays_as_it_was(prepare: Callable, context: Callable) -> None:
    model = small()
    expected = class_saliency(model.eval(), PICTURES, CLASSES)
    prepare(model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.set_float32_matmul_precision("high")
    try:
        before = state(model)
        with context():
            maps = class_saliency(model, PICTURES.clone(), CLASSES.clone())  # inference tensors in inference mode
        after = state(model)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(maps, expected)
    assert maps.dtype == torch.float32
    assert not maps.requires_grad
    for name in before:
        assert before[name] == after[name], name


def state(model: nn.Module) -> dict[str, Any]:
    return {
        "modes": [module.training for module in model.modules()],
        "gradients": [parameter.grad.tolist() for parameter in model.parameters()],
        "frozen": [parameter.requires_grad for parameter in model.parameters()],
        "weights": {name: tensor.tolist() for name, tensor in model.state_dict().items()},
        "torch": torch.get_rng_state().tolist(),
        "numpy": [np.asarray(part).tolist() for part in np.random.get_state()],
        "python": random.getstate(),
        "precision": torch.get_float32_matmul_precision(),
        "tf32": (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32),
        "units": [getattr(torch.backends, unit).conv.fp32_precision for unit in ("cudnn", "mkldnn")],
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
    }


def test_a_models_own_error_leaves_it_as_it_was() -> None:
    model = small().train()
    with pytest.raises(RuntimeError):
        class_saliency(model, torch.randn(1, 1, 16, 16), torch.tensor([0]))
    assert all(module.training for module in model.modules())
    assert torch.backends.cudnn.conv.fp32_precision != "ieee"


class Everywhere(L.LightningModule):
    """Computes maps in every hook of Lightning's."""

    def __init__(self) -> None:
        super().__init__()
        self.model = small()
        self.maps: dict[str, Tensor] = {}

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = self.model(batch[0]).square().mean()
        self.maps["train"] = class_saliency(self.model, *batch)
        return loss * 0  # the weights stay, the batch statistics move

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.maps["validate"] = class_saliency(self.model, *batch)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.maps["test"] = class_saliency(self.model, *batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_in_fit_validate_and_test(precision: str, tmp_path: Path) -> None:
    module = Everywhere()
    for part in module.model[1].buffers():
        part.requires_grad_(False)
    module.model[1].momentum = 0.0  # batch statistics don't move either
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(PICTURES, CLASSES), batch_size=4)
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = L.Trainer(max_epochs=1, precision=precision, default_root_dir=tmp_path, **options)
    expected = class_saliency(module.model, PICTURES, CLASSES)
    trainer.fit(module, loader, loader)
    trainer.validate(module, loader, verbose=False)
    trainer.test(module, loader, verbose=False)
    assert set(module.maps) == {"train", "validate", "test"}
    for where, maps in module.maps.items():
        assert error(maps, expected) < 1e-5, where


@pytest.mark.parametrize(
    ("images", "targets", "message"),
    [
        (PICTURES, torch.tensor([0, 1, 5, 2]), "expected targets from 0 to 4, but got 5"),
        (PICTURES, torch.tensor([0, -1, 2, 2]), "expected targets from 0 to 4, but got -1"),
        (
            PICTURES,
            torch.tensor([0, 1]),
            r"expected targets to be integers of shape \(4,\), but got torch.int64 of \(2,\)",
        ),
        (PICTURES, torch.zeros(4), "expected targets to be integers"),
        (PICTURES[0], CLASSES, r"expected images to be floats of shape \(batch, 3, height, width\)"),
        (PICTURES.to(torch.uint8), CLASSES, "expected images to be floats"),
    ],
)
def test_what_does_not_fit_is_refused(images: Tensor, targets: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_saliency(small(), images, targets)


def test_zero_and_undefined_gradients_come_through() -> None:
    dead = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    nn.init.zeros_(dead[1].weight)
    picture, target = torch.randn(1, 3, 2, 2), torch.tensor([1])
    assert torch.equal(class_saliency(dead, picture, target), torch.zeros(1, 2, 2))
    nn.init.constant_(dead[1].weight, torch.nan)
    assert class_saliency(dead, picture, target).isnan().all()
