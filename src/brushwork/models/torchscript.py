"""The parameters and buffers in a TorchScript archive, read without running or compiling its program."""

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from typing import IO, Any

import torch
from torch import Tensor

from brushwork.errors import UserError

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


def is_archive(file: IO[bytes]) -> bool:
    """Whether a zip file is a TorchScript archive, and not of torch.save."""
    with zipfile.ZipFile(file) as archive:
        return any(
            name.count("/") == 1 and name.endswith(("/constants.pkl", "/model.json")) for name in archive.namelist()
        )


def tensors(file: IO[bytes]) -> dict[str, Tensor]:
    """The state dict of a scripted or traced module, with tensors that are no parameters or buffers.

    Raises:
        UserError: it holds none, or needs more than tensors to be read; begins with "is ...".
    """
    with zipfile.ZipFile(file) as archive:
        data = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if not data:
            raise UserError("is a TorchScript archive of torch before 1.4: save it again with a newer torch")
        with archive.open(data[0]) as pickled:
            module = _Unpickler(pickled, archive, data[0].partition("/")[0]).load()
    found = dict(_state(module))
    if not found:
        raise UserError(
            "is a TorchScript archive without parameters: torch.jit.freeze makes them constants of the program; "
            "save the state dict of the network that it was made of"
        )
    return found


class _Module:
    """In place of a scripted module or another object of the program: its attributes, none of its code."""

    def __setstate__(self, state: Any) -> None:
        self.attributes = state if isinstance(state, dict) else {}


def _state(module: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for name, value in getattr(module, "attributes", {}).items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif isinstance(value, _Module):
            yield from _state(value, f"{prefix}{name}.")


def _tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *rest: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)  # which checks that it lies in the storage


class _Unpickler(pickle.Unpickler):
    """Makes tensors, and `_Module` of every class of the program; refuses all else."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive, self._root, self._storages = archive, root, {}

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch.jit._pickle":  # typed lists
            return lambda value, *rest: value
        raise UserError(
            f"is a TorchScript archive that needs {module}.{name}: save the state dict of the network instead"
        )

    def persistent_load(self, saved: Any) -> Tensor:
        _, dtype, key, *_ = saved
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            self._storages[key] = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
        return self._storages[key]
