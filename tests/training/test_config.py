"""From YAML to plain settings: types, ranges, hashes."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf.errors import OmegaConfBaseException

from brushwork.errors import UserError
from brushwork.training import config, objects
from brushwork.training.config import Job
from tests.conftest import REPOSITORY

MakeJob = Callable[..., Job]
CONF = REPOSITORY / "conf"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.batch_size=0", "expected data.batch_size to be at least 1, but got 0"),
        ("data.workers=-1", "expected data.workers to be at least 0, but got -1"),
        ("seed=4294967296", "expected seed to be below 4294967296"),
        ("seed=-1", "expected seed to be at least 0, but got -1"),
        ("data.train_fraction=0", "expected data.train_fraction to be above 0 and at most 1, but got 0"),
        ("patience=0", "expected patience to be at least 1, but got 0"),
        ("model.redraw=true", "model.redraw=true draws loaded weights anew, and model.weights=null"),
        ("model.init_gain=-1", "expected model.init_gain to be above 0, but got -1"),
        ("threads=0", "expected threads to be at least 1, but got 0"),
        ("split.val_fraction=1.5", "expected split.val_fraction to be between 0 and 1, but got 1.5"),
        ("data.resize=crp", "unknown data.resize 'crp': did you mean 'crop'"),
        ("data.on_bad_image=skp", "unknown data.on_bad_image 'skp': did you mean 'skip'"),
        ("data.max_megapixels=500", "expected data.max_megapixels to be above 0, at most 178"),
        ("data.styles=[]", "data.styles is empty"),
        ("optimizer._target_=torch.optim.SGG", "optimizer cannot be built"),
    ],
)
def test_mistakes_are_one_line(make_job: MakeJob, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_job(override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("override", ["data.rot=x", "seed=abc", "head=replace_three", "data.flip=maybe"])
def test_hydra_refuses_unknown_keys_choices_and_wrong_types(make_job: MakeJob, override: str) -> None:
    with pytest.raises((ConfigCompositionException, OmegaConfBaseException)) as caught:
        make_job(override)
    assert override.split("=")[0].rsplit(".")[-1] in str(caught.value)


def test_every_choice_composes(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # MLflow makes its folder at once
    for group in (
        "model",
        "head",
        "tuning",
        "budget",
        "optimizer",
        "scheduler",
        "logger",
        "callbacks",
        "data",
        "split",
        "experiment",
    ):
        for path in sorted((CONF / group).glob("*.yaml")):
            extra = "timm" if "- timm\n" in path.read_text() or path.stem == "timm" else path.stem
            if extra in (*objects.EXTRAS, "timm") and importlib.util.find_spec(extra) is None:
                continue
            with initialize_config_dir(str(CONF), version_base="1.3"):
                job = config.make_job(compose("train", ["run_dir=x", f"{group}={path.stem}"]))
            assert job.config_hash


def test_seed_zero_is_a_seed(make_job: MakeJob) -> None:
    assert make_job("seed=0").settings.seed == 0


def test_config_hash_is_of_what_is_computed(make_job: MakeJob, tmp_path: Path) -> None:
    base = make_job().config_hash
    for same in ("data.workers=2", f"data.root={tmp_path}", "name=other", "logger=none", "keep_last=true", "threads=1"):
        assert make_job(same).config_hash == base, same
    for other in ("seed=1", "optimizer.lr=0.5", "data.image_size=64", "tuning=head_only", "model.weights=imagenet"):
        assert make_job(other).config_hash != base, other
    assert make_job(folder="elsewhere").config_hash == base


@pytest.mark.parametrize(
    ("overrides", "of_version_0_1"),
    [
        ([], "5c70d24b0f7e2290"),
        (["head=replace_two", "seed=3", "optimizer=adamw", "scheduler=cosine", "data.flip=false"], "50de7c2f8f5ca121"),
    ],
)
def test_config_hash_is_that_of_earlier_versions(paintings: Path, overrides: list[str], of_version_0_1: str) -> None:
    """So that a sweep of version 0.1 goes on: what conf/data and conf/model take from other groups counts once."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        job = config.make_job(compose("train", ["run_dir=x", f"data.root={paintings}", *overrides]))
    assert config.with_split(job).config_hash == of_version_0_1
    assert set(job.resolved["model"]) == {"architecture", "weights", "verify_weights", "init_gain", "redraw"}


def test_the_record_names_the_split_that_is_used(paintings: Path, tmp_path: Path, make_job: MakeJob) -> None:
    """split=auto is what the data say, in config.yaml and in the hash."""
    for part in ("train", "val"):
        shutil.copytree(paintings, tmp_path / "root" / part)
    drawn, given = config.with_split(make_job()), config.with_split(make_job(f"data.root={tmp_path}/root"))
    assert (drawn.resolved["split"]["name"], given.resolved["split"]["name"]) == ("random", "given")
    assert drawn.config_hash == config.with_split(make_job("split=random")).config_hash != given.config_hash
    assert given.config_hash == config.with_split(make_job(f"data.root={tmp_path}/root", "split=given")).config_hash


def test_no_config_object_gets_through(make_job: MakeJob) -> None:
    job = make_job()
    assert type(job.settings.data) is config.DataConfig
    assert type(job.resolved) is dict
    assert type(job.resolved["data"]) is dict
    assert {type(callback).__name__ for callback in job.callbacks} == {
        "Calibrate",
        "Dashboard",
        "ModelCheckpoint",
        "SaliencyLogger",
    }
