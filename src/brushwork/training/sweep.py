"""What a multirun needs beyond Hydra: one sweep a folder at a time, its disk need, its progress, every job listed.

Imported by train.py before Hydra starts, so nothing heavy is imported here. Under most launchers the jobs are other
processes, on a cluster on other machines: they learn of the sweep by `_arrive`, and tell of themselves in a file.
"""

import json
import logging
import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from brushwork import files, run_folder
from brushwork.errors import UserError
from brushwork.terminal import TerminalHandler, show_log
from brushwork.training import launchers
from brushwork.training.config import Job, register

log = logging.getLogger(__name__)

_LOCK = ".sweep.lock"
_NOTES = ".sweep.jobs"  # what jobs and their processes tell, a JSON object a line
_DISK = ".sweep.disk"  # there when a job has noted the disk need, and not empty when that is told


@dataclass(frozen=True)
class Sweep:
    """What each of a sweep's processes knows of it."""

    folder: Path  # absolute
    job_count: int | None  # None where only the sweeper knows
    at_once: int  # jobs that run at a time
    threads: int | None  # of each of them; None: torch's choice
    process: int | None  # the sweep's own; None where jobs run on other machines
    variables: dict[str, str | None]  # of the environment, that the launcher changes and its jobs need as they were


@dataclass
class Progress:
    """One job, by its notes."""

    number: int
    started: float
    ended: float | None = None  # in s since 1970
    error: str = ""
    skipped: bool = False  # it had ended before this sweep


_sweep: Sweep | None = None
_away = False  # this process runs jobs for a sweep in another one

# Of the sweep's own process:
_held = ExitStack()  # its lock
_composed: tuple[DictConfig, ConfigLoader, list[list[str]]] | None = None  # from which all jobs' names are made
_told = 0  # notes that the terminal knows of
_telling = threading.Lock()


class SweepCallback(Callback):
    """Hydra's callback (conf/hydra/default.yaml): before a sweep, and around each of its jobs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            _start(config)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        note_job(Path(config.hydra.runtime.output_dir), number=config.hydra.job.num, started=time.time())
        if _away:
            for handler in logging.getLogger().handlers:
                if isinstance(handler, TerminalHandler):  # jobs at once: whose line is it?
                    handler.setFormatter(logging.Formatter(f"#{config.hydra.job.num}  %(message)s"))
            launchers.follow(_sweep.process)

    def on_job_end(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        note_job(Path(config.hydra.runtime.output_dir), ended=time.time())
        if not _away:
            _tell()

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (_sweep,)  # it travels with each job into its process


def _start(config: DictConfig) -> None:
    """In the sweep's own process, before anything of the sweep is written."""
    global _sweep, _composed
    folder, launcher = Path(config.hydra.sweep.dir), config.hydra.launcher
    busy = f"a sweep is running in {folder.resolve()}: wait for it, or choose another name=..."
    _held.enter_context(files.lock(folder / _LOCK, busy))
    jobs = _job_overrides(config)
    if jobs is not None and GlobalHydra.instance().is_initialized():
        _composed = config, GlobalHydra.instance().config_loader(), jobs
    at_once = launchers.jobs_at_once(launcher, sys.maxsize if jobs is None else len(jobs))
    on_cluster = launchers.kind(launcher) == "SlurmLauncher"
    (folder / _NOTES).write_text("")
    (folder / _DISK).unlink(missing_ok=True)
    _sweep = Sweep(
        folder.resolve(),
        None if jobs is None else len(jobs),
        at_once,
        threads=None if on_cluster else launchers.threads_of_each(at_once),
        process=None if on_cluster else os.getpid(),
        variables=launchers.hidden_variables(launcher),
    )
    if launchers.kind(launcher) != "BasicLauncher":
        launchers.stop_jobs_on_signals(_any_running)
        show_log()
        logging.getLogger("brushwork").propagate = False  # Hydra's own handler has another format
        threading.Thread(target=_tell_on, daemon=True).start()


def _arrive(sweep: Sweep | None) -> SweepCallback:
    """Where the callback is unpickled: in a job's process, which knows nothing of ours yet."""
    global _sweep, _away
    if _sweep is None or _away:
        register()
        _sweep, _away = sweep, True
        for name, value in sweep.variables.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return SweepCallback()


def is_away() -> bool:
    """Whether this process runs jobs for a sweep in another process."""
    return _away


def threads() -> int | None:
    """The threads of a job that shares its machine with others of its sweep; None: torch's choice."""
    return _sweep and _sweep.threads


def leave(code: int) -> None:
    """After a job of this process was stopped by a signal, and has recorded it."""
    if _away:
        launchers.leave(_sweep.process, code)


def note_job(folder: Path, **facts: Any) -> None:
    """Remember, for the sweep's progress and table, what is known of a job; from any process."""
    line = json.dumps({"job": folder.name} | facts) + "\n"
    with open(folder.parent / _NOTES, "ab", buffering=0) as file:  # a line goes out whole
        file.write(line.encode())


def _read_notes() -> list[dict[str, Any]]:
    lines = (_sweep.folder / _NOTES).read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def jobs_of(notes: list[dict[str, Any]]) -> dict[str, Progress]:
    """The jobs that were begun, by the names of their folders, in the sweep's order."""
    jobs: dict[str, Progress] = {}
    for note in notes:
        facts = {key: value for key, value in note.items() if key in ("ended", "error", "skipped")}
        if "started" in note:
            jobs[note["job"]] = Progress(note["number"], note["started"])
        elif note["job"] in jobs:
            vars(jobs[note["job"]]).update(facts)
    return dict(sorted(jobs.items(), key=lambda item: item[1].number))


def _any_running() -> bool:
    return any(files.is_locked(_sweep.folder / name / run_folder.LOCK) for name in jobs_of(_read_notes()))


def _job_overrides(config: DictConfig) -> list[list[str]] | None:
    """The overrides of each job that Hydra's own sweeper will make; None where only the sweeper knows."""
    if not config.hydra.sweeper["_target_"].endswith(".BasicSweeper"):
        return None
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    loader = GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None
    try:
        overrides = OverridesParser.create(loader).parse_overrides(params + list(config.hydra.overrides.task))
        return [job for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]
    except (HydraException, AssertionError):  # an interval, or a glob without a loader
        return None


def state_disk_need(job: Job, best_bytes: int, last_bytes: int) -> None:
    """Say, before the first training of a sweep, what its checkpoints will need; warn where it is not there."""
    if job.sweep_number is None or _sweep is None or _sweep.job_count is None:
        return
    disk = _sweep.folder / _DISK
    try:
        disk.touch(exist_ok=False)
    except FileExistsError:
        pass  # another job was first
    else:
        note_job(job.folder, disk=[best_bytes, last_bytes, job.settings.keep_last])
        if not _away:
            _tell()
    patience = time.monotonic() + 3  # for the sweep's process to tell it
    while disk.stat().st_size == 0 and time.monotonic() < patience:
        time.sleep(0.05)


def _tell_disk_need(best_bytes: int, last_bytes: int, keep_last: bool) -> None:
    kept = _sweep.job_count * (best_bytes + (last_bytes if keep_last else 0))
    # A checkpoint is written beside the one it replaces.
    need = kept + _sweep.at_once * (last_bytes + max(best_bytes, last_bytes))
    free = shutil.disk_usage(_sweep.folder).free
    log.info(
        "sweep of %d jobs in %s: with jobs like this one about %.1f GB of checkpoints (%.1f GB kept), %.1f GB free",
        _sweep.job_count,
        _sweep.folder,
        need / 1e9,
        kept / 1e9,
        free / 1e9,
    )
    if free < need:
        log.warning("the disk may fill: free %.1f GB, or sweep fewer jobs", (need - free) / 1e9)
    (_sweep.folder / _DISK).write_text("told\n")


def _tell() -> None:
    """Log what the notes have new: the disk need, and how far the sweep is after each job."""
    global _told
    with _telling:
        notes = _read_notes()
        for count, note in enumerate(notes[_told:], _told + 1):
            if "disk" in note:
                _tell_disk_need(*note["disk"])
            elif "ended" in note:
                log.info("%s", progress_line(jobs_of(notes[:count]).values(), _sweep.job_count, _sweep.at_once))
        _told = len(notes)


def _tell_on() -> None:
    """For as long as the program runs: jobs in other processes can't reach our terminal, or not in turn."""
    launchers.leave_signals_to_the_main_thread()
    while True:
        time.sleep(0.3)
        _tell()


def progress_line(jobs: Iterable[Progress], job_count: int | None, at_once: int) -> str:
    """How far a sweep is, and how long it will take: jobs that trained to their end tell the rate.

    >>> jobs = [Progress(0, 0, 5, skipped=True), Progress(1, 5, 125), Progress(2, 5, 9, "no data"), Progress(3, 9)]
    >>> progress_line(jobs, 10, at_once=2)
    'sweep: 3 of 10 jobs done (1 before), 1 failed, 2.0 min a job, about 7 min left'
    """
    ended = [job for job in jobs if job.ended is not None]
    failed = sum(bool(job.error) for job in ended)
    before = sum(job.skipped for job in ended)
    seconds = [job.ended - job.started for job in ended if not job.error and not job.skipped]
    line = f"sweep: {len(ended)}{f' of {job_count}' if job_count else ''} jobs done"
    if before:
        line += f" ({before} before)"
    if failed:
        line += f", {failed} failed"
    if seconds:
        line += f", {statistics.mean(seconds) / 60:.1f} min a job"
    if seconds and job_count and (left := job_count - len(ended)):
        line += f", about {statistics.mean(seconds) * left / min(at_once, left) / 60:.0f} min left"
    return line


def report() -> None:
    """After a sweep: a line for each job, with its status and the reason. Nothing after a single run."""
    if _sweep is None or _away:
        return
    while _sweep.process is not None and _any_running():  # submitit gives up when one job's process has died
        time.sleep(0.5)
    _tell()
    jobs = jobs_of(_read_notes())
    rows = []
    for name, job in jobs.items():
        folder = _sweep.folder / name
        result = run_folder.read_result(folder) or run_folder.new_result()
        status, error = result["status"], job.error or result["error"] or ""
        if job.error:
            status = "failed"
        elif status == "running" and not files.is_locked(folder / run_folder.LOCK):
            status = "interrupted"
        if status == "interrupted" and not error:
            error = "its process ended"
        accuracies = [(result[which] or {}).get("val/accuracy") for which in ("best", "last")]
        numbers = ["-" if accuracy is None else f"{accuracy:.3f}" for accuracy in accuracies]
        rows.append((name, status, *numbers, error))
    rows += [(name, "not started", "-", "-", "") for name in _names_of_others({job.number for job in jobs.values()})]
    _held.close()
    failed = sum(row[1] == "failed" for row in rows)
    rows.insert(0, ("job", "status", "best", "last", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    print()
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4], sep="  ")
    total = _sweep.job_count or len(jobs)
    folder = os.path.relpath(_sweep.folder)
    print(f"\n{len(jobs)} of {total} jobs, {failed} failed; best and last validation accuracy; in {folder}")
    print(f"look at it: make dashboard, or tensorboard --logdir {folder}")


def _names_of_others(begun: set[int]) -> list[str]:
    """The folders of the jobs that were not begun."""
    if _composed is None:
        return []
    config, loader, jobs = _composed
    others = [loader.load_sweep_config(config, job) for number, job in enumerate(jobs) if number not in begun]
    return [OmegaConf.select(other, "hydra.sweep.subdir") for other in others]
