"""The end of a training: logits kept, a temperature fitted, checkpoints rewritten, measured elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from scipy.special import softmax
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brushwork import calibration, csv_files, run_folder
from brushwork.models import checkpoint
from brushwork.models.classifier import StyleClassifier
from brushwork.models.predictor import load_predictor
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.training import job as jobs
from brushwork.training.calibrate import Calibrate
from brushwork.training.record import RunRecord
from tests.conftest import once, small_job, write_paintings

NO_PICTURES = "callbacks.dashboard=null"
QUICK = ["callbacks.saliency=null", "trainer.max_epochs=2", "keep_last=true"]


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "sixty", lambda root: write_paintings(root, 20))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sixty: Path) -> Path:
    """A finished run with a test part."""
    folder = tmp_path_factory.mktemp("calibrated")
    jobs.run_job(small_job(folder, sixty, *QUICK, "split.test_fraction=0.2", "split=artist_disjoint"))
    return folder


def of(folder: Path, part: str, epoch: str) -> list[dict[str, str]]:
    rows = csv_files.read(folder / run_folder.PREDICTIONS)
    return [row for row in rows if (row["part"], row["epoch"]) == (part, epoch)]


def test_the_scores_are_those_of_the_predictions(folder: Path) -> None:
    with np.load(folder / run_folder.LOGITS) as kept:
        names = kept["class_names"]
        assert set(kept) == {"class_names", "val_best", "val_last", "test_best", "test_last"}
        for part, epoch in [("val", "best"), ("val", "last"), ("test", "best"), ("test", "last")]:
            logits, rows = kept[f"{part}_{epoch}"], of(folder, part, epoch)
            assert (logits.dtype, logits.shape) == (np.float32, (len(rows), 3))
            assert names[logits.argmax(1)].tolist() == [row["predicted"] for row in rows]
            written = [float(row["probability"]) for row in rows]
            np.testing.assert_allclose(softmax(logits, axis=1).max(1), written, atol=1e-6)  # raw, not calibrated


def test_tensorboard_shows_reliability_on_both_parts(folder: Path) -> None:
    board = EventAccumulator(str(folder)).Reload()
    shown = {tag for tag in board.Tags()["images"] if "calibration" in tag}
    assert shown == {"answers/calibration, val part", "answers/calibration, test part"}
    text = board.Tensors("run/1 result/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert "expected calibration error" in text


@pytest.mark.parametrize("epoch", ["best", "last"])
def test_the_checkpoint_has_the_temperature_of_the_validation_part(folder: Path, epoch: str) -> None:
    with np.load(folder / run_folder.LOGITS) as kept:
        logits, test, names = kept[f"val_{epoch}"], kept[f"test_{epoch}"], kept["class_names"].tolist()
    labels = np.array([names.index(row["style"]) for row in of(folder, "val", epoch)])
    path = folder / {"best": run_folder.BEST, "last": run_folder.LAST}[epoch]
    stored = checkpoint.read(path)[checkpoint.KEY]["calibration"]
    assert stored["temperature"] == calibration.fit_temperature(logits, labels)
    assert stored["paintings"] == len(labels)
    measured = run_folder.read_result(folder)["calibration"][epoch]
    assert (measured["measured_on"], measured["paintings"]) == ("test", len(test))
    labels = np.array([names.index(row["style"]) for row in of(folder, "test", epoch)])
    after = softmax(test / stored["temperature"], axis=1)
    assert measured["ece_after"] == pytest.approx(calibration.expected_calibration_error(after, labels), abs=1e-6)
    assert measured["brier_before"] == pytest.approx(calibration.brier(softmax(test, axis=1), labels), abs=1e-6)


def test_predictions_use_it(folder: Path, sixty: Path) -> None:
    model = StyleClassifier.load_from_checkpoint(folder / run_folder.BEST)
    assert model.calibration.temperature not in (0, 1)
    picture = next(sixty.glob("Dots/*"))
    with torch.no_grad():
        logits = model(model.transform(picture))[0]
    expected = (logits / model.calibration.temperature).softmax(0)
    assert model.predict(picture)[0].probability == pytest.approx(expected.max().item(), abs=1e-6)
    noise = (torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255).byte()
    model.familiarity = replace(model.familiarity, threshold=-1.0)
    assert str(model.predict([noise])).endswith("(unlike the training pictures)")
    assert "(unlike the training pictures)" in model.predict([noise])._repr_html_()
    model.familiarity = None
    assert not model.predict([noise])[0].unlike
    predictor = load_predictor(folder / run_folder.BEST)
    assert predictor.calibration == model.calibration
    found, features = predictor.logits_and_features(model.transform(picture))
    torch.testing.assert_close(found[0], logits)
    assert features.shape == (1, model.new_layer.in_features)
    with torch.no_grad():
        torch.testing.assert_close(model.new_layer(features)[0], logits)
    data = WikiArtDataModule(sixty, predict=sixty / "Dots", image_size=32, workers=0)
    trainer = L.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu")
    answers = [one for batch in trainer.predict(model, data) for one in batch]
    assert [one.path for one in answers] == sorted(map(str, (sixty / "Dots").iterdir()))
    mine = next(one for one in answers if one.path == str(picture))
    assert mine.probability == pytest.approx(expected.max().item(), abs=1e-5)


def test_kernels_are_chosen_by_rules_where_answers_are_scored_and_predicted(
    sixty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a GPU's answers would not be those of the run to the last bit."""
    found = []
    cudnn = torch.backends.cudnn
    monkeypatch.setattr(cudnn, "benchmark", True)
    model = StyleClassifier("mobilenet_v3_small", "replace_last", 3, weights=None)
    model.network.register_forward_hook(lambda *_: found.append((model.training, cudnn.benchmark, cudnn.deterministic)))
    data = WikiArtDataModule(sixty, split="random", image_size=32, batch_size=48, workers=0, store=False)
    options = {"enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu", "logger": False}
    trainer = L.Trainer(max_epochs=1, num_sanity_val_steps=0, benchmark=True, **options)
    trainer.fit(model, data)
    trainer.predict(model, data)
    assert found == [(True, True, False), (False, False, True), (False, False, True)]
    assert (cudnn.benchmark, cudnn.deterministic) == (True, False)


def test_rewriting_changes_the_description_alone(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_bytes((folder / run_folder.LAST).read_bytes())
    before = torch.load(path, weights_only=True)
    checkpoint.add(path, calibration={"temperature": 7.0})
    after = torch.load(path, weights_only=True)
    assert after[checkpoint.KEY].pop("calibration") == {"temperature": 7.0}
    before[checkpoint.KEY].pop("calibration")
    assert repr(after) == repr(before)
    assert all(torch.equal(after["state_dict"][name], value) for name, value in before["state_dict"].items())


def test_a_run_goes_on_from_a_rewritten_checkpoint(make_job: Callable, sixty: Path, folder: Path) -> None:
    options = [*QUICK, NO_PICTURES, "split.test_fraction=0.2", "split=artist_disjoint", f"data.root={sixty}"]
    jobs.run_job(make_job(*options, "trainer.max_epochs=3", folder="whole"))
    on = ["trainer.max_epochs=3", f"ckpt_path={folder / run_folder.LAST}"]
    jobs.run_job(whole := make_job(*options, *on, folder="resumed"))
    for name in (run_folder.PREDICTIONS, run_folder.LOGITS):
        assert (whole.folder / name).read_bytes() == (whole.folder.parent / "whole" / name).read_bytes(), name
    ours, theirs = (run_folder.read_result(whole.folder.parent / name)["calibration"] for name in ("whole", "resumed"))
    assert ours == theirs


def test_without_a_test_part_it_is_measured_by_cross_fitting(sixty: Path, tmp_path: Path) -> None:
    """In anybody's own Trainer."""
    data = WikiArtDataModule(sixty, split="random", image_size=32, batch_size=20, workers=0, store=False)
    model = StyleClassifier("mobilenet_v3_small", "replace_last", 3, weights=None)
    callbacks = [RunRecord(tmp_path), Calibrate(familiarity=False)]
    options = {"enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu", "logger": False}
    L.Trainer(max_epochs=1, callbacks=callbacks, **options).fit(model, data)
    result = run_folder.read_result(tmp_path)
    assert result["status"] == "finished"
    assert result["calibration"]["last"]["measured_on"] == "validation, cross-fitted by artist"
    assert model.calibration.temperature == result["calibration"]["last"]["temperature"]
    assert model.familiarity is None


def test_a_full_disk_costs_the_temperature_not_the_run(
    make_job: Callable, sixty: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "add", full)
    jobs.run_job(
        job := make_job(*QUICK, NO_PICTURES, f"data.root={sixty}", "trainer.max_epochs=1", "callbacks.last=null")
    )
    assert "is not calibrated" in caplog.text
    assert run_folder.read_result(job.folder)["calibration"]["best"] is None
    assert run_folder.read_result(job.folder)["status"] == "finished"
    assert load_predictor(job.folder / run_folder.BEST).calibration.temperature == 1
    assert not list(job.folder.rglob("*.tmp"))


def test_validation_by_one_artist_is_measured_on_the_test_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cross-fitting over artists needs two of them."""
    logits, labels = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32), np.arange(20) % 3
    record, callback = RunRecord(tmp_path), Calibrate(familiarity=False)
    record.write, record.result = True, {"status": "finished", "calibration": {"best": None, "last": None}}
    monkeypatch.setattr(record, "held_out", lambda part, epoch: (logits, labels, ["Monet"] * 20))
    monkeypatch.setattr(record, "write_result", lambda status: None)
    trainer, model = SimpleNamespace(callbacks=[record, callback], ckpt_path=None, datamodule=None), SimpleNamespace()
    callback.on_fit_end(trainer, model)
    assert record.result["calibration"] == {"best": None, "last": None}
    callback.on_test_end(trainer, model)
    assert record.result["calibration"]["last"]["measured_on"] == "test"
    assert record.result["calibration"]["last"]["temperature"] == model.calibration.temperature
