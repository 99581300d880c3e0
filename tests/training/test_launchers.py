"""How many jobs run at once, their threads, what processes are told. (Sweeps: tests/test_launchers_command.py.)"""

import os
import pickle
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from brushwork.errors import UserError
from brushwork.training import launchers, sweep
from tests.conftest import REPOSITORY


def launcher(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("train", list(overrides), return_hydra_config=True).hydra.launcher


@pytest.mark.parametrize(
    ("overrides", "kind", "at_once"),
    [
        ([], "BasicLauncher", 1),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"], "JoblibLauncher", 3),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=40"], "JoblibLauncher", 10),
        (["hydra/launcher=submitit_local"], "LocalLauncher", 10),
        (["hydra/launcher=submitit_slurm"], "SlurmLauncher", 10),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.array_parallelism=4"], "SlurmLauncher", 4),
    ],
)
def test_ten_jobs(overrides: list[str], kind: str, at_once: int) -> None:
    assert launchers.kind(launcher(*overrides)) == kind
    assert launchers.jobs_at_once(launcher(*overrides), 10) == at_once


def test_no_process_is_a_mistake() -> None:
    with pytest.raises(UserError, match=r"hydra.launcher.n_jobs to be at least 1, or -1 for all cores, but got 0"):
        launchers.jobs_at_once(launcher("hydra/launcher=joblib", "hydra.launcher.n_jobs=0"), 10)


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("joblib.cpu_count", lambda: 16)
    assert [launchers.threads_of_each(n) for n in (1, 2, 5, 16, 40)] == [None, 8, 3, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert launchers.threads_of_each(2) is None


def test_submitit_must_not_hide_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    local = ["hydra/launcher=submitit_local"]
    assert launchers.hidden_variables(launcher(*local)) == {"CUDA_VISIBLE_DEVICES": "2,3"}
    assert launchers.hidden_variables(launcher(*local, "hydra.launcher.gpus_per_node=1")) == {}
    assert launchers.hidden_variables(launcher()) == {}


def test_what_a_process_learns_when_the_callback_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = sweep.Sweep(tmp_path, 4, 2, threads=3, process=1, variables={"CUDA_VISIBLE_DEVICES": None})
    monkeypatch.setattr(sweep, "_sweep", facts)
    sent = pickle.dumps(sweep.SweepCallback())
    assert type(pickle.loads(sent)) is sweep.SweepCallback
    assert not sweep.is_away()  # the sweep's own process

    monkeypatch.setattr(sweep, "_sweep", None)
    monkeypatch.setattr(sweep, "_away", False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    OmegaConf.clear_resolver("run_slug")
    pickle.loads(sent)
    assert sweep.is_away()
    assert sweep.threads() == 3
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert OmegaConf.has_resolver("run_slug")
