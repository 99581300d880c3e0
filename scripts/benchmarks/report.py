"""The report: medians, ratios and targets by row; the machine; the table and the figure."""

import math
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from benchmarks.rows import Row

Figures = dict[str, dict[str, list[float]]]  # by side and unit: one value a repeat
AT_MOST = ("growth", "alone")  # kinds of rows whose target is an upper limit


def machine(device: str) -> dict[str, Any]:
    information = Path("/proc/cpuinfo")
    name = re.search(r"^model name\s*: (.+)$", information.read_text() if information.exists() else "", re.MULTILINE)
    return {
        "processor": name[1] if name else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
        "torch": torch.__version__,
    }


def describe(machine: dict[str, Any], longer_side: int) -> str:
    """What was measured on which machine, and how."""
    threads = " and ".join(map(str, machine["threads"])) or "?"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}; torch {machine['torch']}, "
        f"{threads} threads on all sides; {machine['paintings']} JPEGs of {longer_side} pixels, "
        f"{machine['bytes_a_painting'] / 1000:.0f} kB each; medians of {machine['repeats']}. Checkpoints, dashboard, "
        f"panels and TensorBoard are off on all sides but in their own rows."
    )


def compare(rows: Sequence[Row], raw: Figures, on_gpu: bool) -> list[dict[str, Any]]:
    """The rows that were measured: the medians of both sides, their ratio, and whether the target was reached."""
    results = []
    for row in rows:
        ours, theirs = (raw.get(side, {}).get(row.unit) for side in (row.ours, row.theirs))
        if not ours or (row.theirs and not theirs):
            continue
        ours, theirs = median(ours), median(theirs) if theirs else None
        reach, ratio = row.reach[on_gpu], ratio_of(row, ours, theirs)
        compared = ours if row.kind == "alone" else ratio
        results.append(
            {
                "group": row.group,
                "row": row.name,
                "unit": row.unit,
                "kind": row.kind,
                "ours": ours,
                "beside": row.theirs,
                "theirs": theirs,
                "ratio": ratio,
                "reach": reach,
                "reached": None if reach is None else compared <= reach if row.kind in AT_MOST else compared >= reach,
            }
        )
    return results


def ratio_of(row: Row, ours: float, theirs: float | None) -> float | None:
    """The ratio of two figures, as `Row.kind` defines it."""
    if theirs is None:
        return None
    if row.kind == "cost":
        return (ours - theirs) / ours
    return ours / theirs if row.kind == "growth" or row.unit.endswith("/s") else theirs / ours


def table(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The results as text, a heading first."""
    rows = [["", "Brushwork", "beside it", "ratio", "reach", ""]]
    for result in results:
        unit, reach = result["unit"], result["reach"]
        ratio = "" if result["ratio"] is None else f"{result['ratio']:.2f}"
        if result["kind"] == "cost":
            ratio = f"{result['ours'] - result['theirs']:+.1f} s, {result['ratio']:.0%}"
        rows.append(
            [
                result["row"],
                f"{number(result['ours'])} {unit}",
                f"{result['beside']}: {number(result['theirs'])} {unit}" if result["beside"] else "",
                ratio,
                "" if reach is None else f"{'<=' if result['kind'] in AT_MOST else '>='} {reach:g}",
                {True: "reached", False: "missed", None: ""}[result["reached"]],
            ]
        )
    return rows


def number(value: float) -> str:
    """Three significant digits, or all digits before the point.

    >>> number(1234.5), number(41.234), number(0.1234)
    ('1,234', '41.2', '0.123')
    """
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The table for the README."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def figure(results: Sequence[dict[str, Any]]) -> Figure:
    """A bar for each ratio, from 1; a black line at its target."""
    shown = [result for result in results if result["kind"] in ("faster", "growth")][::-1]
    drawn = Figure(figsize=(9, 0.42 * len(shown) + 1.4), dpi=130, layout="constrained")
    axes = drawn.subplots()
    for y, result in enumerate(shown):
        ratio, reach = result["ratio"], result["reach"]
        color = {True: "tab:blue", False: "tab:red", None: "0.65"}[result["reached"]]
        axes.barh(y, ratio - 1, left=1, height=0.6, color=color)
        axes.text(1.01, y, f"{ratio:.2f}", va="center", fontsize=8, transform=axes.get_yaxis_transform())
        if reach is not None:
            axes.plot([reach, reach], [y - 0.4, y + 0.4], color="black", linewidth=2)
    names = [f"{row['row']}, beside {row['beside']}{' (at most)' * (row['kind'] == 'growth')}" for row in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="ratio; black line: reach, blue: reached, red: missed, grey: none stated")
    axes.grid(axis="x", alpha=0.25)
    return drawn
