"""A sweep's events file, to which all of its processes append; its progress line, and the rows of its table.

Imported by train.py before Hydra starts, so nothing heavy is imported here.
"""

import json
import statistics
from collections.abc import Collection
from pathlib import Path
from typing import Any

from brushwork import files, run_folder

FILE = ".sweep.jobs"  # a JSON object a line

# A job's facts by its events: number, started, ended (in s since 1970), error, skipped (if it had ended before).
JobFacts = dict[str, Any]


def record_event(folder: Path, **facts: Any) -> None:
    """Append facts about the job of a run folder to its sweep's events file."""
    line = json.dumps({"job": folder.name} | facts) + "\n"
    with open(folder.parent / FILE, "ab", buffering=0) as file:  # one write a line: those of processes don't mix
        file.write(line.encode())


def read_events(sweep_folder: Path) -> list[dict[str, Any]]:
    """All complete lines of a sweep's events file."""
    lines = (sweep_folder / FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def jobs_from(events: list[dict[str, Any]]) -> dict[str, JobFacts]:
    """The jobs that were started, by the names of their folders, in the sweep's order."""
    jobs: dict[str, JobFacts] = {}
    for event in events:
        earlier = {} if "started" in event else jobs[event["job"]]  # a sweeper may draw the same job again
        jobs[event["job"]] = earlier | event
    return dict(sorted(jobs.items(), key=lambda item: item[1]["number"]))


def progress_line(jobs: Collection[JobFacts], job_count: int | None, parallel_jobs: int) -> str:
    """How far a sweep is, and how long it will take at the rate of the jobs that trained to their end.

    >>> ended = [{"started": 0, "ended": 5, "skipped": True}, {"started": 5, "ended": 9, "error": "no data"}]
    >>> progress_line([*ended, {"started": 5, "ended": 125}, {"started": 9}], 10, parallel_jobs=2)
    'sweep: 3 of 10 jobs done (1 before), 1 failed, 2.0 min a job, about 7 min left'
    """
    ended = [job for job in jobs if "ended" in job]
    failed, before = (sum(fact in job for job in ended) for fact in ("error", "skipped"))
    trained = [job for job in ended if "error" not in job and "skipped" not in job]
    line = f"sweep: {len(ended)}{f' of {job_count}' if job_count else ''} jobs done"
    line += (f" ({before} before)" if before else "") + (f", {failed} failed" if failed else "")
    if trained:
        minutes = statistics.mean(job["ended"] - job["started"] for job in trained) / 60
        line += f", {minutes:.1f} min a job"
        if job_count and (left := job_count - len(ended)):
            line += f", about {minutes * left / min(parallel_jobs, left):.0f} min left"
    return line


def table_row(folder: Path, job: JobFacts) -> list[str]:
    """A started job's folder, status, best and last validation accuracy, and the reason where it did not finish."""
    result = run_folder.read_result(folder) or run_folder.new_result()
    status, error = "failed" if "error" in job else result["status"], job.get("error") or result["error"] or ""
    if status == "running" and not files.is_locked(folder / run_folder.LOCK):  # there is no result.json
        status = "interrupted"
    if status == "interrupted":
        error = error or "its process ended"
    accuracies = [(result[which] or {}).get("val/accuracy") for which in ("best", "last")]
    return [folder.name, status, *("-" if value is None else f"{value:.3f}" for value in accuracies), error]
