"""Measuring: all sides in turn, each in a process of its own, with its peak anonymous memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import psutil
from tqdm import tqdm

from benchmarks.report import Figures, number
from benchmarks.rows import Row
from benchmarks.setup import REPOSITORY, Setup
from benchmarks.sides import COMMANDS, ONCE, PLAIN, WARM
from brushwork.errors import UserError


def measure(rows: Sequence[Row], setup: Setup, repeats: int) -> tuple[Figures, dict[str, Any] | None]:
    """The figures of all repeats by side and unit; the rates of the plain loaders by number of workers."""
    sides = list(dict.fromkeys(side for row in rows for side in (row.ours, row.theirs) if side))
    raw: Figures = {side: {} for side in sides}
    workers = None
    if not PLAIN.isdisjoint(sides):
        print("the plain loaders' workers: ", end="", flush=True)
        workers = run("workers", setup)
        setup = replace(setup, workers=workers["best"])
        print(", ".join(f"{rate:.0f} images/s with {tried}" for tried, rate in workers["images/s"].items()))
    if not WARM.isdisjoint(sides):
        print("filling the caches")
        run("warm, bf16", replace(setup, epochs=1))
    turns = [(turn, side) for turn in range(repeats) for side in sides if turn == 0 or side not in ONCE]
    with tqdm(turns, "measuring", unit=" runs", disable=None) as bar:
        for turn, side in bar:
            bar.set_postfix_str(side)
            try:
                figures = run(side, setup)
            except UserError as error:  # the others continue: what is measured may have taken minutes
                tqdm.write(f"error: {error}", file=sys.stderr)
                continue
            for unit, value in figures.items():
                raw[side].setdefault(unit, []).append(value)
            shown = ", ".join(f"{number(value)} {unit}" for unit, value in figures.items() if unit != "threads")
            tqdm.write(f"{turn + 1}/{repeats} {side}: {shown}", file=sys.stdout)
    return raw, workers


def run(side: str, setup: Setup) -> dict[str, Any]:
    """Run a side once: the figures that its process prints, or the seconds of its command; and the peak MB.

    Raises:
        UserError: it failed; with the last line of its standard error.
    """
    script = [sys.executable, str(REPOSITORY / "scripts/benchmark.py"), "--side", side, json.dumps(asdict(setup))]
    command = COMMANDS[side](setup) if side in COMMANDS else script
    caches = os.environ | {"BRUSHWORK_CACHE": f"{setup.work}/cache"}
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, env=caches, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    out, errors = process.communicate(timeout=0.2)
                    break
                peak = max(peak, anonymous_memory(process.pid))
        except BaseException:
            process.kill()
            raise
    seconds = time.perf_counter() - start
    if process.returncode:
        *before, last = errors.strip().splitlines() or ["no message"]
        print(*before, sep="\n", end="\n" * bool(before), file=sys.stderr)
        raise UserError(f"the side '{side}' failed: {last.removeprefix('error: ')}")
    return ({"s": seconds} if side in COMMANDS else json.loads(out.splitlines()[-1])) | {"MB": peak}


def anonymous_memory(pid: int) -> float:
    """The memory, in MB, that a process and its children use now and that no file backs."""
    used = 0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # it has just ended
                memory = process.memory_info()
                used += memory.rss - memory.shared
    return used / 1e6
