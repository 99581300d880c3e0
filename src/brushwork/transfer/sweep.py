"""What a multirun needs beyond Hydra: one sweep a folder at a time, its disk need, every failure listed.

Imported by train.py before Hydra starts, so nothing heavy is imported here.
"""

import json
import logging
import math
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from brushwork import files, run_folder
from brushwork.config import Job
from brushwork.errors import UserError

log = logging.getLogger(__name__)

_LOCK = ".sweep.lock"
_JOBS = ".sweep.jobs"  # what `note_job` was told, a line each

_held = ExitStack()  # the lock of this process's sweep
_folder: Path | None = None
_job_count: int | None = None
_disk_stated = False


class SweepCallback(Callback):
    """Hydra's callback (conf/hydra/default.yaml): before a sweep, and before each of its jobs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        global _folder, _job_count
        folder = Path(config.hydra.sweep.dir)
        try:
            busy = f"a sweep is running in {folder.resolve()}: wait for it, or choose another name=..."
            _held.enter_context(files.lock(folder / _LOCK, busy))
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        _folder, _job_count = folder, _count_jobs(config)
        (folder / _JOBS).write_text("")

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        if config.hydra.mode == RunMode.MULTIRUN:
            note_job(Path(config.hydra.runtime.output_dir))


def note_job(folder: Path, error: str = "") -> None:
    """Remember, for the sweep's table, that a job was started, or why it failed; from any process."""
    with open(folder.parent / _JOBS, "a", encoding="utf-8") as file:
        file.write(json.dumps([str(folder), error]) + "\n")


def _count_jobs(config: DictConfig) -> int | None:
    """How many jobs the sweep's overrides make; None where only the sweeper knows."""
    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    try:
        overrides = OverridesParser.create().parse_overrides(params + list(config.hydra.overrides.task))
        last = {o.key_or_group: o for o in overrides}  # one on the command line replaces an experiment's own
        return math.prod(len(list(o.sweep_string_iterator())) for o in last.values() if o.is_sweep_override())
    except (HydraException, AssertionError):  # a glob, or an interval
        return None


def state_disk_need(job: Job, best_bytes: int, last_bytes: int) -> None:
    """Say, before the first training of a sweep, what its checkpoints will need; warn where it is not there."""
    global _disk_stated
    if _disk_stated or job.sweep_number is None or _job_count is None:
        return
    _disk_stated = True
    kept = best_bytes + (last_bytes if job.settings.keep_last else 0)
    # A checkpoint is written beside the one it replaces.
    need = _job_count * kept + last_bytes + max(best_bytes, last_bytes)
    free = shutil.disk_usage(job.folder).free
    log.info(
        "sweep of %d jobs in %s: with jobs like this one about %.1f GB of checkpoints (%.1f GB kept), %.1f GB free",
        _job_count,
        job.folder.parent,
        need / 1e9,
        _job_count * kept / 1e9,
        free / 1e9,
    )
    if free < need:
        log.warning("the disk may fill: free %.1f GB, or sweep fewer jobs", (need - free) / 1e9)


def report() -> None:
    """After a sweep: a line for each job, failures with their reason. Nothing after a single run."""
    if _folder is None:
        return
    notes = [json.loads(line) for line in (_folder / _JOBS).read_text(encoding="utf-8").splitlines()]
    errors = dict(notes)  # the last note of each job counts
    rows, failed = [], 0
    for folder, error in errors.items():
        result = run_folder.read_result(Path(folder)) or run_folder.new_result()
        status = "interrupted" if result["status"] == "running" else result["status"]
        status = "failed" if error else status
        failed += status == "failed"
        accuracies = [(result[which] or {}).get("val/accuracy") for which in ("best", "last")]
        numbers = ["-" if accuracy is None else f"{accuracy:.3f}" for accuracy in accuracies]
        rows.append((Path(folder).name, status, *numbers, error or result["error"] or ""))
    _held.close()
    rows.insert(0, ("job", "status", "best", "last", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    print()
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[4], sep="  ")
    total = len(errors) if _job_count is None else _job_count
    print(f"\n{len(errors)} of {total} jobs, {failed} failed; best and last validation accuracy; in {_folder}")
    print(f"look at it: make dashboard, or tensorboard --logdir {_folder}")
