"""Sweeps whose jobs are other processes, as a user starts them: python train.py -m hydra/launcher=..."""

import json
import os
import re
import signal
from pathlib import Path

import psutil
import pytest

from brushwork import run_folder
from tests.conftest import write_paintings
from tests.test_train_command import QUIET, SMALL, result, start, table, train, wait_for

JOBLIB = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
SUBMITIT = ["-m", "hydra/launcher=submitit_local"]
LAUNCHERS = [pytest.param(JOBLIB, id="joblib"), pytest.param(SUBMITIT, id="submitit")]


def by_seed(out: str) -> dict[str, str]:
    return {name.rsplit("seed-", 1)[1]: row[0] for name, row in table(out).items()}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_in_other_processes(tmp_path: Path, launcher: list[str]) -> None:
    """Three jobs of which one fails: each has its log and its share of the cores, the terminal shows the progress."""
    write_paintings(tmp_path / "data/wikiart", per_style=6)
    small = [override for override in QUIET if not override.startswith("threads=")]
    code, out, error = train(tmp_path, *launcher, *small, "trainer.max_epochs=1", "seed=0,-1,1")
    assert code == 1, error
    assert "Traceback" not in error
    assert by_seed(out) == {"0": "finished", "-1": "failed", "1": "finished"}
    assert next(row for name, row in table(out).items() if "seed--1" in name)[-1].startswith("expected seed to be at")
    assert "3 of 3 jobs, 1 failed" in out
    progress = [line for line in out.splitlines() if line.startswith("sweep")]
    assert sum(line.startswith("sweep of 3 jobs in") for line in progress) == 1
    assert [line.split(" jobs done")[0] for line in progress if "jobs done" in line] == [
        f"sweep: {count} of 3" for count in (1, 2, 3)
    ]
    if launcher is JOBLIB:  # submitit writes what its jobs print into files
        assert out.index("sweep of 3 jobs") < re.search(r"^#\d  epoch 1/1", out, re.MULTILINE).start()
    processes = 2 if launcher is JOBLIB else 3
    for folder in (tmp_path / "logs/wikiart").glob("*_seed-[01]"):
        assert result(folder)["threads"] == max(1, len(os.sched_getaffinity(0)) // processes)
        log = (folder / "train.log").read_text()
        assert log.count("epoch 1/1") == 1
        assert f"seed {result(folder)['seed']}\n" in log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "number", "to_all"),
    [
        (JOBLIB, signal.SIGINT, True),  # Ctrl-C in a terminal
        (JOBLIB, signal.SIGTERM, False),
        (SUBMITIT, signal.SIGINT, True),
        (SUBMITIT, signal.SIGTERM, False),
    ],
)
def test_a_signal_stops_all_jobs_and_the_same_command_goes_on(
    tmp_path: Path, launcher: list[str], number: signal.Signals, to_all: bool
) -> None:
    write_paintings(tmp_path / "data/wikiart", per_style=6)
    command = [*launcher, *SMALL, "trainer.max_epochs=40", "seed=0,1,2" if launcher is JOBLIB else "seed=0,1"]
    process = start(tmp_path, *command)
    logs = tmp_path / "logs"
    wait_for(lambda: len(list(logs.rglob(run_folder.LAST))) == 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if to_all else os.kill)(process.pid, number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number, error
    assert error == ""
    stopped = {"0": "interrupted", "1": "interrupted"}
    assert by_seed(out) == stopped | ({"2": "not started"} if launcher is JOBLIB else {})
    for name, row in table(out).items():
        if row[0] == "interrupted":
            assert row[-1] == "stopped by a signal"
            assert result(logs / "wikiart" / name)["status"] == "interrupted"
    _, left = psutil.wait_procs(children, timeout=10)
    assert not left

    code, out, error = train(tmp_path, *command)
    assert code == 0, error
    assert set(by_seed(out).values()) == {"finished"}
    resumed = len(re.findall("resuming", "".join(path.read_text() for path in logs.rglob("train.log"))))
    assert resumed == 2


@pytest.mark.slow
def test_killed_under_joblib_it_ends_as_an_unbroken_sweep(tmp_path: Path) -> None:
    """SIGKILL reaches the sweep's process alone: its jobs notice, and leave their folders to the next start."""
    root = write_paintings(tmp_path / "paintings", per_style=8)
    small = [override for override in SMALL if not override.startswith("trainer.max_epochs")]
    command = [*JOBLIB, *small, f"data.root={root}", "trainer.max_epochs=12", "seed=0,1,2"]
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    code, _, error = train(tmp_path / "unbroken", *command)
    assert code == 0, error
    process = start(tmp_path / "killed", *command)
    wait_for(lambda: len(list((tmp_path / "killed").rglob(run_folder.LAST))) == 2, process)
    process.kill()
    process.communicate()
    code, out, error = train(tmp_path / "killed", *command)
    assert code == 0, error
    assert "resuming" in out
    for path in (tmp_path / "unbroken").rglob(run_folder.PREDICTIONS):
        assert path.read_bytes() == (tmp_path / "killed" / path.relative_to(tmp_path / "unbroken")).read_bytes()
    assert by_seed(out) == dict.fromkeys("012", "finished")


@pytest.mark.slow
def test_a_process_that_dies_is_listed(tmp_path: Path) -> None:
    """Killed as for memory: submitit's other jobs go on, and the table says what became of this one."""
    write_paintings(tmp_path / "data/wikiart", per_style=6)
    process = start(tmp_path, *SUBMITIT, *SMALL, "trainer.max_epochs=60", "seed=0,1")
    logs = tmp_path / "logs"
    wait_for(lambda: len(list(logs.rglob(run_folder.LAST))) == 2, process)
    first = next(line for line in notes(logs / "wikiart") if line.get("number") == 0)["job"]
    writer = next(
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if any(first in file.path for file in child.open_files())
    )
    writer.kill()
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert by_seed(out) == {"0": "interrupted", "1": "finished"}
    assert table(out)[first][-1] == "its process ended"


def notes(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / ".sweep.jobs").read_text().splitlines()]
