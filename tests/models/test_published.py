"""A published network's files, which anyone may have written: read without running code, or refused in a line."""

import json
from pathlib import Path

import pytest
import torch

from brushwork.errors import UserError
from brushwork.models import checkpoint, published
from brushwork.models.classifier import StyleClassifier
from brushwork.models.predictor import load_predictor


@pytest.fixture
def export(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    names = ["Baroque", "caf\udce9 <b>\n", "日本"]  # a name that is not UTF-8
    model = StyleClassifier("squeezenet1_1", "replace_last", 3, weights=None, class_names=names)
    described = checkpoint.describe(model) | {"data": "/data/secret/paintings", "initial_weights": "/home/me/w.pth"}
    content = {published.KEY: described, "state_dict": model.state_dict(), "hyper_parameters": {}}
    published.write_config(tmp_path, content)
    published.write_tensors(tmp_path, content, checkpoint.network_state(content))
    return tmp_path


def test_names_of_any_kind_come_back_and_paths_do_not(export: Path) -> None:
    found = load_predictor(export)
    assert found.class_names == ["Baroque", "caf\udce9 <b>\n", "日本"]
    assert (found.described["data"], found.described["initial_weights"]) == ("paintings", "w.pth")
    assert "secret" not in (export / "config.json").read_text()
    assert found.familiarity is None and not found.calibration.is_fitted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"library_name": "timm"}, "was not exported by Brushwork"),
        ({"head": None}, "is damaged .*head"),
        ({"class_names": "abc"}, "is damaged .*class_names"),
        ({"class_names": ["a", 1, "c"]}, "is damaged .*class_names"),
        ({"architecture": "resnet_18"}, r"unknown model\.architecture 'resnet_18'"),
        ({"preprocessing": {"image_size": 3, "mean": [0, 0, 0], "std": [1, 1, 1]}}, "image_size=3 is too small"),
        ({"preprocessing": {"image_size": 64, "mean": [0], "std": [1]}}, "is damaged .*mean and std"),
        ({"preprocessing": {"size": 64}}, "is damaged .*size"),
        ({"preprocessing": None}, "is damaged"),
        ({"calibration": {"temperature": 0}}, "is damaged .*temperature"),
        ({"calibration": {"heat": 1}}, "is damaged .*heat"),
        ({"optimizer": {"lr": 1}}, "is damaged"),
        ({"scheduler": "os.system"}, "is damaged"),
        ({"familiarity": {"typical": 1.0}}, r"has no familiarity\.safetensors"),
        ({"head": "their.module.head"}, r"has a head made by their\.module\.head"),
    ],
)
def test_a_config_of_others_is_a_line(export: Path, change: dict, message: str) -> None:
    path = export / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message) as caught:
        load_predictor(export)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"brushwork": 1}', "\0\1"])
def test_what_is_no_config(export: Path, content: str) -> None:
    (export / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"is damaged|was not exported"):
        load_predictor(export)


def test_weights_that_are_missing_damaged_or_a_pickle(export: Path) -> None:
    weights = export / "model.safetensors"
    torch.save({"a": torch.ones(1)}, weights)  # never unpickled
    with pytest.raises(UserError, match="is damaged"):
        load_predictor(export)
    weights.unlink()
    with pytest.raises(UserError, match=r"has no model\.safetensors: export it again, --format safetensors"):
        load_predictor(export)


def test_what_from_pretrained_names(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert published.place("user/name@v1") == Path("hf://user/name@v1")
    assert published.place(export) == export
    monkeypatch.chdir(export.parent)
    (export / "inner").mkdir()
    assert published.place(f"{export.name}/inner") == Path(export.name) / "inner"  # a folder, not on the hub
    with pytest.raises(UserError, match=r"expected hf://USER/NAME or"):
        published.read(Path("hf://user"))
