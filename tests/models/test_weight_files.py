"""What is in files of weights, read without running code."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from brushwork.errors import UserError
from brushwork.models import weight_files as wf


class Payload:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


def test_pickled_code_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Payload()}, "code.pth")
    Path("bare.pth").write_bytes(pickle.dumps(Payload()))
    for name in ("code.pth", "bare.pth"):
        with pytest.raises(UserError, match=rf"{name} cannot be loaded: .*never executed"):
            wf.read_file(Path(name))
    assert not Path("executed").exists()


def test_damaged_checkpoints_are_one_line(tmp_path: Path) -> None:
    """Random damage makes torch raise anything; the user sees one line that names the file."""
    good = tmp_path / "good.pth"
    torch.save({"weight": torch.arange(10.0), "names": ["a", "b"]}, good)
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.pth"
    for _ in range(300):
        content = bytearray(good.read_bytes())
        for position in rng.integers(0, len(content), 4):
            content[position] = rng.integers(256)
        path.write_bytes(content)
        try:
            wf.read_file(path)
        except UserError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip file"])
def test_file_that_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"strange\.pth") as caught:
        wf.read_file(path)
    assert "\n" not in str(caught.value)
