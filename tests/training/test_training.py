"""Training on small paintings, in this process: what it writes, repeats, resumes and refuses."""

import dataclasses
import gc
import json
import logging
import math
import re
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision import models

from brushwork import csv_files, images, run_folder
from brushwork.errors import UserError
from brushwork.models import checkpoint
from brushwork.models.classifier import StyleClassifier
from brushwork.models.predictor import load_predictor
from brushwork.paintings import splits
from brushwork.training import dashboard, recipe
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import BOTH_HEADS, without_pictures, write_paintings

MakeJob = Callable[..., Job]
make_job = pytest.fixture(without_pictures)  # what they draw changes no run: see tests/saliency/test_callback.py


def metrics(folder: Path) -> list[dict[str, str]]:
    """metrics.csv without its clocks."""
    rows = csv_files.read(folder / run_folder.METRICS)
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.network_state(checkpoint.read(path))


def assert_equal_runs(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    assert (one / run_folder.PREDICTIONS).read_bytes() == (other / run_folder.PREDICTIONS).read_bytes()
    for name in (run_folder.BEST, run_folder.LAST):
        if (one / name).exists() or (other / name).exists():
            ours, theirs = weights(one / name), weights(other / name)
            assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name
    results = [json.loads((folder / run_folder.RESULT).read_text()) for folder in (one, other)]
    for key in ("status", "best", "last", "val_interval_95", "baselines", "parameters", "split_hash", "data_hash"):
        assert results[0][key] == results[1][key], key


def assert_gives_predictions(path: Path, paintings: Path, part: str, epoch: str) -> None:
    """The network of a checkpoint gives what predictions.csv says of a part and epoch."""
    predictor = load_predictor(path)
    table = csv_files.read(path.parents[1] / run_folder.PREDICTIONS)
    rows = [row for row in table if (row["part"], row["epoch"]) == (part, epoch)]
    assert rows
    for row in rows:
        image = predictor.transform(images.load_rgb(paintings / row["path"]))
        probability, predicted = predictor.network(image[None]).softmax(1).max(1)
        assert predictor.class_names[predicted] == row["predicted"]
        assert probability.item() == pytest.approx(float(row["probability"]), abs=1e-4)


class StopAt(L.Callback):
    """Ends the process's training at the start of an epoch, as a signal would."""

    def __init__(self, epoch: int, error: BaseException) -> None:
        self.epoch, self.error = epoch, error

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.current_epoch == self.epoch and trainer.global_step % 3 == 1:
            raise self.error


def interrupted(job: Job, epoch: int, error: BaseException | None = None) -> Job:
    return dataclasses.replace(job, callbacks=[*job.callbacks, StopAt(epoch, error or SystemExit(143))])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, paintings: Path) -> Path:
    """A finished run, with its last.ckpt."""
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def reference(finished: Path, make_full_job: MakeJob) -> Path:
    if not finished.exists():
        jobs.run_job(make_full_job(f"run_dir={finished}", "keep_last=true", "scheduler=cosine"))
    return finished


def test_run_folder(reference: Path, paintings: Path) -> None:
    result = json.loads((reference / run_folder.RESULT).read_text())
    assert set(result) == set(run_folder.new_result())
    assert result["status"] == "finished"
    assert result["last"]["epoch"] == 3
    assert result["parameters"] == {"total": 1520931, "trainable": 1520931}  # 1,517,856 + 1,025 * 3
    assert result["baselines"]["majority"] == pytest.approx(1 / 3)
    assert result["seed"] == 0
    assert result["threads"] == torch.get_num_threads()

    rows = metrics(reference)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    best = max(rows, key=lambda row: float(row["val/accuracy"]))
    assert result["best"]["epoch"] == int(best["epoch"])
    assert result["best"]["val/accuracy"] == float(best["val/accuracy"])
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.01, 0.0075, 0.0025])

    split = csv_files.read(reference / run_folder.SPLIT)
    assert len(split) == 30
    predictions = csv_files.read(reference / run_folder.PREDICTIONS)
    for which in ("best", "last"):
        rows = [row for row in predictions if row["epoch"] == which]
        assert {row["path"] for row in rows} == {row["path"] for row in split if row["part"] == "val"}
        right = sum(row["style"] == row["predicted"] for row in rows)
        assert right / len(rows) == pytest.approx(result[which]["val/accuracy"])
    assert not (reference / run_folder.SKIPPED).exists()


def test_tensorboard_has_loss_and_accuracy_by_epoch(reference: Path) -> None:
    events = EventAccumulator(str(reference)).Reload()
    for tag in ("train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/balanced_accuracy", "val/macro_f1"):
        points = events.Scalars(tag)
        assert [point.step for point in points] == [1, 2, 3]
        assert [point.value for point in points] == pytest.approx([float(row[tag]) for row in metrics(reference)])
    best = [max(float(row["val/accuracy"]) for row in metrics(reference)[: i + 1]) for i in range(3)]
    assert [point.value for point in events.Scalars(dashboard.BEST)] == pytest.approx(best)


def test_interval_is_wilsons(reference: Path) -> None:
    result = json.loads((reference / run_folder.RESULT).read_text())
    p, n, z = result["best"]["val/accuracy"], 6, 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert result["val_interval_95"] == pytest.approx([middle - half, middle + half], abs=1e-6)


@pytest.mark.parametrize("workers", [0, 4])
def test_same_seed_same_run_without_the_store(reference: Path, make_job: MakeJob, tmp_path: Path, workers: int) -> None:
    jobs.run_job(make_job("keep_last=true", "scheduler=cosine", "data.store=off", f"data.workers={workers}"))
    assert_equal_runs(tmp_path / "run", reference)


def test_another_seed_is_another_run_on_the_same_split(reference: Path, make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job("keep_last=true", "scheduler=cosine", "seed=1"))
    assert metrics(tmp_path / "run") != metrics(reference)
    assert (tmp_path / "run" / run_folder.SPLIT).read_bytes() == (reference / run_folder.SPLIT).read_bytes()


@pytest.mark.parametrize(
    ("epoch", "batches"), [(0, ""), (1, ""), (1, "data.store=off"), (2, "data.store=off data.workers=2")]
)
def test_interrupted_run_resumes_to_the_same_end(reference: Path, make_job: MakeJob, epoch: int, batches: str) -> None:
    """As in a sweep: the same job again, in its own folder."""
    overrides = ("keep_last=true", "scheduler=cosine", *batches.split())
    job = dataclasses.replace(make_job(*overrides), sweep_number=0)
    with pytest.raises(SystemExit) as caught:
        jobs.run_job(interrupted(job, epoch))
    assert caught.value.code == 143
    assert run_folder.read_result(job.folder)["status"] == "interrupted"
    job = dataclasses.replace(make_job(*overrides), sweep_number=0)
    jobs.run_job(job)
    assert_equal_runs(job.folder, reference)


def test_resume_by_ckpt_path_in_a_new_folder(reference: Path, make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(make_job("keep_last=true", "scheduler=cosine", folder="first"), 2))
    last = tmp_path / "first" / run_folder.LAST
    before = {path: path.read_bytes() for path in (tmp_path / "first").rglob("*") if path.is_file()}
    moved = Path(shutil.move(tmp_path / "first", tmp_path / "moved"))
    jobs.run_job(make_job("keep_last=true", "scheduler=cosine", f"ckpt_path={moved / run_folder.LAST}"))
    assert_equal_runs(tmp_path / "run", reference)
    for path, content in before.items():  # the first run is as it was
        assert (moved / path.relative_to(last.parent.parent)).read_bytes() == content


def test_a_finished_run_is_resumed_without_an_epoch_left(make_job: MakeJob, tmp_path: Path) -> None:
    """As one that was killed between its last epoch and its end."""
    jobs.run_job(make_job("keep_last=true", folder="first"))
    first = run_folder.read_result(tmp_path / "first")
    jobs.run_job(make_job("keep_last=true", f"ckpt_path={tmp_path / 'first' / run_folder.LAST}"))
    again = run_folder.read_result(tmp_path / "run")
    assert (again["status"], again["best"], again["last"]) == ("finished", first["best"], first["last"])


def test_resuming_needs_no_initial_weights(make_job: MakeJob, tmp_path: Path) -> None:
    """They may be gone: the checkpoint holds all."""
    state = tmp_path / "state.pth"
    torch.save(models.mobilenet_v3_small().state_dict(), state)
    job = dataclasses.replace(make_job(f"model.weights={state}"), sweep_number=0)
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(job, 1))
    state.unlink()
    assert jobs.run_job(dataclasses.replace(make_job(f"model.weights={state}"), sweep_number=0)) is not None


def test_a_checkpoint_that_is_not_there(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"there is no file {tmp_path}/gone\.ckpt"):
        jobs.run_job(make_job(f"ckpt_path={tmp_path}/gone.ckpt"))


def test_finished_job_is_skipped(reference: Path, make_full_job: MakeJob, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    before = {path: path.stat().st_mtime_ns for path in reference.rglob("*") if path.name != ".lock"}
    job = make_full_job(f"run_dir={reference}", "keep_last=true", "scheduler=cosine")
    best = jobs.run_job(dataclasses.replace(job, sweep_number=3))
    assert best == json.loads((reference / run_folder.RESULT).read_text())["best"]["val/accuracy"]
    assert "already finished" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in reference.rglob("*") if path.name != ".lock"} == before


def test_a_run_of_other_settings_or_data_is_not_overwritten(
    reference: Path, make_full_job: MakeJob, paintings: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="holds a run already"):
        jobs.run_job(make_full_job(f"run_dir={reference}"))
    job = make_full_job(f"run_dir={reference}", "optimizer.lr=0.5")
    with pytest.raises(UserError, match=r"holds a run of other settings .*another name"):
        jobs.run_job(dataclasses.replace(job, sweep_number=0))
    fewer = Path(shutil.copytree(paintings, tmp_path / "fewer"))
    (fewer / "Dots/artist-dots-0_00.jpg").unlink()
    job = make_full_job(f"run_dir={reference}", "scheduler=cosine", f"data.root={fewer}")
    with pytest.raises(UserError, match="holds a run on other data"):
        jobs.run_job(dataclasses.replace(job, sweep_number=0))


def test_head_only_trains_the_new_layer_alone(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("tuning=head_only", "keep_last=true")
    recipe.prepare_process(seed=0, threads=None)
    before = recipe.make_model(job).network.state_dict()
    modes = []

    class Watch(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
            modes.append([name for name, module in pl_module.network.named_modules() if module.training])

    job.callbacks.append(Watch())
    record = recipe.train(job)
    after = weights(tmp_path / "run" / run_folder.LAST)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"classifier.3.weight", "classifier.3.bias"}
    assert all(mode == ["classifier.3"] for mode in modes)  # no dropout, no batch norm, in any epoch
    assert len(modes) == 9
    assert record.result["parameters"] == {"total": 1520931, "trainable": 3075}
    optimizer = checkpoint.read(tmp_path / "run" / run_folder.LAST)["optimizer_states"][0]
    assert len(optimizer["state"]) == 2


def test_a_run_without_progress_stops(make_job: MakeJob, tmp_path: Path) -> None:
    options = ("patience=2", "optimizer.lr=0", "trainer.max_epochs=9", "tuning=head_only")
    jobs.run_job(make_job(*options, folder="unbroken"))
    assert [row["epoch"] for row in metrics(tmp_path / "unbroken")] == ["1", "2", "3"]
    assert run_folder.read_result(tmp_path / "unbroken")["last"]["epoch"] == 3
    job = make_job(*options, folder="resumed")
    with pytest.raises(SystemExit):
        recipe.train(interrupted(job, epoch=1))
    recipe.train(job, job.folder / run_folder.LAST)
    assert [row["epoch"] for row in metrics(job.folder)] == ["1", "2", "3"]


def test_a_fraction_of_the_training_paintings(make_job: MakeJob, tmp_path: Path) -> None:
    for seed in (0, 1):
        jobs.run_job(make_job("data.train_fraction=0.5", f"seed={seed}", "trainer.max_epochs=1", folder=f"{seed}"))
    results = [run_folder.read_result(tmp_path / f"{seed}") for seed in (0, 1)]
    rows = [csv_files.read(tmp_path / f"{seed}" / run_folder.SPLIT) for seed in (0, 1)]
    train = [{row["path"] for row in table if row["part"] == "train"} for table in rows]
    assert [len(paths) for paths in train] == [12, 12]  # of 24
    assert train[0] != train[1]
    assert [metrics(tmp_path / f"{seed}")[0]["train_images"] for seed in (0, 1)] == ["12", "12"]
    val = [{row["path"] for row in table if row["part"] == "val"} for table in rows]
    assert val[0] == val[1] and len(val[0]) == 6
    assert results[0]["split_hash"] == results[1]["split_hash"]  # who validates is the same


def test_redrawn_weights(make_job: MakeJob, tmp_path: Path) -> None:
    state = tmp_path / "state.pth"
    source = models.mobilenet_v3_small().state_dict()
    torch.save(source, state)
    ours = recipe.make_model(make_job(f"model.weights={state}", "model.redraw=true")).network.state_dict()
    for key in ("features.1.block.0.0.weight", "classifier.0.weight"):
        assert not torch.equal(ours[key], source[key])
        assert ours[key].std().item() == pytest.approx(source[key].std().item(), rel=0.3)


def test_checkpoint_loads_alone_and_predicts_the_same(reference: Path, paintings: Path) -> None:
    """Offline, without data or initial weights: the network of best.ckpt gives predictions.csv."""
    assert_gives_predictions(reference / run_folder.BEST, paintings, "val", "best")


def test_train_from_a_checkpoint_and_from_a_state_dict(reference: Path, make_job: MakeJob, tmp_path: Path) -> None:
    best = reference / run_folder.BEST
    ours = recipe.make_model(make_job(f"model.weights={best}")).network.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in weights(best).items())
    state = tmp_path / "state.pth"
    source = models.mobilenet_v3_small().state_dict()
    torch.save(source, state)
    ours = recipe.make_model(make_job(f"model.weights={state}")).network.state_dict()
    assert all(torch.equal(ours[key], source[key]) for key in source if not key.startswith("classifier.3"))


@pytest.mark.parametrize("override", ["model.weights", "ckpt_path"])
def test_checkpoints_of_something_else_are_refused(
    reference: Path, make_job: MakeJob, tmp_path: Path, override: str
) -> None:
    last = reference / run_folder.LAST
    with pytest.raises(UserError, match="only in the checkpoint: Dots; only in the data: none"):
        jobs.run_job(make_job(f"{override}={last}", "data.styles=[Facets,Waves]", folder="classes"))
    content = checkpoint.read(last)
    content[checkpoint.KEY]["head"] = "replace_two"
    other = tmp_path / "other.ckpt"
    torch.save(content, other)
    with pytest.raises(UserError, match=r"has head replace_two, but this run has head replace_last: use head=rep"):
        jobs.run_job(make_job(f"{override}={other}", folder="head"))
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {"conv.weight": torch.zeros(1)}, "epoch": 3}, foreign)
    with pytest.raises(UserError, match=r"foreign\.ckpt"):
        jobs.run_job(make_job(f"{override}={foreign}", folder="foreign"))


def test_weights_alone_are_not_resumed(reference: Path, make_job: MakeJob) -> None:
    with pytest.raises(UserError, match=r"best\.ckpt holds weights only.*use last\.ckpt.*model\.weights="):
        jobs.run_job(make_job(f"ckpt_path={reference / run_folder.BEST}"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("split.seed=1", "was trained on another split"),
        ("seed=1", "was trained with seed 0, but this run has 1"),
        ("tuning=head_only", "was trained with tuning full, but this run has head_only"),
        ("optimizer.lr=0.1", "was trained with optimizer {"),
        ("trainer.max_epochs=5", "was trained with scheduler {"),  # the cosine's length
        ("data.batch_size=4", "was trained with batch_size 8, but this run has 4"),
        ("data.flip=false", "was trained with augmentation {"),
        ("trainer.precision=bf16-mixed", "was trained with precision 32-true, but this run has bf16-mixed"),
        ("data.image_size=48", "was trained with preprocessing {"),
        ("scheduler.T_max=3 trainer.max_epochs=2", "has 3 epochs behind it, more than trainer.max_epochs=2"),
    ],
)
def test_what_would_not_go_on_as_it_began_is_not_resumed(
    reference: Path, make_job: MakeJob, override: str, message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        jobs.run_job(make_job(f"ckpt_path={reference / run_folder.LAST}", "scheduler=cosine", *override.split()))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.architecture=squeezenet1_2", "unknown model.architecture 'squeezenet1_2': did you mean 'squeezenet1_"),
        ("model.weights=imagnet", "unknown model.weights 'imagnet': did you mean 'imagenet'"),
        ("head.name=replace_lst", "unknown head 'replace_lst': did you mean 'replace_last'"),
        ("tuning.name=heads_only", "unknown tuning 'heads_only': did you mean 'head_only'"),
        ("split.name=randm", "unknown split 'randm': did you mean 'random'"),
        ("head=replace_two", "use head=replace_last"),
        ("model=alexnet", "image_size=32 is too small for alexnet: it needs at least 63"),
        ("data.styles=[Dot]", "did you mean 'Dots'"),
        ("+optimizer.speed=3", "optimizer: SGD takes no speed: leave it out by '~optimizer.speed'; it also takes "),
        ("optimizer.lr=-1", "Invalid learning rate"),
        ("+trainer.speed=3", "trainer: Trainer.__init__() got an unexpected keyword argument 'speed'"),
        ("trainer.accelerator=tpu", "trainer: "),
        ("trainer.devices=0", "expected trainer.devices to be a number from 1"),
        ("trainer.max_epochs=abc", "expected trainer.max_epochs to be a whole number, but got abc"),
        ("+trainer.limit_val_batches=1", "limit_val_batches=1 would score the first styles only"),
        ("+trainer.val_check_interval=1", "val_check_interval"),
        ("+trainer.overfit_batches=2", "overfit_batches would validate on training paintings"),
        ("patience=1 +trainer.limit_val_batches=0", "patience=1 waits for the validation accuracy"),
        ("+trainer.limit_test_batches=1", "limit_test_batches would score the first styles only"),
        ("callbacks.best.monitor=val/loss", "callbacks.best keeps the epoch of the highest val/accuracy"),
        (
            "data.paint_demo=5",
            "is none of the demo's pictures: to train on the pictures that are there, add data.paint_d",
        ),
    ],
)
def test_user_errors_before_anything_is_written(make_job: MakeJob, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        jobs.run_job(make_job(*(override.split() if override.startswith("patience") else [override])))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    folder = tmp_path / "run"
    if folder.exists():  # a mistake that only the data show
        assert {path.name for path in folder.iterdir()} == {".lock", run_folder.RESULT}
        assert json.loads((folder / run_folder.RESULT).read_text())["status"] == "failed"


def test_divergence(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"diverged: the training loss became nan in epoch 1; try a smaller optimizer"):
        jobs.run_job(make_job("optimizer.lr=1e30", folder="alone"))
    job = dataclasses.replace(make_job("optimizer.lr=1e30", folder="in_sweep"), sweep_number=0)
    assert jobs.run_job(job) == 0.0
    # the only step of an epoch blows up: its own loss is still finite, the validation's is not
    with pytest.raises(UserError, match="diverged: the validation loss became nan in epoch 1"):
        jobs.run_job(make_job("optimizer.lr=1e30", "+trainer.limit_train_batches=1", folder="one_step"))
    for name in ("alone", "in_sweep", "one_step"):
        result = json.loads((tmp_path / name / run_folder.RESULT).read_text())
        assert result["status"] == "diverged"
    assert jobs.run_job(job) == 0.0  # known, not repeated


def test_a_run_that_diverges_shows_its_gradients(make_full_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="diverged"):
        jobs.run_job(make_full_job("optimizer.lr=1e30", "callbacks.dashboard.every_n_steps=1"))
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in events.Scalars("gradient norm/features")] == [0, 1, 2]


def test_failure_keeps_the_checkpoint_and_resumes(reference: Path, make_job: MakeJob) -> None:
    """A job that runs out of memory in its third epoch goes on from the second."""
    job = dataclasses.replace(make_job("keep_last=true", "scheduler=cosine"), sweep_number=0)
    with pytest.raises(torch.OutOfMemoryError):
        jobs.run_job(interrupted(job, 2, torch.OutOfMemoryError("CUDA out of memory")))
    result = run_folder.read_result(job.folder)
    assert (result["status"], result["last"]["epoch"]) == ("failed", 2)
    assert "out of memory" in result["error"]
    jobs.run_job(dataclasses.replace(make_job("keep_last=true", "scheduler=cosine"), sweep_number=0))
    assert_equal_runs(job.folder, reference)


def test_full_disk_keeps_the_last_good_checkpoint(reference: Path, make_job: MakeJob) -> None:
    """In the third epoch no file may grow over 2 MB; the checkpoints have 6 and 12 (FAULTS 31)."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing fails with an OSError, as on a full disk

    class Fill(L.Callback):
        def on_train_epoch_start(self, trainer: L.Trainer, *args: Any) -> None:
            if trainer.current_epoch == 2:
                resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))

    job = dataclasses.replace(make_job("keep_last=true", "scheduler=cosine"), sweep_number=0)
    try:
        with pytest.raises((OSError, RuntimeError)):
            jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, Fill()]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert run_folder.read_result(job.folder)["status"] == "failed"
    assert not list(job.folder.rglob(".*.tmp"))
    assert checkpoint.read(job.folder / run_folder.LAST)["epoch"] == 1
    jobs.run_job(dataclasses.replace(make_job("keep_last=true", "scheduler=cosine"), sweep_number=0))
    assert_equal_runs(job.folder, reference)


def test_leftovers_of_a_killed_process_are_removed(make_job: MakeJob) -> None:
    job = dataclasses.replace(make_job(), sweep_number=0)
    (job.folder / "checkpoints").mkdir(parents=True)
    leftover = job.folder / "checkpoints/.last.ckpt.0123abcd.tmp"
    leftover.write_bytes(b"half")
    jobs.run_job(job)
    assert not leftover.exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["+trainer.fast_dev_run=true"],
        ["logger=none"],
        ["+trainer.limit_val_batches=0"],
        ["+trainer.check_val_every_n_epoch=2"],
        ["callbacks.best=null", "callbacks.last=null"],
        ["+trainer.limit_train_batches=1"],
    ],
)
def test_the_trainers_own_options(make_job: MakeJob, tmp_path: Path, overrides: list[str]) -> None:
    best = jobs.run_job(make_job(*overrides))
    assert best is None or 0 <= best <= 1
    if "fast_dev_run" not in overrides[0]:
        assert len(metrics(tmp_path / "run")) == 3
        assert json.loads((tmp_path / "run" / run_folder.RESULT).read_text())["status"] == "finished"
    if "limit_val_batches" in overrides[0]:
        assert best is None
    if "every_n" in overrides[0]:
        assert [bool(row["val/accuracy"]) for row in metrics(tmp_path / "run")] == [False, True, False]


@pytest.mark.parametrize("override", ["trainer.max_epochs=0", "+trainer.limit_train_batches=0"])
def test_a_run_that_trains_nothing_is_no_finished_run(make_job: MakeJob, tmp_path: Path, override: str) -> None:
    with pytest.raises(UserError, match="nothing was trained"):
        jobs.run_job(make_job(override))
    assert run_folder.read_result(tmp_path / "run")["status"] == "failed"


def test_bad_images_are_listed(make_job: MakeJob, paintings: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    (root / "Dots/artist_page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"artist_page\.jpg"):
        jobs.run_job(make_job(f"data.root={root}", folder="raise"))
    jobs.run_job(make_job(f"data.root={root}", "data.on_bad_image=skip", folder="skip"))
    rows = csv_files.read(tmp_path / "skip" / run_folder.SKIPPED)
    assert [row["path"] for row in rows] == ["Dots/artist_page.jpg"]
    assert "not an image" in rows[0]["reason"]


def test_random_state_of_dropout_is_of_seed_and_epoch(make_job: MakeJob, tmp_path: Path) -> None:
    """A callback that draws random numbers in between changes nothing."""

    class Draws(L.Callback):
        def on_train_epoch_end(self, *args: Any) -> None:
            torch.rand(7)

    jobs.run_job(make_job(folder="plain"))
    job = make_job(folder="drawing")
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, Draws()]))
    assert_equal_runs(tmp_path / "plain", tmp_path / "drawing")


def test_nothing_of_a_job_stays_in_memory(make_full_job: MakeJob) -> None:
    jobs.run_job(make_full_job(folder="good"))
    with pytest.raises(UserError):
        jobs.run_job(make_full_job("optimizer.lr=1e30", folder="bad"))
    gc.collect()
    kept = [thing for thing in gc.get_objects() if isinstance(thing, StyleClassifier | L.Trainer)]
    assert kept == []


def test_alexnet_with_both_heads(both_heads: Path) -> None:
    """The report's network, its own optimizer, on 64 pixels."""
    for run, total in zip(BOTH_HEADS, [57_016_131, 40_234_819], strict=True):
        assert run_folder.read_result(both_heads / run)["parameters"]["total"] == total
        optimizer = yaml.safe_load((both_heads / run / run_folder.CONFIG).read_text())["optimizer"]
        assert (optimizer["lr"], optimizer["momentum"]) == (0.01, 0.9)


def test_the_defaults_are_the_reports(make_job: MakeJob) -> None:
    from hydra import compose, initialize_config_dir

    from tests.conftest import REPOSITORY

    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        cfg = compose("train", ["run_dir=x"])
    assert (cfg.optimizer._target_, cfg.optimizer.lr, cfg.optimizer.momentum) == ("torch.optim.SGD", 0.01, 0.9)
    assert (cfg.trainer.max_epochs, cfg.data.batch_size, cfg.data.resize, cfg.data.flip) == (5, 64, "squash", True)
    assert (cfg.model.architecture, cfg.model.weights, cfg.tuning.name) == ("alexnet", "imagenet", "full")
    assert (cfg.split.name, cfg.split.val_fraction, cfg.data.image_size) == ("auto", 0.2, None)
    assert make_job().data.split_name == "random"


def test_a_test_part_is_scored_once_by_the_best_and_the_last_network(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job("split.test_fraction=0.3", "keep_last=true"))
    folder = tmp_path / "run"
    result = json.loads((folder / run_folder.RESULT).read_text())
    split = csv_files.read(folder / run_folder.SPLIT)
    assert sum(row["part"] == "test" for row in split) == result["test"]["paintings"] == 9
    assert result["test"]["baselines"]["majority"] == pytest.approx(1 / 3)
    predictions = [row for row in csv_files.read(folder / run_folder.PREDICTIONS) if row["part"] == "test"]
    root = Path(yaml.safe_load((folder / run_folder.CONFIG).read_text())["data"]["root"])
    for which, path in [("best", run_folder.BEST), ("last", run_folder.LAST)]:
        predictor = load_predictor(folder / path)
        rows = [row for row in predictions if row["epoch"] == which]
        assert len(rows) == 9
        right = 0
        for row in rows:
            logits = predictor.network(predictor.transform(images.load_rgb(root / row["path"]))[None])
            assert predictor.class_names[logits.argmax()] == row["predicted"]
            right += row["predicted"] == row["style"]
        found = result["test"][which]
        assert found["accuracy"] == pytest.approx(right / 9)
        assert found["balanced_accuracy"] == pytest.approx(right / 9)  # three paintings of each style
        assert found["interval_95"][0] <= found["accuracy"] <= found["interval_95"][1]


def test_the_test_part_changes_nothing_in_training(make_job: MakeJob, tmp_path: Path) -> None:
    """Paintings that are only left out of training would; so compare with a split that leaves the same ones unused."""
    jobs.run_job(make_job("split.test_fraction=0.3", folder="tested"))
    split = csv_files.read(tmp_path / "tested" / run_folder.SPLIT)
    job = make_job("split.test_fraction=0.3", folder="unused")
    job.data.parts[:] = ["unused" if row["part"] == "test" else row["part"] for row in split]
    recipe.train(job)
    assert metrics(tmp_path / "tested") == metrics(tmp_path / "unused")


def test_a_fold_and_known_artists_are_scored_by_the_same_networks(
    make_job: MakeJob, paintings: Path, tmp_path: Path
) -> None:
    """Three artists a style: one tests, one validates, one trains, and of his paintings some are kept back."""
    fold = ["split=artist_disjoint", "split.folds=3", "split.fold=1", "split.val_fraction=0.5", "trainer.max_epochs=2"]
    jobs.run_job(make_job(*fold, "split.known_fraction=0.3", "keep_last=true"))
    folder = tmp_path / "run"
    result, split = run_folder.read_result(folder), csv_files.read(folder / run_folder.SPLIT)
    artists = {part: {row["artist"] for row in split if row["part"] == part} for part in splits.HELD_OUT}
    trained = {row["artist"] for row in split if row["part"] == "train"}
    assert artists["known"] == trained
    assert not (artists["val"] | artists["test"]) & trained
    with np.load(folder / run_folder.LOGITS) as kept:
        logits = dict(kept)
    for part in ("test", "known"):
        assert result[part]["paintings"] == sum(row["part"] == part for row in split) > 2
        for epoch, path in (("best", run_folder.BEST), ("last", run_folder.LAST)):
            assert_gives_predictions(folder / path, paintings, part, epoch)
            rows = [
                r for r in csv_files.read(folder / run_folder.PREDICTIONS) if (r["part"], r["epoch"]) == (part, epoch)
            ]
            assert len(rows) == result[part]["paintings"] == len(logits[f"{part}_{epoch}"])
            right = sum(row["predicted"] == row["style"] for row in rows)
            assert result[part][epoch]["accuracy"] == pytest.approx(right / len(rows))
    assert result["known"]["baselines"]["artist_lookup"] == 1.0
    assert result["test"]["baselines"]["artist_lookup"] == result["test"]["baselines"]["majority"]
    # Neither part has a say in the training: it is the same where they are not used at all.
    job = make_job(*fold, "split.known_fraction=0.3", folder="unused")
    job.data.parts[:] = ["unused" if row["part"] in ("test", "known") else row["part"] for row in split]
    recipe.train(job)
    assert metrics(folder) == metrics(tmp_path / "unused")


def test_known_artists_without_a_test_part(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job("split=artist_disjoint", "split.known_fraction=0.3", "trainer.max_epochs=1"))
    result = run_folder.read_result(tmp_path / "run")
    assert result["test"] is None
    assert 0 <= result["known"]["last"]["accuracy"] <= 1
    settings = yaml.safe_load((tmp_path / "run" / run_folder.CONFIG).read_text())
    assert settings["split"]["known_fraction"] == 0.3
    assert not {"folds", "fold"} & {*settings["split"], *settings["data"]}


def test_balanced_figures_of_each_epoch(reference: Path) -> None:
    from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

    result = json.loads((reference / run_folder.RESULT).read_text())
    rows = [r for r in csv_files.read(reference / run_folder.PREDICTIONS) if r["epoch"] == "last"]
    true, predicted = [row["style"] for row in rows], [row["predicted"] for row in rows]
    assert result["last"]["val/balanced_accuracy"] == pytest.approx(balanced_accuracy_score(true, predicted))
    assert result["last"]["val/macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
    names = sorted(set(true))
    by_hand = dict(zip(names, recall_score(true, predicted, labels=names, average=None), strict=True))
    assert result["last"]["val/recall"] == pytest.approx(by_hand)
    assert [float(row["val/balanced_accuracy"]) for row in metrics(reference)][-1] == pytest.approx(
        result["last"]["val/balanced_accuracy"]
    )


def test_class_weights(make_job: MakeJob, tmp_path: Path) -> None:
    """A style with a third of the others' paintings weighs three times as much, in the training loss alone."""
    root = write_paintings(tmp_path / "paintings", per_style=30)
    for path in sorted((root / "Waves").iterdir())[10:]:
        path.unlink()
    jobs.run_job(make_job(f"data.root={root}", "trainer.max_epochs=1", folder="plain"))
    job = make_job(f"data.root={root}", "trainer.max_epochs=1", "data.class_weights=balanced")
    weights = job.data.loss_weights()  # 24, 24 and 8 paintings train
    assert weights.tolist() == pytest.approx([56 / 72, 56 / 72, 56 / 24])
    recipe.train(job)
    plain, balanced = metrics(tmp_path / "plain")[0], metrics(tmp_path / "run")[0]
    assert plain["train/loss"] != balanced["train/loss"]
    # A network that stands still: the loss of an epoch is the mean of the weighted losses, whatever the batches.
    still = ["optimizer.lr=0.0", "tuning=head_only", "data.flip=false", "trainer.max_epochs=1", f"data.root={root}"]
    losses = []
    for size in (8, 56):
        jobs.run_job(make_job(*still, "data.class_weights=balanced", f"data.batch_size={size}", folder=f"batch{size}"))
        losses.append(float(metrics(tmp_path / f"batch{size}")[0]["train/loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    with pytest.raises(UserError, match=r"unknown data\.class_weights 'balancd': did you mean 'balanced'"):
        make_job("data.class_weights=balancd")


def test_artist_disjoint_run(make_job: MakeJob, tmp_path: Path) -> None:
    """Three artists a style: one validates. The look-up then knows no more than the majority."""
    jobs.run_job(make_job("split=artist_disjoint", "trainer.max_epochs=1"))
    rows = csv_files.read(tmp_path / "run" / run_folder.SPLIT)
    sides = [{row["artist"] for row in rows if row["part"] == part} for part in ("train", "val")]
    assert not sides[0] & sides[1]
    baselines = json.loads((tmp_path / "run" / run_folder.RESULT).read_text())["baselines"]
    assert baselines["artist_lookup"] == baselines["majority"]
    assert baselines["color_texture"] is not None


def test_every_painting_weighs_the_same_in_an_epochs_last_batch(make_job: MakeJob, tmp_path: Path) -> None:
    """24 paintings in batches of 23: the step of the last one alone is a 23rd of what it would be by itself."""
    gradients, labels = {}, {}

    class Watch(L.Callback):
        def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, *args: Any) -> None:
            gradients[trainer.global_step] = pl_module.new_layer.bias.grad.clone()

        def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
            labels[trainer.global_step] = batch.labels

    # A frozen network whose new layer is zero answers 1/3 for each style, so its bias has a known gradient.
    options = ["tuning=head_only", "head.zero_init=true", "optimizer.lr=0.0", "trainer.max_epochs=1"]
    job = make_job(*options, "data.batch_size=23")
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, Watch()]))
    for step, count in enumerate([23, 1]):
        answers = torch.full((count, 3), 1 / 3) - torch.nn.functional.one_hot(labels[step], 3)
        assert gradients[step] == pytest.approx(answers.sum(0).numpy() / 23, abs=1e-6)


def test_one_picture_under_two_styles(
    make_job: MakeJob, paintings: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """FAULTS 15: said, and refused by data.strict=true. A copy in its own style stays on one side of any split."""
    root = Path(shutil.copytree(paintings, tmp_path / "root"))
    shutil.copy(root / "Dots/artist-dots-0_00.jpg", root / "Dots/artist_copy.jpg")
    for seed in range(4):
        data = make_job(f"data.root={root}", "data.strict=true", f"split.seed={seed}").data
        part_of = {p.path: part for p, part in zip(data.catalogue.paintings, data.parts, strict=True)}
        assert part_of["Dots/artist-dots-0_00.jpg"] == part_of["Dots/artist_copy.jpg"]
    assert "one picture" not in caplog.text
    shutil.copy(root / "Dots/artist-dots-0_00.jpg", root / "Waves/artist_same.jpg")
    _ = make_job(f"data.root={root}").data.parts
    assert "one picture under two styles, byte for byte" in caplog.text
    assert "Waves/artist_same.jpg" in caplog.text
    with pytest.raises(UserError, match=r"one picture under two styles.*data\.strict=false trains all the same"):
        _ = make_job(f"data.root={root}", "data.strict=true").data.parts
