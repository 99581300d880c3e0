"""Options that pass through to Lightning and torch: each works, or is refused in a line (docs/options.md)."""

import dataclasses
import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from brushwork import csv_files, images, run_folder
from brushwork.errors import UserError
from brushwork.models import checkpoint, optimization
from brushwork.models.predictor import load_predictor
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import without_pictures
from tests.training.test_training import assert_equal_runs, interrupted, metrics

MakeJob = Callable[..., Job]
make_job = pytest.fixture(without_pictures)
QUICK = ("tuning=head_only", "trainer.max_epochs=2")  # three steps an epoch
TORCH = "_partial_: true, _target_: torch.optim.lr_scheduler"


class Rates(L.Callback):
    """The learning rate of each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def rates(job: Job) -> list[float]:
    watch = Rates()
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, watch]))
    return watch.seen


def by_hand(make: Callable[[torch.optim.Optimizer], Any], steps: int, lr: float = 0.01) -> list[float]:
    """The rates of torch's own schedule, stepped after each step."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_one_cycle_reaches_its_rate_and_ends_with_the_run(make_job: MakeJob) -> None:
    expected = by_hand(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=6), 6)
    assert rates(make_job("scheduler=one_cycle", *QUICK)) == pytest.approx(expected)
    assert max(expected) == pytest.approx(0.01, rel=0.1)


def test_steps_are_counted_with_accumulated_batches_and_limits(make_job: MakeJob) -> None:
    """Three batches, two of them a step: two steps an epoch, and with max_steps=3 three in all."""
    seen = rates(make_job("scheduler=one_cycle", "+trainer.accumulate_grad_batches=2", *QUICK))
    of_torch = by_hand(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=4), 4)
    assert [seen[i] for i in (0, 2, 3, 5)] == pytest.approx(of_torch)
    seen = rates(make_job("scheduler=one_cycle", "+trainer.max_steps=4", *QUICK, folder="limited"))
    of_torch = by_hand(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=4), 4)
    assert seen == pytest.approx(of_torch)


def test_a_warm_up_then_half_a_cosine(make_job: MakeJob) -> None:
    seen = rates(make_job("scheduler=warmup_cosine", "scheduler.milestones=[50%]", *QUICK))
    assert seen[:4] == pytest.approx([0.0001 + 0.0099 * i / 3 for i in range(4)])
    assert seen[3:] == pytest.approx([0.01 * (1 + math.cos(math.pi * i / 6)) / 2 for i in range(3)])


@pytest.mark.parametrize(
    ("scheduler", "make"),
    [
        (
            "CyclicLR, base_lr: 0.001, max_lr: 0.1, step_size_up: 2",
            lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.001, 0.1, 2),
        ),
        (
            "CosineAnnealingWarmRestarts, T_0: 4",
            lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 4),
        ),
        (
            "LambdaLR, lr_lambda: {_target_: tests.training.test_options.falling, _partial_: true}",
            lambda o: torch.optim.lr_scheduler.LambdaLR(o, falling),
        ),
    ],
)
def test_torchs_own_by_steps(make_job: MakeJob, scheduler: str, make: Callable) -> None:
    job = make_job(f"+scheduler={{{TORCH}.{scheduler}, interval: step}}", *QUICK)
    assert rates(job) == pytest.approx(by_hand(make, 6))


def slow(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def falling(step: int) -> float:
    return 1 / (1 + step)


@pytest.mark.parametrize(
    "overrides",
    [
        ("scheduler=plateau", "+scheduler.threshold=9", "scheduler.patience=0"),
        pytest.param(("scheduler=warmup_cosine",), marks=pytest.mark.slow),
        pytest.param(("scheduler=one_cycle", "+trainer.accumulate_grad_batches=2"), marks=pytest.mark.slow),
        pytest.param(("scheduler=plateau", "scheduler.monitor=val/accuracy", "ema_decay=0.5"), marks=pytest.mark.slow),
        pytest.param(
            (f"+scheduler={{{TORCH}.CyclicLR, base_lr: 0.001, max_lr: 0.1, interval: step}}",), marks=pytest.mark.slow
        ),
        pytest.param(
            (f"+scheduler={{{TORCH}.CosineAnnealingWarmRestarts, T_0: 4, interval: step}}",), marks=pytest.mark.slow
        ),
        pytest.param(("optimizer=adam", "scheduler=one_cycle", "+trainer.max_steps=8"), marks=pytest.mark.slow),
    ],
)
def test_a_resumed_schedule_goes_on_exactly(make_job: MakeJob, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """A plateau lowers the rate at an epoch's end, which the checkpoint of that epoch must hold."""
    jobs.run_job(make_job(*overrides, "keep_last=true", folder="unbroken"))
    first = make_job(*overrides, "keep_last=true", folder="broken")
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(first, epoch=2))
    jobs.run_job(make_job(*overrides, "keep_last=true", f"ckpt_path={first.folder / run_folder.LAST}"))
    assert_equal_runs(tmp_path / "run", tmp_path / "unbroken")
    if "+scheduler.threshold=9" in overrides:  # never reached
        rows = [float(row["learning_rate"]) for row in metrics(tmp_path / "run")]
        assert rows == pytest.approx([0.01, 0.001, 0.0001])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            f"+scheduler={{{TORCH}.OneCycleLR, max_lr: 0.1}}",
            "OneCycleLR changes the rate after each step: add ++scheduler.interval=step",
        ),
        slow(f"+scheduler={{{TORCH}.CyclicLR, base_lr: 0, max_lr: 1}}", "CyclicLR changes the rate after each step"),
        (
            "scheduler=one_cycle scheduler.total_steps=5",
            "for 5 steps, but this run makes 9: use scheduler.total_steps=9",
        ),
        ("scheduler=one_cycle trainer.max_epochs=-1", "total_steps=100% is a share of a run without an end"),
        ("scheduler=cosine scheduler.interval=step", "the cosine ends after 3 steps and rises again"),
        slow("scheduler=cosine trainer.max_epochs=-1", "expected scheduler.T_max to be at least 1, but got -1"),
        ("scheduler=cosine scheduler.T_max=abc", "expected scheduler.T_max to be at least 1, but got abc"),
        (f"+scheduler={{{TORCH}.StepLR, step_size: abc}}", "scheduler: unsupported operand"),
        slow("scheduler=cosine scheduler.interval=batch", "unknown scheduler.interval 'batch': valid: epoch, step"),
        (
            "scheduler=cosine +scheduler.monitor=val/loss",
            "scheduler.monitor is of ReduceLROnPlateau (scheduler=plateau)",
        ),
        (
            "scheduler=cosine scheduler._target_=torch.optim.lr_scheduler.StepLR",
            "StepLR takes no T_max: leave it out by",
        ),
        (
            "+scheduler._target_=torch.optim.lr_scheduler.StepLR",
            "is ++scheduler._partial_=true missing?",
        ),
        ("+scheduler.interval=step", "it needs ++scheduler._target_=CLASS"),
        (
            "+scheduler={_target_: tests.training.test_options.OfTimm, _partial_: true}",
            "OfTimm is no torch.optim.lr_scheduler.LRScheduler",
        ),
        (
            "scheduler=plateau scheduler.monitor=val/acc",
            "unknown scheduler.monitor 'val/acc': did you mean 'val/accuracy'",
        ),
        slow("scheduler=plateau scheduler.monitor=val/accuracy +scheduler.mode=min", "use scheduler.mode=max"),
        slow("scheduler=plateau +scheduler.interval=step", "leave scheduler.interval=step out"),
        ("scheduler=plateau +trainer.limit_val_batches=0", "scheduler: ReduceLROnPlateau waits for val/loss: leave"),
        ("optimizer._target_=torch.optim.Adam", "Adam takes no momentum: leave it out by '~optimizer.momentum'"),
        ("+optimizer.momentun=0.5", "SGD takes no momentun (did you mean momentum?)"),
        ("optimizer._target_=torch.optim.LBFGS", "LBFGS evaluates a batch's loss several times a step"),
        (
            "optimizer._target_=torch.optim.SparseAdam ~optimizer.momentum ~optimizer.fused",
            "does not support dense gradi",
        ),
        ("optimizer._partial_=false", "is ++optimizer._partial_=true missing?"),
        slow("+optimizer.foreach=true", "optimizer: `fused` and `foreach` cannot be `True` together"),
        (
            "+trainer.gradient_clip_val=1 trainer.precision=bf16-mixed",
            "trainer.gradient_clip_val in trainer.precision=bf16-mixed needs an optimizer that is not fused: add ++opt",
        ),
        slow("+trainer.gradient_clip_algorithm=value", "trainer.gradient_clip_algorithm clips nothing alone"),
        ("trainer.precision=bf16-true ema_decay=0.9", "use trainer.precision=bf16-mixed"),
        slow("trainer.precision=8-true", "trainer: "),
        ("+trainer.accumulate_grad_batches=0", "expected trainer.accumulate_grad_batches to be a whole number from 1"),
        ("+trainer.check_val_every_n_epoch=4", "check_val_every_n_epoch=4 never validates in trainer.max_epochs=3"),
        slow("+trainer.max_steps=0", "expected trainer.max_steps to be a whole number from 1, or -1, but got 0"),
        (
            "+trainer.max_steps=5 +trainer.min_epochs=2",
            "trainer.min_epochs and trainer.max_steps contradict each other",
        ),
        ("+trainer.max_time=soon", "trainer: `Timer(duration='soon')` is not a valid duration"),
        (
            "+trainer.callbacks=[{_target_: lightning.Callback}]",
            "trainer.callbacks: callbacks have a group of their own",
        ),
        (
            "+trainer.logger={_target_: lightning.pytorch.loggers.CSVLogger, save_dir: x}",
            "trainer.logger: loggers have a",
        ),
        slow("+trainer.use_distributed_sampler=true", "trainer.use_distributed_sampler: the data module"),
        slow("+trainer.strategy=nothing", "trainer: "),
        (
            "EARLY +callbacks.early.monitor=val/acc",
            "unknown monitor of EarlyStopping 'val/acc': did you mean 'val/accuracy'",
        ),
        (
            "EARLY +callbacks.early.monitor=val/accuracy",
            "EarlyStopping with monitor=val/accuracy waits for a worse one",
        ),
        slow(
            "EARLY +callbacks.early.monitor=val/loss +trainer.limit_val_batches=0", "EarlyStopping waits for val/loss"
        ),
        ("KEEP +callbacks.keep.monitor=loss", "unknown monitor of ModelCheckpoint 'loss': did you mean 'val/loss'"),
        (
            "KEEP +callbacks.keep.monitor=val/accuracy",
            "ModelCheckpoint with monitor=val/accuracy waits for a worse one",
        ),
        ("+callbacks.find._target_=lightning.pytorch.callbacks.LearningRateFinder", "use optimizer.lr=NUMBER"),
        ("+callbacks.early.monitor=val/loss", "callbacks.early has no class: add ++callbacks.early._target_=CLASS"),
        ("RATE logger=none", "LearningRateMonitor writes to a logger: choose logger=tensorboard or csv"),
        slow("RATE +trainer.logger=false", "LearningRateMonitor writes to a logger"),
    ],
)
def test_refused_in_one_line(make_job: MakeJob, overrides: str, message: str) -> None:
    classes = {"EARLY": "early EarlyStopping", "KEEP": "keep ModelCheckpoint", "RATE": "rate LearningRateMonitor"}
    for word, text in classes.items():
        name, kind = text.split()
        overrides = overrides.replace(word, f"+callbacks.{name}._target_=lightning.pytorch.callbacks.{kind}")
    split = [overrides] if "{" in overrides else overrides.split()
    with pytest.raises(UserError) as caught:
        jobs.run_job(make_job(*split))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


class OfTimm:
    """A schedule that torch does not know: its step needs the epoch."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def step(self, epoch: int) -> None: ...

    def state_dict(self) -> dict: ...

    def load_state_dict(self, state: dict) -> None: ...


# -- the Trainer's own options -----------------------------------------------------------------------------------------


def finished(folder: Path) -> dict[str, Any]:
    result = run_folder.read_result(folder)
    assert result["status"] == "finished"
    return result


def test_what_a_run_sets_itself_is_switched_off(make_job: MakeJob, tmp_path: Path) -> None:
    options = ("enable_checkpointing", "enable_progress_bar", "logger")
    jobs.run_job(make_job(*QUICK, *(f"+trainer.{option}=false" for option in options)))
    finished(tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.ckpt")) and not list((tmp_path / "run").glob("events.*"))


@pytest.mark.parametrize("limit", ["+trainer.max_steps=5", pytest.param("+trainer.max_time=0", marks=pytest.mark.slow)])
def test_a_run_that_ends_in_the_middle_of_an_epoch(make_job: MakeJob, tmp_path: Path, limit: str) -> None:
    """It is validated there, its figures are of what was trained, and it can go on with the next epoch."""
    job = make_job("keep_last=true", "tuning=head_only", limit)
    if "max_time" in limit:
        job.callbacks.append(OutOfTime(steps=5))
        job.trainer.keywords["max_time"] = "00:01:00:00"  # an hour
    jobs.run_job(job)
    rows = metrics(tmp_path / "run")
    assert [row["train_images"] for row in rows] == ["24", "16"]
    assert all(0 <= float(row["val/accuracy"]) <= 1 for row in rows)
    result = finished(tmp_path / "run")
    assert result["last"]["val/accuracy"] == float(rows[-1]["val/accuracy"])
    answers = csv_files.read(tmp_path / "run" / run_folder.PREDICTIONS)
    assert sum(row["epoch"] == "last" for row in answers) == 6
    last = tmp_path / "run" / run_folder.LAST
    jobs.run_job(make_job("tuning=head_only", f"ckpt_path={last}", folder="further"))
    assert [row["train_images"] for row in metrics(tmp_path / "further")] == ["24", "16", "24"]


class OutOfTime(L.Callback):
    """Sets the clock of Lightning's timer forward."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        (timer,) = (one for one in trainer.callbacks if isinstance(one, lightning_callbacks.Timer))
        timer._offset = 3600 * (trainer.global_step >= self.steps - 1)


@pytest.mark.slow
def test_steps_without_a_number_of_epochs(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job("tuning=head_only", "trainer.max_epochs=-1", "+trainer.max_steps=7", "scheduler=one_cycle"))
    assert [row["train_images"] for row in metrics(tmp_path / "run")] == ["24", "24", "8"]
    finished(tmp_path / "run")


@pytest.mark.slow
def test_nothing_more_to_train_is_said(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job("keep_last=true", "tuning=head_only", "+trainer.max_steps=3", folder="first"))
    last = tmp_path / "first" / run_folder.LAST
    with pytest.raises(UserError, match="nothing was trained"):
        jobs.run_job(make_job("tuning=head_only", f"ckpt_path={last}", "+trainer.max_steps=3"))


def test_every_figure_can_be_monitored(make_job: MakeJob, tmp_path: Path) -> None:
    class Look(L.Callback):
        def on_train_end(self, trainer: L.Trainer, *args: Any) -> None:
            self.figures = {key: float(value) for key, value in trainer.callback_metrics.items()}

    look = Look()
    job = make_job(
        *QUICK, "callbacks.best=null", "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"
    )
    kinds = [lightning_callbacks.EarlyStopping, lightning_callbacks.ModelCheckpoint]
    watching = [kind(monitor=one, mode=optimization.better(one)) for one in optimization.FIGURES for kind in kinds]
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, *watching, look]))
    row = metrics(tmp_path / "run")[-1]
    for key in optimization.FIGURES:
        assert look.figures[key] == pytest.approx(float(row[key]))


@pytest.mark.slow
def test_accumulated_batches_are_one_larger_batch(make_job: MakeJob, tmp_path: Path) -> None:
    """Weights after an epoch of 3 batches of 8 in one step are those of one batch of 24."""
    plain = ["tuning=head_only", "trainer.max_epochs=1", "data.flip=false", "optimizer.momentum=0", "keep_last=true"]
    jobs.run_job(make_job(*plain, "+trainer.accumulate_grad_batches=3", folder="three"))
    jobs.run_job(make_job(*plain, "data.batch_size=24", folder="one"))
    three, one = (checkpoint.network_state(checkpoint.read(tmp_path / f / run_folder.LAST)) for f in ("three", "one"))
    for key in ("classifier.3.weight", "classifier.3.bias"):
        assert torch.allclose(three[key], one[key], atol=1e-6), key


@pytest.mark.slow
def test_clipped_gradients_move_the_weights_less(make_job: MakeJob, tmp_path: Path) -> None:
    """SGD without momentum: each of three steps moves the weights by the rate times a norm of at most the limit."""
    plain = ["tuning=head_only", "trainer.max_epochs=1", "optimizer.momentum=0", "keep_last=true"]
    plain.append("head.zero_init=true")
    jobs.run_job(make_job(*plain, "+trainer.gradient_clip_val=0.001"))
    state = checkpoint.network_state(checkpoint.read(tmp_path / "run" / run_folder.LAST))
    moved = torch.cat([state[f"classifier.3.{name}"].flatten() for name in ("weight", "bias")]).norm()
    assert 0 < moved <= 3 * 0.01 * 0.001 * 1.001


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ["+trainer.accumulate_grad_batches=2"],
        ["+trainer.gradient_clip_val=0.5"],
        ["+trainer.limit_train_batches=2"],
    ],
)
def test_what_changes_the_training_is_not_resumed_otherwise(
    make_job: MakeJob, overrides: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "two_epochs"
    if not folder.exists():
        jobs.run_job(make_job(*QUICK, "keep_last=true", f"run_dir={folder}"))
    with pytest.raises(UserError, match="was trained with trainer None, but this run has"):
        jobs.run_job(make_job("tuning=head_only", f"ckpt_path={folder / run_folder.LAST}", *overrides))


@pytest.mark.slow
def test_a_share_of_the_run_is_not_resumed_in_a_longer_one(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*QUICK, "scheduler=one_cycle", "keep_last=true", folder="first"))
    last = tmp_path / "first" / run_folder.LAST
    with pytest.raises(UserError, match=r"was trained with trainer \{'max_epochs': 2"):
        jobs.run_job(make_job("tuning=head_only", "scheduler=one_cycle", f"ckpt_path={last}"))


def test_going_on_from_a_finished_run_names_the_way(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*QUICK, folder="first"))
    best = tmp_path / "first" / run_folder.BEST
    for path, said in [(tmp_path / "first" / run_folder.LAST, "was removed when its run had finished"), (best, "only")]:
        with pytest.raises(UserError, match=rf"{said}.*keep_last=true.*model\.weights={best}"):
            jobs.run_job(make_job(*QUICK, f"ckpt_path={path}"))
    assert make_job(*QUICK, f"model.weights={best}", folder="further").model(num_classes=3) is not None


def test_a_checkpoint_of_the_middle_of_an_epoch(make_job: MakeJob, tmp_path: Path) -> None:
    keep = "{_target_: lightning.pytorch.callbacks.ModelCheckpoint, every_n_train_steps: 2, filename: '{step}'}"
    jobs.run_job(make_job("tuning=head_only", "trainer.max_epochs=1", f"+callbacks.keep={keep}", folder="first"))
    (path,) = (tmp_path / "first").rglob("step=2.ckpt")
    with pytest.raises(UserError, match=r"was written in the middle of an epoch: resume from last\.ckpt, or start a"):
        jobs.run_job(make_job(f"ckpt_path='{path}'"))


@pytest.mark.slow
def test_profiles_are_files_of_the_run(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*QUICK, "+trainer.profiler=simple", "+trainer.deterministic=true"))
    assert "run_training_batch" in (tmp_path / "run/fit-profile.txt").read_text()


# -- precision ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "precision",
    ["bf16-true", *(pytest.param(one, marks=pytest.mark.slow) for one in ("16-true", "64-true", "bf16-mixed"))],
)
def test_a_whole_run_in_another_precision(
    make_full_job: MakeJob, tmp_path: Path, paintings: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Panels, graphs, a test part; the checkpoint, loaded in float32, gives predictions.csv but for rounding."""
    jobs.run_job(make_full_job(f"trainer.precision={precision}", "split.test_fraction=0.2", "trainer.max_epochs=2"))
    assert finished(tmp_path / "run")["precision"] == precision
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in events.Images("saliency/panel")] == [0, 1, 2]
    assert events.Tags()["graph"]
    loaded = load_predictor(tmp_path / "run" / run_folder.BEST)
    rows = csv_files.read(tmp_path / "run" / run_folder.PREDICTIONS)
    for row in (row for row in rows if (row["part"], row["epoch"]) == ("test", "best")):
        image = loaded.transform(images.load_rgb(paintings / row["path"]))
        probabilities = loaded.network(image[None].float()).softmax(1)[0]
        assert probabilities.max().item() == pytest.approx(float(row["probability"]), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true"])
def test_a_run_in_another_precision_resumes(make_job: MakeJob, tmp_path: Path, precision: str) -> None:
    options = (f"trainer.precision={precision}", "keep_last=true")
    jobs.run_job(make_job(*options, folder="unbroken"))
    first = make_job(*options, folder="broken")
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(first, epoch=1))
    jobs.run_job(make_job(*options, f"ckpt_path={first.folder / run_folder.LAST}"))
    assert_equal_runs(tmp_path / "run", tmp_path / "unbroken")


# -- loggers -----------------------------------------------------------------------------------------------------------

PICTURES = {"paintings/by style", "paintings/training batch", "saliency/panel", "saliency/strip"}
PICTURES |= {"answers/confusion matrix"}


def test_several_loggers_at_once(make_full_job: MakeJob, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    where = f"logger.mlflow.save_dir={tmp_path}/mlruns"
    job = make_full_job("logger=[csv,mlflow,tensorboard]", where, f"logger.save_dir={tmp_path}/board", *QUICK)
    jobs.run_job(job)
    expected = [float(row["val/accuracy"]) for row in metrics(tmp_path / "run")]
    rows = csv_files.read(tmp_path / "run/csv/version_0/metrics.csv")
    assert [float(row["val/accuracy"]) for row in rows if row["val/accuracy"]] == pytest.approx(expected)
    assert any(row["gradient norm/new layer"] for row in rows)
    board = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [event.value for event in board.Scalars("val/accuracy")] == pytest.approx(expected)
    assert set(board.Tags()["images"]) >= PICTURES

    from mlflow import MlflowClient

    client = MlflowClient(f"file:{tmp_path}/mlruns")
    (run,) = client.search_runs([client.get_experiment_by_name("wikiart").experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    history = client.get_metric_history(run.info.run_id, "val/accuracy")
    assert [(point.step, point.value) for point in history] == [(i + 1, value) for i, value in enumerate(expected)]
    assert run.data.params["head"] == "replace_last"
    stored = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
    for tag in PICTURES:
        assert any(Path(path).name.startswith(tag.replace("/", "~") + "+step") for path in stored), tag
    panels = [path for path in stored if "saliency~panel" in path and path.endswith(".png")]
    assert sorted(path.split("+step+")[1][0] for path in panels) == ["0", "1", "2"]


@pytest.mark.slow
def test_wandb_offline_one_run_a_job(make_full_job: MakeJob, tmp_path: Path) -> None:
    """Two jobs in one process, as in a sweep."""
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    for name in ("one", "two"):
        jobs.run_job(make_full_job("logger=wandb", *QUICK, folder=name))
        assert len(list((tmp_path / name).rglob("run-*.wandb"))) == 1
        pictures = {str(path.parent.name) for path in (tmp_path / name).rglob("media/images/*/*.png")}
        assert pictures == {"paintings", "saliency", "answers"}
        assert (tmp_path / name / run_folder.SALIENCY).exists()
        content = next((tmp_path / name).rglob("run-*.wandb")).read_bytes()
        assert b"val/best_accuracy" in content and b"saliency/panel" in content


@pytest.mark.parametrize("choice", ["csv", "none", "tensorboard"])
def test_a_single_logger_by_name(make_job: MakeJob, choice: str) -> None:
    job = make_job(f"logger={choice}")
    kinds = {"csv": ["CSVLogger"], "none": [], "tensorboard": ["TensorBoardLogger"]}
    assert [type(logger).__name__ for logger in job.loggers] == kinds[choice]
    assert job.config_hash == make_job("logger=[csv,tensorboard]").config_hash


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module = importlib.import_module(f"lightning.pytorch.loggers.{name}")
    monkeypatch.setattr(module, f"_{name.upper()}_AVAILABLE", False)
    with pytest.raises(UserError, match=rf"logger\.{name}: {name} is not installed: pip install '\.\[{name}\]'"):
        make_job(f"logger={name}")
