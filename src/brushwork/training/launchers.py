"""The jobs of a sweep in worker processes (Hydra's launchers joblib and submitit): how many at once, and how they end.

Imported by train.py before Hydra starts, so nothing heavy is imported here.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from omegaconf import DictConfig

from brushwork.errors import UserError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE_SECONDS = 10.0  # for jobs to record how they ended, before they are killed


def kind(launcher: DictConfig) -> str:
    """A launcher by its class: BasicLauncher, JoblibLauncher, LocalLauncher, SlurmLauncher, or another plugin's."""
    return launcher["_target_"].rsplit(".", 1)[-1]


def parallel_jobs(launcher: DictConfig, jobs: int) -> int:
    """How many of a sweep's `jobs` the launcher runs at a time; UserError for joblib with no process."""
    match kind(launcher):
        case "BasicLauncher":
            return 1
        case "JoblibLauncher":
            from joblib import effective_n_jobs

            if launcher.n_jobs == 0:
                raise UserError("expected hydra.launcher.n_jobs to be at least 1, or -1 for all cores, but got 0")
            return min(effective_n_jobs(launcher.n_jobs), jobs)
        case "SlurmLauncher":
            return max(1, min(launcher.array_parallelism, jobs))
    return jobs


def threads_per_job(parallel_jobs: int) -> int | None:
    """The threads of each of the jobs on one machine; None (torch's choice) for one, or with OMP_NUM_THREADS set."""
    if parallel_jobs == 1 or "OMP_NUM_THREADS" in os.environ:
        return None
    from joblib import cpu_count  # respects a container's limit

    return max(1, cpu_count() // parallel_jobs)


def environment_to_restore(launcher: DictConfig) -> dict[str, str | None]:
    """Environment variables that the launcher changes for its jobs and should not, with their values here."""
    if kind(launcher) == "LocalLauncher" and launcher.gpus_per_node is None:  # submitit hides all GPUs from its jobs
        return {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
    return {}


def terminate_workers_on_signals(any_running: Callable[[], bool]) -> None:
    """In the sweep's process: Ctrl-C and SIGTERM end the worker processes, then this one, with status 130 and 143.

    While `any_running` (a job still writes to its folder), jobs have 10 s to record how they ended. UserError where
    psutil is not installed.
    """
    try:
        import psutil
    except ImportError:
        raise UserError("this launcher needs psutil: pip install '.[launchers]'") from None

    def terminate(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        this = psutil.Process()
        processes = this.children(recursive=True)
        for child in this.children():  # submitit's own processes forward it
            with contextlib.suppress(psutil.Error):  # has ended meanwhile
                child.terminate()
        end = time.monotonic() + _GRACE_SECONDS
        while any_running() and time.monotonic() < end:
            time.sleep(0.1)
        for process in processes:
            with contextlib.suppress(psutil.Error):
                # joblib's process that removes semaphores ends by itself, as the last.
                if not any("resource_tracker" in word for word in process.cmdline()):
                    process.kill()
        sys.exit(128 + number)

    # Python's resource tracker removes the semaphores of killed jobs (tqdm's), with a warning.
    ignored = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), ignored]))
    for each in _SIGNALS:
        signal.signal(each, terminate)


@functools.cache  # once a process: joblib's run one job after another, and wait between them
def end_with_sweep(sweep_pid: int | None) -> None:
    """In a worker process: exit by signals as the sweep does, and when the sweep's process was killed.

    `sweep_pid` is None where the sweep runs on another machine.
    """

    def monitor() -> None:
        import psutil

        block_signals_in_thread()
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(sweep_pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_SECONDS)
        os._exit(1)

    for each in _SIGNALS:
        signal.signal(each, lambda number, frame: exit_worker(sweep_pid, 128 + number))
    if sweep_pid is not None:
        threading.Thread(target=monitor, daemon=True).start()


def block_signals_in_thread() -> None:
    """In another thread than the main one: a signal delivered here would not wake the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def exit_worker(sweep_pid: int | None, code: int) -> None:
    """End a worker process after a signal, with the exit status `code`.

    A process of joblib's waits for the sweep to end it: if it exited first, joblib would kill the workers that still
    record how they ended. It must not survive either: it would start the next job.
    """
    if sweep_pid is not None:
        end = time.monotonic() + 2 * _GRACE_SECONDS
        while os.getppid() == sweep_pid and time.monotonic() < end:
            time.sleep(0.1)
        sys.stdout.flush()
        os._exit(code % 256)
    sys.exit(code)
