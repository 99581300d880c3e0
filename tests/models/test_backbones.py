"""Weights: verified, downloaded within limits, refused with a way on (FAULTS 18, 19, 23, 24)."""

import copy
import hashlib
import http.server
import math
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from brushwork.errors import UserError
from brushwork.models import backbones

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"


def test_imagenet_weights_from_a_filled_cache(weights_cache: Path) -> None:
    """The file of the name and keys that torchvision expects, made here, since nothing is downloaded."""
    theirs = models.alexnet()
    torch.save(theirs.state_dict(), weights_cache / ALEXNET_FILE)
    ours = backbones.build("alexnet")
    backbones.load_named_weights(ours, "alexnet", "imagenet", verify=False)
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)


def test_unverified_weights_are_warned_of(weights_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(models.squeezenet1_1().state_dict(), weights_cache / "squeezenet1_1-b8a52dc0.pth")
    backbones.load_named_weights(backbones.build("squeezenet1_1"), "squeezenet1_1", "imagenet", verify=False)
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
        backbones.load_named_weights(network, "squeezenet1_1", "imagenet")
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
    path = backbones._cached(f"{address}/net-{digest}.pth", verify=True)
    assert path.read_bytes() == Server.content
    assert backbones._cached(f"http://127.0.0.1:1/net-{digest}.pth", verify=True) == path  # no second download


@pytest.mark.parametrize("name", ["missing-00000000.pth", "short-00000000.pth", "wrong-00000000.pth", "silent-0.pth"])
def test_failed_download_leaves_nothing(
    weights_cache: Path, address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "DOWNLOAD_TIMEOUT", 0.5)
    start = time.perf_counter()
    with pytest.raises(
        UserError, match=rf"{name} cannot be downloaded .*put the file at .*{name}.*model\.weights=null"
    ):
        backbones._cached(f"{address}/{name}", verify=True)
    assert time.perf_counter() - start < 2.5  # HEAD and GET, half a second each at most
    assert list(weights_cache.iterdir()) == []


def test_no_network(weights_cache: Path) -> None:
    with pytest.raises(UserError, match="cannot be downloaded"):
        backbones._cached("http://127.0.0.1:1/net-00000000.pth", verify=True)


class Payload:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("executed"),))


def test_pickled_code_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Payload()}, "code.pth")
    Path("bare.pth").write_bytes(pickle.dumps(Payload()))
    for name in ("code.pth", "bare.pth"):
        with pytest.raises(UserError, match=rf"{name} cannot be loaded: .*never executed"):
            backbones.read_checkpoint(Path(name))
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
            backbones.read_checkpoint(path)
        except UserError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip file"])
def test_file_that_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "strange.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"strange\.pth") as caught:
        backbones.read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_state_dict_of_another_architecture(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pth"
    torch.save(models.resnet18().state_dict(), path)
    with pytest.raises(UserError, match=r"resnet\.pth does not fit SqueezeNet: it lacks features\.0\.weight"):
        backbones.load_strictly(backbones.build("squeezenet1_1"), backbones.read_checkpoint(path), path)


def test_state_dict_of_another_shape(tmp_path: Path) -> None:
    state = models.squeezenet1_1(num_classes=7).state_dict()
    with pytest.raises(UserError, match=r"wrong shape classifier\.1\.weight \(7, 512, 1, 1\) instead of \(1000,"):
        backbones.load_strictly(backbones.build("squeezenet1_1"), state, tmp_path / "seven.pth")


@pytest.mark.parametrize(("architecture", "smallest"), [("alexnet", 63), ("vgg16", 32)])
def test_smallest_input(architecture: str, smallest: int) -> None:
    assert backbones.preprocessing(architecture, smallest).image_size == smallest
    with pytest.raises(UserError, match=f"image_size={smallest - 1} is too small for {architecture}.*{smallest}"):
        backbones.preprocessing(architecture, smallest - 1)


@pytest.mark.parametrize("architecture", ["vit_b_16", "maxvit_t"])
def test_networks_of_one_size(architecture: str) -> None:
    assert backbones.preprocessing(architecture).image_size == 224
    with pytest.raises(UserError, match="takes 224 pixels and no other size"):
        backbones.preprocessing(architecture, 256)


def test_preprocessing_is_the_weights_own() -> None:
    ours = backbones.preprocessing("alexnet")
    theirs = models.AlexNet_Weights.IMAGENET1K_V1.transforms()
    assert (ours.image_size, list(ours.mean), list(ours.std)) == (224, theirs.mean, theirs.std)


def test_unknown_architecture_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown model\.architecture 'resnet81': did you mean 'resnet18'"):
        backbones.build("resnet81")


def test_initialisation_by_gain() -> None:
    torch.manual_seed(0)
    layer = backbones.build("alexnet", gain=1.2).classifier[1]
    assert isinstance(layer, nn.Linear)
    assert layer.weight.std().item() == pytest.approx(1.2 / math.sqrt(9216), rel=0.01)
    assert not layer.bias.any()


def test_redrawn_weights_keep_each_layers_mean_and_deviation() -> None:
    network = backbones.build("alexnet")
    nn.init.uniform_(network.classifier[4].weight, 1, 3)
    nn.init.constant_(network.classifier[4].bias, 0.5)
    before = network.classifier[4].weight.clone()
    backbones.redraw(network)
    after = network.classifier[4].weight
    assert after.mean().item() == pytest.approx(2, abs=1e-3)
    assert after.std().item() == pytest.approx(2 / 12**0.5, abs=1e-3)  # of a uniform distribution
    assert after.max() > 3.5  # no longer uniform
    assert abs(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1]) < 0.01
    assert (network.classifier[4].bias == 0.5).all()


def test_redraw_of_one_module_by_its_own_generator() -> None:
    block = nn.Sequential(nn.Linear(8, 8), nn.MultiheadAttention(8, 2))
    twin = copy.deepcopy(block)
    random_state = torch.get_rng_state()
    for one in (block, twin):
        backbones.redraw(one[1], recurse=False, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(block[1].in_proj_weight, twin[1].in_proj_weight)
    before = block[1].out_proj.weight.clone()
    backbones.redraw(block[1], recurse=False, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(block[1].in_proj_weight, twin[1].in_proj_weight)
    assert torch.equal(block[1].out_proj.weight, before)


def test_real_weights_load_and_classify(shared: Path) -> None:
    """SqueezeNet's real ImageNet weights know a doberman."""
    from brushwork import images

    path = shared / "weights/squeezenet1_1-imagenet.pth"
    network = backbones.build("squeezenet1_1").eval()
    backbones.load_strictly(network, backbones.read_checkpoint(path), path)
    weights = models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    photo = next((shared / "data/photos/assignment").glob("*oberman*"))
    with torch.no_grad():
        predicted = network(weights.transforms()(images.load_rgb(photo))[None]).argmax().item()
    assert weights.meta["categories"][predicted] == "Doberman"
