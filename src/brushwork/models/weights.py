"""Weights in files: found, downloaded, verified, read without running code, and loaded into a network."""

import hashlib
import logging
import multiprocessing
import pickle
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from multiprocessing.pool import ThreadPool
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from brushwork import files
from brushwork.errors import UserError, one_line, unknown
from brushwork.models import backbones

log = logging.getLogger(__name__)

DOWNLOAD_TIMEOUT = 10.0  # seconds to connect, and between two pieces of data

# What an error suggests instead of torchvision's weights, in training.
ALTERNATIVES = (
    "or use model.weights=PATH of a state dict, or model.weights=null for random weights "
    "(model.verify_weights=false takes a cached file unchecked)"
)


def path_of(
    architecture: str,
    weights: str,
    verify: bool = True,
    alternatives: str = ALTERNATIVES,
    setting: str = "model.weights",
) -> Path:
    """The file of weights: "imagenet" or a name of torchvision's (see `cached`), or else a path.

    Raises:
        UserError: there is no such name or file; lists what `setting` accepts.
    """
    names = ["imagenet", *backbones.weights_enum(architecture).__members__]
    if weights in names:
        return cached(backbones.named_weights(architecture, weights).url, verify, alternatives)
    path = Path(files.expanded(weights))
    if not path.is_file():
        raise unknown(setting, weights, [*names, "null", "a file's path"])
    return path


def load_named(
    network: nn.Module,
    architecture: str,
    weights: str,
    verify: bool = True,
    alternatives: str = ALTERNATIVES,
    setting: str = "model.weights",
) -> None:
    """Load weights into `network`: torchvision's by name, or those of a file; for the arguments see `path_of`."""
    path = path_of(architecture, weights, verify, alternatives, setting)
    load_strictly(network, state_dict_in(read_file(path)), path)


def cached(url: str, verify: bool, alternatives: str = ALTERNATIVES) -> Path:
    """The file of a URL in torch.hub's cache, downloaded if it is not there.

    torchvision does not check cached files. Here the SHA-256 prefix in the name is checked, unless `verify` is false.

    Args:
        alternatives: what an error suggests instead.

    Raises:
        UserError: the cached file does not match its name's hash, or there is none and it can't be downloaded.
    """
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    prefix = re.search(r"-([0-9a-f]{8,})\.", name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("downloading %s to %s", url, path)
        try:
            _wait_for_answer(url)
            with ExitStack() as stack:
                stack.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
                socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
                # Writes beside `path`, checks the hash, then renames.
                torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix and prefix[1])
        except (OSError, RuntimeError) as error:  # URLError and HTTPError are OSErrors
            raise UserError(
                f"weights {url} cannot be downloaded ({one_line(error)}); put the file at {path}, {alternatives}"
            ) from None
        return path
    if not verify:
        log.warning("model.verify_weights=false: %s is used unchecked", path)
    elif prefix and not files.sha256(path).startswith(prefix[1]):
        raise UserError(
            f"{path} is damaged: its SHA-256 does not begin with {prefix[1]}; delete it to have it "
            f"downloaded again, {alternatives}"
        )
    return path


def _wait_for_answer(url: str) -> None:
    """Raise OSError if the server does not respond in time; a socket's timeout does not cover the DNS lookup."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with ThreadPool(1) as pool:  # its thread is a daemon: if it hangs, nothing waits for it
            response = pool.apply_async(urllib.request.urlopen, [request, None, DOWNLOAD_TIMEOUT])
            response.get(DOWNLOAD_TIMEOUT).close()
    except multiprocessing.TimeoutError:
        raise TimeoutError(f"no answer in {DOWNLOAD_TIMEOUT:g} s") from None
    except urllib.error.HTTPError:
        pass  # it responds: the download reports what is wrong


def read_file(path: Path) -> dict:
    """Read a file of torch.save. Raise a UserError if it is missing, damaged, or holds code, which is not executed."""
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


def state_hash(state: Mapping[str, Tensor]) -> str:
    """A hash of the weights and buffers of a state dict, 16 hexadecimal digits."""
    found = hashlib.sha256()
    for name, value in state.items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict in which every key and shape must match, or else raise a UserError that names those."""
    expected = network.state_dict()
    missing = [key for key in expected if key not in state]
    foreign = [key for key in state if key not in expected]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in expected.items()
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
