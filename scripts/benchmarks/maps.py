"""Saliency maps of the predicted class by Brushwork and by captum: full precision, random weights, data in memory."""

from contextlib import nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torchvision import models

from benchmarks.setup import Setup
from benchmarks.timing import per_second

BATCH = 8


def by_brushwork(setup: Setup, architecture: str, method: str = "gradient") -> dict[str, float]:
    """Logits and maps by a method; by default the gradient, as a training draws it."""
    from brushwork.models import predictor
    from brushwork.saliency.methods import logits_and_maps
    from brushwork.training import devices

    devices.keep_freed_memory()
    network = predictor.imagenet(architecture, None).network.to(setup.device)
    images = photos_like(setup)
    return {"maps/s": per_second(lambda: logits_and_maps([method], network, images), BATCH, setup.device)}


def vgg16_by_captum(setup: Setup) -> dict[str, float]:
    from captum.attr import Saliency

    torch.backends.cudnn.conv.fp32_precision = "ieee"
    network = models.vgg16().eval().to(setup.device)
    images = photos_like(setup).requires_grad_()
    attribute = Saliency(network).attribute
    return {"maps/s": per_second(lambda: attribute(images, network(images).argmax(1)).amax(1), BATCH, setup.device)}


def squeezenet_by_captum(setup: Setup, method: str) -> dict[str, float]:
    """With Brushwork's numbers of samples and batch sizes."""
    from captum import attr

    torch.backends.cudnn.conv.fp32_precision = "ieee"
    network = models.squeezenet1_1().eval().to(setup.device)
    if method == "guided_backprop":  # captum's hooks fail on in-place ReLUs
        for module in network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
    images, side = photos_like(setup), setup.image_size // 7
    squares = {"sliding_window_shapes": (3, side, side), "strides": (3, side // 2, side // 2)}
    smooth, integrated = attr.NoiseTunnel(attr.Saliency(network)), attr.IntegratedGradients(network)

    def gradcam(images: Tensor, target: Tensor) -> Tensor:
        coarse = attr.LayerGradCam(network, network.features).attribute(images, target, relu_attributions=True)
        return attr.LayerAttribution.interpolate(coarse, images.shape[2:], "bilinear")

    attribute = {
        "gradient": attr.Saliency(network).attribute,
        "smoothgrad": partial(smooth.attribute, nt_samples=50, nt_samples_batch_size=1),
        "input_x_gradient": attr.InputXGradient(network).attribute,
        "integrated_gradients": partial(integrated.attribute, n_steps=50, internal_batch_size=BATCH),
        "guided_backprop": attr.GuidedBackprop(network).attribute,
        "gradcam": gradcam,
        "occlusion": partial(attr.Occlusion(network).attribute, perturbations_per_eval=2, **squares),
    }[method]

    def maps() -> Tensor:
        with torch.no_grad():
            target = network(images).argmax(1)
        with nullcontext() if method != "occlusion" else torch.no_grad():
            return attribute(images.clone().requires_grad_(), target=target).amax(1)

    return {"maps/s": per_second(maps, BATCH, setup.device)}


def photos_like(setup: Setup) -> Tensor:
    """Random normalised photos (batch, 3, height, width) on the device."""
    return torch.randn(BATCH, 3, setup.image_size, setup.image_size, device=setup.device)
