"""scripts/check_data.py as a user starts it."""

import json
import logging
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "scripts/check_data.py"

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Check:
    """Run the script in this process, in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("brushwork"), "handlers", [])

    def start(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        return ended.value.code, *capsys.readouterr()

    return start


@pytest.fixture
def root(paintings: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(paintings, tmp_path / "root"))


def test_nothing_spoils(check: Check, root: Path) -> None:
    code, out, error = check("root")
    assert (code, error) == (0, "")
    assert out.endswith("results: logs/check_data (report.html, report.json)\n")
    assert "majority 0.333, artist look-up 1.000" in out
    report = json.loads(Path("logs/check_data/report.json").read_text())
    assert (report["spoilt"], report["root"]) == (False, str(root))
    assert "No finding would spoil a result" in Path("logs/check_data/report.html").read_text()


def test_what_spoils_is_named_and_the_exit_status_is_1(check: Check, root: Path) -> None:
    for number in range(12):
        (root / f"Dots/artist_page-{number:02}.jpg").write_text("<html>")
    shutil.copyfile(root / "Dots/artist-dots-0_00.jpg", root / os.fsdecode(b"Waves/jos\xe9_x.jpg"))
    code, out, error = check("root", "--out", "out")
    assert (code, error) == (1, "")
    assert "spoils 12: can't be read" in out
    assert "Dots/artist_page-09.jpg (not an image; fetch it again or remove it)" in out
    assert "artist_page-10" not in out
    assert "    and 2 more\n" in out
    assert "Dots/artist-dots-0_00.jpg (train) = Waves/jos\\xe9_x.jpg (" in out
    findings = {finding["kind"]: finding for finding in json.loads(Path("out/report.json").read_text())["findings"]}
    assert len(findings["unreadable"]["groups"]) == 12
    assert findings["same_label_conflict"]["severity"] == "spoils"
    assert "Some findings would spoil a result" in Path("out/report.html").read_text(errors="surrogateescape")


def test_the_split_of_a_run(check: Check, root: Path) -> None:
    rows = [
        f"{path.relative_to(root)},{'val' if path.stem.endswith('0') else 'train'}" for path in root.glob("*/*.jpg")
    ]
    Path("split.csv").write_text("\n".join(["path,part", *rows]))
    code, out, _ = check("root", "--split-csv", "split.csv")
    assert code == 0
    assert "split: split.csv" in out
    assert json.loads(Path("logs/check_data/report.json").read_text())["parts"] == {"train": 27, "val": 3, "test": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "/nowhere: put style folders there"),
        (["root", "--split-csv", "nowhere.csv"], "nowhere.csv: name a CSV"),
        (["root", "--out", "root/Dots/artist-dots-0_00.jpg"], "name another --out"),
    ],
)
def test_mistakes_are_one_line(check: Check, root: Path, arguments: list[str], message: str) -> None:
    code, _, error = check(*arguments)
    assert code == 1
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert message in error


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", str(SCRIPT), "--help"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0
    assert "examples:" in process.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in process.stderr.splitlines()}
    assert "argparse" in imported
    assert imported.isdisjoint({"torch", "numpy", "scipy", "imagehash", "jinja2", "PIL"})
