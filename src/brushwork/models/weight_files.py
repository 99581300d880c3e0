"""What is in a file of weights, read without running code: torch.save's, safetensors, TorchScript archives."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from brushwork.errors import UserError, one_line
from brushwork.models import published, torchscript

_LONGEST = 300  # characters of a name
_DEEPEST = 8  # dictionaries and lists in one another


class _Plain:
    """In place of a value beside the weights, which nobody asks for: no code of its class is called."""

    def __new__(cls, *arguments: Any) -> "_Plain":
        return super().__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _PlainDict:
    """In place of a kind of dictionary: torch fills plain ones only."""

    def __new__(cls, *arguments: Any) -> dict:
        return {}


class _PlainList:
    """In place of a kind of list."""

    def __new__(cls, *arguments: Any) -> list:
        return []


# What holds values and no code, beside what torch reads by itself. numpy's own functions are not called: a crafted
# pickle can make them read memory that is not theirs.
_PLAIN = [
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(f"numpy.{kind.__name__}" for kind in {*np.sctypeDict.values(), np.dtype, np.ndarray}),
    *(
        f"builtins.{kind.__name__}"
        for kind in (bool, int, float, str, bytes, list, tuple, dict, frozenset, range, slice)
    ),
    *(f"pathlib.{local}{system}Path" for local in ("", "_local.") for system in ("", "Posix", "Windows")),
    *(f"datetime.{name}" for name in ("date", "datetime", "time", "timedelta", "timezone")),
    *("argparse.Namespace", "types.SimpleNamespace", "torch.torch_version.TorchVersion"),
    # The keys of callbacks' states in files of Lightning before 1.5.
    *(
        f"pytorch_lightning.callbacks.{name}"
        for name in ("model_checkpoint.ModelCheckpoint", "early_stopping.EarlyStopping")
    ),
]
_DICTIONARIES = [
    "collections.defaultdict",
    *(f"{package}.utilities.data.AttributeDict" for package in ("lightning.fabric", "lightning_fabric")),
    *(f"{package}.utilities.parsing.AttributeDict" for package in ("lightning.pytorch", "pytorch_lightning")),
]
_STAND_INS = [
    *((_Plain, name) for name in _PLAIN),
    *((_PlainDict, name) for name in _DICTIONARIES),
    (_PlainList, "collections.deque"),
]


def read_file(path: Path) -> dict:
    """The content of a file of weights or of a checkpoint, tensors on the CPU; the extension does not matter.

    Values of numpy and argparse beside the tensors become objects without content. An export has what its checkpoint
    had: see `published.read`.

    Raises:
        UserError: the file is missing, damaged, or holds code, which is not executed; names the class that it needs.
    """
    if published.is_one(path):
        return published.read(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: name the file of weights in it")
    if not path.is_file():
        raise UserError(f"there is no file {path.resolve()}: name a checkpoint or a state dict that exists")
    try:
        content = _content(path)
    except UserError as error:
        raise UserError(f"{path} {_printable(str(error))}") from None
    except pickle.UnpicklingError as error:
        reason = _printable(_reason(str(error)))
        raise UserError(f"{path} cannot be loaded: {reason}; save plain tensors with torch.save(state_dict)") from None
    except PermissionError:
        raise UserError(f"{path}: no permission to read it; change its permissions") from None
    except Exception as error:  # a damaged file makes torch raise anything: IndexError, struct.error, ...
        reason = (
            "torch can't read it without running code in it"
            if "weights_only" in str(error)
            else _printable(one_line(error))
        )
        raise UserError(f"{path} is damaged or no torch file ({reason}); copy or train it again") from None
    if isinstance(content, list | tuple):
        content = dict(enumerate(content))
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict or a checkpoint of Brushwork")
    return content


def tensors_in(content: Mapping) -> dict[str, Tensor]:
    """All tensors in what a file held, by key; "state_dict/conv1.weight" for those of a dictionary in it."""
    return {name: value.detach() for name, value in _values(content, "", 1, set()) if isinstance(value, Tensor)}


def others_in(content: Mapping) -> list[str]:
    """The names, as in `tensors_in`, of what is no tensor."""
    return [name for name, value in _values(content, "", 1, set()) if not isinstance(value, Tensor)]


def _values(content: Mapping, place: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Names and values; a dictionary that is there several times, or in itself, counts once."""
    for key, value in content.items():
        key = _printable(str(key))
        inner = value if isinstance(value, Mapping) else None
        if isinstance(value, list | tuple) and any(isinstance(item, Mapping | Tensor) for item in value):
            inner = dict(enumerate(value))
        if inner is None:
            yield f"{place}{key}", value
        elif depth < _DEEPEST and id(value) not in seen:
            seen.add(id(value))
            yield from _values(inner, f"{place}{key}/", depth + 1, seen)


def _printable(text: str) -> str:
    """Text of a file, which may hold anything, for a name or a message of one line."""
    return "".join(character if character.isprintable() else "?" for character in text[:_LONGEST])


def _content(path: Path) -> Any:
    with open(path, "rb") as file:
        start = file.read(60)
        file.seek(0)
        if start and start.isascii() and start.decode().replace("\n", " ").replace("\r", " ").isprintable():
            raise UserError(f"is text and no file of weights: it begins with {start.decode()!r}; fetch it again")
        if start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= path.stat().st_size - 8:
            return safetensors.torch.load_file(path)
        if zipfile.is_zipfile(file) and torchscript.is_archive(file):
            return torchscript.tensors(file)
        file.seek(0)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_STAND_INS):
            warnings.simplefilter("ignore")  # of unusual pickles, which are read or refused
            return torch.load(file, map_location="cpu", weights_only=True)


def _reason(message: str) -> str:
    """Why torch refuses a pickle; its advice to run the code is not passed on."""
    never = "which is never executed"
    if named := re.search(r"GLOBAL (\S+)", message):
        return f"it needs the class or function {named[1]}, pickled code, {never}"
    if "must be imported to load DTensors" in message:
        return "it holds tensors that are spread over several processes (torch.distributed.tensor)"
    if "Unsupported operand" in message:
        return f"torch.save did not write it, or it holds pickled code, {never}"
    if "weights_only" in message:
        return f"it holds pickled code, {never}"
    return message.strip().splitlines()[0] if message.strip() else "its pickle is damaged"
