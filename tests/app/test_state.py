"""Which run is meant, and what is left of it."""

import logging
import os
import shutil
from pathlib import Path

import pytest

from brushwork import csv_files, files, run_folder
from brushwork.app import run
from brushwork.app import state as states
from brushwork.app.state import State
from brushwork.errors import UserError


def test_what_a_run_gives(state: State, root: Path) -> None:
    assert (state.run, state.is_demo, state.methods[:2]) == ("demo run", True, ["gradcam", "gradient"])
    assert len(state.index.paintings) == 21
    held_out = {row.path: row for row in state.record.held_out}
    assert len({example.path for example in state.examples}) == states.EXAMPLES
    assert len({example.style for example in state.examples}) == 3
    for example in state.examples:
        row = held_out[example.path.relative_to(root).as_posix()]
        assert (example.style, example.predicted) == (row.style, row.predicted)
    right = [example.predicted == example.style for example in state.examples]
    assert any(right) and not all(right)


def test_without_the_paintings(run_of_app: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(run_of_app / run_folder.BEST, tmp_path / run_folder.BEST)
    shutil.copy(run_of_app / run_folder.SPLIT, tmp_path)
    shutil.copy(run_of_app / run_folder.PREDICTIONS, tmp_path)
    with caplog.at_level(logging.WARNING):
        found = states.load(tmp_path, root=tmp_path / "gone")
    assert (found.index, found.examples) == (None, [])
    assert found.record is not None
    assert "similar paintings and examples are not shown: the paintings of " in caplog.text
    (tmp_path / run_folder.PREDICTIONS).unlink()
    with caplog.at_level(logging.WARNING):
        assert states.load(tmp_path, similar=False, root=tmp_path / "gone").record is None
    assert "how often this network is right is not shown" in caplog.text


def test_the_newest_finished_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UserError, match=r"there is no run in .*: name a run folder"):
        run.checkpoint_of(tmp_path / "none")
    with pytest.raises(UserError, match="no finished run in"):
        run.checkpoint_of(tmp_path)
    for number, (name, status) in enumerate(
        [("b", "finished"), ("a", "finished"), ("c", "running"), ("d", "finished")]
    ):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        files.write_json(tmp_path / name / run_folder.RESULT, run_folder.new_result() | {"status": status})
        os.utime(tmp_path / name / run_folder.RESULT, (number, number))
        if name != "d":
            (tmp_path / name / run_folder.BEST).touch()
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / run_folder.RESULT).write_text("{")
    with caplog.at_level(logging.INFO):
        assert run.checkpoint_of(tmp_path) == tmp_path / "a" / run_folder.BEST
    assert f"the newest finished one is taken, {tmp_path / 'a'}" in caplog.text
    assert run.checkpoint_of(tmp_path / "c") == tmp_path / "c" / run_folder.BEST  # as it was asked for
    assert run.checkpoint_of(tmp_path / "b" / run_folder.BEST) == tmp_path / "b" / run_folder.BEST


def test_an_example_that_is_gone(run_of_app: Path, root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "paintings"
    shutil.copytree(root, copy)
    for path in (copy / "Dots").iterdir():
        path.unlink()
    found = states.load(run_of_app, root=copy, similar=False)
    assert {example.style for example in found.examples} == {"Facets", "Waves"}
    assert csv_files.read(run_of_app / run_folder.SPLIT)
