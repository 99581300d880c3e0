"""Weights: found, downloaded, verified, and loaded into a network."""

import hashlib
import logging
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

from brushwork import downloads, files
from brushwork.errors import UserError, one_line, unknown
from brushwork.models import backbones, fitting, heads, misfits, published, weight_files

log = logging.getLogger(__name__)

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
    """The file of weights: "imagenet" or a name of torchvision's (see `cached`), or else a path, or hf://USER/NAME.

    Raises:
        UserError: there is no such name or file; lists what `setting` accepts.
    """
    names = ["imagenet", *backbones.weights_enum(architecture).__members__]
    if weights in names:
        return cached(backbones.named_weights(architecture, weights).url, verify, alternatives)
    path = Path(files.expanded(weights))
    if not (path.exists() or published.on_hub(path)):
        raise unknown(setting, weights, [*names, "null", "a file's path", "hf://USER/NAME"])
    return path


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
            downloads.wait_for_answer(url)
            with ExitStack() as stack:
                stack.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
                socket.setdefaulttimeout(downloads.TIMEOUT)
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


def state_hash(state: Mapping[str, Tensor]) -> str:
    """A hash of the weights and buffers of a state dict, 16 hexadecimal digits."""
    found = hashlib.sha256()
    for name, value in state.items():
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()[:16]


def load(network: nn.Module, path: Path, content: Mapping, replaced: Sequence[str] = ()) -> list[str]:
    """Load what a file holds into a torchvision classifier, by matching names (see `fitting.fit`); log what was done.

    The last layer gets as many outputs as the file has, unless it is among the layers that are `replaced` afterwards.

    Args:
        content: as `weight_files.read_file` returns it.
        replaced: names of layers that need not fit.

    Returns:
        The names of the parameters that keep their random values: of layers `replaced`, or none.

    Raises:
        UserError: these are not the weights of this network, or can't be used.
    """
    last = heads.last_layer(network)
    wanted, found = network.state_dict(), weight_files.tensors_in(content)
    try:
        state, notes = fitting.fit(found, wanted, fitting.keys_of(last, wanted), fitting.keys_of(replaced, wanted))
    except UserError as error:
        raise UserError(f"{path} {error}") from None
    except fitting.Misfit:
        for name in weight_files.others_in(content):
            if any(f".{name}".replace("/", ".").endswith(f".{key}") for key in wanted):
                raise UserError(f"{path} holds {name}, which is no tensor: save tensors, by torch.save") from None
        if not found:
            raise UserError(f"{path} holds no tensors: name a state dict or a checkpoint") from None
        raise misfits.refusal(network, path, found) from None
    if notes:
        log.info("%s: %s", path, "; ".join(notes))
    classes = {len(state[key]) for key in fitting.keys_of(last, state)} - {len(wanted[f"{last}.weight"])}
    if replaced:
        state = {key: tensor for key, tensor in state.items() if tensor.shape == wanted[key].shape}
    elif classes:
        with torch.random.fork_rng(devices=[]):
            heads.replace_last(network, classes.pop())
    _put(network, state)
    return [key for key in wanted if key not in state]


def load_strictly(network: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Load a state dict in which every key and shape must match, or else raise a UserError that names those."""
    expected = network.state_dict()
    if state.keys() != expected.keys() or any(state[key].shape != expected[key].shape for key in expected):
        raise misfits.refusal(network, path, state)
    _put(network, state)


def _put(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    whole = network.state_dict()  # with the versions of its layers: without, torchvision takes some for old ones
    whole.update(state)
    network.load_state_dict(whole)
