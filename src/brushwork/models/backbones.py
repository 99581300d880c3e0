"""A torchvision classifier with verified weights and its own preprocessing."""

import hashlib
import logging
import math
import pickle
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn
from torchvision import models

from brushwork import files
from brushwork.errors import UserError, one_line, unknown
from brushwork.preprocessing import Preprocessing

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT = 10.0  # seconds to connect, and between two pieces of data
_TRAINED_WITH_AUXILIARY_HEADS = {"googlenet", "inception_v3"}  # several outputs in training


def architectures() -> list[str]:
    """The torchvision classifiers that can be fine-tuned here."""
    return [name for name in models.list_models(module=models) if name not in _TRAINED_WITH_AUXILIARY_HEADS]


def _weights_enum(architecture: str) -> type[models.WeightsEnum]:
    if architecture not in architectures():
        raise unknown("model.architecture", architecture, architectures())
    return models.get_model_weights(architecture)


def named_weights(architecture: str, weights: str = "imagenet") -> models.WeightsEnum:
    """torchvision's weights of that name; "imagenet" is version 1, the one most papers used."""
    enum = _weights_enum(architecture)
    if weights == "imagenet":
        return enum.__members__.get("IMAGENET1K_V1", enum.DEFAULT)
    return enum[weights]


def preprocessing(architecture: str, image_size: int | None = None, resize: str = "squash") -> Preprocessing:
    """The network's own input size and normalisation; `image_size` overrides the size.

    Raises:
        UserError: the size is under what the architecture's layers can take, or not the only one they take.
    """
    weights = named_weights(architecture, "imagenet")
    transforms = weights.transforms()
    size = transforms.crop_size[0] if image_size is None else image_size
    smallest = max(weights.meta["min_size"])
    if size < smallest:
        raise UserError(
            f"data.image_size={size} is too small for {architecture}: it needs at least {smallest} pixels a side"
        )
    if architecture.startswith(("vit_", "maxvit_")) and size != transforms.crop_size[0]:
        raise UserError(
            f"data.image_size={size}: {architecture} takes {transforms.crop_size[0]} pixels and no other size"
        )
    return Preprocessing(size, tuple(transforms.mean), tuple(transforms.std), resize)


def build(architecture: str, gain: float | None = None) -> nn.Module:
    """A torchvision classifier with random weights, drawn from torch's global random state.

    Args:
        gain: None keeps torchvision's own initialisation. A number draws every convolution and linear
            layer with deviation gain / sqrt(fan_in) and zero bias (He et al. 2015 has gain = sqrt 2).
    """
    _weights_enum(architecture)
    network = models.get_model(architecture, weights=None)
    if gain is not None:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    return network


def redraw(network: nn.Module, recurse: bool = True, generator: torch.Generator | None = None) -> None:
    """Draw all weights anew: of each layer's weights, and of its biases, the mean and the deviation stay.

    What is left of training is the scale of each layer (Raghu et al. 2019, "Transfusion", section 5: mean variance
    initialisation). Running statistics of normalisations stay as they are.

    Args:
        recurse: false leaves the weights of the module's children.
        generator: on the CPU, so that all devices get the same weights; None is torch's global one.
    """
    with torch.no_grad():
        for parameter in network.parameters(recurse):
            mean, deviation = parameter.mean(), parameter.std(correction=0)
            drawn = torch.empty_like(parameter, device="cpu").normal_(generator=generator)
            parameter.copy_(drawn).mul_(deviation).add_(mean)


def names(architecture: str) -> list[str]:
    """The names of torchvision's weights for an architecture."""
    return list(_weights_enum(architecture).__members__)


def is_named(architecture: str, weights: str) -> bool:
    """Whether `weights` names torchvision weights (else it is a path)."""
    return weights == "imagenet" or weights in names(architecture)


def weights_file(architecture: str, weights: str, setting: str) -> Path:
    """The file that `weights`, which is no name of torchvision's, stands for.

    Raises:
        UserError: there is none; names what `setting` may be.
    """
    path = Path(weights)
    if not path.is_file():
        raise unknown(setting, weights, ["imagenet", *names(architecture), "null", "a file's path"])
    return path


# What else one can do than use torchvision's weights, in training.
WAYS_ON = (
    "or use model.weights=PATH of a state dict, or model.weights=null for random weights "
    "(model.verify_weights=false takes a cached file unchecked)"
)


def load_named_weights(
    network: nn.Module, architecture: str, weights: str, verify: bool = True, ways_on: str = WAYS_ON
) -> None:
    """Load torchvision's weights, from its cache or else from the network, into `network`.

    torchvision itself trusts whatever lies in its cache under the right name. Here the SHA-256 prefix
    that the name carries is checked first, unless `verify` is false.

    Args:
        ways_on: what an error says that one can do instead.

    Raises:
        UserError: the cached file is not what its name says, or there is none and it can't be fetched.
    """
    member = named_weights(architecture, weights)
    path = _cached(member.url, verify, ways_on)
    load_strictly(network, read_checkpoint(path), path)


def _cached(url: str, verify: bool, ways_on: str = WAYS_ON) -> Path:
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    prefix = re.search(r"-([0-9a-f]{8,})\.", name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("downloading %s to %s", url, path)
        try:
            _wait_for_answer(url)
            with _socket_timeout(DOWNLOAD_TIMEOUT):
                # Writes beside `path`, checks the hash, then renames.
                torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix and prefix[1])
        except (OSError, RuntimeError) as error:  # URLError and HTTPError are OSErrors
            raise UserError(
                f"weights {url} cannot be downloaded ({one_line(error)}); put the file at {path}, {ways_on}"
            ) from None
        return path
    if not verify:
        log.warning("model.verify_weights=false: %s is used unchecked", path)
    elif prefix and not files.sha256(path).startswith(prefix[1]):
        raise UserError(
            f"{path} is damaged: its SHA-256 does not begin with {prefix[1]}; delete it to have it "
            f"downloaded again, {ways_on}"
        )
    return path


def _wait_for_answer(url: str) -> None:
    """Raise OSError when the address gives no answer at all in time.

    A socket's time-out covers neither the look-up of the name nor a second address of it.
    """
    failure: list[OSError] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=DOWNLOAD_TIMEOUT).close()
        except urllib.error.HTTPError:
            pass  # an answer: the download will say what is wrong
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(DOWNLOAD_TIMEOUT)
    if thread.is_alive():
        raise TimeoutError(f"no answer in {DOWNLOAD_TIMEOUT:g} s")
    if failure:
        raise failure[0]


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_checkpoint(path: Path) -> dict:
    """Read a file that torch.save wrote, tensors and plain values only: no code in it is executed.

    Raises:
        UserError: there is no such file, it is damaged, or it holds pickled code.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path.resolve()}: name a checkpoint or a state dict that exists")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it holds pickled code, which is never executed" if "weights_only" in str(error) else one_line(error)
        raise UserError(f"{path} cannot be loaded: {reason}; save plain tensors with torch.save(state_dict)") from None
    except Exception as error:  # a damaged file makes torch raise anything: IndexError, struct.error, ...
        raise UserError(f"{path} is damaged or no torch file ({one_line(error)}); copy or train it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict or a checkpoint of Brushwork")
    return content


def state_dict_in(content: dict) -> dict[str, Tensor]:
    """The state dict in what a file held: bare, or under the key "state_dict" or "model"."""
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), dict):
            content = content[key]
    return content


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """16 hexadecimal digits that name the weights and buffers of a state dict."""
    found = hashlib.sha256()
    for name, value in state.items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict in which every key and shape must match.

    Raises:
        UserError: names the file and what does not match.
    """
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state]
    foreign = [key for key in state if key not in wanted]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in wanted.items()
        if key in state and getattr(state[key], "shape", None) != tensor.shape
    ]
    for problem, keys in [("lacks", missing), ("has the foreign", foreign), ("has the wrong shape", shapes)]:
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise UserError(
                f"{path} does not fit {type(network).__name__}: it {problem} {', '.join(map(str, keys[:3]))}{more}; "
                f"choose the model these weights were made for"
            )
    network.load_state_dict(state)
