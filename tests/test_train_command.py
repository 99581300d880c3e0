"""train.py as a user starts it. A process costs 6 s of imports: `train_here` needs none."""

import json
import logging
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning as L
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from brushwork import csv_files, files, run_folder, run_names
from brushwork.training import config, sweep
from tests.conftest import REPOSITORY, write_paintings

SMALL = [
    "model=mobilenet_v3_small",
    "model.weights=null",
    "data.image_size=32",
    "data.batch_size=8",
    "data.workers=0",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "threads=1",
    "callbacks.saliency.reference=null",
]
QUIET = [*SMALL[:-1], "callbacks.saliency=null", "callbacks.dashboard=null", "logger=none"]


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), *arguments],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal gives a command
    )


def train(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    process = start(folder, *arguments, **environment)
    out, error = process.communicate(timeout=300)
    return process.returncode, out, error


@pytest.fixture
def train_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """As `train`, in this process."""
    loggers = [logging.getLogger(), logging.getLogger("brushwork")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    singletons = GlobalHydra.instance().hydra, HydraConfig.instance().cfg

    def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        monkeypatch.setattr(sweep, "_sweep", None)
        monkeypatch.setattr(sweep, "_reporter", None)
        run_names.fresh_folder.cache_clear()
        code = 0
        try:
            runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
        except SystemExit as ended:
            code = ended.code
        for logger, handlers, level in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)
        return code, *capsys.readouterr()

    yield run
    GlobalHydra.instance().hydra, HydraConfig.instance().cfg = singletons
    config.register()


def result(folder: Path) -> dict:
    return json.loads((folder / run_folder.RESULT).read_text())


def table(out: str) -> dict[str, list[str]]:
    """The rows of a sweep's table, by the job's folder: [status, best, last, the reason if there is one]."""
    lines = out[out.index("\njob ") :].splitlines()[2:]
    return {
        name: re.split(r"\s{2,}", rest.strip())
        for name, rest in (line.split(maxsplit=1) for line in lines[: lines.index("")])
    }


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", str(REPOSITORY / "train.py"), "--help"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0
    assert "replace_last, replace_two" in process.stdout
    assert "lr: 0.01" in process.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in process.stderr.splitlines()}
    assert "hydra" in imported
    assert imported.isdisjoint({"torch", "torchvision", "lightning", "scipy", "PIL", "numpy"})


def test_no_data_is_one_line(tmp_path: Path) -> None:
    code, _, error = train(tmp_path, "model.weights=null")
    assert code == 1
    lines = [line for line in error.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith(f"error: no paintings at {tmp_path}/data/wikiart: ")
    assert "experiment=demo" in lines[0]


def test_single_runs_get_their_own_folders_and_the_plain_locale_will_do(
    tmp_path: Path, train_here: Callable[..., tuple[int, str, str]]
) -> None:
    """The same command in two processes, on file names that are not ASCII, one under LC_ALL=C (FAULTS 10, 28)."""
    root = write_paintings(tmp_path / "data/wikiart", per_style=6)
    for path in list((root / "Dots").iterdir()):
        path.rename(path.with_name(path.name.replace("artist", "josé-prométhée")))
    arguments = [*SMALL, "trainer.max_epochs=1", "seed=3"]
    for run, environment in [(train, {"LC_ALL": "C"}), (train_here, {})]:
        code, _, error = run(tmp_path, *arguments, **environment)
        assert code == 0, error
        assert "Traceback" not in error
    folders = sorted((tmp_path / "logs/wikiart").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert "_replace_last_full_" in folder.name
        assert folder.name.endswith("_seed-3")
        assert result(folder)["status"] == "finished"
        assert any("prométhée" in row["path"] for row in csv_files.read(folder / run_folder.SPLIT))
        assert not (folder / run_folder.LAST).exists()
        assert (folder / run_folder.BEST).exists()
    assert result(folders[0])["best"] == result(folders[1])["best"]


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    start = time.monotonic()
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() - start < seconds
        time.sleep(0.05)


def test_a_sweep_goes_on_after_failures_and_after_a_signal(
    tmp_path: Path, train_here: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five jobs one fails, one diverges, one is finished and one running when SIGTERM comes; meanwhile a second
    sweep is refused. The same command resumes it (FAULTS 26, 27)."""
    write_paintings(tmp_path / "data/wikiart", per_style=6)
    small = [*QUIET, "data.workers=2", "trainer.max_epochs=10"]
    command = ["-m", *small, "optimizer.lr=-1,1e30,0.01,0.02,0.03"]
    folder = tmp_path / "logs/wikiart"

    process = start(tmp_path, *command)
    wait_for(lambda: files.is_locked(folder / ".sweep.lock"), process)
    monkeypatch.setattr(files, "LOCK_PATIENCE", 0.1)
    code, _, error = train_here(tmp_path, *command)
    assert code == 1
    assert error == f"error: a sweep is running in {folder}: wait for it, or choose another name=...\n"
    wait_for(lambda: list(folder.glob(f"*_lr-0.02_*/{run_folder.LAST}")), process)
    os.killpg(process.pid, signal.SIGTERM)  # workers get it too
    out, error = process.communicate(timeout=60)
    assert process.returncode == 143, error
    assert "Traceback" not in error
    rows = table(out)
    assert [row[0] for row in rows.values()] == ["failed", "diverged", "finished", "interrupted", "not started"]
    rates = [re.search("_lr-(.+?)_", name)[1] for name in rows]
    assert rates == ["-1", "1e+30", "0.01", "0.02", "0.03"]
    failed, diverged, finished, interrupted, _ = rows
    assert rows[failed][-1] == "optimizer: Invalid learning rate: -1"
    assert rows[interrupted][-1] == "stopped by a signal"
    assert result(folder / interrupted)["status"] == "interrupted"
    assert result(folder / interrupted)["last"]["epoch"] >= 1
    assert "\n4 of 5 jobs, 1 failed; " in out
    assert out.count("sweep of 5 jobs") == 1
    assert {path.name for path in folder.iterdir() if path.is_dir()} == set(rows) - {list(rows)[-1]}

    before = (folder / finished / run_folder.RESULT).stat().st_mtime_ns
    code, out, error = train(tmp_path, *command)
    assert code == 1
    assert "Traceback" not in error
    assert f"already diverged: {folder / diverged}" in out
    assert f"already finished: {folder / finished}" in out
    assert out.count("already") == 2
    assert out.count("resuming") == 1
    assert (folder / finished / run_folder.RESULT).stat().st_mtime_ns == before
    assert [row[0] for row in table(out).values()] == ["failed", "diverged", "finished", "finished", "finished"]
    assert "sweep: 5 of 5 jobs done (2 before), 1 failed, " in out
    assert "\n5 of 5 jobs, 1 failed; " in out


@pytest.mark.parametrize(
    ("number", "code", "more"),
    [
        (signal.SIGINT, 130, ["data.workers=2", "seed=0"]),
        pytest.param(signal.SIGTERM, 143, ["data.workers=2", "seed=0,1", "-m"], id="sweep", marks=pytest.mark.slow),
        # A known fault: once in fourteen runs of this test, so far, DDP did not end within a minute.
        pytest.param(
            signal.SIGTERM, 143, ["trainer.devices=2", "+trainer.strategy=ddp"], id="ddp", marks=pytest.mark.slow
        ),
    ],
)
def test_signals(tmp_path: Path, number: signal.Signals, code: int, more: list[str]) -> None:
    """To the whole process group, as Ctrl-C in a terminal: workers and DDP processes get it too."""
    write_paintings(tmp_path / "data/wikiart", per_style=6)
    process = start(tmp_path, *more[2:], *SMALL, "trainer.max_epochs=500", *more[:2])
    wait_for(lambda: list((tmp_path / "logs").rglob(run_folder.LAST)), process)
    os.killpg(process.pid, number)
    out, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "Traceback" not in error
    folders = [path for path in (tmp_path / "logs/wikiart").iterdir() if path.is_dir()]
    assert len(folders) == 1  # no second job was started
    assert result(folders[0])["status"] == "interrupted"
    assert result(folders[0])["last"]["epoch"] >= 1
    assert ("1 of 2 jobs" if "-m" in more else "resume with ckpt_path=") in out


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path, train_here: Callable[..., tuple[int, str, str]]) -> None:
    """DDP on two CPU processes gives one process's numbers (no dropout or batch statistics in head_only)."""
    write_paintings(tmp_path / "data/wikiart", per_style=15)  # 9 to validate: an odd number
    for devices, run, strategy in [(1, train_here, []), (2, train, ["+trainer.strategy=ddp"])]:
        arguments = ["tuning=head_only", f"name={devices}", f"trainer.devices={devices}", *strategy]
        code, out, error = run(tmp_path, *SMALL, *arguments)
        assert code == 0, error
        assert out.count("what is trained") == 1
    alone, together = (next((tmp_path / f"logs/{devices}").iterdir()) for devices in (1, 2))
    assert len(list((tmp_path / "logs/2").iterdir())) == 1
    for row, other in zip(*(csv_files.read(f / run_folder.METRICS) for f in (alone, together)), strict=True):
        for key in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
            assert float(row[key]) == pytest.approx(float(other[key]), rel=1e-4), key
        assert row["train_images"] == other["train_images"] == "36"
    answers = [csv_files.read(folder / run_folder.PREDICTIONS) for folder in (alone, together)]
    assert len(answers[0]) == 2 * 9
    for row, other in zip(*answers, strict=True):
        assert (row["path"], row["predicted"]) == (other["path"], other["predicted"])


def test_several_devices_in_a_multirun_are_refused(
    tmp_path: Path, train_here: Callable[..., tuple[int, str, str]]
) -> None:
    write_paintings(tmp_path / "data/wikiart", per_style=6)
    code, out, error = train_here(tmp_path, "-m", *SMALL, "trainer.devices=2", "seed=0,1")
    assert code == 1
    assert "trainer.devices=2 inside a multirun: use trainer.devices=1" in error
    assert "2 of 2 jobs, 2 failed" in out


def test_compare_heads_is_a_sweep_without_m(tmp_path: Path, train_here: Callable[..., tuple[int, str, str]]) -> None:
    """Without data each of its jobs fails at once. (Its ten jobs: tests/training/test_sweep.py.)"""
    code, out, _ = train_here(tmp_path, "experiment=compare_heads", "model.weights=null", "seed=0")
    assert code == 1
    assert list(table(out)) == [f"{head}_full_weights-null_seed-0" for head in ("replace_last", "replace_two")]
    assert {row[0] for row in table(out).values()} == {"failed"}
    assert "2 of 2 jobs, 2 failed" in out


def test_a_sweep_over_paths_with_the_same_last_part(
    tmp_path: Path, train_here: Callable[..., tuple[int, str, str]]
) -> None:
    """Two folders `paintings`: distinct run folders, and the same ones in a second command."""
    roots = ",".join(f"{tmp_path}/{place}/paintings" for place in "ab")
    first, again = (list(table(train_here(tmp_path, "-m", f"data.root={roots}")[1])) for _ in range(2))
    assert len(set(first)) == 2
    assert all(re.fullmatch(r"replace_last_full_root-paintings-\w{4}_seed-0", name) for name in first)
    assert again == first
    assert {path.name for path in (tmp_path / "logs/wikiart").iterdir() if path.is_dir()} == set(first)


@pytest.mark.slow
def test_the_demo_learns(tmp_path: Path) -> None:
    """make train's own command, on unseen painters: twice chance (0.1), above colour and texture. Known painters, as
    split=random has them, are easier."""
    code, out, error = train(tmp_path, "experiment=demo", "head=replace_two")
    assert code == 0, error
    folder = next((tmp_path / "logs/demo").iterdir())
    accuracy, baselines = result(folder)["last"]["val/accuracy"], result(folder)["baselines"]
    assert accuracy >= 0.2
    assert accuracy > baselines["color_texture"] > baselines["artist_lookup"] == baselines["majority"]
    known = ["experiment=demo", "head=replace_two", "split=random", "name=known", *QUIET[-3:]]
    assert train(tmp_path, *known)[0] == 0
    of_known = result(next((tmp_path / "logs/known").iterdir()))
    assert of_known["last"]["val/accuracy"] > accuracy + 0.05
    assert of_known["baselines"]["artist_lookup"] > 0.9
    assert result(folder)["data"].startswith("demo")
    assert result(folder)["weights"] == "random"
    lines = out.strip().splitlines()
    assert any(line.startswith("DEMO") and "best validation accuracy" in line for line in lines[-6:])
    assert lines[-3].startswith("results: logs/demo/")
    assert "make dashboard" in lines[-2]
    assert lines[-1] == f"try it on a picture: make app RUN=logs/demo/{folder.name}"


@pytest.mark.slow
def test_sweep_killed_twice_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    """Six jobs, SIGKILL in the middle of two of them; then the same command to the end."""
    root = write_paintings(tmp_path / "paintings", per_style=30)
    command = ["-m", *SMALL[:5], "trainer.max_epochs=4", *SMALL[6:], f"data.root={root}", "data.workers=1"]
    command += ["split.val_fraction=0.2,0.3", "seed=0,1,2"]
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    code, _, error = train(tmp_path / "unbroken", *command)
    assert code == 0, error

    logs = tmp_path / "killed/logs/wikiart"
    for jobs, epochs in [(2, 2), (4, 3)]:

        def reached(jobs: int = jobs, epochs: int = epochs) -> bool:
            rows = [len(csv_files.read(path)) for path in logs.rglob(run_folder.METRICS)]
            return len(rows) >= jobs and sum(rows) >= 4 * (jobs - 1) + epochs

        process = start(tmp_path / "killed", *command)
        wait_for(reached, process, 300)
        process.kill()
        process.communicate()
    statuses = [run_folder.read_result(path.parent)["status"] for path in logs.rglob(run_folder.RESULT)]
    assert "finished" in statuses
    code, out, error = train(tmp_path / "killed", *command)
    assert code == 0, error
    assert "already finished" in out
    assert "resuming" in out

    folders = sorted(path.name for path in logs.iterdir() if path.is_dir())
    assert len(folders) == 6
    assert not list(logs.rglob(".*.tmp"))
    for name in folders:
        ours, theirs = logs / name, tmp_path / "unbroken/logs/wikiart" / name
        assert (ours / run_folder.PREDICTIONS).read_bytes() == (theirs / run_folder.PREDICTIONS).read_bytes()
        for key in ("status", "best", "last", "val_interval_95", "config_hash", "split_hash"):
            assert result(ours)[key] == result(theirs)[key]
        for row, other in zip(*(csv_files.read(folder / run_folder.METRICS) for folder in (ours, theirs)), strict=True):
            assert {k: v for k, v in row.items() if "seconds" not in k} == {
                k: v for k, v in other.items() if "seconds" not in k
            }
    shutil.rmtree(tmp_path / "killed")


def test_a_gpu_that_is_full_is_one_line(
    tmp_path: Path, paintings: Path, train_here: Callable[..., tuple[int, str, str]]
) -> None:
    full = "+callbacks.full._target_=tests.test_train_command.FullGpu"
    code, _, error = train_here(tmp_path, *QUIET, f"data.root={paintings}", full)
    assert code == 1
    (line,) = [line for line in error.splitlines() if line.startswith("error")]
    assert "out of GPU memory with data.batch_size=8 in trainer.precision=auto" in line
    assert "smaller data.batch_size" in line
    assert "Traceback" not in error


class FullGpu(L.Callback):
    """Raises what torch raises when a GPU has no memory left."""

    def on_train_batch_start(self, *args: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
