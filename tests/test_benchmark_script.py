"""scripts/benchmark.py: what it compares and writes; no time is asserted."""

import inspect
import io
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

import benchmark
from benchmarks import jpegs, measure, report, sides
from benchmarks.rows import METHODS as MEASURED
from benchmarks.rows import ROWS, Row
from benchmarks.setup import Setup
from brushwork import terminal
from brushwork.paintings import catalogue, demo, splits
from brushwork.paintings.checks import duplicates, facts
from brushwork.saliency.methods import METHODS
from tests.conftest import REPOSITORY, write_paintings

SCRIPT = REPOSITORY / "scripts/benchmark.py"


@pytest.fixture
def start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Callable[..., tuple[int, str, str]]:
    """Run the script in an empty folder on small pictures: exit status, standard output, standard error."""
    monkeypatch.setattr(benchmark, "Setup", partial(Setup, image_size=64, epochs=2, stores=(20, 40)))
    monkeypatch.setattr(jpegs, "LONGER_SIDE", 80)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            terminal.exit_with(benchmark.main)
        return ended.value.code, *capsys.readouterr()

    return run


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "--help"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0
    assert "examples:" in process.stdout
    assert "--side" not in process.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in process.stderr.splitlines()}
    assert "argparse" in imported
    assert imported.isdisjoint({"torch", "torchvision", "lightning", "hydra", "matplotlib", "numpy", "PIL", "psutil"})


def test_all_saliency_methods_are_measured() -> None:
    assert list(MEASURED) == list(METHODS)


def test_large_jpegs_have_the_stated_sizes(tmp_path: Path) -> None:
    for number, style in enumerate(["Dots", "Rings", "Waves"]):
        demo.paint(style, 0).resize((128, 96)).save(tmp_path / "small.png")
        content = jpegs.large_jpeg(tmp_path / "small.png", seed=number)
        assert 250_000 <= len(content) <= 400_000
        with Image.open(io.BytesIO(content)) as large:
            assert (large.format, large.size) == ("JPEG", (1100, 825))
        assert content == jpegs.large_jpeg(tmp_path / "small.png", seed=number)
        assert content != jpegs.large_jpeg(tmp_path / "small.png", seed=number + 1)


def test_a_strip_that_cannot_have_as_many_bytes_is_made_all_the_same(tmp_path: Path) -> None:
    Image.new("RGB", (400, 8), "red").save(tmp_path / "strip.png")
    with Image.open(io.BytesIO(jpegs.large_jpeg(tmp_path / "strip.png", seed=0))) as large:
        assert large.size == (1100, 22)


def test_the_plain_side_trains_on_as_many_paintings_as_brushwork(tmp_path: Path) -> None:
    for style, count in {"Dots": 7, "Facets": 13, "Waves": 2}.items():
        write_paintings(tmp_path, count, [style])
    found = catalogue.scan(tmp_path)
    parts = splits.draw("random", found, splits.Fractions(0.2), seed=0)
    assert jpegs.training_share([tmp_path / painting.path for painting in found.paintings]) == parts.count("train")


def test_the_many_pictures_differ(tmp_path: Path) -> None:
    jpegs.write_small(tmp_path, 60)
    found = catalogue.scan(tmp_path)
    assert (len(found.paintings), len(found.class_names)) == (60, 4)
    assert duplicates.near_pairs(facts.read(tmp_path, found.paintings)) == []


def test_medians_ratios_and_reach_by_hand() -> None:
    row = Row
    rows = [
        row("full", "slower", "a", "b", "s", reach=(2.0, 3.0)),
        row("steady", "rate", "a", "b", "images/s", reach=(0.9, 0.5)),
        row("memory", "size", "a", "b", "MB", "growth", reach=(1.2, 1.6)),
        row("extras", "cost", "a", "b", "s", "cost"),
        row("full", "epoch", "a", None, "s", "alone", reach=(None, 0.5)),
        row("full", "unmeasured", "a", "c", "s"),
    ]
    raw = {
        "a": {"s": [5.0, 4.0, 9.0], "images/s": [60.0], "MB": [1500.0]},
        "b": {"s": [10.0, 2.0, 11.0], "images/s": [80.0, 120.0], "MB": [1000.0]},
    }
    on_processor, on_gpu = (report.compare(rows, raw, on_gpu) for on_gpu in (False, True))
    assert [result["row"] for result in on_gpu] == ["slower", "rate", "size", "cost", "epoch"]
    assert [result["ours"] for result in on_gpu] == [5.0, 60.0, 1500.0, 5.0, 5.0]
    assert [result["theirs"] for result in on_gpu] == [10.0, 100.0, 1000.0, 10.0, None]
    assert [result["ratio"] for result in on_gpu] == [2.0, 0.6, 1.5, -1.0, None]
    assert [result["reached"] for result in on_processor] == [True, False, False, None, None]
    assert [result["reached"] for result in on_gpu] == [False, True, True, None, False]
    assert report.table(on_gpu)[1:] == [
        ["slower", "5.00 s", "b: 10.0 s", "2.00", ">= 3", "missed"],
        ["rate", "60.0 images/s", "b: 100 images/s", "0.60", ">= 0.5", "reached"],
        ["size", "1,500 MB", "b: 1,000 MB", "1.50", "<= 1.6", "reached"],
        ["cost", "5.00 s", "b: 10.0 s", "-5.0 s, -100%", "", ""],
        ["epoch", "5.00 s", "", "", "<= 0.5", "missed"],
    ]


def test_every_row_has_its_sides() -> None:
    known = {*sides.SIDES, *sides.COMMANDS}
    named = {side for row in ROWS for side in (row.ours, row.theirs) if side}
    assert named | {"workers"} == known
    assert known >= sides.PLAIN | sides.WARM | sides.ONCE
    for side, (_, options) in sides.SIDES.items():
        inspect.signature(sides.function(side)).bind(None, **options)


def test_memory_counts_children_too() -> None:
    hold = "held = bytearray(b'x') * 60_000_000; print(flush=True); input()"
    parent = (
        f"import subprocess, sys; held = bytearray(b'x') * 50_000_000; subprocess.run([sys.executable, '-c', {hold!r}])"
    )
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()  # the child holds its own by now
        megabytes = measure.anonymous_memory(process.pid)
        process.communicate("\n")
    assert 110 < megabytes < 160
    assert measure.anonymous_memory(process.pid) == 0  # ended


def test_a_side_that_fails_is_named_and_the_others_go_on(
    start: Callable, paintings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sides.COMMANDS, "first step", lambda setup: [sys.executable, "-c", "exit('error: no disk')"])
    for quick in ("--help", "imports"):
        monkeypatch.setitem(sides.COMMANDS, quick, lambda setup: [sys.executable, "-c", "pass"])
    monkeypatch.setattr(measure, "WARM", set())
    code, out, error = start("--root", paintings, "--paintings", 6, "--only", "start", "--out", "b")
    assert code == 1
    assert error == 2 * "error: the side 'first step' failed: no disk\n"
    assert "without the rows of what failed: first step; see the errors\n" in out
    found = json.loads((tmp_path / "b/benchmark.json").read_text())
    assert [row["row"] for row in found["rows"]] == ["train.py --help"]
    assert len(found["raw"]["imports"]["s"]) == 2


@pytest.mark.slow
def test_what_a_benchmark_leaves(start: Callable, paintings: Path, tmp_path: Path) -> None:
    code, out, error = start(
        "--root", paintings, "--paintings", 30, "--repeats", 1, "--only", "head_only", "--out", "b"
    )
    assert (code, error) == (0, "")
    assert out.endswith("results: b (benchmark.json, benchmark.md, benchmark.png)\n")
    assert "5 epochs cold, head_only" in out
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"benchmark.json", "benchmark.md", "benchmark.png"}
    found = json.loads((tmp_path / "b/benchmark.json").read_text())
    (row,) = found["rows"]
    assert (row["beside"], row["reach"], row["reached"]) == ("plain loop, head_only", 4, row["ratio"] >= 4)
    assert row["ratio"] == pytest.approx(row["theirs"] / row["ours"])
    assert {side: len(figures["s"]) for side, figures in found["raw"].items()} == {
        "cold, head_only": 1,
        "plain loop, head_only": 1,
    }
    assert min(min(figures["MB"]) for figures in found["raw"].values()) > 100  # torch alone
    machine = found["machine"]
    assert machine["paintings"] == 30
    assert len(machine["threads"]) == 1  # all sides have as many
    assert str(machine["plain_workers"]["best"]) in machine["plain_workers"]["images/s"]
    with Image.open(tmp_path / "b/benchmark.png") as picture:
        picture.load()
        assert picture.width == 1170
    lines = (tmp_path / "b/benchmark.md").read_text().splitlines()
    assert sum(line.startswith("| ") for line in lines) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "nowhere"], "error: no paintings at {folder}/nowhere: put style folders there"),
        (["--only", "stedy"], "unknown group 'stedy': did you mean 'steady'? valid: steady, full"),
        (["--repeats", "0"], "expected a number from 1, but got 0"),
    ],
)
def test_mistakes_are_one_line(start: Callable, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, error = start(*arguments)
    assert code in (1, 2)  # 2 is argparse's
    assert message.format(folder=tmp_path) in error.splitlines()[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_all_rows(start: Callable, tmp_path: Path) -> None:
    """Without a folder of paintings the demo's are painted."""
    code, _, error = start("--paintings", 50, "--repeats", 1)
    assert (code, error) == (0, "")
    (folder,) = (tmp_path / "logs/benchmark").iterdir()
    found = json.loads((folder / "benchmark.json").read_text())
    missing = {row.name for row in ROWS} - {row["row"] for row in found["rows"]}
    assert missing <= {"making the caches"}  # on so few, a cold run may be as fast as a warm one
    assert found["machine"]["paintings"] == 50
    with Image.open(folder / "benchmark.png") as picture:
        picture.load()
