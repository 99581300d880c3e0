"""Weights that do not fit a network: what differs, and which torchvision network they are of."""

import functools
import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from brushwork import tables
from brushwork.errors import UserError
from brushwork.models import backbones, fitting, heads, naming

log = logging.getLogger(__name__)

_WIDEST = 60  # characters of a name in the table
_HEADLESS = " without its last layer"
_FEWEST = 10  # tensors of a network that is looked for
_IN_TABLE, _IN_LINE = 5, 3  # of each kind of difference


def refusal(network: nn.Module, path: Path, found: Mapping[str, Tensor]) -> UserError:
    """The error for a file's tensors that are not those of the network; a table of the differences goes to the log."""
    wanted = network.state_dict()
    names = {naming.renamed(key): tensor for key, tensor in found.items()}
    prefix = naming.likely_prefix(names, wanted)
    theirs = {key.removeprefix(prefix): tensor for key, tensor in names.items() if key.startswith(prefix)}
    filled = {key for key in wanted if key.endswith(f".{fitting.COUNTER}")}  # where they are missing
    differing = {
        "lacks": [key for key in wanted if key not in theirs and key not in filled],
        "has the foreign": [key for key in theirs if key not in wanted],
        "has the wrong shape": [key for key in wanted if key in theirs and theirs[key].shape != wanted[key].shape],
    }
    name = type(network).__name__
    rows = [["key", name, path.name]]
    for key in (key for keys in differing.values() for key in keys[:_IN_TABLE]):
        rows.append(
            [key[:_WIDEST], *(str(tuple(state[key].shape)) if key in state else "-" for state in (wanted, theirs))]
        )
    log.warning("%s does not fit %s:\n%s", path, name, "\n".join(tables.plain(rows)))
    problem, keys = next(((problem, keys) for problem, keys in differing.items() if keys), ("has", ["no clear match"]))
    if problem == "has the wrong shape":
        keys = [f"{key} {tuple(theirs[key].shape)} instead of {tuple(wanted[key].shape)}" for key in keys]
    more = f" and {len(keys) - _IN_LINE} more" if len(keys) > _IN_LINE else ""
    advice = "choose the model these weights were made for"
    if whose := architecture_of(found):
        use = ": a start for training only" if whose.endswith(_HEADLESS) else ": choose it"
        advice = f"these are the weights of {whose}{'' if whose.endswith(')') else use}"
    return UserError(f"{path} does not fit {name}: it {problem} {', '.join(keys[:_IN_LINE])}{more}; {advice}")


def architecture_of(found: Mapping[str, Tensor]) -> str | None:
    """The torchvision classifier that has such tensors; with the number of its classes if that is not ImageNet's, or
    in brackets why the file can't be used for it as it is."""
    if len(found) < _FEWEST:
        return None
    for architecture in backbones.architectures():
        wanted, last = keys_and_shapes(architecture)
        try:
            state, _ = fitting.fit(found, wanted, last, last)
        except fitting.Misfit:
            continue
        except UserError as error:  # of several such networks, say
            return f"{architecture} (it {error})"
        if last[0] not in state:
            return architecture + _HEADLESS
        classes = len(state[last[0]])
        return architecture if classes == len(wanted[last[0]]) else f"{architecture} with {classes} classes"
    return None


@functools.cache
def keys_and_shapes(architecture: str) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict of a torchvision classifier without values, and the keys of its last layer."""
    network = backbones.shapes(architecture)
    wanted = network.state_dict()
    return wanted, fitting.keys_of(heads.last_layer(network), wanted)
