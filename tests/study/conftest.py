"""Run folders written by hand, without a training."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from brushwork import csv_files, files, run_folder

WriteRun = Callable[..., Path]
WriteGridRun = Callable[..., Path]
STYLES = ("Baroque", "Realism")


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Write a finished run whose last epoch got `right` paintings right; returns its folder.

    Painting i is by artist i // 2, of the styles in turn. So many more `train`. Other arguments replace settings
    (by dotted name) and results.
    """

    def write(
        name: str,
        right: Sequence[bool],
        seed: int = 0,
        head: str = "replace_last",
        styles: Sequence[str] = STYLES,
        settings: dict | None = None,
        train: int = 0,
        **result: object,
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        config = {
            "seed": seed,
            "name": name,
            "data": {"root": str(tmp_path / "paintings"), "max_megapixels": 89},
            "split": {"name": "random", "seed": 0},
            "head": {"name": head},
            "tuning": {"name": "full"},
            "model": {"architecture": "alexnet", "weights": "imagenet"},
            "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.01, "momentum": 0.9},
            "trainer": {"max_epochs": 2},
        }
        for key, value in (settings or {}).items():
            group, _, last = key.partition(".")
            if last:
                config[group][last] = value
            else:
                config[group] = value
        (folder / run_folder.CONFIG).write_text(yaml.safe_dump(config))
        paintings = [(f"artist-{i // 2}_{i}.jpg", styles[i % len(styles)]) for i in range(len(right))]
        rows = [
            {
                "part": "val",
                "epoch": "last",
                "path": f"{style}/{file}",
                "artist": file.split("_")[0],
                "style": style,
                "predicted": style if ok else styles[(styles.index(style) + 1) % len(styles)],
                "probability": 0.5 + i / 1000,
            }
            for i, ((file, style), ok) in enumerate(zip(paintings, right, strict=True))
        ]
        trained = [{"path": f"{styles[0]}/train_{i}.jpg", "style": styles[0], "part": "train"} for i in range(train)]
        csv_files.write(folder / run_folder.PREDICTIONS, run_folder.PREDICTIONS_COLUMNS, rows)
        csv_files.write(folder / run_folder.SPLIT, run_folder.SPLIT_COLUMNS, rows + trained)
        accuracy = sum(right) / len(right)
        epochs = [{"epoch": 1, "val/accuracy": 0.1}, {"epoch": 2, "val/accuracy": accuracy}]
        csv_files.write(folder / run_folder.METRICS, run_folder.METRICS_COLUMNS, epochs)
        last = {"epoch": 2, "val/accuracy": accuracy, "val/balanced_accuracy": accuracy}
        last["val/recall"] = dict.fromkeys(styles, accuracy)
        written = run_folder.new_result() | {
            "status": "finished",
            "best": last,
            "last": last,
            "seed": seed,
            "seconds": 10.0 + seed,
            "images_per_second": 100.0,
            "baselines": {"majority": 0.5, "artist_lookup": 0.75, "color_texture": None},
            "data_hash": "d",
            "split_hash": "s",
        }
        files.write_json(folder / run_folder.RESULT, written | result)
        return folder

    return write


@pytest.fixture
def write_grid_run(write_run: WriteRun) -> WriteGridRun:
    """Write a finished run of 5 epochs that got `right` of 20 paintings right, from 40 or a fraction to train."""

    def write(
        weights: str | None,
        tuning: str,
        fraction: float,
        seed: int = 0,
        right: int = 10,
        split: str = "random",
        redraw: bool = False,
        settings: dict | None = None,
        **result: object,
    ) -> Path:
        settings = {"trainer.max_epochs": 5, "patience": None} | (settings or {})
        axes = {"data.train_fraction": fraction, "model.weights": weights, "model.redraw": redraw}
        axes |= {"tuning.name": tuning, "split.name": split}
        name = files.short_hash([axes | settings, seed, str(result)])
        hashed = {"split_hash": split}  # whatever share of its training paintings is used
        answered = [i < right for i in range(20)]
        train = round(40 * fraction)
        return write_run(name, answered, seed=seed, settings=axes | settings, train=train, **(hashed | result))

    return write
