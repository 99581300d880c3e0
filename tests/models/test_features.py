"""Frozen features: computed once, and no run can tell."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brushwork import csv_files, row_store, run_folder
from brushwork.models import backbones, features, heads, tuning
from brushwork.paintings import demo, store
from brushwork.row_store import RowStore
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import without_pictures, write_paintings
from tests.training.test_training import assert_equal_runs, interrupted

MakeJob = Callable[..., Job]
make_job = pytest.fixture(without_pictures)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("architecture", "head", "shape"),
    [
        ("alexnet", "replace_last", (4096,)),
        ("alexnet", "replace_two", (4096,)),
        ("squeezenet1_1", "replace_last", (512, 3, 3)),
        ("mobilenet_v3_small", "replace_last", (1024,)),
        ("resnet18", "replace_last", (512,)),
        ("densenet121", "replace_last", (1024,)),
        ("convnext_tiny", "replace_last", (768,)),
        ("swin_t", "replace_last", (768,)),
    ],
)
def test_features_and_the_tail_are_the_network(architecture: str, head: str, shape: tuple[int, ...]) -> None:
    network = backbones.build(architecture)
    new_layer = heads.replace_head(network, head, 5)
    network.eval()
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = features.input_of(new_layer, network, pictures)
        assert found.shape == (2, *shape)
        torch.testing.assert_close(heads.tail(network, new_layer)(found), network(pictures))
    assert not new_layer._forward_pre_hooks


def run(
    make_job: MakeJob, *overrides: str, folder: str, tuning: str = "head_only"
) -> tuple[list[dict[str, str]], dict]:
    job = make_job(f"tuning={tuning}", *overrides, folder=folder)
    jobs.run_job(job)
    return csv_files.read(job.folder / run_folder.METRICS), run_folder.read_result(job.folder)


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.lr=0.1"],
        ["model=squeezenet1_1", "seed=9"],
        ["data.flip=false"],
        ["optimizer.lr=0.1", "split.test_fraction=0.2"],
    ],
)
def test_losses_are_those_of_the_slow_path(make_job: MakeJob, tmp_path: Path, overrides: list[str]) -> None:
    overrides = [*overrides, "model.init_gain=1.4"]  # features that differ between paintings
    fast, fast_result = run(make_job, *overrides, folder="fast")
    assert {listed.about["kind"] for listed in row_store.listed()} == {"pictures", "features"}
    slow, slow_result = run(make_job, *overrides, "data.store=off", folder="slow")
    assert len(fast) == 3
    for ours, theirs in zip(fast, slow, strict=True):
        for key in ("train/loss", "val/loss"):
            assert float(ours[key]) == pytest.approx(float(theirs[key]), abs=1e-5)
        for key in ("train/accuracy", "val/accuracy"):
            assert ours[key] == theirs[key]
    if fast_result["test"]:
        assert fast_result["test"]["last"]["loss"] == pytest.approx(slow_result["test"]["last"]["loss"], abs=1e-5)
    if "data.flip=false" not in overrides:  # the mirrored views matter
        plain, _ = run(make_job, *overrides, "data.flip=false", folder="plain")
        assert abs(float(plain[-1]["train/loss"]) - float(fast[-1]["train/loss"])) > 1e-4


def test_a_classifier_of_several_layers(make_job: MakeJob) -> None:
    overrides = ("model.init_gain=1.4", "optimizer.lr=0.1")
    fast, _ = run(make_job, *overrides, folder="fast", tuning="classifier")
    about = next(listed.about for listed in row_store.listed() if listed.about["kind"] == "features")
    assert about["network"] == "MobileNetV3 up to classifier"
    slow, _ = run(make_job, *overrides, "data.store=off", folder="slow", tuning="classifier")
    for ours, theirs in zip(fast, slow, strict=True):
        assert float(ours["train/loss"]) == pytest.approx(float(theirs["train/loss"]), abs=1e-5)
    head, _ = run(make_job, *overrides, folder="head")
    assert abs(float(head[-1]["train/loss"]) - float(fast[-1]["train/loss"])) > 1e-4


def test_features_are_found_without_the_pictures(make_job: MakeJob) -> None:
    first, _ = run(make_job, "optimizer.lr=0.1", folder="first")
    pictures = next(listed for listed in row_store.listed() if listed.about["kind"] == "pictures")
    row_store.clear(pictures.folder)
    again, _ = run(make_job, "optimizer.lr=0.1", folder="again")
    assert again[-1]["train/loss"] == first[-1]["train/loss"]
    assert not pictures.folder.exists()  # nothing was decoded


def test_room_for_the_pictures_alone(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened = RowStore.open

    def full(self: RowStore, keys: list, make: Callable, name: str) -> row_store.Rows | None:
        if self.kind == "features":
            monkeypatch.setattr(row_store, "_SPARE_BYTES", 2**60)
        return opened(self, keys, make, name)

    opened_pictures = store.open_pictures(*_pictures_of(make_job))
    assert opened_pictures is not None
    monkeypatch.setattr(RowStore, "open", full)
    run(make_job, "split.test_fraction=0.2", folder="run")
    assert caplog.text.count("frozen features can't be kept") == 1  # though fit and two tests ask
    assert "painting store can't be kept" not in caplog.text


def _pictures_of(make_job: MakeJob) -> tuple:
    job = make_job(folder="none")
    preprocessing = backbones.preprocessing(job.settings.model.architecture, 32)
    return job.data.catalogue, preprocessing, 89


def to_compute(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [r.getMessage() for r in caplog.records if "frozen features: " in r.getMessage()]
    caplog.clear()
    return [message.split(" to compute")[0].split(": ")[1] for message in found]


def test_what_is_computed_again(make_job: MakeJob, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_paintings(tmp_path / "root")
    weights = tmp_path / "weights.pth"
    torch.save(backbones.build("mobilenet_v3_small").state_dict(), weights)
    options = (f"data.root={root}", f"model.weights={weights}", "trainer.max_epochs=1", "logger=none")
    options += ("baselines.probe=null",)  # looks at features besides
    run(make_job, *options, folder="first")
    assert to_compute(caplog) == ["54"]  # 30 paintings, 24 of them also mirrored
    run(make_job, *options, "seed=1", folder="seed")
    assert to_compute(caplog) == []
    demo.paint("Waves", 99, 40).save(root / "Waves/zz_last.jpg")
    run(make_job, *options, folder="more")
    (added,) = to_compute(caplog)
    assert 1 <= int(added) <= 6  # the new one, and mirror images of paintings that now train
    run(make_job, *options, "trainer.precision=bf16-mixed", folder="precision")
    assert to_compute(caplog) == ["56"]  # 31 paintings, 25 of them also mirrored
    torch.save(backbones.build("mobilenet_v3_small").state_dict(), weights)
    run(make_job, *options, folder="weights")
    assert to_compute(caplog) == ["56"]


def test_bf16_features_are_kept_as_they_are(make_job: MakeJob) -> None:
    options = ("model.init_gain=1.4", "trainer.precision=bf16-mixed")
    fast, _ = run(make_job, *options, folder="fast")
    slow, _ = run(make_job, *options, "data.store=off", folder="slow")
    kept = next(listed for listed in row_store.listed() if listed.about["kind"] == "features")
    assert kept.about["dtype"] == "bfloat16"
    for ours, theirs in zip(fast, slow, strict=True):
        assert float(ours["train/loss"]) == pytest.approx(float(theirs["train/loss"]), abs=2e-3)


def test_what_cannot_be_kept_is_not(make_job: MakeJob) -> None:
    """Crops and colours never repeat; a network that is trained has no features to keep."""
    for trained, precision in [("head_only", "32-true"), ("classifier", "32-true"), ("head_only", "bf16-mixed")]:
        assert features.can_be_cached(trained, precision)
    for trained, precision in [("upper", "32-true"), ("full", "32-true"), ("head_only", "bf16-true")]:
        assert not features.can_be_cached(trained, precision)
    for varied in ("data.crop_scale=0.5", "data.color_jitter=0.2"):
        run(make_job, varied, "trainer.max_epochs=1", folder=varied.split("=")[0])
    assert {listed.about["kind"] for listed in row_store.listed()} == {"pictures"}


def test_without_room_the_run_goes_on(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept, _ = run(make_job, folder="kept")
    monkeypatch.setenv("BRUSHWORK_CACHE", "/proc/nowhere")
    without, result = run(make_job, folder="without")
    assert result["status"] == "finished"
    assert "painting store can't be kept in /proc/nowhere" in caplog.text
    assert float(without[-1]["val/loss"]) == pytest.approx(float(kept[-1]["val/loss"]), abs=1e-5)


def test_resumed_run_is_the_unbroken_one(make_job: MakeJob, tmp_path: Path) -> None:
    """Also where its features come from weights that the checkpoint must bring, not from random ones."""
    weights = tmp_path / "weights.pth"
    torch.save(backbones.build("mobilenet_v3_small", gain=1.4).state_dict(), weights)
    options = ("tuning=head_only", "keep_last=true", f"model.weights={weights}", "optimizer.lr=0.1")
    jobs.run_job(make_job(*options, folder="whole"))
    job = dataclasses.replace(make_job(*options), sweep_number=0)
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(job, 1))
    jobs.run_job(dataclasses.replace(make_job(*options), sweep_number=0))
    assert_equal_runs(job.folder, job.folder.with_name("whole"))


def test_the_training_batch_is_shown(make_full_job: MakeJob) -> None:
    job = make_full_job("tuning=head_only", "trainer.max_epochs=1")
    jobs.run_job(job)
    assert "paintings/training batch" in EventAccumulator(str(job.folder)).Reload().Tags()["images"]


def test_hash_is_of_the_frozen_weights_alone() -> None:
    network = backbones.build("resnet18")
    new_layer = heads.replace_head(network, "replace_last", 5)
    before = features.frozen_hash(network, new_layer)
    with torch.no_grad():
        new_layer.weight += 1
        assert features.frozen_hash(network, new_layer) == before
        network.bn1.running_mean += 1
    assert features.frozen_hash(network, new_layer) != before
    assert tuning.path(network, new_layer) == "fc"
