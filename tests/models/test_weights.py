"""Weights: verified, downloaded within limits, refused with a way on (FAULTS 18, 19, 23, 24)."""

import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import backbones
from brushwork.models import weights as wf
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
    monkeypatch.setattr(wf, "DOWNLOAD_TIMEOUT", 0.5)
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
    path = tmp_path / "resnet.pth"
    torch.save(models.resnet18().state_dict(), path)
    with pytest.raises(UserError, match=r"resnet\.pth does not fit SqueezeNet: it lacks features\.0\.weight"):
        wf.load_strictly(backbones.build("squeezenet1_1"), read_file(path), path)


def test_state_dict_of_another_shape(tmp_path: Path) -> None:
    state = models.squeezenet1_1(num_classes=7).state_dict()
    with pytest.raises(UserError, match=r"wrong shape classifier\.1\.weight \(7, 512, 1, 1\) instead of \(1000,"):
        wf.load_strictly(backbones.build("squeezenet1_1"), state, tmp_path / "seven.pth")


def test_real_weights_load_and_classify(shared: Path) -> None:
    """SqueezeNet's real ImageNet weights know a doberman."""
    from brushwork import images

    path = shared / "weights/squeezenet1_1-imagenet.pth"
    network = backbones.build("squeezenet1_1").eval()
    wf.load_strictly(network, read_file(path), path)
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    photo = next((shared / "data/photos/assignment").glob("*oberman*"))
    with torch.no_grad():
        predicted = network(weights.transforms()(images.load_rgb(photo))[None]).argmax().item()
    assert weights.meta["categories"][predicted] == "Doberman"
