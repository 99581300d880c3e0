"""The average of the weights: what it is, that it is what is scored and kept, that a resumed run goes on with it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from brushwork import run_folder
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import without_pictures
from tests.training.test_training import assert_equal_runs, assert_gives_predictions, interrupted, weights

MakeJob = Callable[..., Job]
make_job = pytest.fixture(without_pictures)
OPTIONS = ("ema_decay=0.8", "optimizer.lr=0.05", "keep_last=true")


class Steps(L.Callback):
    """Keeps one kernel after each step of the optimizer, and whether the average stood in its place between epochs."""

    def __init__(self) -> None:
        self.kernels: list[torch.Tensor] = []
        self.shown: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
        self.kernels.append(pl_module.network.classifier[0].weight.detach().clone())

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.shown.append(pl_module.network.classifier[0].weight.detach().clone())


def average(kernels: list[torch.Tensor]) -> torch.Tensor:
    found = kernels[0]
    for kernel in kernels[1:]:
        found = 0.8 * found + 0.2 * kernel
    return found


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps()


@pytest.fixture
def averaged(make_job: MakeJob, steps: Steps, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.getbasetemp() / "averaged"
    if not folder.exists():
        job = make_job(f"run_dir={folder}", *OPTIONS)
        job.callbacks.append(steps)
        jobs.run_job(job)
    return folder


def test_it_is_the_moving_average_of_the_steps(averaged: Path, steps: Steps) -> None:
    assert len(steps.kernels) == 9  # three epochs of three
    last = weights(averaged / run_folder.LAST)["classifier.0.weight"]
    torch.testing.assert_close(last, average(steps.kernels))
    assert not torch.equal(last, steps.kernels[-1])
    for epoch, shown in enumerate(steps.shown, 1):
        torch.testing.assert_close(shown, average(steps.kernels[: 3 * epoch]))


def test_the_best_checkpoint_holds_what_was_scored(averaged: Path, paintings: Path) -> None:
    assert_gives_predictions(averaged / run_folder.BEST, paintings, "val", "best")


def test_a_resumed_run_goes_on_with_it(averaged: Path, make_job: MakeJob) -> None:
    job = dataclasses.replace(make_job(*OPTIONS), sweep_number=0)
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(job, epoch=1))
    jobs.run_job(job)
    assert_equal_runs(job.folder, averaged)


def test_the_test_part_is_scored_by_the_average(make_job: MakeJob, tmp_path: Path, paintings: Path) -> None:
    jobs.run_job(make_job(*OPTIONS, "split.test_fraction=0.2"))
    assert_gives_predictions(tmp_path / "run" / run_folder.LAST, paintings, "test", "last")
