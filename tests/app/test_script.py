"""scripts/app.py: what stops it is one line."""

import sys
from pathlib import Path

import pytest

from brushwork import run_folder
from tests.conftest import Run


def test_without_gradio(run: Run, run_of_app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    code, out, error = run("app", run_of_app)
    assert (code, out, error) == (1, "", "error: the app needs Gradio: pip install '.[app]'\n")


def test_without_a_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", object())
    code, _, error = run("app", "logs/nothing")
    assert code == 1
    assert error == (
        f"error: there is no run in {tmp_path}/logs/nothing: name a run folder, logs/demo/... say, or a checkpoint\n"
    )
    (tmp_path / "other.ckpt").write_bytes(b"no checkpoint")
    code, _, error = run("app", "other.ckpt")
    assert (code, error.count("\n")) == (1, 1)
    assert error.startswith("error: ") and "other.ckpt" in error
    assert run_folder.BEST not in error
