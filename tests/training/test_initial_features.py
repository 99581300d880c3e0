"""The baselines of a network's initial weights: right, cached, and in all that a run writes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from brushwork import csv_files, run_folder
from brushwork.models import backbones
from brushwork.training import initial_features
from brushwork.training import job as jobs
from brushwork.training.config import Job
from tests.conftest import without_pictures

make_job = pytest.fixture(without_pictures)


def test_neighbours_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    train, held_out = (torch.randn(rows, 6, generator=generator) for rows in (300, 100))
    labels = torch.randint(0, 2, (300,), generator=generator)
    votes = KNeighborsClassifier(20, metric="cosine").fit(train, labels).predict_proba(held_out)
    clear = votes.max(1) > 0.5  # scikit-learn takes the first of equals
    found = initial_features.neighbours(train, labels, held_out).numpy()
    assert (found == votes.argmax(1))[clear].all()
    assert clear.sum() > 60


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights, whose features vary."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(backbones.build("squeezenet1_1", 1.4).state_dict(), tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_a_run_has_them_beside_its_accuracy(
    make_job: Callable[..., Job], tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["model=squeezenet1_1", f"model.weights={weights}", "split.test_fraction=0.2", "trainer.max_epochs=1"]
    jobs.run_job(make_job(*options, folder="one"))
    one = json.loads((tmp_path / "one" / run_folder.RESULT).read_text())
    rows = [r for r in csv_files.read(tmp_path / "one" / run_folder.PREDICTIONS) if r["epoch"] == "last"]
    with np.load(tmp_path / "one" / run_folder.LOGITS) as kept:
        for part, scored in (("val", one), ("test", one["test"])):
            styles = np.array([row["style"] for row in rows if row["part"] == part])
            for name in ("probe", "knn"):
                right = np.mean(kept["class_names"][kept[f"{name}_{part}"]] == styles)
                assert scored["baselines"][name] == pytest.approx(right)
                assert scored["baseline_intervals_95"][name][0] < right + 1e-9

    def fail(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(initial_features, "_answers", fail)
    jobs.run_job(make_job(*options, "seed=1", "split.seed=0", folder="two"))
    two = json.loads((tmp_path / "two" / run_folder.RESULT).read_text())
    assert two["baselines"] == one["baselines"]
    jobs.run_job(make_job(*options, "split.seed=5", "baselines.probe=null", folder="three"))
    three = json.loads((tmp_path / "three" / run_folder.RESULT).read_text())
    assert three["baselines"]["probe"] is three["baselines"]["knn"] is None


def test_the_switch_is_no_other_run(make_job: Callable[..., Job]) -> None:
    on, off = make_job(), make_job("baselines.probe=null")
    assert on.config_hash == off.config_hash
    assert "baselines" not in on.resolved
