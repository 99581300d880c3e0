"""Jobs of a sweep in other processes (Hydra's launchers joblib and submitit): how many at once, and how they stop.

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
from importlib.util import find_spec
from types import FrameType

from omegaconf import DictConfig

from brushwork.errors import UserError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOP_SECONDS = 10.0  # that jobs have to record how they ended, before they are killed


def kind(launcher: DictConfig) -> str:
    """A launcher by its class: BasicLauncher, JoblibLauncher, LocalLauncher, SlurmLauncher, or another plugin's."""
    return launcher["_target_"].rsplit(".", 1)[-1]


def jobs_at_once(launcher: DictConfig, jobs: int) -> int:
    """How many of a sweep's `jobs` the launcher runs at a time.

    Raises:
        UserError: a number of processes that joblib doesn't know.
    """
    limit = jobs
    if kind(launcher) == "BasicLauncher":
        limit = 1
    elif kind(launcher) == "JoblibLauncher":
        from joblib import effective_n_jobs

        if launcher.n_jobs == 0:
            raise UserError("expected hydra.launcher.n_jobs to be at least 1, or -1 for all cores, but got 0")
        limit = effective_n_jobs(launcher.n_jobs)
    elif kind(launcher) == "SlurmLauncher":
        limit = launcher.array_parallelism
    return max(1, min(limit, jobs))


def threads_of_each(at_once: int) -> int | None:
    """The threads of each of so many jobs; None (torch's choice) for one, or with OMP_NUM_THREADS set."""
    if at_once == 1 or "OMP_NUM_THREADS" in os.environ:
        return None
    from joblib import cpu_count  # knows of a container's share

    return max(1, cpu_count() // at_once)


def stop_jobs_on_signals(any_running: Callable[[], bool]) -> None:
    """In the sweep's process: Ctrl-C and SIGTERM end its jobs' processes as well, then it, with status 130 and 143.

    Args:
        any_running: whether a job still writes its folder; they have 10 s to record how they ended.

    Raises:
        UserError: psutil is not installed.
    """
    if find_spec("psutil") is None:
        raise UserError("this launcher needs psutil: pip install '.[launchers]'")
    import psutil

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        this = psutil.Process()
        processes = this.children(recursive=True)
        for child in this.children():  # submitit's own processes pass it on
            _try(child.terminate)
        end = time.monotonic() + _STOP_SECONDS
        while any_running() and time.monotonic() < end:
            time.sleep(0.1)
        for process in processes:
            # joblib's process that removes semaphores ends by itself, as the last.
            if not any("resource_tracker" in word for word in _try(process.cmdline) or ()):
                _try(process.kill)
        sys.exit(128 + number)

    def _try(action: Callable[[], list[str] | None]) -> list[str] | None:
        try:
            return action()
        except psutil.Error:  # it has ended meanwhile
            return None

    # What a killed job's process held in semaphores (tqdm's), Python's own tracker removes, with a warning.
    quiet = "ignore:resource_tracker:UserWarning"
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))
    for each in _SIGNALS:
        signal.signal(each, stop)


def follow(sweep: int | None) -> None:
    """In a job's process, before a job: end by signals as the sweep does, and when the sweep's process was killed.

    Args:
        sweep: the process id of the sweep; None where it runs on another machine.
    """
    for each in _SIGNALS:
        signal.signal(each, lambda number, frame: leave(sweep, 128 + number))
    if sweep is not None:
        _watch(sweep)


@functools.cache  # once a process: joblib's have one job after another, and wait between them
def _watch(sweep: int) -> None:
    import psutil

    def watch() -> None:
        leave_signals_to_the_main_thread()
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(sweep)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_STOP_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def leave_signals_to_the_main_thread() -> None:
    """In another thread: a signal that it took would not wake the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def leave(sweep: int | None, code: int) -> None:
    """End a job's process after a signal, with the exit status `code`.

    A process of joblib's waits for the sweep to end it: if it went by itself, joblib would kill those that still record
    how they ended. None of them may live on: it would begin the next job.
    """
    if sweep is not None:
        end = time.monotonic() + 2 * _STOP_SECONDS
        while os.getppid() == sweep and time.monotonic() < end:
            time.sleep(0.1)
        sys.stdout.flush()
        os._exit(code % 256)
    sys.exit(code)


def hidden_variables(launcher: DictConfig) -> dict[str, str | None]:
    """Environment variables, with their values here, that the launcher changes for its jobs and should not.

    submitit_local hides all GPUs from jobs for which `gpus_per_node` asks for none.
    """
    if kind(launcher) == "LocalLauncher" and launcher.gpus_per_node is None:
        return {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES")}
    return {}
