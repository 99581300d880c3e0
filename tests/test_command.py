"""The command `brushwork`, and what is said where it is not installed."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brushwork import __main__
from tests.conftest import REPOSITORY


@pytest.fixture
def _own_log() -> Iterator[None]:
    """A script adds a handler for its process's terminal."""
    log = logging.getLogger("brushwork")
    handlers, level = log.handlers[:], log.level
    yield
    log.handlers[:] = handlers
    log.setLevel(level)


@pytest.mark.usefixtures("_own_log")
def test_commands_are_the_scripts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", ["brushwork"])
    __main__.main()
    out = capsys.readouterr().out
    for name in ("train", "saliency", "compare", "check-data", "prepare-wikiart", "figures", "stores", "benchmark"):
        assert f"\n  {name} " in out
    monkeypatch.setattr(sys, "argv", ["brushwork", "compare", "/nowhere"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: there is no folder /nowhere")
    monkeypatch.setattr(sys, "argv", ["brushwork", "comparre"])
    with pytest.raises(SystemExit, match="did you mean 'compare'"):
        __main__.main()


@pytest.mark.parametrize("command", ["train.py", "scripts/compare.py", "scripts/saliency.py"])
def test_a_clone_without_an_installation(tmp_path: Path, command: str) -> None:
    """-S leaves site-packages out, as an interpreter has it that nothing was installed for."""
    shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts")
    shutil.copy(REPOSITORY / "train.py", tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: brushwork is not installed: run make install")
    assert len(done.stderr.splitlines()) == 1
