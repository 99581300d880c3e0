"""Devices and precision: decided by flags, refused where they can't work."""

from functools import partial

import pytest
import torch

from brushwork.errors import UserError
from brushwork.transfer import devices


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
    with pytest.raises(UserError, match=r"data\.batch_size=63 can't be shared by 2 devices"):
        devices.resolve(trainer, None, 63)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_sweeps_jobs_take_the_gpus_in_turn() -> None:
    trainer = partial(dict, accelerator="auto", devices=1, precision="auto")
    count = torch.cuda.device_count()
    assert [devices.resolve(trainer, job, 64)["devices"] for job in range(count + 1)] == [
        *([job] for job in range(count)),
        [0],
    ]
