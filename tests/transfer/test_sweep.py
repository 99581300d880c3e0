"""What stands around a sweep's jobs: names, counts, the table. (Sweeps themselves: test_train_command.py.)"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from brushwork import files, run_folder
from brushwork.config import Job
from brushwork.errors import UserError
from brushwork.transfer import job as jobs
from brushwork.transfer import sweep, training
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
    assert sweep._count_jobs(config) == count


def test_job_count_of_an_experiment_that_is_a_sweep() -> None:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = compose("train", ["experiment=paper"], return_hydra_config=True)
    for overrides, count in [([], 2), (["seed=0,1,2"], 6), (["head=replace_two"], 1)]:
        config.hydra.overrides.task = ["experiment=paper", *overrides]
        assert sweep._count_jobs(config) == count


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
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """AlexNet with replace_last and 10 styles: 228 MB kept a job, 456 MB while it runs (DESIGN)."""
    caplog.set_level("INFO")
    monkeypatch.setattr(sweep, "_job_count", 6)
    job = dataclasses.replace(make_job(), sweep_number=0)
    job.folder.mkdir()
    sweep.state_disk_need(job, 228_179_240, 456_358_480)
    assert "sweep of 6 jobs" in caplog.text
    assert "about 2.3 GB of checkpoints (1.4 GB kept)" in caplog.text


def test_a_best_checkpoint_that_is_not_kept_needs_no_disk(make_job: Callable[..., Job]) -> None:
    sizes = [training.Training(make_job(*options)).checkpoint_bytes() for options in ([], ["callbacks.best=null"])]
    assert 0 < sizes[0][0] < sizes[0][1]
    assert sizes[1] == (0, sizes[0][1])
