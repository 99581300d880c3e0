"""What stands around a sweep's jobs: names, counts, the table. (Sweeps themselves: test_train_command.py.)"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.types import RunMode

from brushwork import files, run_folder
from brushwork.errors import UserError
from brushwork.training import job as jobs
from brushwork.training import recipe, sweep, sweep_events
from brushwork.training.config import Job
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        (["head=replace_last,replace_two", "seed=0,1,2", "optimizer.lr=0.1"], 6),
        (["seed=range(0,5)"], 5),
        (["seed=choice(4,7)", "data.styles=[A,B]"], 2),
        (["head=glob(*)"], 2),
        (["seed=interval(0,5)"], None),
    ],
)
def test_job_count(overrides: list[str], count: int | None) -> None:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = compose("train", return_hydra_config=True)
        config.hydra.overrides.task = overrides
        jobs = sweep.job_overrides(config)
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
    experiment: str, overrides: list[str], names: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Their jobs' folders, in order, as the sweep's table names those that were not started."""
    monkeypatch.chdir(tmp_path)
    arguments = [f"experiment={experiment}"]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = compose("train", arguments, return_hydra_config=True)
        assert config.hydra.mode == RunMode.MULTIRUN
        assert config.name == experiment
        config.hydra.overrides.task = [*arguments, *overrides]
        config.hydra.job.config_name = "train"
        reporter = sweep.ProgressReporter(config)
        assert reporter.folders_without(set()) == names
        assert reporter.folders_without(set(range(1, len(names)))) == names[:1]


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


@pytest.mark.parametrize(("parallel_jobs", "need"), [(1, "2.3 GB"), (2, "3.2 GB")])
def test_disk_need(
    make_job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    parallel_jobs: int,
    need: str,
) -> None:
    """AlexNet with replace_last and 10 styles: 228 MB kept a job, 456 MB while it runs (DESIGN)."""
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        reporter = sweep.ProgressReporter(compose("train", return_hydra_config=True))
    reporter.sweep = dataclasses.replace(reporter.sweep, job_count=6, parallel_jobs=parallel_jobs)
    monkeypatch.setattr(sweep, "_reporter", reporter)
    monkeypatch.setattr(sweep, "_sweep", reporter.sweep)
    job = dataclasses.replace(make_job(), sweep_number=0)
    for name in ("first", "second"):
        settings = dataclasses.replace(job.settings, run_dir=str(reporter.sweep.folder / name))
        sweep.announce_disk_need(dataclasses.replace(job, settings=settings), 228_179_240, 456_358_480)
    sweep.record_event(reporter.sweep.folder / "third", disk=[1, 2, False])  # of a process that was as fast
    reporter.update()
    assert f"about {need} of checkpoints (1.4 GB kept)" in caplog.text
    assert caplog.text.count("sweep of 6 jobs") == 1


def test_a_best_checkpoint_that_is_not_kept_needs_no_disk(make_job: Callable[..., Job]) -> None:
    jobs = [make_job(*options) for options in ([], ["callbacks.best=null"])]
    sizes = [recipe.checkpoint_bytes(job.callbacks, job.settings.ema_decay, recipe.make_model(job)) for job in jobs]
    assert 0 < sizes[0][0] < sizes[0][1]
    assert sizes[1] == (0, sizes[0][1])


def test_progress_is_of_the_jobs_that_trained() -> None:
    """By hand: two jobs of 2 and 4 minutes, one skipped in a second, one failed: 3 min a job, 6 jobs left."""
    jobs = [
        {"started": 0, "ended": 1, "skipped": True},
        {"started": 1, "ended": 121},
        {"started": 121, "ended": 361},
        {"started": 361, "ended": 362, "error": "no data"},
        {"started": 362},
    ]
    line = "sweep: 4 of 10 jobs done (1 before), 1 failed, 3.0 min a job, about"
    assert sweep_events.progress_line(jobs, 10, parallel_jobs=1) == f"{line} 18 min left"
    assert sweep_events.progress_line(jobs, 10, parallel_jobs=3) == f"{line} 6 min left"
    assert sweep_events.progress_line(jobs[:1], None, parallel_jobs=1) == "sweep: 1 jobs done (1 before)"


def test_jobs_by_their_events_in_the_order_of_the_sweep(tmp_path: Path) -> None:
    sweep_events.record_event(tmp_path / "b", number=1, started=0.0)
    sweep_events.record_event(tmp_path / "b", error="no data", ended=0.5)
    sweep_events.record_event(tmp_path / "b", number=1, started=1.0)  # drawn again by a sweeper
    sweep_events.record_event(tmp_path / "a", number=0, started=2.0)
    sweep_events.record_event(tmp_path / "b", ended=3.0)
    sweep_events.record_event(tmp_path / "a", skipped=True)
    with open(tmp_path / ".sweep.jobs", "a") as file:
        file.write('{"job": "a", "ended": ')  # a line that is being written
    jobs = sweep_events.jobs_from(sweep_events.read_events(tmp_path))
    assert list(jobs.items()) == [
        ("a", {"job": "a", "number": 0, "started": 2.0, "skipped": True}),
        ("b", {"job": "b", "number": 1, "started": 1.0, "ended": 3.0}),
    ]


def test_rows_of_the_table(tmp_path: Path) -> None:
    accuracy = {"val/accuracy": 0.51}
    done = run_folder.new_result() | {"status": "finished", "best": accuracy, "last": accuracy}
    for name, result in [("done", done), ("killed", run_folder.new_result()), ("early", None), ("mistake", done)]:
        (tmp_path / name).mkdir()
        if result:
            files.write_json(tmp_path / name / run_folder.RESULT, result)
    row = sweep_events.table_row
    assert row(tmp_path / "done", {}) == ["done", "finished", "0.510", "0.510", ""]
    for name in ("killed", "early"):
        assert row(tmp_path / name, {}) == [name, "interrupted", "-", "-", "its process ended"]
    assert row(tmp_path / "mistake", {"error": "no"}) == ["mistake", "failed", "0.510", "0.510", "no"]
    with files.lock(tmp_path / "early" / run_folder.LOCK, "busy"):  # there is no result.json yet
        assert row(tmp_path / "early", {})[1] == "running"
