"""A trained run of a small network, as predict, the app and exports find it."""

from pathlib import Path

import pytest

from brushwork import run_folder
from brushwork.training import job as jobs
from tests.conftest import once, small_job


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, paintings: Path) -> Path:
    """The run folder of one epoch on the paintings, 24 of them trained on: read only."""

    def train(folder: Path) -> None:
        off = [f"callbacks.{name}=null" for name in ("last", "dashboard", "saliency")]
        jobs.run_job(small_job(folder, paintings, "data.image_size=64", "trainer.max_epochs=1", *off))

    return once(tmp_path_factory, "small-run", train)


@pytest.fixture
def checkpoint(small_run: Path) -> Path:
    """Its best.ckpt."""
    return small_run / run_folder.BEST
