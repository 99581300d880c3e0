"""Devices and precision: decided by flags, refused where they can't work."""

from functools import partial

import pytest
import torch

from brushwork.errors import UserError
from brushwork.training import devices


def test_one_device_by_default() -> None:
    options = devices.resolve(partial(dict, accelerator="cpu", devices=1, precision="auto"), None, 64)
    assert options == {"accelerator": "cpu", "devices": 1, "precision": "32-true"}


def test_a_given_precision_stays() -> None:
    options = devices.resolve(partial(dict, accelerator="cpu", precision="bf16-mixed"), None, 64)
    assert options["precision"] == "bf16-mixed"


def test_several_devices() -> None:
    trainer = partial(dict, accelerator="cpu", devices=2)
    assert devices.resolve(trainer, None, 64)["devices"] == 2
    with pytest.raises(UserError, match=r"trainer\.devices=2 inside a multirun: use trainer\.devices=1"):
        devices.resolve(trainer, 0, 64)
    with pytest.raises(UserError, match=r"data\.batch_size=63 is not divisible by 2 devices"):
        devices.resolve(trainer, None, 63)


def test_a_sweeps_jobs_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice alone, on a machine that may have no GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    trainer = partial(dict, accelerator="auto", devices=1, precision="auto")
    before = torch.get_float32_matmul_precision()
    try:
        options = [devices.resolve(trainer, job, 64) for job in range(4)]
    finally:
        torch.set_float32_matmul_precision(before)
    assert [option["devices"] for option in options] == [[0], [1], [2], [0]]
    assert {option["precision"] for option in options} == {"bf16-mixed"}
    assert devices.resolve(trainer, None, 64)["devices"] == 1  # a single run


@pytest.mark.parametrize("given", [0, "none", [], -2, "x,y"])
def test_devices_that_are_none(given: object) -> None:
    with pytest.raises(UserError, match=r"expected trainer\.devices to be"):
        devices.resolve(partial(dict, accelerator="cpu", devices=given), None, 64)


def test_devices_by_a_string() -> None:
    assert devices._count("0,1", on_cuda=True) == 2
    assert devices._count("2", on_cuda=False) == 2
    assert devices._count("auto", on_cuda=False) == 1
