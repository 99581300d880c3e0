"""A run folder as a training leaves it, made by hand: a small network that was never trained, and its tables."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from brushwork import csv_files, files, run_folder
from brushwork.app import state as states
from brushwork.app.state import State
from brushwork.calibration import Calibration
from brushwork.models import checkpoint
from brushwork.models.classifier import StyleClassifier
from brushwork.models.familiarity import Familiarity
from tests.conftest import STYLES, write_paintings

SIZE, WIDTH = 48, 512  # of pictures, of features
TEMPERATURE = 1.7


def write_run(folder: Path, root: Path, data: str = "demo: procedural pictures, no paintings") -> Path:
    """Every fifth painting was kept apart; the first two of each style of these were recognised, the third not."""
    torch.manual_seed(0)
    model = StyleClassifier("squeezenet1_1", "replace_last", num_classes=3, class_names=STYLES, weights=None)
    model.preprocessing = replace(model.preprocessing, image_size=SIZE)
    model.calibration = Calibration(TEMPERATURE, 9)
    model.familiarity = Familiarity(torch.zeros(WIDTH), torch.zeros(1, WIDTH).half(), 0.0, 100.0, 0.04)
    content = {checkpoint.KEY: checkpoint.describe(model) | {"data": data}, "state_dict": model.state_dict()}
    (folder / run_folder.BEST).parent.mkdir(parents=True)
    torch.save(content, folder / run_folder.BEST)
    split, predictions = [], []
    for style in STYLES:
        for number, path in enumerate(sorted((root / style).iterdir())):
            row = {"path": f"{style}/{path.name}", "style": style, "artist": path.name.split("_")[0]}
            kept = number % 4 == 3 or number == 0
            split.append(row | {"part": "val" if kept else "train"})
            if kept:
                predicted = style if number < 5 else "Waves"
                predictions.append(row | {"part": "val", "epoch": "best", "predicted": predicted})
                predictions.append(row | {"part": "val", "epoch": "last", "predicted": "Dots"})
    csv_files.write(folder / run_folder.SPLIT, run_folder.SPLIT_COLUMNS, split)
    csv_files.write(folder / run_folder.PREDICTIONS, run_folder.PREDICTIONS_COLUMNS, predictions)
    (folder / run_folder.CONFIG).write_text(f"data:\n  root: {root}\n")
    result = run_folder.new_result() | {"status": "finished", "baselines": {"majority": 1 / 3}}
    result["calibration"] = {"best": {"ece_after": 0.061}, "last": None}
    files.write_json(folder / run_folder.RESULT, result)
    return folder


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 paintings of three styles."""
    return write_paintings(tmp_path_factory.mktemp("app") / "paintings")


@pytest.fixture(scope="session")
def run_of_app(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "demo run", root)


@pytest.fixture(scope="session")
def state(run_of_app: Path) -> State:
    return states.load(run_of_app)
