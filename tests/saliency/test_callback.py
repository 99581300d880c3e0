"""The saliency panel of a run: which pictures, when, and that training does not notice."""

import copy
import dataclasses
import io
import logging
from collections.abc import Callable
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from PIL import Image
from scipy.stats import spearmanr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision import models

from brushwork import csv_files, run_folder
from brushwork.errors import UserError
from brushwork.models import misfits, predictor
from brushwork.paintings import catalogue
from brushwork.preprocessing import Preprocessing
from brushwork.saliency import callback, maps, methods, panel
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import REPOSITORY
from tests.saliency.test_maps import CLASSES, PICTURES, small
from tests.training.test_training import assert_equal_runs

MakeJob = Callable[..., Job]
COLUMN = 192 + 12  # pixels
BARE = ["callbacks.dashboard=null", "callbacks.saliency.paintings=3"]
SHORT = [*BARE, "trainer.max_epochs=1"]


def logged(folder: Path) -> dict[int, Image.Image]:
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    if callback.TAG not in events.Tags()["images"]:
        return {}
    found = events.Images(callback.TAG)
    return {event.step: Image.open(io.BytesIO(event.encoded_image_string)) for event in found}


def test_before_training_and_after_epochs(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*BARE, "callbacks.saliency.every_n_epochs=2"))
    found = logged(tmp_path / "run")
    assert list(found) == [0, 2, 3]  # the last in any case
    assert {panel.width for panel in found.values()} == {3 * COLUMN}
    pixels = [np.asarray(panel, float) for panel in found.values()]
    paintings = [page[60:, :COLUMN] for page in pixels]  # below the title, which names the epoch
    assert np.abs(paintings[0] - paintings[1]).max() < 40  # of JPEG
    assert np.abs(pixels[0][60:, COLUMN:] - pixels[2][60:, COLUMN:]).mean() > 5


@pytest.fixture
def initial_weights(tmp_path: Path) -> Path:
    """A state dict of the tests' network with 1000 classes: what ImageNet's is to a user."""
    torch.save(models.mobilenet_v3_small().state_dict(), tmp_path / "mobilenet.pth")
    return tmp_path / "mobilenet.pth"


def test_the_run_is_the_same_to_the_last_bit(make_job: MakeJob, tmp_path: Path, initial_weights: Path) -> None:
    """The network has dropout and batch norm. With the panel, with a reference besides, and with neither."""
    options = ["keep_last=true", f"model.weights={initial_weights}", "trainer.max_epochs=2"]
    jobs.run_job(make_job(*options, "callbacks.saliency=null", "callbacks.dashboard=null", folder="without"))
    jobs.run_job(make_job(*options, folder="with"))
    reference = ["callbacks.saliency.reference=squeezenet1_1", "callbacks.saliency.reference_weights=null"]
    jobs.run_job(make_job(*options, *reference, folder="reference"))
    assert_equal_runs(tmp_path / "without", tmp_path / "with")
    assert_equal_runs(tmp_path / "without", tmp_path / "reference")
    assert logged(tmp_path / "without") == {}
    assert {panel.width for panel in logged(tmp_path / "reference").values()} == {4 * COLUMN}


def test_the_panel_is_of_the_split_not_of_the_seed(make_job: MakeJob) -> None:
    chosen = []
    for overrides in (["seed=0"], ["seed=1", "head=replace_last"], ["callbacks.saliency.seed=5"]):
        job = make_job(*SHORT, *overrides, "callbacks.saliency.paintings=2", folder=f"run{len(chosen)}")
        jobs.run_job(job)
        (logger,) = (c for c in job.callbacks if isinstance(c, callback.SaliencyLogger))
        chosen.append([painting.path for painting in logger._panel.paintings])
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]
    assert len({path.split("/")[0] for path in chosen[0]}) == 2  # the styles in turn


def test_its_maps_are_class_saliency(make_job: MakeJob, paintings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn for the predicted and the true style, from the network as it then is."""
    drawn, column = [], panel.column
    monkeypatch.setattr(panel, "column", lambda *values: drawn.append(values) or column(*values))
    job = make_job(*SHORT, "keep_last=true")
    jobs.run_job(job)
    from brushwork.models.predictor import load_predictor

    trained = load_predictor(job.folder / "checkpoints/last.ckpt")
    (logger,) = (c for c in job.callbacks if isinstance(c, callback.SaliencyLogger))
    batch = torch.stack([trained.transform(picture) for picture in logger._panel.pictures])
    logits = trained.network(batch)
    of_predicted, of_true = drawn[2:]
    for (_, found, captions), classes in [(of_predicted, logits.argmax(1)), (of_true, logger._panel.labels)]:
        expected = maps.class_saliency(trained.network, batch, classes).numpy()
        assert found == pytest.approx(expected, abs=1e-5 * float(expected.max()))
        for caption, row, label in zip(captions, logits.softmax(1), classes.tolist(), strict=True):
            assert caption.endswith(f"{trained.class_names[label]}\n{row[label]:.2f}")


def test_maps_by_another_method(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn is that method's; its noise leaves the run as it is, bit by bit."""
    drawn, column = [], panel.column
    monkeypatch.setattr(panel, "column", lambda *values: drawn.append(values) or column(*values))
    options = ["keep_last=true", "trainer.max_epochs=1", "callbacks.dashboard=null"]
    jobs.run_job(make_job(*options, "callbacks.saliency=null", folder="without"))
    chosen = ["callbacks.saliency.method=smoothgrad", "callbacks.saliency.paintings=1"]
    job = make_job(*options, *chosen, folder="smoothgrad")
    jobs.run_job(job)
    assert_equal_runs(tmp_path / "without", tmp_path / "smoothgrad")
    from brushwork.models.predictor import load_predictor

    trained = load_predictor(job.folder / "checkpoints/last.ckpt")
    (logger,) = (c for c in job.callbacks if isinstance(c, callback.SaliencyLogger))
    batch = torch.stack([trained.transform(picture) for picture in logger._panel.pictures])
    expected = methods.smoothgrad(trained.network, batch, logger._panel.labels).numpy()
    assert drawn[3][1] == pytest.approx(expected, abs=1e-3 * float(expected.max()))


def test_a_method_that_is_not_defined_for_the_network(
    make_job: MakeJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The network in training is MobileNetV3: refused before it trains. A reference is left out."""
    with pytest.raises(UserError, match="guided_backprop is defined for ReLUs, and MobileNetV3 has Hardswish"):
        jobs.run_job(make_job("callbacks.saliency.method=guided_backprop"))
    unfit = ["callbacks.saliency.reference=mobilenet_v3_small", "callbacks.saliency.reference_weights=null"]
    guided = ["model=squeezenet1_1", "data.image_size=64", "callbacks.saliency.method=guided_backprop"]
    jobs.run_job(make_job(*SHORT, *guided, *unfit, folder="squeezenet"))
    assert "saliency: without mobilenet_v3_small: guided_backprop is defined for ReLUs" in caplog.text
    assert {panel.width for panel in logged(tmp_path / "squeezenet").values()} == {3 * COLUMN}


def test_weights_that_cannot_be_had_are_one_warning(
    make_job: MakeJob, tmp_path: Path, weights_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = models.VGG16_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    (weights_cache / name).write_bytes(b"half a download")
    jobs.run_job(make_job(*SHORT, "callbacks.saliency.reference=vgg16"))
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = (record.getMessage() for record in warnings if "vgg16" in record.getMessage())
    assert warning.startswith("saliency: without vgg16: ")
    assert "is damaged" in warning
    assert "callbacks.saliency.reference=null" in warning
    assert {panel.width for panel in logged(tmp_path / "run").values()} == {3 * COLUMN}


def test_weights_from_the_cache(make_job: MakeJob, tmp_path: Path, weights_cache: Path) -> None:
    """As VGG-16's are found, under torchvision's own name; a smaller network's take the test's place."""
    name = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    torch.save(models.squeezenet1_1().state_dict(), weights_cache / name)
    jobs.run_job(make_job(*SHORT, "callbacks.saliency.reference=squeezenet1_1", "model.verify_weights=false"))
    assert {panel.width for panel in logged(tmp_path / "run").values()} == {4 * COLUMN}


@pytest.mark.parametrize(
    "overrides",
    [
        ["logger=none"],
        ["+trainer.fast_dev_run=true"],
        ["+trainer.limit_val_batches=0"],
        ["tuning=head_only"],
        ["trainer.precision=bf16-mixed"],
        ["callbacks.saliency.paintings=100"],
    ],
)
def test_no_crash(make_job: MakeJob, tmp_path: Path, overrides: list[str], caplog: pytest.LogCaptureFixture) -> None:
    jobs.run_job(make_job("trainer.max_epochs=1", *overrides))
    silent = overrides[0] in ("logger=none", "+trainer.fast_dev_run=true")
    assert len(logged(tmp_path / "run")) == (0 if silent else 2)
    assert "saliency:" not in caplog.text
    assert "dashboard:" not in caplog.text


def test_a_map_that_is_no_number_is_a_blank_panel(make_job: MakeJob, tmp_path: Path) -> None:
    """The run diverges in its second epoch; its first panels stand."""
    with pytest.raises(UserError, match="diverged"):
        jobs.run_job(make_job(*BARE, "optimizer.lr=1e30"))
    assert list(logged(tmp_path / "run")) == [0]
    (blank,) = panel.column("", np.full((1, 64, 64), np.nan, np.float32), ["predicted Dots nan"]).values()
    assert len(blank[0].picture.getcolors()) > 1  # a label on grey


def test_what_cannot_be_drawn_never_stops_a_training(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(maps, "score_gradient", full)
    assert jobs.run_job(make_job(*SHORT)) is not None
    assert caplog.text.count("saliency: no more panels in this run: CUDA out of memory") == 1
    assert logged(tmp_path / "run") == {}


def test_a_resumed_run_goes_on_as_an_unbroken_one(make_job: MakeJob, tmp_path: Path, initial_weights: Path) -> None:
    """In its own folder and in another, with the initial weights gone; with another panel its history begins anew."""
    from tests.training.test_training import interrupted

    weights = f"model.weights={initial_weights}"
    jobs.run_job(make_job(*BARE, weights, folder="unbroken"))
    job = dataclasses.replace(make_job(*BARE, weights), sweep_number=0)
    with pytest.raises(SystemExit):
        jobs.run_job(interrupted(job, 1))
    initial_weights.unlink()
    last = f"ckpt_path={job.folder / run_folder.LAST}"
    jobs.run_job(make_job(*BARE, weights, last, folder="elsewhere"))
    jobs.run_job(make_job(*BARE, weights, last, "callbacks.saliency.paintings=2", folder="fewer"))
    jobs.run_job(dataclasses.replace(make_job(*BARE, weights), sweep_number=0))
    assert list(logged(tmp_path / "run")) == [0, 1, 2, 3]
    for name in (run_folder.SALIENCY, run_folder.SALIENCY_MAPS, run_folder.SALIENCY_STRIP):
        for folder in ("run", "elsewhere"):
            assert (tmp_path / folder / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
    rows = csv_files.read(tmp_path / "fewer" / run_folder.SALIENCY)
    assert [(row["epoch"], bool(row["previous"]), row["start"]) for row in rows] == [
        *[("2", False, "")] * 2,
        *[("3", True, "")] * 2,
    ]


class Remember(L.Callback):
    """Copies of the network in training before it trains and after each epoch."""

    def __init__(self) -> None:
        self.networks: list[torch.nn.Module] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.networks.append(copy.deepcopy(pl_module.network))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.networks.append(copy.deepcopy(pl_module.network))


@pytest.mark.parametrize("reference_too", [False, True])
def test_map_correlations(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, initial_weights: Path, reference_too: bool
) -> None:
    """Beside scipy's, of maps drawn again from the networks of each time; ImageNet's own network is loaded once."""
    options = [f"model.weights={initial_weights}"]
    if reference_too:
        options.append("callbacks.saliency.reference=mobilenet_v3_small")
        options.append(f"callbacks.saliency.reference_weights={initial_weights}")
    loaded, imagenet = [], predictor.imagenet
    monkeypatch.setattr(predictor, "imagenet", lambda *of, **size: loaded.append(of) or imagenet(*of, **size))
    remember = Remember()
    job = make_job(*BARE, *options, "trainer.max_epochs=2")
    jobs.run_job(dataclasses.replace(job, callbacks=[*job.callbacks, remember]))
    assert len(loaded) == 1

    (logger,) = (c for c in job.callbacks if isinstance(c, callback.SaliencyLogger))
    batch, labels = logger._panel.batch, logger._panel.labels
    drawn = [maps.class_saliency(one, batch, labels).numpy() for one in remember.networks]
    network = models.mobilenet_v3_small()
    network.load_state_dict(torch.load(initial_weights))
    network = network.eval().to(memory_format=torch.channels_last)
    own = maps.class_saliency(network, batch, network(batch).argmax(1)).numpy()
    beside = {
        "previous": [None, drawn[0], drawn[1]],
        "start": [None, drawn[0], drawn[0]],
        "imagenet": [own] * 3,
    }
    rows = csv_files.read(job.folder / run_folder.SALIENCY)
    assert [(int(row["epoch"]), row["path"]) for row in rows] == [
        (e, p.path) for e in (0, 1, 2) for p in logger._panel.paintings
    ]
    events = EventAccumulator(str(job.folder)).Reload()
    for name, others in beside.items():
        means = {}
        for epoch, other in enumerate(others):
            found = [row[name] for row in rows if row["epoch"] == str(epoch)]
            if other is None:
                assert found == [""] * 3
                continue
            expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(drawn[epoch], other, strict=True)]
            assert [float(value) for value in found] == pytest.approx(expected, abs=1e-4)
            assert max(expected) < 0.999  # else any map would do
            means[epoch] = np.mean(expected)
        logged = {event.step: event.value for event in events.Scalars(f"{callback.CORRELATION}/{name}")}
        assert logged == pytest.approx(means, abs=1e-4)
    a, b, c = (one.ravel() for one in drawn[2])  # each beside the two others
    ab, bc, ca = (spearmanr(one, other).statistic for one, other in [(a, b), (b, c), (c, a)])
    others = [float(row["others"]) for row in rows[-3:]]
    assert others == pytest.approx([(ab + ca) / 2, (ab + bc) / 2, (bc + ca) / 2], abs=1e-4)
    assert np.load(job.folder / run_folder.SALIENCY_MAPS) == pytest.approx(drawn[2], abs=1e-5 * float(drawn[2].max()))
    assert Image.open(job.folder / run_folder.SALIENCY_STRIP).width == (1 + 1 + 3) * COLUMN


def test_a_network_that_stands_still_looks_where_it_did(make_job: MakeJob, tmp_path: Path) -> None:
    jobs.run_job(make_job(*BARE, "model=squeezenet1_1", "data.image_size=64", "optimizer.lr=0"))
    rows = [row for row in csv_files.read(tmp_path / "run" / run_folder.SALIENCY) if row["epoch"] != "0"]
    assert len(rows) == 3 * 3
    assert {float(row[name]) for row in rows for name in ("previous", "start")} == {1.0}


@pytest.mark.parametrize("began_from", ["random weights", "redrawn weights", "a checkpoint of ours"])
def test_no_network_of_imagenets_where_training_began_elsewhere(
    make_job: MakeJob, tmp_path: Path, initial_weights: Path, began_from: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"random weights": ["model.weights=null"]}
    options["redrawn weights"] = [f"model.weights={initial_weights}", "model.redraw=true"]
    if began_from == "a checkpoint of ours":
        jobs.run_job(make_job("callbacks.saliency=null", BARE[0], SHORT[-1], folder="earlier"))
        options[began_from] = [f"model.weights={tmp_path / 'earlier' / run_folder.BEST}"]
    jobs.run_job(make_job(*SHORT, *options[began_from]))
    rows = csv_files.read(tmp_path / "run" / run_folder.SALIENCY)
    assert {row["imagenet"] for row in rows} == {""}
    assert all(row["previous"] for row in rows if row["epoch"] == "1")
    assert "saliency:" not in caplog.text


def test_weights_of_other_classes(
    make_job: MakeJob, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their network is shown, its classes numbered; without a last layer it is left out with one warning."""
    state = models.mobilenet_v3_small(num_classes=7).state_dict()
    headless = {key: value for key, value in state.items() if not key.startswith("classifier.3")}
    torch.save(state, tmp_path / "seven.pth")
    torch.save(headless, tmp_path / "headless.pth")
    reference = ["callbacks.saliency.reference=mobilenet_v3_small"]
    seven = [
        f"model.weights={tmp_path / 'seven.pth'}",
        f"callbacks.saliency.reference_weights={tmp_path / 'seven.pth'}",
    ]
    jobs.run_job(make_job(*SHORT, *reference, *seven))
    assert {panel.width for panel in logged(tmp_path / "run").values()} == {4 * COLUMN}
    assert all(row["imagenet"] for row in csv_files.read(tmp_path / "run" / run_folder.SALIENCY) if row["epoch"] == "1")
    assert "saliency:" not in caplog.text
    monkeypatch.setattr(misfits, "architecture_of", lambda found: None)  # takes seconds
    jobs.run_job(make_job(*SHORT, f"model.weights={tmp_path / 'headless.pth'}", folder="headless"))
    assert {panel.width for panel in logged(tmp_path / "headless").values()} == {3 * COLUMN}
    (warning,) = (record.getMessage() for record in caplog.records if record.getMessage().startswith("saliency:"))
    assert "saliency: without the network before training: " in warning
    assert "it lacks classifier.3.weight" in warning


@pytest.mark.parametrize("override", ["every_n_epochs=0", "paintings=0", "reference=vgg61", "method=gradkam"])
def test_settings_out_of_range(make_job: MakeJob, override: str) -> None:
    with pytest.raises(UserError, match=f"callbacks.saliency.{override.split('=')[0]}"):
        jobs.run_job(make_job(*SHORT, f"callbacks.saliency.{override}"))


def test_the_setting_names_all_methods() -> None:
    text = (REPOSITORY / "conf/callbacks/default.yaml").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("  method:"))
    assert set(line.replace(",", " ").split()) >= set(methods.METHODS)


def test_the_reference_is_frozen_and_never_part_of_a_checkpoint(make_job: MakeJob, tmp_path: Path) -> None:
    sizes = []
    for reference in ("null", "squeezenet1_1"):
        options = [f"callbacks.saliency.reference={reference}", "callbacks.saliency.reference_weights=null"]
        job = make_job(*SHORT, *options, folder=reference)
        jobs.run_job(job)
        sizes.append((job.folder / "checkpoints/best.ckpt").stat().st_size)
    assert abs(sizes[0] - sizes[1]) < 2000
    assert not any(p.requires_grad for p in predictor.imagenet("squeezenet1_1", None).network.parameters())


class Plain(L.LightningModule):
    """A person's own module: no `network`, no hyper-parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*small()[:-1], torch.nn.Linear(128, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1] % 3)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Loaders(L.LightningDataModule):
    def train_dataloader(self) -> torch.utils.data.DataLoader:
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(PICTURES, CLASSES), batch_size=4)


class Paintings(Loaders):
    """What the callback needs of a data module."""

    def __init__(self, root: Path, part: str = "val") -> None:
        super().__init__()
        self.catalogue = catalogue.scan(root)
        self.parts = [part] * len(self.catalogue.paintings)
        self.preprocessing, self.max_megapixels = Preprocessing(16, (0.5,) * 3, (0.5,) * 3), 89


def trained(tmp_path: Path, data: object, logger: object, **options: object) -> callback.SaliencyLogger:
    added = callback.SaliencyLogger(paintings=2, reference=None)
    quiet = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    trainer = L.Trainer(max_epochs=1, logger=logger, callbacks=[added], default_root_dir=tmp_path, **quiet, **options)
    module = Plain()
    trainer.fit(module, **({"datamodule": data} if isinstance(data, Loaders) else {"train_dataloaders": data}))
    assert trainer.current_epoch == 1
    return added


@pytest.mark.parametrize("kind", ["a loader", "a data module", "no validation paintings", "no TensorBoard"])
def test_any_trainer(kind: str, tmp_path: Path, paintings: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without what it needs it does nothing."""
    data = Loaders()
    if kind == "a loader":
        data = data.train_dataloader()
    elif kind != "a data module":
        data = Paintings(paintings, "train" if kind == "no validation paintings" else "val")
    logger = CSVLogger(tmp_path) if kind == "no TensorBoard" else TensorBoardLogger(tmp_path)
    with caplog.at_level(logging.INFO, "brushwork"):
        added = trained(tmp_path, data, logger, enable_checkpointing=True)
    assert added.state_dict() == {}
    assert caplog.text.count("saliency: ") == (0 if kind == "no TensorBoard" else 1)
    assert not list(tmp_path.rglob("saliency.csv"))


def test_a_plain_module_with_paintings(tmp_path: Path, paintings: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = TensorBoardLogger(tmp_path, name="own")
    trained(tmp_path, Paintings(paintings), logger, enable_checkpointing=False)
    assert list(logged(Path(logger.log_dir))) == [0, 1]
    rows = csv_files.read(Path(logger.log_dir) / run_folder.SALIENCY)
    assert [(row["epoch"], bool(row["previous"]), row["imagenet"]) for row in rows] == [
        *[("0", False, "")] * 2,
        *[("1", True, "")] * 2,
    ]
    assert "saliency:" not in caplog.text


@pytest.mark.parametrize("given", [True, False])
def test_the_modules_hyper_parameters_name_its_first_weights(
    given: bool, tmp_path: Path, paintings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple] = []
    monkeypatch.setattr(predictor, "imagenet", lambda *of, **_: loaded.append(of) or missing())

    def missing() -> None:
        raise UserError("no such weights")

    hparams = {"architecture": "alexnet", "weights": "imagenet"} if given else {}
    monkeypatch.setattr(Plain, "hparams", hparams)
    trained(tmp_path, Paintings(paintings), TensorBoardLogger(tmp_path), enable_checkpointing=False)
    assert loaded == ([("alexnet", "imagenet", True)] if given else [])
