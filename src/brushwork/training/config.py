"""The schema over the YAML in conf/, and the way from a composed config to a job: plain settings and built objects.

Imported before torch, so that --help is quick.
"""

import shlex
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from brushwork import files, run_names
from brushwork.errors import UserError, one_line
from brushwork.training import objects, overrides


@dataclass
class ColumnsConfig:
    """The headers of a table's columns (conf/data/), where they are not found by their usual names."""

    file: str | None = None
    style: str | None = None
    artist: str | None = None
    part: str | None = None
    date: str | None = None
    genre: str | None = None


@dataclass
class DataConfig:
    """The arguments of `WikiArtDataModule` (conf/data/), repeated for typed overrides and --help without torch."""

    _target_: str = MISSING
    root: str = MISSING
    table: str | None = None
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    paint_demo: int | None = MISSING
    styles: list[str] | None = MISSING
    limit_per_style: int | None = MISSING
    train_fraction: float = MISSING
    image_size: int | None = MISSING
    resize: str = MISSING
    class_weights: str | None = MISSING
    store: bool = MISSING
    flip: bool = MISSING
    crop_scale: float = MISSING
    color_jitter: float = MISSING
    transform: Any = None
    batch_size: int = MISSING
    workers: int | None = MISSING
    on_bad_image: str = MISSING
    strict: bool = MISSING
    max_megapixels: float = MISSING
    split: str = MISSING
    split_file: str | None = None
    split_seed: int = MISSING
    val_fraction: float = MISSING
    test_fraction: float = MISSING
    folds: int | None = None
    fold: int | None = None
    known_fraction: float | None = None
    seed: int = MISSING


@dataclass
class SplitConfig:
    """Which painting trains and which validates (conf/split/)."""

    name: str = MISSING
    file: str | None = None
    seed: int = MISSING
    val_fraction: float = MISSING
    test_fraction: float = MISSING
    folds: int | None = None
    fold: int | None = None
    known_fraction: float | None = None


@dataclass
class ModelConfig:
    """The arguments of `StyleClassifier` (conf/model/); head, tuning and optimizer come from their own groups."""

    _target_: str = MISSING
    architecture: str = MISSING
    weights: str | None = MISSING
    verify_weights: bool = MISSING
    init_gain: float | None = MISSING
    redraw: bool = MISSING
    loss: Any = None
    head: Any = MISSING
    zero_init: bool = MISSING
    tuning: str = MISSING
    optimizer: Any = MISSING
    scheduler: Any = None
    seed: int = MISSING
    probe_layers: str = MISSING
    probe_views: int = MISSING
    image_size: int | None = None


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
class ProbeConfig:
    """What a linear probe's features are (tuning=probe)."""

    layers: str = MISSING
    views: int = MISSING


@dataclass
class BaselinesConfig:
    """Which baselines a run computes that take more than a moment."""

    probe: bool | None = MISSING


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
    probe: ProbeConfig = MISSING
    baselines: BaselinesConfig = MISSING
    optimizer: Any = MISSING
    scheduler: Any = None
    trainer: Any = MISSING
    callbacks: Any = None
    logger: Any = None


_SPLIT = ("val_fraction", "test_fraction", "folds", "fold", "known_fraction")
_PROBE = ("probe_layers", "probe_views")
# What conf/data and conf/model take from other groups: config.yaml and its hash have it once, in its own place.
_INTERPOLATED = {
    "data": ("_target_", "split", "split_file", "split_seed", "seed", *_SPLIT),
    "model": ("_target_", "head", "zero_init", "tuning", "optimizer", "scheduler", "seed", *_PROBE, "image_size"),
    "split": (),
    "scheduler": (),
}
# Left out where they are empty: older runs lack them.
_NEWER = ("transform", "loss", "table", "columns", "file", "interval", "folds", "fold", "known_fraction")
# What doesn't change what a run computes, at the root and in data.
_NOT_HASHED = ("name", "run_dir", "ckpt_path", "keep_last", "threads", "callbacks", "logger", "baselines")
_DATA_NOT_HASHED = ("root", "workers", "store")


@dataclass(frozen=True)
class Job:
    """One training, as plain settings and built objects."""

    settings: Config
    resolved: dict[str, Any]  # the whole config as plain values, for the record
    config_hash: str
    command: list[str]  # the overrides that make this job
    sweep_number: int | None  # None outside a multirun
    data: Any  # a WikiArtDataModule
    model: partial  # of StyleClassifier; lacks num_classes
    trainer: partial  # of lightning.Trainer
    callbacks: list[Any]
    loggers: list[Any]

    @property
    def folder(self) -> Path:
        return Path(self.settings.run_dir)

    @property
    def command_line(self) -> str:
        """The command that repeats this job."""
        return shlex.join(["python", "train.py", *self.command])


def register(ambiguous: Collection[str] | None = ()) -> None:
    """Make the schema and the resolvers known to Hydra; conf/train.yaml names them. `ambiguous`: see `run_slug`."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("run_slug", partial(run_names.run_slug, ambiguous=ambiguous), replace=True)
    OmegaConf.register_new_resolver("fresh_folder", run_names.fresh_folder, replace=True)
    OmegaConf.register_new_resolver("folder_name", lambda path: Path(path).name, replace=True)


def make_job(cfg: DictConfig) -> Job:
    """Plain values and built objects of a composed config; UserError for a missing or invalid value."""
    try:
        _expand_paths(cfg)
        if cfg.model._target_.endswith(".timm_classifier") and not cfg.model.architecture.startswith("timm:"):
            cfg.model.architecture = f"timm:{cfg.model.architecture}"
        settings = OmegaConf.to_object(cfg)
        resolved = OmegaConf.to_container(cfg, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {one_line(error)}") from None
    for group, keys in _INTERPOLATED.items():
        null = [key for key in _NEWER if _is_empty((resolved[group] or {}).get(key))]
        resolved[group] = resolved[group] and _without(resolved[group], (*keys, *null))
    idle = {"probe": settings.tuning.name != "probe", "baselines": resolved["baselines"] == {"probe": True}}
    resolved = _without(resolved, [key for key, is_idle in idle.items() if is_idle])  # older runs lack them
    _check(settings)
    hydra = HydraConfig.get() if HydraConfig.initialized() else None
    if cfg.logger:
        from brushwork import events

        events.check_folder(Path(settings.run_dir))
    for group in ("optimizer", "scheduler"):  # on their own first, so that an error names the group
        objects.check_factory(group, cfg[group])
    return Job(
        settings=settings,
        resolved=resolved,
        config_hash=config_hash(resolved),
        command=list(hydra.overrides.task) if hydra else [],
        sweep_number=hydra.job.num if hydra and hydra.mode == RunMode.MULTIRUN else None,
        data=objects.build("data", cfg.data),
        model=_checked(objects.build("model", cfg.model, _partial_=True)),
        trainer=objects.build("trainer", cfg.trainer),
        callbacks=objects.build_all("callbacks", cfg.callbacks),
        loggers=objects.build_all("logger", cfg.logger),
    )


def with_split(job: Job) -> Job:
    """The job with the split that its data choose, where the configuration leaves it to them (split=auto)."""
    name = job.data.split_name
    resolved = job.resolved | {"split": job.resolved["split"] | {"name": name}}
    return replace(job, resolved=resolved, config_hash=config_hash(resolved))


def _expand_paths(node: DictConfig) -> None:
    """`~` and `$HOME` in the YAML's paths, as on the command line (see `overrides`)."""
    for key in node:
        value = None if OmegaConf.is_missing(node, key) else node[key]
        if isinstance(value, DictConfig):
            _expand_paths(value)
        elif isinstance(value, str) and overrides.is_path(key) and (path := files.expanded(value)) != value:
            node[key] = path


def config_hash(resolved: dict[str, Any]) -> str:
    """Names what a run computes: the resolved config without names, paths, workers, store, callbacks and loggers."""
    return files.short_hash(_without(resolved, _NOT_HASHED) | {"data": _without(resolved["data"], _DATA_NOT_HASHED)})


def _is_empty(value: Any) -> bool:
    return not any(value.values()) if isinstance(value, dict) else value is None


def _without(values: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _checked(model: partial) -> partial:
    """A factory of the model whose names and ranges were checked; an empty scheduler is none."""
    from brushwork.models import initial, optimization

    schedule = optimization.schedule_factory(model.keywords.get("scheduler"))
    chosen = model.keywords | {"scheduler": schedule}
    initial.check(*map(chosen.get, ("architecture", "head", "tuning", "weights", "init_gain", "redraw", *_PROBE)))
    optimization.check(chosen["optimizer"], chosen["scheduler"])
    return partial(model.func, **chosen)


def _check(settings: Config) -> None:
    """Check the ranges of what neither the data module nor the model checks."""
    for key, least in {"seed": 0, "threads": 1, "patience": 1}.items():
        if (value := getattr(settings, key)) is not None and value < least:
            raise UserError(f"expected {key} to be at least {least}, but got {value}")
    if settings.seed >= 2**32:
        raise UserError(f"expected seed to be below {2**32}, but got {settings.seed}")
    if settings.ema_decay is not None and not 0 < settings.ema_decay < 1:
        raise UserError(f"expected ema_decay to be between 0 and 1, or null, but got {settings.ema_decay:g}")
