"""Publishing and taking back, against a stand-in of the hub's HTTP protocol on this machine."""

import time
from pathlib import Path

import huggingface_hub
import pytest
import torch

from brushwork import downloads
from brushwork.errors import UserError
from brushwork.export import hub as publishing
from brushwork.models import checkpoint as checkpoints
from brushwork.models import published
from brushwork.models.classifier import StyleClassifier
from brushwork.models.predictor import load_predictor, named_predictor
from tests.conftest import STYLES
from tests.export.conftest import Hub

PLACE = Path("hf://user/styles")  # which is hf:/user/styles, as argparse's Path makes it


def test_what_was_pushed_comes_back(hub: type[Hub], exported: Path, checkpoint: Path, monkeypatch) -> None:
    publishing.check("user/styles")
    address = publishing.push(exported, "user/styles", private=True)
    assert address.endswith("/user/styles") and hub.private is True
    wanted = {path.name for path in exported.iterdir()} - {"model.pt2"}
    assert hub.files == {name: (exported / name).read_bytes() for name in wanted}

    expected = load_predictor(checkpoint)
    found = load_predictor(PLACE)
    got = {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request}
    assert got == {"config.json", "model.safetensors", "familiarity.safetensors"}  # not the graphs
    assert found.name == "styles" and found.calibration == expected.calibration and found.familiarity is not None
    state = found.network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in expected.network.state_dict().items())
    assert named_predictor("hf://user/styles", None).class_names == STYLES
    for source in ("user/styles", "hf://user/styles", f"hf://user/styles@{hub.revision()}", exported):
        assert StyleClassifier.from_pretrained(source).class_names == STYLES
    started = StyleClassifier("squeezenet1_1", "replace_last", 3, weights="hf://user/styles")
    assert torch.equal(started.new_layer.weight, expected.head.weight)
    with pytest.raises(UserError, match="hf://user/styles has no revision v9: name a branch"):
        load_predictor(Path("hf://user/styles@v9"))

    hub.stop()  # no network: what is in the cache is used
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    assert load_predictor(PLACE).class_names == STYLES
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert load_predictor(PLACE).class_names == STYLES
    with pytest.raises(UserError, match=r"hf://user/other is not in the cache.* \(HF_HUB_OFFLINE is set\): connect"):
        load_predictor(Path("hf://user/other"))


def test_a_hub_that_cannot_be_reached(hub: type[Hub], exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    start = time.perf_counter()
    with pytest.raises(
        UserError, match=r"not in the cache, and the hub can't be reached \(.*refused.*\): connect to a"
    ):
        load_predictor(PLACE)
    with pytest.raises(
        UserError, match=r"--push: http://127\.0\.0\.1:1 can't be used \(.*refused.*\): try again later"
    ):
        publishing.check("user/styles")
    assert time.perf_counter() - start < 5


def test_a_repository_that_is_not_there(hub: type[Hub]) -> None:
    with pytest.raises(UserError, match="hf://user/nothing is not on the hub, or not open to you"):
        load_predictor(Path("hf://user/nothing"))
    hub.files |= {"config.json": b'{"model_type": "bert"}', "model.safetensors": b""}
    with pytest.raises(UserError, match="hf://user/styles was not exported by Brushwork"):
        load_predictor(PLACE)
    hub.files = {"README.md": b""}
    with pytest.raises(UserError, match=r"hf://user/styles has no config\.json: export it again"):
        load_predictor(PLACE)


def test_a_token_that_is_missing_or_refused(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(UserError, match=r"can't be used .*Invalid.*: check the token: hf auth login, or HF_TOKEN"):
        publishing.check("user/styles")
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(UserError, match="--push needs a token"):
        publishing.check("user/styles")


@pytest.mark.parametrize("name", ["styles", "a/b/c", "user/my styles", "hf://user/styles", "user/styles@main"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UserError, match="expected --push USER/NAME, but got"):
        publishing.check(name)
    if name != "hf://user/styles":
        with pytest.raises(UserError, match=r"expected hf://USER/NAME|no file"):
            published.read(Path(f"hf://{name}")) if "@" not in name else checkpoints.read(Path(name))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: load_predictor(PLACE), lambda: publishing.check("user/styles")):
        with pytest.raises(UserError, match=r"needs huggingface_hub: pip install '\.\[hub\]'"):
            call()
