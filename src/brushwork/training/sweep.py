"""A multirun beyond Hydra: a lock on its folder, its disk need, its progress, and a table of all jobs at the end.

Imported by train.py before Hydra starts, so nothing heavy is imported here. Most launchers run the jobs in worker
processes, on a cluster on other machines: these receive the `Sweep` when Hydra's callback is unpickled there.
"""

import logging
import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from brushwork import files, run_folder, run_names, tables
from brushwork.errors import UserError
from brushwork.readable import readable
from brushwork.terminal import TerminalHandler, show_log
from brushwork.training import launchers, sweep_events
from brushwork.training.config import Job, register
from brushwork.training.sweep_events import record_event

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Sweep:
    """The facts of a sweep that all of its processes share."""

    folder: Path  # absolute
    job_count: int | None  # None where the sweeper chooses jobs as it goes
    parallel_jobs: int
    threads: int | None  # of each job; None: torch's choice
    pid: int | None  # of the sweep's own process; None where jobs run on other machines
    environment: dict[str, str | None]  # variables that the launcher changes, as its jobs need them
    ambiguous: Collection[str] | None  # values whose short names are equal; None as for job_count


_sweep: Sweep | None = None  # None in a single run
_reporter: "ProgressReporter | None" = None  # None in a worker process


class SweepCallback(Callback):
    """Hydra's callback (conf/hydra/default.yaml): before a multirun, and around each of its jobs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        global _sweep, _reporter
        try:
            _reporter = ProgressReporter(config)
        except UserError as error:
            print("error:", readable(str(error)), file=sys.stderr)
            sys.exit(1)
        _sweep = _reporter.sweep
        register(_sweep.ambiguous)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        if _sweep is None:
            return
        record_event(Path(config.hydra.runtime.output_dir), number=config.hydra.job.num, started=time.time())
        if is_worker():
            for handler in logging.getLogger().handlers:
                if isinstance(handler, TerminalHandler):  # several jobs write to one terminal
                    handler.setFormatter(logging.Formatter(f"#{config.hydra.job.num}  %(message)s"))
            launchers.end_with_sweep(_sweep.pid)

    def on_job_end(self, config: DictConfig, **kwargs: Any) -> None:
        if _sweep is not None:
            record_event(Path(config.hydra.runtime.output_dir), ended=time.time())
        if _reporter is not None:
            _reporter.update()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle_callback, (_sweep,)


def _unpickle_callback(sweep: Sweep | None) -> SweepCallback:
    """Prepare a worker process, which receives the callback with each job before Hydra composes its configuration."""
    global _sweep
    if sweep is not None and _reporter is None:
        _sweep = sweep
        register(sweep.ambiguous)
        for name, value in sweep.environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return SweepCallback()


def is_worker() -> bool:
    """Whether this process runs jobs for a sweep in another process."""
    return _sweep is not None and _reporter is None


def threads_per_job() -> int | None:
    """The threads of a job that shares its machine with others of its sweep; None: torch's choice."""
    return _sweep and _sweep.threads


def exit_worker(code: int) -> None:
    """End a worker process whose job was stopped by a signal, and has recorded it; do nothing in other processes."""
    if is_worker():
        launchers.exit_worker(_sweep.pid, code)


def announce_disk_need(job: Job, best_bytes: int, last_bytes: int) -> None:
    """Before the first training of a sweep: have its process log what all checkpoints will need, once."""
    if job.sweep_number is None or _sweep is None or _sweep.job_count is None:
        return
    if any("disk" in event for event in sweep_events.read_events(_sweep.folder)):
        return
    record_event(job.folder, disk=[best_bytes, last_bytes, job.settings.keep_last])
    if _reporter is not None:
        _reporter.update()
    else:
        time.sleep(2 * _POLL_SECONDS)  # the line comes before the job's epochs


def print_summary() -> None:
    """After a sweep, in its own process: a line for each job, with its status and the reason. Else nothing."""
    if _reporter is not None:
        _reporter.print_summary()


class ProgressReporter:
    """In the sweep's own process: holds the folder's lock, logs the jobs' events, prints the table at the end.

    UserError where another sweep runs in the folder, or for invalid options of the launcher.
    """

    def __init__(self, config: DictConfig) -> None:
        folder, launcher = Path(config.hydra.sweep.dir), config.hydra.launcher
        busy = f"a sweep is running in {folder.resolve()}: wait for it, or choose another name=..."
        self._lock = ExitStack()
        self._lock.enter_context(files.lock(folder / ".sweep.lock", busy))
        self._config, self._loader = config, GlobalHydra.instance().config_loader()
        self._jobs = job_overrides(config)
        job_count = None if self._jobs is None else len(self._jobs)
        parallel_jobs = launchers.parallel_jobs(launcher, job_count or sys.maxsize)
        on_cluster = launchers.kind(launcher) == "SlurmLauncher"
        self.sweep = Sweep(
            folder.resolve(),
            job_count,
            parallel_jobs,
            threads=None if on_cluster else launchers.threads_per_job(parallel_jobs),
            pid=None if on_cluster else os.getpid(),
            environment=launchers.environment_to_restore(launcher),
            ambiguous=None if self._jobs is None else run_names.ambiguous_values(self._jobs),
        )
        (folder / sweep_events.FILE).write_text("")
        self._logged = 0  # events
        self._updating = threading.Lock()
        if launchers.kind(launcher) != "BasicLauncher":
            launchers.terminate_workers_on_signals(self._any_running)
            show_log()
            logging.getLogger("brushwork").propagate = False  # Hydra's own handler has another format
            threading.Thread(target=self._poll, daemon=True).start()

    def update(self) -> None:
        """Log the new events: the disk need, and how far the sweep is after each job."""
        with self._updating:
            events = sweep_events.read_events(self.sweep.folder)
            for count, event in enumerate(events[self._logged :], self._logged + 1):
                if "disk" in event and not any("disk" in earlier for earlier in events[: count - 1]):
                    self._log_disk_need(*event["disk"])
                elif "ended" in event:
                    jobs = sweep_events.jobs_from(events[:count]).values()
                    log.info(sweep_events.progress_line(jobs, self.sweep.job_count, self.sweep.parallel_jobs))
            self._logged = len(events)

    def _poll(self) -> None:
        """Until the program ends: worker processes can't write to our terminal, or not in turn."""
        launchers.block_signals_in_thread()
        while True:
            time.sleep(_POLL_SECONDS)
            self.update()

    def _log_disk_need(self, best_bytes: int, last_bytes: int, keep_last: bool) -> None:
        count, folder = self.sweep.job_count, self.sweep.folder
        kept = count * (best_bytes + (last_bytes if keep_last else 0)) / 1e9
        # A checkpoint is written beside the one it replaces.
        need = kept + self.sweep.parallel_jobs * (last_bytes + max(best_bytes, last_bytes)) / 1e9
        free = shutil.disk_usage(folder).free / 1e9
        log.info(
            f"sweep of {count} jobs in {folder}: with jobs like this one about {need:.1f} GB of checkpoints "
            f"({kept:.1f} GB kept), {free:.1f} GB free"
        )
        if free < need:
            log.warning(f"the disk may fill: free {need - free:.1f} GB, or sweep fewer jobs")

    def _any_running(self) -> bool:
        return any(files.is_locked(self.sweep.folder / name / run_folder.LOCK) for name in self._started_jobs())

    def _started_jobs(self) -> dict[str, sweep_events.JobFacts]:
        return sweep_events.jobs_from(sweep_events.read_events(self.sweep.folder))

    def print_summary(self) -> None:
        while self.sweep.pid is not None and self._any_running():  # submitit gives up when one worker was killed
            time.sleep(0.5)
        self.update()
        jobs = self._started_jobs()
        rows = [sweep_events.table_row(self.sweep.folder / name, job) for name, job in jobs.items()]
        started = {job["number"] for job in jobs.values()}
        rows += [[name, "not started", "-", "-", ""] for name in self.folders_without(started)]
        print("", *tables.plain([["job", "status", "best", "last", ""], *rows], width=sys.maxsize), "", sep="\n")
        self._lock.close()
        failed = sum(row[1] == "failed" for row in rows)
        total, folder = self.sweep.job_count or len(jobs), os.path.relpath(self.sweep.folder)
        print(f"{len(jobs)} of {total} jobs, {failed} failed; best and last validation accuracy; in {folder}")
        print(f"look at it: make dashboard, or tensorboard --logdir {shlex.quote(folder)}")

    def folders_without(self, started: set[int]) -> list[str]:
        """The names of the folders of the jobs that were not started."""
        others = [job for number, job in enumerate(self._jobs or []) if number not in started]
        return [self._loader.load_sweep_config(self._config, job).hydra.sweep.subdir for job in others]


def job_overrides(config: DictConfig) -> list[list[str]] | None:
    """The overrides of each job that Hydra's own sweeper will make; None where the sweeper chooses them as it goes."""
    if not config.hydra.sweeper["_target_"].endswith(".BasicSweeper"):
        return None
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parser = OverridesParser.create(GlobalHydra.instance().config_loader())
    try:
        overrides = parser.parse_overrides(params + list(config.hydra.overrides.task))
        return [job for batch in BasicSweeper.split_arguments(overrides, None) for job in batch]
    except (HydraException, AssertionError):  # an interval
        return None
