"""Options that pass through to Lightning and torch: each works, or is refused in a line (docs/options.md)."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from brushwork import run_folder
from brushwork.errors import UserError
from brushwork.models import checkpoint
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import without_pictures
from tests.training.test_training import assert_equal_runs, interrupted, metrics

MakeJob = Callable[..., Job]
make_job = pytest.fixture(without_pictures)
QUICK = ("tuning=head_only", "trainer.max_epochs=2")  # three steps an epoch
TORCH = "_partial_: true, _target_: torch.optim.lr_scheduler"


class Rates(L.Callback):
    """The learning rate of each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(job: Job) -> list[float]:
    watch = Rates()
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, watch]))
    return watch.seen


def by_hand(make: Callable[[torch.optim.Optimizer], Any], steps: int, lr: float = 0.01) -> list[float]:
    """The rates of torch's own schedule, stepped after each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_one_cycle_reaches_its_rate_and_ends_with_the_run(make_job: MakeJob) -> None:
    expected = by_hand(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=6), 6)
    assert rates(make_job("scheduler=one_cycle", *QUICK)) == pytest.approx(expected)
    assert max(expected) == pytest.approx(0.01, rel=0.1)


def test_steps_are_counted_with_accumulated_batches_and_limits(make_job: MakeJob) -> None:
    """Three batches, two of them a step: two steps an epoch, and with max_steps=3 three in all."""
    seen = rates(make_job("scheduler=one_cycle", "+trainer.accumulate_grad_batches=2", *QUICK))
    of_torch = by_hand(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=4), 4)
    assert [seen[i] for i in (0, 2, 3, 5)] == pytest.approx(of_torch)
    seen = rates(make_job("scheduler=one_cycle", "+trainer.max_steps=4", *QUICK, folder="limited"))
    of_torch = by_hand(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=4), 4)
    assert seen == pytest.approx(of_torch)


def test_a_warm_up_then_half_a_cosine(make_job: MakeJob) -> None:
    seen = rates(make_job("scheduler=warmup_cosine", "scheduler.milestones=[50%]", *QUICK))
    assert seen[:4] == pytest.approx([0.0001 + 0.0099 * i / 3 for i in range(4)])
    assert seen[3:] == pytest.approx([0.01 * (1 + math.cos(math.pi * i / 6)) / 2 for i in range(3)])


@pytest.mark.parametrize(
    ("scheduler", "make"),
    [
        (
            "CyclicLR, base_lr: 0.001, max_lr: 0.1, step_size_up: 2",
            lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.001, 0.1, 2),
        ),
        (
            "CosineAnnealingWarmRestarts, T_0: 4",
            lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
        ),
        (
            "LambdaLR, lr_lambda: {_target_: tests.training.test_options.falling, _partial_: true}",
            lambda o: torch.optim.lr_scheduler.LambdaLR(o, falling),
        ),
    ],
)
def test_torchs_own_by_steps(make_job: MakeJob, scheduler: str, make: Callable) -> None:
    job = make_job(f"+scheduler={{{TORCH}.{scheduler}, interval: step}}", *QUICK)
    assert rates(job) == pytest.approx(by_hand(make, 6))


def falling(step: int) -> float:
    return 1 / (1 + step)


@pytest.mark.parametrize(
    "overrides",
    [
        ("scheduler=plateau", "+scheduler.threshold=9", "scheduler.patience=0"),
        ("scheduler=warmup_cosine",),
        pytest.param(("scheduler=one_cycle", "+trainer.accumulate_grad_batches=2"), marks=pytest.mark.slow),
        pytest.param(("scheduler=plateau", "scheduler.monitor=val/accuracy", "ema_decay=0.5"), marks=pytest.mark.slow),
        pytest.param(
            (f"+scheduler={{{TORCH}.CyclicLR, base_lr: 0.001, max_lr: 0.1, interval: step}}",), marks=pytest.mark.slow
        ),
        pytest.param(
            (f"+scheduler={{{TORCH}.CosineAnnealingWarmRestarts, T_0: 4, interval: step}}",), marks=pytest.mark.slow
        ),
        pytest.param(("optimizer=adam", "scheduler=one_cycle", "+trainer.max_steps=8"), marks=pytest.mark.slow),
    ],
)
def test_a_resumed_schedule_goes_on_exactly(make_job: MakeJob, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """A plateau lowers the rate at an epoch's end, which the checkpoint of that epoch must hold."""
    jobs.run_job(make_job(*overrides, "keep_last=true", folder="unbroken"))
    first = make_job(*overrides, "keep_last=true", folder="broken")
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(first, epoch=2))
    jobs.run_job(make_job(*overrides, "keep_last=true", f"ckpt_path={first.folder / run_folder.LAST}"))
    assert_equal_runs(tmp_path / "run", tmp_path / "unbroken")
    if "+scheduler.threshold=9" in overrides:  # never reached
        rows = [float(row["learning_rate"]) for row in metrics(tmp_path / "run")]
        assert rows == pytest.approx([0.01, 0.001, 0.0001])
