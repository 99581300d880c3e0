"""What stands around a sweep's jobs: names, counts, the table. (Sweeps themselves: test_train_command.py.)"""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from brushwork import files, run_folder
from brushwork.errors import UserError
from brushwork.training import job as jobs
from brushwork.training import run as recipe
from brushwork.training import sweep
from brushwork.training.config import Job
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["head=replace_last,replace_two", "seed=0,1,2", "optimizer.lr=0.1"], 6),
        (["seed=range(0,5)"], 5),
        (["seed=choice(4,7)", "data.styles=[A,B]"], 2),
        (["head=glob(*)"], None),
    ],
)
def test_job_count(overrides: list[str], count: int | None) -> None:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = compose("train", return_hydra_config=True)
    config.hydra.overrides.task = overrides
    jobs = sweep._job_overrides(config)
    assert (None if jobs is None else len(jobs)) == count


BOTH = ("replace_last", "replace_two")


@pytest.mark.parametrize(
    ("experiment", "overrides", "names"),
    [
        ("paper", [], [f"{head}_full_seed-0" for head in BOTH]),
        ("paper", ["head=replace_two"], ["replace_two_full_seed-0"]),
        ("compare_heads", [], [f"{head}_full_seed-{seed}" for head in BOTH for seed in range(5)]),
        ("compare_heads", ["seed=7"], [f"{head}_full_seed-7" for head in BOTH]),
        (
            "compare_heads",
            ["tuning=full,head_only", "seed=0,1"],
            [f"{head}_{tuning}_seed-{seed}" for head in BOTH for seed in (0, 1) for tuning in ("full", "head_only")],
        ),
    ],
)
def test_experiments_that_are_sweeps(
    experiment: str, overrides: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their jobs' folders, in order, as the sweep's table names those that were not begun."""
    arguments = [f"experiment={experiment}"]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = compose("train", arguments, return_hydra_config=True)
        assert config.hydra.mode == RunMode.MULTIRUN
        assert config.name == experiment
        config.hydra.overrides.task = [*arguments, *overrides]
        config.hydra.job.config_name = "train"
        loader = GlobalHydra.instance().config_loader()
        monkeypatch.setattr(sweep, "_composed", (config, loader, sweep._job_overrides(config)))
        assert sweep._names_of_others(set()) == names
        assert sweep._names_of_others(set(range(1, len(names)))) == names[:1]


def test_slugs_are_apart_and_no_paths() -> None:
    slugs = [
        run_folder.slug("wikiart", "replace_last", "full", 0, overrides)
        for overrides in (
            ["data.root=/a/paintings"],
            ["data.root=/b/paintings"],
            ["data.styles=[A,B]"],
            ["data.styles=[A,C]"],
            ["split.seed=0"],
            ["split.seed=1"],
            ["+trainer.limit_val_batches=0.5"],
            ["seed=0", "x=" + "y" * 300],
            ["seed=0", "x=" + "y" * 301],
        )
    ]
    assert len(set(slugs)) == len(slugs)
    for slug in slugs:
        assert "/" not in slug
        assert len(slug) <= 180
    unnamed = ["experiment=demo", "name=x", "head=replace_two", "callbacks.saliency=null", "logger=none", "threads=1"]
    assert run_folder.slug("demo", "replace_two", "full", 0, unnamed) == "replace_two_full_seed-0"


def test_fresh_folders(tmp_path: Path) -> None:
    run_folder.fresh.cache_clear()
    first = run_folder.fresh(str(tmp_path), "seed-0")
    assert run_folder.fresh(str(tmp_path), "seed-0") == first
    run_folder.fresh.cache_clear()  # as another process in the same second
    second = run_folder.fresh(str(tmp_path), "seed-0")
    assert first != second
    assert len(list(tmp_path.iterdir())) == 2


def test_running_without_its_process_reads_as_interrupted(tmp_path: Path) -> None:
    files.write_json(tmp_path / run_folder.RESULT, run_folder.new_result())
    with files.lock(tmp_path / run_folder.LOCK, "busy"):
        assert run_folder.read_result(tmp_path)["status"] == "running"
        with pytest.raises(UserError, match="busy"), files.lock(tmp_path / run_folder.LOCK, "busy", patience=0.1):
            pass
    assert run_folder.read_result(tmp_path)["status"] == "interrupted"


def test_a_folder_being_written_is_refused(
    make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_PATIENCE", 0.1)
    job = dataclasses.replace(make_job(), sweep_number=0)
    with (
        files.lock(job.folder / run_folder.LOCK, ""),
        pytest.raises(UserError, match="run is being written by another process"),
    ):
        jobs.run_job(job)


def test_a_job_stopped_before_training_starts_over(make_job: Callable[..., Job]) -> None:
    job = dataclasses.replace(make_job(), sweep_number=0)
    job.folder.mkdir()
    early = run_folder.new_result() | {"status": "interrupted", "error": "stopped by a signal"}
    files.write_json(job.folder / run_folder.RESULT, early)
    jobs.run_job(job)
    assert run_folder.read_result(job.folder)["status"] == "finished"


def test_disk_need(
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """AlexNet with replace_last and 10 styles: 228 MB kept a job, 456 MB while it runs (DESIGN)."""
    caplog.set_level("INFO")
    job = dataclasses.replace(make_job(), sweep_number=0)
    for at_once, need in [(1, "2.3 GB"), (2, "3.2 GB")]:
        folder = tmp_path / str(at_once)
        folder.mkdir()
        facts = sweep.Sweep(folder, 6, at_once, threads=None, process=os.getpid(), variables={})
        monkeypatch.setattr(sweep, "_sweep", facts)
        monkeypatch.setattr(sweep, "_told", 0)
        for name in ("first", "second"):
            ours = dataclasses.replace(job.settings, run_dir=str(folder / name))
            sweep.state_disk_need(dataclasses.replace(job, settings=ours), 228_179_240, 456_358_480)
        assert f"about {need} of checkpoints (1.4 GB kept)" in caplog.text
    assert caplog.text.count("sweep of 6 jobs") == 2  # one line a sweep


def test_a_best_checkpoint_that_is_not_kept_needs_no_disk(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(*options) for options in ([], ["callbacks.best=null"])]
    sizes = [recipe.checkpoint_bytes(job, recipe.make_model(job)) for job in jobs]
    assert 0 < sizes[0][0] < sizes[0][1]
    assert sizes[1] == (0, sizes[0][1])


def test_progress_is_of_the_jobs_that_trained() -> None:
    """By hand: two jobs of 2 and 4 minutes, one skipped in a second, one failed: 3 min a job, 6 jobs left."""
    jobs = [
        sweep.Progress(0, 0, 1, skipped=True),
        sweep.Progress(1, 1, 121),
        sweep.Progress(2, 121, 361),
        sweep.Progress(3, 361, 362, error="no data"),
        sweep.Progress(4, 362),
    ]
    line = "sweep: 4 of 10 jobs done (1 before), 1 failed, 3.0 min a job, about"
    assert sweep.progress_line(jobs, 10, at_once=1) == f"{line} 18 min left"
    assert sweep.progress_line(jobs, 10, at_once=3) == f"{line} 6 min left"
    assert sweep.progress_line(jobs[:1], None, at_once=1) == "sweep: 1 jobs done (1 before)"


def test_a_job_of_an_earlier_line_is_told_by_its_last_notes() -> None:
    notes = [
        {"job": "b", "number": 1, "started": 1.0},
        {"job": "a", "number": 0, "started": 2.0},
        {"job": "a", "disk": [1, 2, False]},
        {"job": "b", "error": "no data"},
        {"job": "b", "ended": 3.0},
        {"job": "a", "skipped": True},
    ]
    jobs = sweep.jobs_of(notes)
    assert list(jobs) == ["a", "b"]
    assert jobs["a"] == sweep.Progress(0, 2.0, None, "", True)
    assert jobs["b"] == sweep.Progress(1, 1.0, 3.0, "no data", False)
