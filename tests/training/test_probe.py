"""Runs of tuning=probe on small paintings: what they leave, repeat and refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from brushwork import csv_files, images, run_folder
from brushwork.errors import UserError
from brushwork.models import checkpoint
from brushwork.models.classifier import StyleClassifier
from brushwork.models.predictor import load_predictor
from brushwork.models.stages import StagesClassifier
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import without_pictures
from tests.training.test_training import assert_equal_runs, assert_gives_predictions

MakeJob = Callable[..., Job]
make_job = pytest.fixture(without_pictures)
PROBE = ("tuning=probe", "split.test_fraction=0.2", "keep_last=true")


def result(folder: Path) -> dict:
    return json.loads((folder / run_folder.RESULT).read_text())


def test_a_run_leaves_what_every_run_leaves(make_full_job: MakeJob, tmp_path: Path, paintings: Path) -> None:
    jobs.run_job(make_full_job(*PROBE, "trainer.max_epochs=5"))
    folder = tmp_path / "run"
    found = result(folder)
    assert found["status"] == "finished"
    assert [row["epoch"] for row in csv_files.read(folder / run_folder.METRICS)] == ["1"]
    assert found["best"] == found["last"]
    assert found["test"]["best"]["accuracy"] == found["test"]["last"]["accuracy"]
    assert found["probe"]["layers"] == "upper"
    assert found["probe"]["features"] == 1728
    assert found["probe"]["gradient_norm"] <= 1e-6
    assert f"{found['probe']['strength']:g}" in found["probe"]["cross_validated"]
    with np.load(folder / run_folder.LOGITS) as arrays:
        assert {"val_best", "val_last", "test_best", "test_last"} <= set(arrays)
    for name in (run_folder.BEST, run_folder.LAST):
        assert_gives_predictions(folder / name, paintings, "val", "best")
        assert_gives_predictions(folder / name, paintings, "test", "last")
    network = load_predictor(folder / run_folder.BEST).network
    assert isinstance(network, StagesClassifier)
    assert StyleClassifier.load_from_checkpoint(folder / run_folder.BEST).probe.layers == "upper"

    with pytest.raises(UserError, match=r"is a probe of several stages \(probe.layers=upper\)"):
        jobs.run_job(make_full_job(f"model.weights={folder / run_folder.BEST}", folder="next"))


def test_last_folds_into_the_last_layer(make_job: MakeJob, tmp_path: Path, paintings: Path) -> None:
    jobs.run_job(make_job(*PROBE, "probe.layers=last", "model=resnet18"))
    path = tmp_path / "run" / run_folder.BEST
    assert_gives_predictions(path, paintings, "val", "best")
    predictor = load_predictor(path)
    assert type(predictor.network).__name__ == "ResNet"
    found, rows = result(tmp_path / "run")["probe"], csv_files.read(tmp_path / "run" / run_folder.SPLIT)
    train = [row for row in rows if row["part"] == "train"]
    batch = torch.stack([predictor.transform(images.load_rgb(paintings / row["path"])) for row in train])
    features = predictor.logits_and_features(batch)[1].double()
    table = ((features - features.mean(0)) / features.std(0, correction=0).clamp_min(1e-9)).numpy()
    labels = [row["style"] for row in train]
    model = LogisticRegression(C=found["strength"], tol=1e-9, max_iter=100_000).fit(table, labels)
    ours = predictor.logits_and_features(batch)[0].softmax(1).numpy()
    assert ours == pytest.approx(model.predict_proba(table), abs=2e-3)


def test_the_same_run_twice_and_without_kept_features(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*PROBE, folder="one"))
    jobs.run_job(make_job(*PROBE, folder="two"))
    assert_equal_runs(tmp_path / "one", tmp_path / "two")
    jobs.run_job(make_job(*PROBE, "data.store=false", folder="files"))
    one, files = (result(tmp_path / name) for name in ("one", "files"))
    assert one["probe"]["strength"] == files["probe"]["strength"]
    assert one["best"]["train/loss"] == pytest.approx(files["best"]["train/loss"], abs=1e-3)


@pytest.mark.slow
def test_views_add_mirror_images(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*PROBE, "probe.views=2", folder="store"))
    jobs.run_job(make_job(*PROBE, "probe.views=2", "data.store=false", folder="files"))
    jobs.run_job(make_job(*PROBE, folder="one"))
    store, files, one = (result(tmp_path / name) for name in ("store", "files", "one"))
    assert store["probe"]["views"] == 2
    assert store["best"]["train/loss"] == pytest.approx(files["best"]["train/loss"], abs=1e-3)
    weight = [
        checkpoint.network_state(checkpoint.read(tmp_path / n / run_folder.BEST))["head.1.weight"]
        for n in ("store", "one")
    ]
    assert not torch.allclose(*weight)
    assert one["probe"]["paintings"] == store["probe"]["paintings"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scheduler=cosine"], "leave scheduler out"),
        (["ema_decay=0.9", "patience=2"], "leave ema_decay and patience out"),
        (["ckpt_path=last.ckpt"], "leave ckpt_path out"),
        (["data.crop_scale=0.5"], "leave data.crop_scale, data.color_jitter and data.transform out"),
        (["trainer.precision=bf16-true"], "use bf16-mixed or 32-true"),
    ],
)
def test_what_does_nothing_is_refused(make_job: MakeJob, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        jobs.run_job(make_job("tuning=probe", *overrides))


def test_other_runs_have_no_trace_of_it(make_job: MakeJob) -> None:
    job = make_job()
    assert "probe" not in job.resolved
    assert "probe" not in str(job.resolved["model"])
    assert make_job("tuning=probe").resolved["probe"] == {"layers": "upper", "views": 1}
