"""Our settings' schema over the YAML in conf/, and the way from a composed config to plain values.

Beyond this file nobody sees a DictConfig.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from brushwork import files, run_names
from brushwork.errors import UserError, one_line, unknown


@dataclass
class DataConfig:
    """Which paintings, and how they become batches (conf/data/)."""

    root: str = MISSING  # folder of style folders
    paint_demo: int | None = MISSING  # paint so many demo pictures a style into root
    styles: list[str] | None = MISSING  # null: every folder
    limit_per_style: int | None = MISSING
    train_fraction: float = MISSING  # share of each style's training paintings that is used
    image_size: int | None = MISSING  # null: the network's own
    resize: str = MISSING  # squash | crop | pad
    class_weights: str | None = MISSING  # null | balanced
    store: bool = MISSING  # decode the paintings once, and keep them
    flip: bool = MISSING  # mirror training pictures at random
    crop_scale: float = MISSING  # smallest share of a training picture's area that a random crop keeps
    color_jitter: float = MISSING  # brightness, contrast and saturation of training pictures vary by this share
    batch_size: int = MISSING  # over all devices together
    workers: int | None = MISSING  # null: by the number of cores
    on_bad_image: str = MISSING  # raise | skip
    strict: bool = MISSING  # refuse one picture under two styles or in two parts
    max_megapixels: float = MISSING


@dataclass
class SplitConfig:
    """Which painting trains and which validates (conf/split/)."""

    name: str = MISSING
    seed: int = MISSING
    val_fraction: float = MISSING
    test_fraction: float = MISSING


@dataclass
class ModelConfig:
    """The network and where its weights come from (conf/model/)."""

    architecture: str = MISSING
    weights: str | None = MISSING  # imagenet | a torchvision name | a path | null
    verify_weights: bool = MISSING
    init_gain: float | None = MISSING  # random weights of deviation gain / sqrt(fan_in)
    redraw: bool = MISSING  # draw each layer's weights anew, with the mean and deviation of the loaded ones


@dataclass
class HeadConfig:
    """How the classifier is changed (conf/head/)."""

    name: str = MISSING
    zero_init: bool = MISSING


@dataclass
class TuningConfig:
    """What is trained (conf/tuning/)."""

    name: str = MISSING


@dataclass
class Config:
    """The root of conf/train.yaml; the last five are Lightning's and torch's own, by _target_."""

    name: str = MISSING
    seed: int = MISSING
    run_dir: str = MISSING
    ckpt_path: str | None = MISSING
    keep_last: bool = MISSING
    threads: int | None = MISSING
    ema_decay: float | None = MISSING  # of an average of the weights, which is what is scored and kept
    patience: int | None = MISSING  # epochs without a higher validation accuracy, after which a run stops
    data: DataConfig = MISSING
    split: SplitConfig = MISSING
    model: ModelConfig = MISSING
    head: HeadConfig = MISSING
    tuning: TuningConfig = MISSING
    optimizer: Any = MISSING
    scheduler: Any = None
    trainer: Any = MISSING
    callbacks: Any = None
    logger: Any = None


@dataclass(frozen=True)
class Job:
    """One training, as plain values and factories."""

    settings: Config
    resolved: dict[str, Any]  # the whole config as plain values, for the record
    config_hash: str
    command: list[str]  # the overrides that make this job
    sweep_number: int | None  # None outside a multirun
    optimizer: Callable  # parameters -> Optimizer
    scheduler: Callable | None  # Optimizer -> scheduler
    trainer: partial  # of lightning.Trainer
    callbacks: list[Any]
    loggers: list[Any]

    @property
    def folder(self) -> Path:
        return Path(self.settings.run_dir)


def register() -> None:
    """Make the schema and the resolvers known to Hydra; conf/train.yaml names them."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("run_slug", run_names.run_slug, replace=True)
    OmegaConf.register_new_resolver("fresh_folder", run_names.fresh_folder, replace=True)


def make_job(cfg: DictConfig) -> Job:
    """Check a composed config and turn it into plain values and built objects.

    Raises:
        UserError: a value is missing, out of range, or an object can't be built.
    """
    try:
        settings = OmegaConf.to_object(cfg)
        resolved = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {one_line(error)}") from None
    _check(settings)
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    multirun = hydra is not None and hydra.mode == RunMode.MULTIRUN
    return Job(
        settings=settings,
        resolved=resolved,
        config_hash=config_hash(resolved),
        command=list(hydra.overrides.task) if hydra else [],
        sweep_number=hydra.job.num if multirun else None,
        optimizer=_build("optimizer", cfg.optimizer),
        scheduler=_build("scheduler", cfg.scheduler),
        trainer=_build("trainer", cfg.trainer),
        callbacks=_build_all("callbacks", cfg.callbacks),
        loggers=_build_all("logger", cfg.logger),
    )


def config_hash(resolved: dict[str, Any]) -> str:
    """Names what a run computes: the resolved config without names, paths, workers, store, callbacks and loggers."""
    kept = {
        key: value
        for key, value in resolved.items()
        if key not in ("name", "run_dir", "ckpt_path", "keep_last", "threads", "callbacks", "logger")
    }
    kept["data"] = {key: value for key, value in kept["data"].items() if key not in ("root", "workers", "store")}
    return files.short_hash(kept)


def _build(group: str, node: DictConfig | None) -> Any:
    if not node:  # a group whose choice is "none"
        return None
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise UserError(f"{group} cannot be built: {' '.join(str(error).split())}") from None


def _build_all(group: str, nodes: Any) -> list[Any]:
    if not nodes:  # logger=none
        return []
    if "_target_" in nodes:
        return [_build(group, nodes)]
    return [_build(f"{group}.{name}", node) for name, node in nodes.items() if node]


def _check(settings: Config) -> None:
    """Range checks: each refusal names the key and what is valid."""
    data, split = settings.data, settings.split
    for key, value, valid in [
        ("data.resize", data.resize, ("squash", "crop", "pad")),
        ("data.on_bad_image", data.on_bad_image, ("raise", "skip")),
    ]:
        if value not in valid:
            raise unknown(key, value, valid)
    if data.class_weights not in (None, "balanced"):
        raise unknown("data.class_weights", data.class_weights, ("null", "balanced"))
    for key, value, least in [
        ("seed", settings.seed, 0),
        ("split.seed", split.seed, 0),
        ("threads", settings.threads, 1),
        ("patience", settings.patience, 1),
        ("data.batch_size", data.batch_size, 1),
        ("data.workers", data.workers, 0),
        ("data.limit_per_style", data.limit_per_style, 2),
        ("data.paint_demo", data.paint_demo, 2),
        ("data.image_size", data.image_size, 1),
    ]:
        if value is not None and value < least:
            raise UserError(f"expected {key} to be at least {least}, but got {value}")
    if settings.seed >= 2**32:
        raise UserError(f"expected seed to be below {2**32}, but got {settings.seed}")
    if settings.ema_decay is not None and not 0 < settings.ema_decay < 1:
        raise UserError(f"expected ema_decay to be between 0 and 1, or null, but got {settings.ema_decay:g}")
    for key, share in [("data.train_fraction", data.train_fraction), ("data.crop_scale", data.crop_scale)]:
        if not 0 < share <= 1:
            raise UserError(f"expected {key} to be above 0 and at most 1, but got {share:g}")
    if not 0 <= data.color_jitter <= 1:
        raise UserError(f"expected data.color_jitter to be from 0 to 1, but got {data.color_jitter:g}")
    if not 0 < split.val_fraction < 1:
        raise UserError(f"expected split.val_fraction to be between 0 and 1, but got {split.val_fraction:g}")
    if not 0 <= split.test_fraction < 1 - split.val_fraction:
        raise UserError(
            f"expected split.test_fraction to be from 0 to below {1 - split.val_fraction:g} (1 - split.val_fraction), "
            f"but got {split.test_fraction:g}"
        )
    if settings.model.init_gain is not None and not settings.model.init_gain > 0:
        raise UserError(f"expected model.init_gain to be above 0, but got {settings.model.init_gain:g}")
    if settings.model.redraw and settings.model.weights is None:
        raise UserError("model.redraw=true draws loaded weights anew, and model.weights=null loads none: name some")
    if not 0 < data.max_megapixels <= 178:
        raise UserError(
            f"expected data.max_megapixels to be at most 178 (Pillow's own guard), but got {data.max_megapixels:g}"
        )
    if data.styles is not None and not data.styles:
        raise UserError("data.styles is empty: name styles, or null for every folder")
