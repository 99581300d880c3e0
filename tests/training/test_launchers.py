"""How many jobs run at once, their threads, what worker processes get. (Sweeps: tests/test_launchers_command.py.)"""

import os
import pickle
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from brushwork.errors import UserError
from brushwork.training import config, launchers, sweep
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
    assert launchers.parallel_jobs(launcher(*overrides), 10) == at_once


def test_no_process_is_a_mistake() -> None:
    with pytest.raises(UserError, match=r"hydra.launcher.n_jobs to be at least 1, or -1 for all cores, but got 0"):
        launchers.parallel_jobs(launcher("hydra/launcher=joblib", "hydra.launcher.n_jobs=0"), 10)


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("joblib.cpu_count", lambda: 16)
    assert [launchers.threads_per_job(n) for n in (1, 2, 5, 16, 40)] == [None, 8, 3, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert launchers.threads_per_job(2) is None


def test_submitit_must_not_hide_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    local = ["hydra/launcher=submitit_local"]
    assert launchers.environment_to_restore(launcher(*local)) == {"CUDA_VISIBLE_DEVICES": "2,3"}
    assert launchers.environment_to_restore(launcher(*local, "hydra.launcher.gpus_per_node=1")) == {}
    assert launchers.environment_to_restore(launcher()) == {}


@pytest.mark.parametrize(("ambiguous", "name"), [((), "root-b"), (["/a/b"], "root-b-60b5")])
def test_a_worker_process_receives_the_sweep_with_the_callback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ambiguous: list[str], name: str
) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": None}
    facts = sweep.Sweep(tmp_path, 4, 2, threads=3, pid=1, environment=environment, ambiguous=ambiguous)
    monkeypatch.setattr(sweep, "_sweep", facts)
    monkeypatch.setattr(sweep, "_reporter", object())  # as in the sweep's own process
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    sent = pickle.dumps(sweep.SweepCallback())
    assert type(pickle.loads(sent)) is sweep.SweepCallback
    assert not sweep.is_worker()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""

    monkeypatch.setattr(sweep, "_sweep", None)
    monkeypatch.setattr(sweep, "_reporter", None)
    OmegaConf.clear_resolver("run_slug")
    try:
        pickle.loads(sent)
        assert sweep.is_worker()
        assert sweep.threads_per_job() == 3
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
        node = OmegaConf.create({"slug": f"${{run_slug:x,head,full,0,['data.root=/a/b'],{tmp_path}}}"})
        assert node.slug == f"head_full_{name}_seed-0"
    finally:
        config.register()


def test_a_single_run_is_no_worker() -> None:
    pickle.loads(pickle.dumps(sweep.SweepCallback()))
    assert not sweep.is_worker()
    assert sweep.threads_per_job() is None
    sweep.exit_worker(143)
    sweep.print_summary()
