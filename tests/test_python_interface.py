"""The public classes with any Trainer: fit, validate, test, predict, checkpoints, a person's own parts."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from brushwork import StyleClassifier, WikiArtDataModule, csv_files, photo_files, run_folder, saliency
from brushwork.errors import UserError
from brushwork.models import checkpoint
from brushwork.saliency.callback import SaliencyLogger
from brushwork.training.dashboard import Dashboard
from brushwork.training.record import RunRecord
from tests.conftest import REPOSITORY, STYLES

SMALL = "mobilenet_v3_small"


def quiet(folder: Path, **options: object) -> L.Trainer:
    chosen = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(default_root_dir=folder, **(chosen | {"logger": False} | options))


def classifier(**options: object) -> StyleClassifier:
    chosen = {"head": "replace_last", "num_classes": 3, "weights": None, "tuning": "head_only"}
    return StyleClassifier(SMALL, **(chosen | options))


@pytest.fixture(scope="module")
def trained(paintings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[L.Trainer, StyleClassifier]:
    """One epoch by Lightning's own defaults: its callbacks, its checkpoint."""
    data = WikiArtDataModule(paintings, split="artist_disjoint", batch_size=8, image_size=64)
    model = classifier(num_classes=data.num_classes)
    trainer = quiet(tmp_path_factory.mktemp("trained"))
    trainer.fit(model, data)
    return trainer, model


def test_lightnings_own_verbs(trained: tuple[L.Trainer, StyleClassifier], paintings: Path) -> None:
    trainer, model = trained
    (figures,) = trainer.validate(model, trainer.datamodule, verbose=False)
    assert set(figures) == {"val/loss", "val/accuracy"}
    held_out = trainer.datamodule.part("val")
    answers = [answer for batch in trainer.predict(model, trainer.datamodule) for answer in batch]
    assert [answer.path for answer in answers] == [str(paintings / painting.path) for painting in held_out]
    right = sum(answer.predicted == painting.style for answer, painting in zip(answers, held_out, strict=True))
    assert right / len(held_out) == pytest.approx(figures["val/accuracy"])


def test_a_checkpoint_needs_no_data(trained: tuple[L.Trainer, StyleClassifier], paintings: Path) -> None:
    """Its own preprocessing and class names are in it, and no code."""
    path = trained[0].checkpoint_callback.best_model_path
    torch.load(path, weights_only=True)
    loaded = StyleClassifier.load_from_checkpoint(path)
    assert loaded.class_names == STYLES and not loaded.training
    files = photo_files.find([paintings])[:3]
    batch = loaded.transform(files)
    assert batch.shape == (3, 3, 64, 64)  # the size that it was trained on
    probabilities = loaded.network(batch).softmax(1)
    for answer, row, file in zip(loaded.predict(files), probabilities, files, strict=True):
        assert (answer.path, answer.predicted) == (str(file), STYLES[row.argmax()])
        assert answer.probability == pytest.approx(row.max().item(), abs=1e-6)
        assert sum(answer.probabilities.values()) == pytest.approx(1)
        assert [*answer.probabilities.values()] == sorted(answer.probabilities.values(), reverse=True)
    maps = saliency.gradient(loaded, batch, targets=[0, 1, 2])
    assert maps.shape == (3, 64, 64)
    assert torch.equal(maps, saliency.gradient(loaded.network, batch, torch.tensor([0, 1, 2])))


def test_pictures_of_every_kind_give_the_same_answer(
    trained: tuple[L.Trainer, StyleClassifier], paintings: Path
) -> None:
    _, model = trained
    path = photo_files.find([paintings])[0]
    picture = Image.open(path).convert("RGB")
    pixels = v2.functional.pil_to_tensor(picture)
    expected = model.predict(path)[0].probabilities
    for same in (str(path), [path], picture, [picture], pixels, pixels / 255, model.transform(path)):
        assert model.predict(same)[0].probabilities == pytest.approx(expected, abs=1e-5)
    assert "<td>" in model.predict([path, picture])._repr_html_()
    hostile = model.predict(picture)
    hostile[0] = type(hostile[0])("<script>", "a&b", 0.5, {"a&b": 0.5})
    assert "<script>" not in hostile._repr_html_()


def test_predict_a_folder(trained: tuple[L.Trainer, StyleClassifier], paintings: Path, tmp_path: Path) -> None:
    """Any pictures, below any folder; the data module needs no paintings for it."""
    _, model = trained
    (tmp_path / "below").mkdir()
    for number, size in enumerate([(40, 60), (300, 20)]):
        Image.new("RGB", size, (number * 100, 20, 30)).save(tmp_path / "below" / f"{number}.png")
    data = WikiArtDataModule("nowhere", predict=tmp_path, workers=0)
    (answers,) = quiet(tmp_path).predict(model, data)
    assert [answer.path for answer in answers] == [str(tmp_path / "below" / f"{number}.png") for number in (0, 1)]
    for answer, alone in zip(answers, model.predict(photo_files.find([tmp_path])), strict=True):
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    with pytest.raises(UserError, match="there is no file or folder"):
        quiet(tmp_path).predict(model, WikiArtDataModule("nowhere", predict=tmp_path / "gone"))


def own_head(network: nn.Module, num_classes: int) -> nn.Module:
    network.classifier[3] = nn.Sequential(nn.Linear(1024, 7), nn.Tanh(), nn.Linear(7, num_classes))
    return network.classifier[3]


def test_a_head_of_ones_own(paintings: Path, tmp_path: Path) -> None:
    data = WikiArtDataModule(paintings, batch_size=8, image_size=32)
    model = classifier(head=own_head, optimizer=functools.partial(torch.optim.Adam, lr=0.1), seed=3)
    assert len(model.trained_parameters) == 4
    trainer = quiet(tmp_path)
    trainer.fit(model, data)
    assert isinstance(trainer.optimizers[0], torch.optim.Adam)
    path = trainer.checkpoint_callback.best_model_path
    with pytest.raises(UserError, match=r"head made by tests\.test_python_interface\.own_head.*give the function"):
        StyleClassifier.load_from_checkpoint(path)
    loaded = StyleClassifier.load_from_checkpoint(path, head=own_head)
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert loaded.hparams.optimizer == {"_target_": "torch.optim.adam.Adam", "lr": 0.1}


def test_loss_and_schedule_are_factories(paintings: Path, tmp_path: Path) -> None:
    """Label smoothing changes the loss as its formula says; the rate falls as the schedule says."""
    smooth = functools.partial(nn.CrossEntropyLoss, label_smoothing=0.3)
    halved = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    data = WikiArtDataModule(paintings, batch_size=8, image_size=32)
    losses = []
    for loss in (None, smooth):
        model = classifier(loss=loss, scheduler=halved, optimizer=functools.partial(torch.optim.SGD, lr=0.0), seed=1)
        torch.nn.init.constant_(model.new_layer.weight, 0.01)
        trainer = quiet(tmp_path, max_epochs=2, enable_checkpointing=False)
        trainer.fit(model, data)
        losses.append(trainer.callback_metrics["val/loss"])
        assert trainer.lr_scheduler_configs[0].scheduler.last_epoch == 2
    assert losses[0] != losses[1]


def test_a_schedule_by_steps_in_lightnings_form(paintings: Path, tmp_path: Path) -> None:
    """As long as the run, of any data; a checkpoint's model has it again, and refuses to go on by epochs."""
    cycle = functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1)
    loader = DataLoader(TensorDataset(torch.randn(10, 3, 32, 32), torch.arange(10) % 3), batch_size=4)
    model = classifier(class_names=["a", "b", "c"], scheduler={"scheduler": cycle, "interval": "step"})
    trainer = quiet(tmp_path, max_epochs=2)
    trainer.fit(model, loader, loader)
    (config,) = trainer.lr_scheduler_configs
    assert (config.scheduler.total_steps, config.scheduler.last_epoch) == (6, 6)
    path = trainer.checkpoint_callback.best_model_path
    loaded = StyleClassifier.load_from_checkpoint(path)
    assert loaded.configure_optimizers()["lr_scheduler"]["interval"] == "step"
    by_epochs = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    other = classifier(class_names=["a", "b", "c"], scheduler=by_epochs)
    with pytest.raises(UserError, match="was trained with scheduler"):
        quiet(tmp_path, max_epochs=3).fit(other, loader, loader, ckpt_path=path)
    with pytest.raises(UserError, match="OneCycleLR changes the rate after each step"):
        quiet(tmp_path).fit(classifier(scheduler=cycle), loader, loader)


def test_a_trainer_of_ones_own_data(tmp_path: Path) -> None:
    """Plain (images, labels) from DataLoaders, and ours callbacks beside them: what needs paintings is left out."""
    loader = DataLoader(TensorDataset(torch.randn(10, 3, 32, 32), torch.arange(10) % 3), batch_size=4)
    model = classifier(class_names=["a", "b", "c"])
    callbacks = [RunRecord(tmp_path / "run"), Dashboard(), SaliencyLogger(reference=None)]
    trainer = quiet(tmp_path, callbacks=callbacks, logger=TensorBoardLogger(tmp_path), max_epochs=2)
    trainer.fit(model, loader, loader)
    assert trainer.callback_metrics["val/accuracy"] == model.scores.accuracy
    assert len(model.scores.index) == 10
    result = json.loads((tmp_path / "run" / run_folder.RESULT).read_text())
    assert (result["status"], result["last"]["epoch"]) == ("finished", 2)
    assert result["baselines"]["majority"] is None


def test_records_of_a_trainer_of_ones_own_can_be_compared(paintings: Path, tmp_path: Path) -> None:
    from brushwork.study import arms, runs

    for head in ("replace_last", "replace_two"):
        data = WikiArtDataModule(paintings, batch_size=16, image_size=63)
        model = StyleClassifier("alexnet", head, data.num_classes, weights=None, tuning="head_only")
        trainer = quiet(tmp_path, callbacks=[RunRecord(tmp_path / head)], enable_checkpointing=False)
        trainer.fit(model, data)
    found = arms.group(runs.find([tmp_path]))
    assert [arm.name for arm in found] == ["replace_last", "replace_two"]
    rows = csv_files.read(tmp_path / "replace_two" / run_folder.PREDICTIONS)
    assert {row["part"] for row in rows} == {"val"} and len(rows) == 12


def test_a_transform_of_torchvision(paintings: Path, tmp_path: Path) -> None:
    """On training batches in place of ours: bytes are normalised here, floats are taken as they are."""
    seen = []

    class Watch(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, batch: tuple, *_: int) -> None:
            seen.append(batch.images)

    constant = v2.Lambda(lambda pictures: torch.full_like(pictures, 255))
    floats = v2.Compose([v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)])
    for transform in (constant, floats):
        data = WikiArtDataModule(paintings, batch_size=24, image_size=32, transform=transform)
        quiet(tmp_path, callbacks=[Watch()], enable_checkpointing=False).fit(classifier(), data)
    white = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(seen[0], white[:, None, None].expand(3, 32, 32), atol=1e-5)
    assert seen[1].min() >= 0 and seen[1].max() <= 1


def test_data_of_other_classes_are_refused(paintings: Path, tmp_path: Path) -> None:
    data = WikiArtDataModule(paintings, image_size=32)
    with pytest.raises(UserError, match="the data have 3 classes, but the model has num_classes=5"):
        quiet(tmp_path).fit(classifier(num_classes=5), data)
    with pytest.raises(UserError, match="only in the data: Dots"):
        quiet(tmp_path).validate(classifier(class_names=["A", "Facets", "Waves"]), data)


def test_hydra_instantiates_them(paintings: Path) -> None:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        cfg = compose("train", ["run_dir=x", f"data.root={paintings}", "model.weights=null", "head=replace_two"])
    data = instantiate(cfg.data)
    model = instantiate(cfg.model, num_classes=data.num_classes)
    assert (type(data), type(model)) == (WikiArtDataModule, StyleClassifier)
    assert model.hparams.head == "replace_two" and model.new_layer.out_features == 3
    assert isinstance(model.configure_optimizers(), torch.optim.SGD)


def test_a_checkpoint_of_the_earlier_layout(tmp_path: Path, paintings: Path) -> None:
    """What version 0.1 wrote: no hyper-parameters of Lightning's, all in the description."""
    model = classifier(class_names=STYLES)
    path = tmp_path / "best.ckpt"
    description = {
        "architecture": SMALL,
        "head": "replace_last",
        "class_names": STYLES,
        "preprocessing": {
            "image_size": 48,
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "resize": "crop",
        },
        "data": "data/wikiart",
        "split_hash": "0123456789abcdef",
        "initial_weights": "random",
        "seed": 2,
        "tuning": "head_only",
        "ema_decay": None,
        "train_fraction": 1.0,
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.01, "momentum": 0.9, "fused": True},
        "scheduler": None,
        "batch_size": 8,
        "augmentation": {"flip": True, "crop_scale": 1.0, "color_jitter": 0.0},
        "class_weights": None,
        "precision": "32-true",
    }
    content = {"epoch": 3, "global_step": 9, "state_dict": model.state_dict(), checkpoint.KEY: description}
    torch.save(content, path)
    loaded = StyleClassifier.load_from_checkpoint(path)
    assert loaded.transform(photo_files.find([paintings])[:1]).shape == (1, 3, 48, 48)
    assert (loaded.hparams.seed, loaded.preprocessing.resize) == (2, "crop")
    assert loaded.configure_optimizers().defaults["momentum"] == 0.9
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in model.state_dict().items())


def test_a_checkpoint_names_no_code_to_run(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    described = checkpoint.describe(classifier()) | {"optimizer": {"_target_": "os.system", "command": "touch ran"}}
    torch.save({"state_dict": classifier().state_dict(), checkpoint.KEY: described}, path)
    loaded = StyleClassifier.load_from_checkpoint(path)
    assert isinstance(loaded.configure_optimizers(), torch.optim.SGD)


def test_importing_takes_no_time() -> None:
    """`import brushwork` imports neither torch nor numpy."""
    code = "import sys, brushwork; brushwork.__all__; print(sorted({'torch', 'numpy', 'lightning'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_features_are_those_of_the_weights_in_use(paintings: Path, tmp_path: Path) -> None:
    """One model object, weights of two checkpoints one after the other, one data module."""
    data = WikiArtDataModule(paintings, image_size=32)
    paths = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        trainer = quiet(tmp_path / str(seed))
        trainer.fit(classifier(init_gain=1.4), data)
        paths.append(trainer.checkpoint_callback.best_model_path)
    model = classifier()
    found = [quiet(tmp_path).validate(model, data, ckpt_path=path, verbose=False)[0]["val/loss"] for path in paths]
    fresh = WikiArtDataModule(paintings, image_size=32)
    alone = quiet(tmp_path).validate(classifier(), fresh, ckpt_path=paths[1], verbose=False)[0]["val/loss"]
    assert found[0] != found[1] == alone


def test_pictures_are_turned_and_laid_on_white(trained: tuple[L.Trainer, StyleClassifier], tmp_path: Path) -> None:
    """Alike by path and as an opened picture; numbers that are no picture's are refused."""
    _, model = trained
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = torch.randint(0, 255, (3, 40, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    v2.functional.to_pil_image(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.new("RGBA", (50, 50), (200, 10, 30, 90)).save(tmp_path / "clear.png")
    for name in ("turned.png", "clear.png"):
        by_path, opened = model.transform(tmp_path / name), model.transform(Image.open(tmp_path / name))
        assert torch.equal(by_path, opened)
    with pytest.raises(UserError, match=r"floats must lie in \[0, 1\]"):
        model.predict(by_path[0])
