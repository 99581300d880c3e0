"""Each saliency method against captum with real weights, against a formula, and wherever it may be called."""

import copy
from collections.abc import Callable
from pathlib import Path

import captum.attr
import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision import models

from brushwork import saliency
from brushwork.errors import UserError
from brushwork.models import backbones
from brushwork.saliency import layers, maps, methods
from brushwork.saliency.methods import METHODS
from tests.saliency.test_maps import CLASSES, PICTURES, error, state

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
TARGETS = torch.tensor([281, 999])


@pytest.fixture(scope="module")
def squeezenet(shared: Path) -> nn.Module:
    model = models.squeezenet1_1()
    model.load_state_dict(torch.load(shared / "weights/squeezenet1_1-imagenet.pth", weights_only=True))
    return model.eval()


def by_captum(method: str, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    if method == "input_x_gradient":
        return captum.attr.InputXGradient(model).attribute(images, target=targets).sum(1).abs()
    if method == "integrated_gradients":
        return captum.attr.IntegratedGradients(model).attribute(images, target=targets, n_steps=50).sum(1).abs()
    if method == "guided_backprop":
        model = copy.deepcopy(model)  # captum's hooks fail on what works in place
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
        return captum.attr.GuidedBackprop(model).attribute(images, target=targets).abs().amax(1)
    if method == "gradcam":
        layer = captum.attr.LayerGradCam(model, model.features)
        coarse = layer.attribute(images, target=targets, relu_attributions=True)
        return captum.attr.LayerAttribution.interpolate(coarse, images.shape[2:], "bilinear")[:, 0]
    side = images.shape[2] // 7
    windows = {"sliding_window_shapes": (3, side, side), "strides": (3, side // 2, side // 2)}
    falls = captum.attr.Occlusion(model).attribute(images, target=targets, perturbations_per_eval=8, **windows)
    return falls[:, 0].relu()


# In 32 bits a ReLU on the way of integrated gradients falls on another side now and then, in captum's batches too.
@pytest.mark.filterwarnings("ignore:Setting (forward|backward):UserWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "method", ["input_x_gradient", "integrated_gradients", "guided_backprop", "gradcam", "occlusion"]
)
def test_equals_captum(method: str, dtype: torch.dtype, squeezenet: nn.Module) -> None:
    """Several targets; the last squares of the occlusion are cut at the right edge."""
    images = IMAGES[..., :30, :33] if method in ("occlusion", "integrated_gradients") else IMAGES  # many passes
    model, images = copy.deepcopy(squeezenet).to(dtype), images.to(dtype)
    with torch.no_grad() if method == "occlusion" else torch.enable_grad():
        theirs = by_captum(method, model, images.clone().requires_grad_(), TARGETS).detach().float()
    ours = METHODS[method](model, images, TARGETS)
    assert (ours.shape, ours.dtype) == ((2, *images.shape[2:]), torch.float32)
    assert theirs.amax() > 0
    rounding = 2e-3 if method == "integrated_gradients" else 1e-5
    assert error(ours, theirs) < (1e-6 if dtype == torch.float64 else rounding)


def test_smoothgrad_is_the_mean_gradient_of_noisy_copies(squeezenet: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    image, total = IMAGES[:1], torch.zeros(1, 3, 64, 64)
    for _ in range(4):
        noisy = image + 0.15 * (image.max() - image.min()) * torch.randn(image.shape[1:], generator=generator)
        saliency = captum.attr.Saliency(squeezenet)
        total += saliency.attribute(noisy.requires_grad_(), target=TARGETS[:1], abs=False)
    ours = methods.smoothgrad(squeezenet, image, TARGETS[:1], samples=4)
    assert error(ours, (total / 4).abs().amax(1)) < 1e-5
    without = methods.smoothgrad(squeezenet, image, TARGETS[:1], samples=1, noise=0.0)
    assert error(without, maps.class_saliency(squeezenet, image, TARGETS[:1])) < 1e-5


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("gradcam", "guided_backprop")])
def test_a_linear_model(method: str) -> None:
    """S = w I + b: what each method is by hand."""
    linear = nn.Linear(3 * 14 * 21, 2)
    images, targets = torch.randn(2, 3, 14, 21), torch.tensor([1, 0])
    weight = linear.weight.detach().view(2, 3, 14, 21)[targets]
    product = (weight * images).sum(1)  # what a pixel adds to the score
    expected = {"input_x_gradient": product.abs(), "integrated_gradients": product.abs()}.get(method)
    if method == "occlusion":  # squares of 2 x 2, a pixel apart: the mean over those that cover a pixel
        sums = nn.functional.avg_pool2d(product[:, None], 2, stride=1) * 4  # (2, 1, 13, 20): what a square takes away
        ones = torch.ones(1, 1, 2, 2)
        covering = nn.functional.conv_transpose2d(torch.ones_like(sums), ones)
        expected = (nn.functional.conv_transpose2d(sums, ones) / covering)[:, 0].relu()
    if expected is None:
        expected = weight.abs().amax(1)
    found = METHODS[method](nn.Sequential(nn.Flatten(), linear), images, targets)
    assert error(found, expected) < 1e-5


def test_guided_backprop_by_hand() -> None:
    """Two pixels, two hidden units; S = h1 - 2 h2, h = relu(W x)."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2, bias=False), nn.ReLU(inplace=True), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, -3.0, 0, 0, 0, 0], [5.0, 1.0, 0, 0, 0, 0]]))
        model[3].weight.copy_(torch.tensor([[1.0, -2.0]]))
    image = torch.zeros(1, 3, 1, 2)
    image[0, 0, 0] = torch.tensor([4.0, 1.0])  # h = (1, 21)
    target = torch.tensor([0])
    assert maps.class_saliency(model, image, target).tolist() == [[[9.0, 5.0]]]  # (1 - 10, -3 - 2)
    assert layers.guided_backprop(model, image, target).tolist() == [[[1.0, 3.0]]]  # of h1 only
    image[0, 0, 0, 1] = 2.0  # h = (0, 22): the other unit is off as well
    assert layers.guided_backprop(model, image, target).tolist() == [[[0.0, 0.0]]]


def test_guided_backprop_reaches_a_bare_relu() -> None:
    """DenseNet's last ReLU is a function, and in place: the same by layers."""
    torch.manual_seed(0)
    model = models.DenseNet(8, (2, 2), 16, num_classes=5).eval()
    by_layers = nn.Sequential(*model.features, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.classifier)
    images = PICTURES[:2].repeat(1, 1, 2, 2)
    ours = layers.guided_backprop(model, images, CLASSES[:2])
    assert error(ours, layers.guided_backprop(by_layers, images, CLASSES[:2])) < 1e-5
    assert error(ours, maps.class_saliency(model, images, CLASSES[:2])) > 0.1


def test_gradcam_of_a_network_with_one_linear_layer_is_its_cam() -> None:
    """After global average pooling and one linear layer, w_k is that layer's weight / places (Zhou et al. 2016)."""
    torch.manual_seed(0)
    model = models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5).eval()
    images = torch.randn(4, 3, 96, 96)
    activation = nn.Sequential(*list(model.children())[:-2])(images).detach()  # (4, 512, 3, 3)
    cam = torch.einsum("bkhw,bk->bhw", activation, model.fc.weight.detach()[CLASSES]) / 9
    expected = interpolate(cam.relu()[:, None], (96, 96), mode="bilinear")[:, 0]
    assert error(layers.gradcam(model, images, CLASSES), expected) < 1e-5


@pytest.mark.parametrize(
    ("architecture", "places"),
    [
        ("alexnet", 7),
        ("vgg11", 8),
        ("squeezenet1_1", 7),
        ("resnet18", 4),
        ("regnet_y_400mf", 4),
        ("shufflenet_v2_x0_5", 4),
        ("mobilenet_v2", 4),
        ("mobilenet_v3_small", 4),
        ("mnasnet0_5", 4),
        ("efficientnet_b0", 4),
        ("densenet121", 4),
        ("convnext_tiny", 4),
        ("swin_t", 4),
        ("maxvit_t", 7),  # takes 224 pixels only
    ],
)
def test_the_last_spatial_layer_of_each_family(architecture: str, places: int) -> None:
    """Rows and columns for 128 pixels: what comes before the classifier's pooling."""
    torch.manual_seed(0)
    model = backbones.build(architecture).eval()
    seen = []
    layer = layers.last_spatial_layer(model)
    with layer.register_forward_hook(lambda module, inputs, output: seen.append(output)), torch.no_grad():
        model(torch.randn(1, 3, *[224 if architecture == "maxvit_t" else 128] * 2))
    assert seen[0].shape[2:] == (places, places)
    assert seen[0].shape[1] > seen[0].shape[2]  # channels come second


def test_all_families_have_their_layer_or_a_clear_error() -> None:
    from brushwork.models import heads

    families = set(heads._LAST_LAYER)
    assert families <= set(layers._LAST_SPATIAL)


@pytest.mark.parametrize(
    ("method", "architecture", "message"),
    [
        ("guided_backprop", "convnext_tiny", "guided_backprop is defined for ReLUs, and ConvNeXt has GELU"),
        ("guided_backprop", "mobilenet_v3_small", "and MobileNetV3 has Hardswish: use gradient or smoothgrad"),
        ("gradkam", "squeezenet1_1", "unknown saliency method 'gradkam': did you mean 'gradcam'?"),
    ],
)
def test_what_is_not_defined_is_refused(method: str, architecture: str, message: str) -> None:
    with torch.device("meta"):
        model = backbones.build(architecture)
    with pytest.raises(UserError, match=message):
        methods.check(method, model)


def test_completeness_error(squeezenet: nn.Module) -> None:
    """By hand from captum's attributions; smaller with more steps; none for a linear model."""
    images = IMAGES[..., :32, :32]
    with torch.no_grad():
        rise = (squeezenet(images) - squeezenet(torch.zeros_like(images)))[[0, 1], TARGETS]
    attribution = captum.attr.IntegratedGradients(squeezenet).attribute(images, target=TARGETS, n_steps=10)
    _, few = methods.integrated_gradients_and_completeness(squeezenet, images, TARGETS, steps=10)
    assert few[1] == pytest.approx(rise, abs=1e-4)
    assert few[0] == pytest.approx((attribution.sum((1, 2, 3)) - rise).abs().detach(), abs=1e-3)
    _, many = methods.integrated_gradients_and_completeness(squeezenet, images, TARGETS, steps=200)
    assert many[0].sum() < few[0].sum()
    linear = nn.Sequential(nn.Flatten(), nn.Linear(768, 5))
    _, exact = methods.integrated_gradients_and_completeness(linear, PICTURES, CLASSES)
    assert exact[0].max() < 1e-5


def network() -> nn.Module:
    """With what can go wrong (batch statistics, dropout, ReLUs in place), small, of a family that Grad-CAM knows."""
    torch.manual_seed(3)
    return models.MobileNetV2(5, width_mult=0.1, inverted_residual_setting=[[1, 8, 1, 1], [6, 8, 1, 2]])


SQUARES = PICTURES.repeat(1, 1, 2, 2)  # (4, 3, 32, 32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "context",
    [torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
)
def test_everything_stays_as_it_was(method: str, context: Callable) -> None:
    """In training mode, with gradients in place, wherever it is called; twice the same map."""
    model = network()
    expected = METHODS[method](model.eval(), SQUARES, CLASSES)
    model.train()
    model.features[1].eval()
    model.features[0].requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.set_float32_matmul_precision("high")
    try:
        before = state(model)
        with context():
            found = METHODS[method](model, SQUARES.clone(), CLASSES.clone())
        after = state(model)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(found, expected)
    assert (found.shape, found.dtype, found.requires_grad) == ((4, 32, 32), torch.float32, False)
    assert found.min() >= 0
    for name in before:
        assert before[name] == after[name], name
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


class Module(L.LightningModule):
    """Holds its network as brushwork's own module does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)


@pytest.mark.parametrize("method", METHODS)
def test_a_lightning_module_has_its_networks_maps(method: str) -> None:
    model = network().train()
    function = getattr(saliency, method)
    assert function is METHODS[method]
    assert torch.equal(function(Module(model), SQUARES, CLASSES), function(model, SQUARES, CLASSES))
    assert all(module.training for module in model.modules())


def test_a_lightning_module_of_an_unfit_network_is_refused() -> None:
    with torch.device("meta"):
        module = Module(backbones.build("vit_b_32"))
    with pytest.raises(UserError, match="and VisionTransformer has GELU"):
        methods.check("guided_backprop", module)


@pytest.mark.parametrize("method", METHODS)
def test_targets_as_a_list_or_one_for_all(method: str) -> None:
    model = network()
    expected = METHODS[method](model, SQUARES, torch.tensor([3, 3, 3, 3]))
    assert torch.equal(METHODS[method](model, SQUARES, [3, 3, 3, 3]), expected)
    assert torch.equal(METHODS[method](model, SQUARES, 3), expected)
    with pytest.raises(ValueError, match="expected targets from 0 to 4, but got 5"):
        METHODS[method](model, SQUARES, 5)


def test_the_first_name_of_the_gradient() -> None:
    assert saliency.class_saliency is saliency.gradient is METHODS["gradient"]


@pytest.mark.parametrize("method", METHODS)
def test_a_map_does_not_depend_on_the_images_beside_it(method: str) -> None:
    model = network().eval().double()
    together = METHODS[method](model, SQUARES.double(), CLASSES)
    singly = [METHODS[method](model, SQUARES[i : i + 1].double(), CLASSES[i : i + 1]) for i in range(4)]
    assert error(torch.cat(singly), together) < 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_a_models_own_error_leaves_it_as_it_was(method: str) -> None:
    model = network().train()
    with pytest.raises(RuntimeError):
        METHODS[method](model, torch.randn(1, 1, 32, 32), torch.tensor([0]))
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.backends.cudnn.conv.fp32_precision != "ieee"


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_fit_is_refused_and_no_number_comes_through(method: str) -> None:
    model = network()
    with pytest.raises(ValueError, match="expected targets from 0 to 4, but got 5"):
        METHODS[method](model, SQUARES, torch.tensor([0, 1, 5, 2]))
    with pytest.raises(ValueError, match=r"expected targets to be integers of shape \(4,\)"):
        METHODS[method](model, SQUARES, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="expected images to be floats"):
        METHODS[method](model, SQUARES[0], CLASSES)
    nn.init.constant_(model.features[0][0].weight, torch.nan)
    assert METHODS[method](model, SQUARES, CLASSES).isnan().any()


def test_logits_and_the_maps_of_the_predicted_class() -> None:
    model, names = network().eval(), list(METHODS)[::-1]
    logits, found, completeness = methods.logits_and_maps(names, model, SQUARES)
    assert error(logits, model(SQUARES).detach()) < 1e-5
    assert list(found) == names
    for name in names:
        assert error(found[name], METHODS[name](model, SQUARES, logits.argmax(1))) < 1e-5
    assert completeness is not None
    logits, of_class, completeness = methods.logits_and_maps(["gradcam"], model, SQUARES, CLASSES)
    assert error(of_class["gradcam"], METHODS["gradcam"](model, SQUARES, CLASSES)) < 1e-5
    assert error(logits, model(SQUARES).detach()) < 1e-5
    assert completeness is None


def test_methods_by_name(caplog: pytest.LogCaptureFixture) -> None:
    with torch.device("meta"):
        convnext, squeezenet = backbones.build("convnext_tiny"), backbones.build("squeezenet1_1")
    assert methods.named("all", squeezenet) == list(METHODS)
    assert methods.named("gradcam, gradient,gradcam", squeezenet) == ["gradcam", "gradient"]
    assert methods.named("all", convnext) == [name for name in METHODS if name != "guided_backprop"]
    assert "without guided_backprop: guided_backprop is defined for ReLUs, and ConvNeXt has GELU" in caplog.text
    with pytest.raises(UserError, match="unknown saliency method 'gradkam'"):
        methods.named("gradient,gradkam", squeezenet)
