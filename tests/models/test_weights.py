"""Weights: verified, downloaded within limits, refused with a way on (FAULTS 18, 19, 23, 24)."""

import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn
from torchvision import models

from brushwork import downloads
from brushwork.errors import UserError
from brushwork.models import backbones, fitting, heads, misfits, predictor
from brushwork.models import weights as wf
from brushwork.models.classifier import StyleClassifier
from brushwork.models.weight_files import read_file

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"


def load_named(network: nn.Module, architecture: str, verify: bool = True) -> None:
    path = wf.path_of(architecture, "imagenet", verify)
    wf.load(network, path, read_file(path))


def test_imagenet_weights_from_a_filled_cache(weights_cache: Path) -> None:
    """The file of the name and keys that torchvision expects, made here, since nothing is downloaded."""
    theirs = models.alexnet()
    torch.save(theirs.state_dict(), weights_cache / ALEXNET_FILE)
    ours = backbones.build("alexnet")
    load_named(ours, "alexnet", verify=False)
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)


def test_unverified_weights_are_warned_of(weights_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(models.squeezenet1_1().state_dict(), weights_cache / "squeezenet1_1-b8a52dc0.pth")
    load_named(backbones.build("squeezenet1_1"), "squeezenet1_1", verify=False)
    assert "used unchecked" in caplog.text


@pytest.mark.parametrize("fault", ["zeros", "truncated", "empty", "other architecture"])
def test_damaged_cache_is_refused(weights_cache: Path, fault: str) -> None:
    path = weights_cache / "squeezenet1_1-b8a52dc0.pth"
    state = (models.resnet18() if fault == "other architecture" else models.squeezenet1_1()).state_dict()
    if fault == "zeros":
        state = {key: torch.zeros_like(value) for key, value in state.items()}
    torch.save(state, path)
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:100_000])
    if fault == "empty":
        path.write_bytes(b"")
    network = backbones.build("squeezenet1_1")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"squeezenet1_1-b8a52dc0\.pth is damaged.*delete it.*model\.weights=null"):
        load_named(network, "squeezenet1_1")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Server(http.server.BaseHTTPRequestHandler):
    content = b"some weights"

    def do_GET(self) -> None:
        if "silent" in self.path:
            time.sleep(3)
            return
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[:4] if "short" in self.path else self.content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_download_is_verified_and_cached(weights_cache: Path, address: str) -> None:
    digest = hashlib.sha256(Server.content).hexdigest()[:8]
    path = wf.cached(f"{address}/net-{digest}.pth", verify=True)
    assert path.read_bytes() == Server.content
    assert wf.cached(f"http://127.0.0.1:1/net-{digest}.pth", verify=True) == path  # no second download


@pytest.mark.parametrize("name", ["missing-00000000.pth", "short-00000000.pth", "wrong-00000000.pth", "silent-0.pth"])
def test_failed_download_leaves_nothing(
    weights_cache: Path, address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    start = time.perf_counter()
    with pytest.raises(
        UserError, match=rf"{name} cannot be downloaded .*put the file at .*{name}.*model\.weights=null"
    ):
        wf.cached(f"{address}/{name}", verify=True)
    assert time.perf_counter() - start < 2.5  # HEAD and GET, half a second each at most
    assert list(weights_cache.iterdir()) == []


def test_no_network(weights_cache: Path) -> None:
    with pytest.raises(UserError, match="cannot be downloaded"):
        wf.cached("http://127.0.0.1:1/net-00000000.pth", verify=True)


def test_state_dict_of_another_architecture(tmp_path: Path) -> None:
    path = tmp_path / "dense.pth"
    torch.save(models.densenet121().state_dict(), path)
    expected = (
        r"dense\.pth does not fit SqueezeNet: it lacks features\.0\.weight, .* and 49 more; "
        r"these are the weights of densenet121: choose it"
    )
    with pytest.raises(UserError, match=expected):
        wf.load_strictly(backbones.build("squeezenet1_1"), read_file(path), path)


def test_state_dict_of_another_shape(tmp_path: Path) -> None:
    state = models.densenet121(num_classes=7).state_dict()
    with pytest.raises(UserError, match=r"wrong shape classifier\.weight \(7, 1024\) instead of \(1000, 1024\)"):
        wf.load_strictly(backbones.build("densenet121"), state, tmp_path / "seven.pth")


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def squeezenet() -> dict[str, torch.Tensor]:
    return models.squeezenet1_1().state_dict()


@pytest.fixture(scope="module")
def seven_classes() -> dict[str, torch.Tensor]:
    return models.squeezenet1_1(num_classes=7).state_dict()


def test_a_start_for_training(tmp_path: Path, seven_classes: dict, caplog: pytest.LogCaptureFixture) -> None:
    """Other numbers of classes, or no last layer: it is replaced. One line says so."""
    caplog.set_level("INFO", "brushwork")
    headless = {f"encoder.{key}": value for key, value in seven_classes.items() if key.startswith("features")}
    for content, said in [
        ({"state_dict": seven_classes}, "took state_dict; its last layer, classifier.1, has 7 classes and is replaced"),
        (headless, r"dropped encoder. of 50 keys; began without classifier.1, since a new layer takes that place"),
    ]:
        path = saved(tmp_path / "start.pth", content)
        model = StyleClassifier("squeezenet1_1", "replace_last", 3, weights=str(path))
        for key, value in seven_classes.items():
            assert key.startswith("classifier") or torch.equal(model.network.state_dict()[key], value)
        assert len(model.new_layer.bias) == 3
        assert caplog.messages == [f"{path}: {said}"]
        caplog.clear()


def test_what_replace_two_throws_away_need_not_fit(tmp_path: Path) -> None:
    network = models.alexnet(num_classes=5)
    heads.replace_two(network, 5)
    path = saved(tmp_path / "two.pth", network.state_dict())
    model = StyleClassifier("alexnet", "replace_two", 3, weights=str(path))
    assert torch.equal(model.network.classifier[1].weight, network.classifier[1].weight)
    wanted, last = misfits.keys_and_shapes("alexnet")
    with pytest.raises(fitting.Misfit):  # replace_last keeps classifier.4
        fitting.fit(network.state_dict(), wanted, last, last)


def test_no_layer_that_is_kept_stays_random(tmp_path: Path, seven_classes: dict) -> None:
    def on_top(network: nn.Module, num_classes: int) -> nn.Module:
        network.on_top = nn.Linear(1000, num_classes)
        return network.on_top

    path = saved(tmp_path / "seven.pth", seven_classes)
    with pytest.raises(
        UserError, match=r"seven\.pth has no classifier\.1\.weight that fits, and head .*on_top keeps it"
    ):
        StyleClassifier("squeezenet1_1", on_top, 3, weights=str(path))


def test_a_network_of_the_files_classes(tmp_path: Path, seven_classes: dict) -> None:
    path = saved(tmp_path / "seven.pth", {"model": seven_classes})
    before = torch.get_rng_state()
    found = predictor.imagenet("squeezenet1_1", str(path))
    assert torch.equal(torch.get_rng_state(), before)
    theirs = models.squeezenet1_1(num_classes=7).eval()
    theirs.load_state_dict(seven_classes)
    images = torch.rand(2, 3, 64, 64)
    assert torch.allclose(found.network(images), theirs(images), atol=1e-6)
    assert found.class_names == list("0123456")


def test_without_its_last_layer_it_classifies_nothing(tmp_path: Path) -> None:
    headless = {key: value for key, value in models.densenet121().state_dict().items() if key.startswith("features")}
    path = saved(tmp_path / "headless.pth", headless)
    whose = r"these are the weights of densenet121 without its last layer: a start for training only"
    with pytest.raises(UserError, match=rf"it lacks classifier\.weight, classifier\.bias; {whose}"):
        predictor.imagenet("densenet121", str(path))
    with pytest.raises(UserError, match=r"use weights of others by --model densenet121 --weights .*headless\.pth"):
        predictor.named_predictor(str(path), None)


def test_two_networks_without_last_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As self-supervised learning leaves them: the network that was named is not the one to be chosen."""
    monkeypatch.setattr(misfits.backbones, "architectures", lambda: ["alexnet", "resnet18"])  # all take seconds
    body = {key: value for key, value in models.resnet18().state_dict().items() if not key.startswith("fc.")}
    teacher = {f"backbone.{key}": value + 1 for key, value in body.items()}
    path = saved(tmp_path / "dino.pth", {"student": body, "teacher": teacher})
    whose = r"resnet18 \(it holds the weights of 2 such networks, under student and teacher/backbone\.: save .*\)$"
    with pytest.raises(UserError, match=rf"it lacks fc\.weight, fc\.bias; these are the weights of {whose}"):
        predictor.imagenet("resnet18", str(path))


def test_our_own_checkpoint_as_weights(tmp_path: Path) -> None:
    model = StyleClassifier("squeezenet1_1", "replace_last", 2, weights=None, class_names=["Dots", "Waves"])
    trainer = L.Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    model.trainer = trainer
    path = tmp_path / "best.ckpt"
    trainer.save_checkpoint(path, weights_only=True)
    found = predictor.named_predictor("squeezenet1_1", str(path))
    assert found.class_names == ["Dots", "Waves"]
    assert torch.equal(found.network.classifier[1].weight, model.network.classifier[1].weight)
    with pytest.raises(
        UserError, match=r"best\.ckpt is a checkpoint of squeezenet1_1, not of alexnet: use that network, or"
    ):
        predictor.named_predictor("alexnet", str(path))
    # Its network alone, as somebody else would hand it on.
    bare = saved(tmp_path / "bare.pth", torch.load(path, weights_only=True)["state_dict"])
    assert predictor.named_predictor("squeezenet1_1", str(bare)).class_names == ["0", "1"]


def test_what_does_not_fit_is_a_table(
    tmp_path: Path, squeezenet: dict, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misfits, "architecture_of", lambda found: None)  # takes seconds
    state = {f"module.{key}": value for key, value in squeezenet.items() if key != "features.3.squeeze.bias"}
    path = saved(tmp_path / "changed.pth", state | {"module.features.3.extra.weight": torch.ones(3)})
    with pytest.raises(UserError, match=r"changed\.pth does not fit SqueezeNet: it lacks features\.3\.squeeze\.bias; "):
        wf.load(backbones.build("squeezenet1_1"), path, read_file(path))
    rows = [line.split() for line in caplog.text.splitlines()]
    assert ["features.3.squeeze.bias", "(16,)", "-"] in rows
    assert ["features.3.extra.weight", "-", "(3,)"] in rows


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda value: value.to_sparse(), "holds features.0.weight, which is sparse"),
        (lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), "features.0.weight, which is quantized"),
        (lambda value: value.to(torch.int8), "holds features.0.weight, which is of type int8"),
        (lambda value: value.to("meta"), "holds features.0.weight, which is without values"),
        (lambda value: value.numpy(), "holds features.0.weight, which is no tensor"),
        (lambda value: value.flatten().tolist(), "holds features.0.weight, which is no tensor"),
    ],
)
def test_values_that_are_no_weights(tmp_path: Path, squeezenet: dict, changed: Callable, message: str) -> None:
    path = saved(tmp_path / "odd.pth", {**squeezenet, "features.0.weight": changed(squeezenet["features.0.weight"])})
    network = backbones.build("squeezenet1_1")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match=rf"odd\.pth {message}".replace("pth features", "pth .*features")):
        wf.load(network, path, read_file(path))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(tmp_path: Path, squeezenet: dict, dtype: torch.dtype) -> None:
    path = saved(tmp_path / "half.pth", {key: value.to(dtype) for key, value in squeezenet.items()})
    network = backbones.build("squeezenet1_1")
    wf.load(network, path, read_file(path))
    for key, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, squeezenet[key].to(dtype).float())


def test_layers_with_a_version_of_their_own_load_from_any_file(tmp_path: Path) -> None:
    """torchvision's MNASNet refuses a state dict that has lost its versions, as a renamed one has."""
    theirs = models.mnasnet0_5()
    path = saved(tmp_path / "mnasnet.pth", {f"module.{key}": value for key, value in theirs.state_dict().items()})
    ours = backbones.build("mnasnet0_5")
    wf.load(ours, path, read_file(path))
    assert torch.equal(ours.layers[0].weight, theirs.layers[0].weight)


def test_real_weights_load_and_classify(shared: Path) -> None:
    """SqueezeNet's real ImageNet weights know a doberman."""
    from brushwork import images

    path = shared / "weights/squeezenet1_1-imagenet.pth"
    network = backbones.build("squeezenet1_1").eval()
    wf.load(network, path, read_file(path))
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    photo = next((shared / "data/photos/assignment").glob("*oberman*"))
    with torch.no_grad():
        predicted = network(weights.transforms()(images.load_rgb(photo))[None]).argmax().item()
    assert weights.meta["categories"][predicted] == "Doberman"
