"""What is in files of weights, read without running code."""

import argparse
import datetime
import pickle
import zipfile
from collections import defaultdict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

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


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"conv.weight": torch.rand(4, 3), "conv.bias": torch.rand(4), "n": torch.tensor(3)}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_tensors_wherever_they_are(tmp_path: Path, state: dict) -> None:
    inner = {"state": state, "epoch": 3, "losses": [0.1, 0.2], None: None}
    inner["itself"] = inner
    content = {"model": inner, "again": state, "list": [torch.ones(2)], 7: (torch.zeros(1),)}
    torch.save(content, tmp_path / "nested.pth")
    found = wf.tensors_in(wf.read_file(tmp_path / "nested.pth"))
    expected = {f"model/state/{key}": value for key, value in state.items()}
    assert_same(found, expected | {"list/0": torch.ones(2), "7/0": torch.zeros(1)})


def test_plain_values_beside_the_tensors(tmp_path: Path, state: dict) -> None:
    """They hold no code: numpy's, argparse's, paths, dates."""
    content = {
        "state_dict": state,
        "best": np.float64(61.2),
        "flag": np.bool_(True),
        "confusion": np.eye(3),
        "objects": np.array([None, "x"], dtype=object),
        "dtype": np.dtype("f4"),
        "args": argparse.Namespace(lr=0.1, data=Path("data"), kind=float, when=datetime.datetime(2020, 1, 1)),
        "history": defaultdict(list, {"loss": [np.float32(0.1)]}),
        "last": deque([1, 2]),
        "torch": torch.__version__,
    }
    for name, options in {"zip.pth": {}, "legacy.pth": {"_use_new_zipfile_serialization": False}}.items():
        torch.save(content, tmp_path / name, **options)
        found = wf.tensors_in(wf.read_file(tmp_path / name))
        assert_same(found, {f"state_dict/{key}": value for key, value in state.items()})


class Settings:
    """A class of another project."""


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"hyper": Settings()}, r"tests\.models\.test_weight_files\.Settings"),
        (nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear"),
        ({"model": nn.Linear(2, 2)}, r"torch\.nn\.modules\.linear\.Linear"),
        ({"call": len}, r"\S*len"),
    ],
)
def test_other_classes_are_named(tmp_path: Path, content: object, named: str) -> None:
    """And torch's advice to run their code is not passed on."""
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save(content, tmp_path / "object.pth", **options)
        with pytest.raises(
            UserError, match=rf"it needs the class or function {named}, pickled code, .*never"
        ) as caught:
            wf.read_file(tmp_path / "object.pth")
        assert "weights_only" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_names_of_any_characters_stay_on_one_line(tmp_path: Path) -> None:
    torch.save({"a\nb\x1b[31m": torch.ones(1), "x" * 10**6: torch.ones(2)}, tmp_path / "names.pth")
    short, long = wf.tensors_in(wf.read_file(tmp_path / "names.pth"))
    assert short == "a?b?[31m"
    assert len(long) < 1000


@pytest.mark.parametrize(
    "text", [b"<!DOCTYPE html>\n<html>", b"version https://git-lfs.github.com/spec/v1\noid sha256"]
)
def test_a_page_or_a_pointer_in_place_of_the_file(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(text)
    with pytest.raises(
        UserError, match=rf"weights\.pth is text and no file of weights: it begins with '{text[:9].decode()}"
    ):
        wf.read_file(tmp_path / "weights.pth")


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_other_pickle_protocols(tmp_path: Path, state: dict, protocol: int) -> None:
    torch.save(state, tmp_path / "new.pth", pickle_protocol=protocol)
    try:
        assert_same(wf.read_file(tmp_path / "new.pth"), state)
    except UserError as error:
        assert "cannot be loaded" in str(error)
        assert "weights_only" not in str(error)


def test_safetensors_under_any_name(tmp_path: Path, state: dict) -> None:
    save_file(state, tmp_path / "weights.safetensors")
    (tmp_path / "weights.bin").write_bytes((tmp_path / "weights.safetensors").read_bytes())
    torch.save(state, tmp_path / "torch.safetensors")
    for name in ("weights.safetensors", "weights.bin", "torch.safetensors"):
        assert_same(wf.read_file(tmp_path / name), state)
    (tmp_path / "half.safetensors").write_bytes((tmp_path / "weights.bin").read_bytes()[:-4])
    with pytest.raises(UserError, match=r"half\.safetensors is damaged"):
        wf.read_file(tmp_path / "half.safetensors")


class Program(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
        self.register_buffer("scale", torch.rand(3).half())
        self.sizes: list[int] = [1, 2]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images) * len(self.sizes)


def test_a_torchscript_archive_gives_its_tensors(tmp_path: Path) -> None:
    network = Program().eval()
    torch.jit.script(network).save(tmp_path / "scripted.pt")
    torch.jit.trace(network, torch.zeros(1, 3, 8, 8)).save(tmp_path / "traced.pt")
    for name in ("scripted.pt", "traced.pt"):
        assert_same(wf.read_file(tmp_path / name), network.state_dict())
    torch.jit.freeze(torch.jit.script(network)).save(tmp_path / "frozen.pt")
    with pytest.raises(UserError, match=r"frozen\.pt is a TorchScript archive without parameters"):
        wf.read_file(tmp_path / "frozen.pt")


def test_a_torchscript_archive_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("evil.pt", "w") as archive:
        archive.writestr("evil/constants.pkl", pickle.dumps(()))
        archive.writestr("evil/data.pkl", pickle.dumps(Payload(), protocol=2))
    with pytest.raises(
        UserError, match=r"evil\.pt is a TorchScript archive that needs \S*getattr: save the state dict"
    ):
        wf.read_file(Path("evil.pt"))
    assert not Path("executed").exists()


def test_a_folder_and_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder: name the file of weights in it"):
        wf.read_file(tmp_path)
    torch.save(torch.ones(3), tmp_path / "tensor.pth")
    with pytest.raises(UserError, match="holds a Tensor, not a state dict"):
        wf.read_file(tmp_path / "tensor.pth")


def test_a_file_without_permission_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.pth"
    path.touch()

    def refused(_: Path) -> None:  # permissions themselves do not bind root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(wf, "_content", refused)
    with pytest.raises(UserError, match=r"mine\.pth: no permission to read it"):
        wf.read_file(path)
