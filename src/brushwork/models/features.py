"""A frozen backbone's outputs, the input of the first trained layer, computed once and cached."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from brushwork.models import tuning
from brushwork.models.modes import in_eval_mode, repeatable
from brushwork.models.weights import state_hash
from brushwork.preprocessing import Preprocessing, normalize


class FrozenFeatures:
    """Computes the features of pictures with the layers before `first_trained`, which are frozen and in eval mode.

    `precision` is a Trainer's plugin. `about` has plain values that distinguish these features from those of other
    weights, precisions or devices.
    """

    def __init__(
        self,
        network: nn.Module,
        first_trained: nn.Module,
        preprocessing: Preprocessing,
        device: torch.device,
        precision: Any,
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last)
        self.first_trained, self.preprocessing = first_trained, preprocessing
        self.device, self.autocast = device, precision.forward_context
        self.about = {
            "network": f"{type(network).__name__} up to {tuning.path(network, first_trained)}",
            "weights": frozen_hash(network, first_trained),
            "precision": precision.precision,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            "torch": torch.__version__,
        }

    def __call__(self, pictures: Tensor) -> Tensor:
        """Pictures uint8 (batch, 3, height, width) to features (batch, *shape), on the CPU."""
        images = normalize(pictures.to(self.device), self.preprocessing)
        with torch.inference_mode(), in_eval_mode(self.network), self.autocast():
            return input_of(self.first_trained, self.network, images).cpu()


def can_be_cached(tuning_name: str, precision: str) -> bool:
    """Whether a picture's features are the same in each epoch; not where a precision later converts the weights."""
    return tuning_name in ("head_only", "classifier") and (precision == "32-true" or precision.endswith("-mixed"))


def input_of(layer: nn.Module, network: nn.Module, images: Tensor) -> Tensor:
    """What reaches a layer, (batch, *shape), when the network gets images (batch, 3, height, width)."""
    return _passed(layer, lambda: network(images))[1]


def logits_and_features(head: nn.Module, forward: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """The logits that `forward` computes, (batch, num_classes), and the features before the head, (batch, width).

    Both are float32. Features are the input of `head`, the network's last layer; of spatial maps (SqueezeNet's) the
    mean over the places.
    """
    logits, features = (values.float() for values in _passed(head, forward))
    return logits, features.mean((2, 3)) if features.ndim == 4 else features.flatten(1)


def _passed(layer: nn.Module, forward: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """What `forward` returns, and what reached the layer meanwhile."""
    caught = []
    with repeatable(), layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0])):
        returned = forward()
    return returned, caught[0]


def frozen_hash(network: nn.Module, first_trained: nn.Module) -> str:
    """The hash of the weights before the first trained layer."""
    trained = tuning.path(network, first_trained) + "."
    return state_hash({key: value for key, value in network.state_dict().items() if not key.startswith(trained)})
