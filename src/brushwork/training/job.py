"""One Hydra job: skip what is finished, resume what is not, train, and record how it ended."""

import gc
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from omegaconf import DictConfig

from brushwork import files, run_folder, web_page
from brushwork.errors import UserError, one_line
from brushwork.readable import readable
from brushwork.terminal import exit_on_signals
from brushwork.training import config, sweep
from brushwork.training.config import Job
from brushwork.training.recipe import train
from brushwork.training.record import Diverged, RunRecord

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> float | None:
    """Train what a composed config describes; return its best validation accuracy, for a sweeper.

    A failing job of a multirun raises, so that the others continue; a failing single run exits with status 1.
    """
    if rank_zero_only.rank > 0:  # a process that Lightning started for DDP: only the first one logs
        logging.getLogger("brushwork").setLevel(logging.ERROR)
    try:
        with exit_on_signals(silent=rank_zero_only.rank > 0):
            return run_job(config.make_job(cfg))
    except SystemExit as stop:
        sweep.exit_worker(stop.code)
        raise
    except UserError as error:
        # One that a data-loading worker raised carries that process's traceback: its last line is the error.
        reason = str(error).strip().splitlines()[-1].removeprefix("brushwork.errors.UserError: ")
    except torch.OutOfMemoryError:
        reason = _out_of_memory(cfg)
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        if isinstance(error, OSError) and error.errno is not None:  # the system's reason says enough
            reason = one_line(error)
        else:
            log.exception("unexpected")
    finally:
        gc.collect()  # a Trainer and its module reference each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    # Raised here, not above: the error's frames, and the network in them, are released by now.
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        log.error("this job failed: %s", reason)
        sweep.record_event(Path(HydraConfig.get().runtime.output_dir), error=reason)
        raise CompactHydraException(reason)
    if rank_zero_only.rank == 0:
        print("error:", readable(reason, keep="\n"), file=sys.stderr)
    sys.exit(1)


def run_job(job: Job) -> float | None:
    """As `main`, from plain settings; raises UserError, and SystemExit 130 or 143 when interrupted."""
    job = config.with_split(job)
    if rank_zero_only.rank > 0:
        train(job, _checkpoint_to_resume(job))
        return None
    locked = f"{job.folder.resolve()} is being written by another process: wait for it, or stop it"
    with files.lock(job.folder / run_folder.LOCK, locked):
        files.remove_leftovers(job.folder)
        earlier = run_folder.read_result(job.folder)
        if (threads := sweep.threads_per_job()) is not None:
            torch.set_num_threads(threads)
        if earlier is not None:
            _refuse_other_run(job, earlier)
            if earlier["status"] in ("finished", "diverged"):
                log.info("already %s: %s", earlier["status"], job.folder)
                sweep.record_event(job.folder, skipped=True)
                return _best_accuracy(earlier)
            if earlier["threads"]:  # bit-equal results on a CPU need an equal number of threads
                torch.set_num_threads(earlier["threads"])
        try:
            record = train(job, _checkpoint_to_resume(job))
        except Diverged as error:
            _record_failure(job.folder, "diverged", str(error))
            if job.sweep_number is None:
                raise
            log.warning("%s", error)
            return _best_accuracy(run_folder.read_result(job.folder))
        except SystemExit:
            _record_failure(job.folder, "interrupted", "stopped by a signal")
            if job.sweep_number is None and (job.folder / run_folder.LAST).exists():
                log.warning("interrupted; resume with ckpt_path=%s", os.path.relpath(job.folder / run_folder.LAST))
            raise
        except Exception as error:
            _record_failure(job.folder, "failed", str(error) if isinstance(error, UserError) else repr(error))
            raise
        record.write_result("finished")
        if not job.settings.keep_last:
            (job.folder / run_folder.LAST).unlink(missing_ok=True)
        _report(job, record)
        return _best_accuracy(record.result)


def _checkpoint_to_resume(job: Job) -> Path | None:
    own = job.folder / run_folder.LAST
    if job.sweep_number is not None and own.exists():
        log.info("resuming %s", own)
        return own
    return Path(job.settings.ckpt_path) if job.settings.ckpt_path else None


def _refuse_other_run(job: Job, earlier: dict[str, Any]) -> None:
    """Refuse to write over a run that this job would not repeat."""
    ended_early = earlier["config_hash"] is None or earlier["status"] == "failed"
    if ended_early and not (job.folder / run_folder.LAST).exists():
        return  # there is nothing to lose
    if job.sweep_number is None:
        what = "a run already"
    elif earlier["config_hash"] != job.config_hash:
        what = f"a run of other settings (compare its {run_folder.CONFIG})"
    elif earlier["data_hash"] != job.data.unchecked_catalogue.data_hash:
        what = f"a run on other data than {Path(job.settings.data.root).resolve()}"
    else:
        return
    raise UserError(f"{job.folder.resolve()} holds {what}: choose another name=..., or remove the folder")


def _out_of_memory(cfg: DictConfig) -> str:
    """The message of a run that needs more GPU memory."""
    free, total = torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)
    return (
        f"out of GPU memory with data.batch_size={cfg.data.batch_size} in trainer.precision={cfg.trainer.precision}, "
        f"{free / 1e9:.1f} of {total / 1e9:.1f} GB free: use a smaller data.batch_size, or trainer.precision=bf16-mixed"
    )


def _record_failure(folder: Path, status: str, error: str) -> None:
    """Record the status and the error of a run that failed; the figures of its epochs stay."""
    result = run_folder.read_result(folder) or run_folder.new_result()
    try:
        files.write_json(folder / run_folder.RESULT, result | {"status": status, "error": error})
    except OSError as full:  # must not hide why the run ended
        log.error("%s cannot be written: %s", folder / run_folder.RESULT, full)


def _best_accuracy(result: dict[str, Any]) -> float | None:
    """For a sweeper: never NaN; 0 for a run that diverged before its first epoch's end."""
    if result["best"] is None:
        return 0.0 if result["status"] == "diverged" else None
    return result["best"]["val/accuracy"]


def _report(job: Job, record: RunRecord) -> None:
    """Log the last lines of a run: the result beside its baselines, and where to find it."""
    lines = web_page.render(
        "training/job_report.txt.jinja",
        result=record.result,
        labels=run_folder.BASELINES,
        demo=job.settings.data.paint_demo,
        written=record.write,
        folder=(folder := Path(os.path.relpath(job.folder))),
        logdir=shlex.quote(str(folder.parent)),
        checkpoint=shlex.quote(str(folder / run_folder.BEST)) if (folder / run_folder.BEST).exists() else None,
        quoted_for_make=shlex.quote(str(folder).replace("$", "$$")),
    )
    for line in lines.strip("\n").split("\n"):
        log.info("%s", line)
