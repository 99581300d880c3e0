"""scripts/compare.py as a user starts it, on real runs."""

import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from brushwork import csv_files, run_folder
from tests.conftest import BOTH_HEADS, Run


def _copied(runs: Path, folder: Path) -> Path:
    """A copy to be spoilt, without what is large."""
    return Path(shutil.copytree(runs, folder, ignore=shutil.ignore_patterns("checkpoints", "events.*")))


def test_both_heads_compared(run: Run, both_heads: Path, tmp_path: Path) -> None:
    code, out, error = run("compare", both_heads, "--out", "out")
    assert (code, error) == (0, "")
    assert out.splitlines()[-1] == "results: out (comparison.html, comparison.md, comparison.csv, 6 figures)"
    assert max(map(len, out.splitlines())) <= 100
    folder = tmp_path / "out"
    drawn = {path.name: Image.open(path).size for path in folder.glob("*.png")}
    assert set(drawn) == {
        "confusion-replace_last.png",
        "confusion-replace_two.png",
        "figure-5-validation-accuracy.png",
        "figure-6-training-loss.png",
        "figure-7-both.png",
        "saliency.png",
    }
    assert drawn["figure-7-both.png"][0] > 1.5 * drawn["figure-5-validation-accuracy.png"][0]
    results = [run_folder.read_result(both_heads / name) for name in BOTH_HEADS]
    accuracies = [result["last"]["val/accuracy"] for result in results]
    (difference,) = [
        row
        for row in csv_files.read(folder / "comparison.csv")
        if row["quantity"] == "difference" and row["seed"] == "0"
    ]
    assert float(difference["value"]) == pytest.approx(accuracies[1] - accuracies[0])
    answered = [
        {row["path"]: row["predicted"] == row["style"] for row in csv_files.read(both_heads / name / "predictions.csv")}
        for name in BOTH_HEADS
    ]
    first, second = answered
    only_two = sum(second[path] and not first[path] for path in first)
    assert re.search(rf"replace_two, seed 0 +\S+ +{only_two} ", out)
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert page.count("data:image/webp;base64,") > 2 + 2 + 6 * 3  # curves, matrices, the panel of maps
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)  # needs no other file
    assert "with one seed there is no interval over seeds" in page
    assert "artist look-up (no pixel)" in page


def test_goes_on_without_paintings_and_checkpoints(run: Run, both_heads: Path, tmp_path: Path) -> None:
    copies = _copied(both_heads, tmp_path / "runs")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/saliency.png").touch()  # of an earlier comparison
    code, out, error = run("compare", copies, "--out", "out")
    assert (code, error) == (0, "")
    assert f"no maps: there is no file {copies / BOTH_HEADS[0] / run_folder.BEST}: " in out
    assert not (tmp_path / "out/saliency.png").exists()
    assert "No maps: " in (tmp_path / "out/comparison.html").read_text()
    for name in BOTH_HEADS:
        config = copies / name / run_folder.CONFIG
        config.write_text(re.sub(r"(?m)^  root: .*", "  root: gone", config.read_text()))
    code, out, error = run("compare", copies, "--out", "out")
    assert (code, error) == (0, "")
    assert f"no maps: there are no paintings at {tmp_path}/gone\n" in out


def test_unfinished_and_damaged_runs_are_left_out_by_name(run: Run, both_heads: Path, tmp_path: Path) -> None:
    copies = _copied(both_heads, tmp_path / "runs")
    for name, text in [("failed", None), ("damaged", "{")]:
        other = _copied(copies / BOTH_HEADS[0], copies / name) / run_folder.RESULT
        other.write_text(text or json.dumps(json.loads(other.read_text()) | {"status": name}))
    code, out, error = run("compare", copies, "--out", "out")
    assert (code, error) == (0, "")
    assert f"left out: {copies}/failed is failed\n" in out
    assert f"left out: {copies}/damaged holds no run that can be read (" in out
    assert "is failed" in (tmp_path / "out/comparison.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "there is no folder {folder}/gone"),
        (["."], "no finished run in {folder}"),
        (["{heads}/{one}"], "there is only one arm, replace_last with seed 0"),
        (["{heads}", "--reference", "replace_too"], "unknown --reference 'replace_too': did you mean 'replace_two'?"),
    ],
)
def test_a_mistake_is_one_line(run: Run, both_heads: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    filled = [argument.format(heads=both_heads, one=BOTH_HEADS[0]) for argument in arguments]
    code, _, error = run("compare", *filled)
    assert code == 1
    assert error.startswith(f"error: {message.format(folder=tmp_path)}")
    assert error.count("\n") == 1
    assert not (tmp_path / "logs").exists()
