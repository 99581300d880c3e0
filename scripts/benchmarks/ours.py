"""Brushwork's side: the real configuration, composed and run as train.py does."""

import io
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median

from benchmarks.setup import REPOSITORY, Setup
from brushwork import csv_files, run_folder

# Brushwork's heavy modules are imported in the functions: each process loads only what its side needs.
CALLBACKS = ("best", "last", "calibrate", "dashboard", "saliency", "progress_bar")


def overrides(setup: Setup, precision: str, kept: Sequence[str] = ()) -> list[str]:
    """Arguments of train.py: the report's run on these paintings with random weights; of the callbacks only `kept`."""
    return [
        f"data.root='{setup.root}'",
        f"data.image_size={setup.image_size}",
        f"data.batch_size={setup.batch_size}",
        "model.weights=null",
        f"trainer.max_epochs={setup.epochs}",
        f"trainer.precision={precision}",
        f"trainer.accelerator={'gpu' if setup.device == 'cuda' else 'cpu'}",
        "logger=none",
        *(f"callbacks.{name}=null" for name in CALLBACKS if name not in kept),
    ]


def train(
    setup: Setup, more: Sequence[str] = (), precision: str = "auto", kept: Sequence[str] = (), cold: bool = False
) -> dict[str, float]:
    """A run with the settings of `overrides` and `more`; cold: with empty caches."""
    from hydra import compose, initialize_config_dir

    from brushwork.training import config, job

    config.register()
    with tempfile.TemporaryDirectory(dir=setup.work) as folder:
        if cold:
            os.environ["BRUSHWORK_CACHE"] = f"{folder}/cache"
        start = time.perf_counter()
        with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
            settings = [*overrides(setup, precision, kept), f"run_dir='{folder}/run'", *more]
            job.run_job(config.make_job(compose("train", settings)))
        seconds = time.perf_counter() - start
        result = run_folder.read_result(Path(folder, "run"))
        epochs = csv_files.read(Path(folder, "run", run_folder.METRICS))
    figures = {"s": seconds}
    if result["images_per_second"]:  # known from the second epoch on
        figures["images/s"] = result["images_per_second"]
        figures["s per 4000"] = median(float(row["seconds"]) for row in epochs[1:]) * 4000 / setup.paintings
    return figures


def many_pictures(setup: Setup, which: int) -> dict[str, float]:
    """A short run on thousands of pictures; the network is small, so that the pictures' memory would show."""
    from benchmarks.jpegs import write_small

    with tempfile.TemporaryDirectory(dir=setup.work) as folder:
        write_small(Path(folder), setup.stores[which])
        more = [
            f"data.root='{folder}'",
            "data.image_size=128",
            "data.batch_size=16",
            "model=squeezenet1_1",
            "model.weights=null",
            "split.val_fraction=0.05",
            "trainer.max_epochs=1",
            "+trainer.limit_train_batches=20",
        ]
        return train(setup, more, cold=True)


def fill_store(setup: Setup) -> dict[str, float]:
    """How fast the paintings are decoded, resized and written."""
    from brushwork.models import backbones
    from brushwork.paintings import catalogue, store

    with tempfile.TemporaryDirectory(dir=setup.work) as folder:
        os.environ["BRUSHWORK_CACHE"] = folder
        start = time.perf_counter()
        found = catalogue.scan(Path(setup.root))
        preprocessing = backbones.preprocessing("alexnet", setup.image_size)
        store.open_pictures(found, preprocessing, 89)
        return {"paintings/s": len(found.paintings) / (time.perf_counter() - start)}


def predict(setup: Setup, architecture: str) -> dict[str, float]:
    """What scripts/predict.py does, from the listed files to its table."""
    import torch

    from brushwork import StyleClassifier, photo_files
    from brushwork.inference.command import Command, Options
    from brushwork.models import checkpoint
    from brushwork.models.predictor import load_predictor
    from brushwork.training import devices

    devices.keep_freed_memory()
    model = StyleClassifier(architecture, "replace_last", setup.classes, weights=None)
    with tempfile.TemporaryDirectory(dir=setup.work) as folder, redirect_stdout(io.StringIO()):
        path = Path(folder, "best.ckpt")
        torch.save({"state_dict": model.state_dict(), checkpoint.KEY: checkpoint.describe(model)}, path)
        predictor = load_predictor(path)
        predictor.network.to(setup.device)
        photos = photo_files.found([Path(setup.root)])
        start = time.perf_counter()
        Command([predictor], [path], photos, Options(out=Path(folder, "out"))).run()
        return {"pictures/s": len(photos) / (time.perf_counter() - start)}
