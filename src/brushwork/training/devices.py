"""Which devices and which precision a job gets."""

import ctypes
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from brushwork.errors import UserError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>


def resolve(trainer: partial, sweep_number: int | None, batch_size: int) -> dict[str, Any]:
    """The Trainer's options with `auto` precision decided and a sweep's jobs spread over the GPUs.

    UserError for several devices inside a multirun, or a batch size that is no multiple of their number.
    """
    options = dict(trainer.keywords)
    on_cuda = options.get("accelerator", "auto") in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    devices = options.get("devices", 1)
    count = _count(devices, on_cuda)
    if sweep_number is not None and count > 1:
        raise UserError(
            f"trainer.devices={devices} inside a multirun: use trainer.devices=1 (its jobs are spread over the GPUs), "
            f"or a single run"
        )
    if batch_size % count:
        problem = f"data.batch_size={batch_size} is not divisible by {count} devices"
        raise UserError(f"{problem}: choose a multiple of {count}")
    if sweep_number is not None and on_cuda and not isinstance(devices, list):
        options["devices"] = [sweep_number % torch.cuda.device_count()]
    if options.get("precision", "auto") == "auto":
        options["precision"] = "bf16-mixed" if on_cuda and torch.cuda.is_bf16_supported(False) else "32-true"
    if on_cuda:
        torch.set_float32_matmul_precision("high")  # TF32
    return options


def choose(name: str) -> torch.device:
    """The device of a script's --device, or a UserError; auto takes a GPU where there is one."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(f"--device {name} is not available on this machine: use auto or cpu") from None


def keep_freed_memory() -> None:
    """Let glibc reuse freed memory rather than return it to the system; the process then stays at its peak memory.

    Otherwise each large tensor is allocated from new pages: 100,000 page faults a step of AlexNet on a CPU, a quarter
    of its time in bfloat16. Only on Linux with glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _count(devices: int | str | list[int], on_cuda: bool) -> int:
    """How many devices Lightning's `devices` means."""
    if devices in ("auto", -1, "-1"):
        return torch.cuda.device_count() if on_cuda else 1
    if isinstance(devices, str) and "," in devices:
        devices = [int(part) for part in devices.split(",") if part.strip().isdigit()]
    count = len(devices) if isinstance(devices, list) else int(devices) if str(devices).isdigit() else 0
    if count < 1:
        raise UserError(f"expected trainer.devices to be a number from 1, a list of indices or auto, but got {devices}")
    return count


def has_bf16_unit() -> bool:
    """Whether the processor has bfloat16 arithmetic (AVX512-BF16 or AMX), by its flags."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split("flags", 2)[1].split("\n")[0].split()
    except (OSError, IndexError):
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)
