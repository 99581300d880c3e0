"""Answers are those of the run and of Lightning, to the last bit; of several networks their mean."""

from dataclasses import replace
from pathlib import Path

import lightning as L
import pytest
import torch
from torch import nn

from brushwork import StyleClassifier, WikiArtDataModule, csv_files, images, run_folder
from brushwork.calibration import Calibration
from brushwork.errors import UserError
from brushwork.inference import answers
from brushwork.inference.reading import read_ahead
from brushwork.models.modes import freeze
from brushwork.models.predictor import Predictor, load_predictor
from brushwork.preprocessing import Preprocessing
from tests.conftest import STYLES


@pytest.fixture
def checkpoint(small_run: Path) -> Path:
    return small_run / run_folder.BEST


@pytest.fixture
def predictor(checkpoint: Path) -> Predictor:
    return load_predictor(checkpoint)


def linear(seed: int, names: list[str], size: int = 8) -> Predictor:
    """A network of one layer, of another shape than the others."""
    torch.manual_seed(seed)
    head = nn.Linear(3 * size * size, len(names))
    how = Preprocessing(size, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "crop" if size == 8 else "squash")
    return Predictor(
        f"linear {seed}", freeze(nn.Sequential(nn.Flatten(), head)), names, None, how.mean, how.std, head, how
    )


def test_the_runs_own_predictions_to_the_last_bit(predictor: Predictor, small_run: Path, paintings: Path) -> None:
    rows = [row for row in csv_files.read(small_run / run_folder.PREDICTIONS) if row["epoch"] == "best"]
    assert len(rows) == 6
    found = list(answers.predict(predictor, [paintings / row["path"] for row in rows], calibrated=False))
    assert [STYLES[answer.top(1)[0]] for answer in found] == [row["predicted"] for row in rows]
    assert [f"{answer.probabilities.max().item():.6f}" for answer in found] == [row["probability"] for row in rows]
    assert answers.batch_size_of(predictor) == 8


def test_lightnings_predictions_and_the_temperature(predictor: Predictor, checkpoint: Path, paintings: Path) -> None:
    data = WikiArtDataModule(paintings, image_size=64, batch_size=8, workers=0, predict=paintings)
    model = StyleClassifier.load_from_checkpoint(checkpoint)
    model.calibration = replace(model.calibration, temperature=2.5)
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    theirs = [answer for batch in trainer.predict(model, data) for answer in batch]
    assert len(theirs) == 30
    warm = replace(predictor, calibration=Calibration(temperature=2.5))
    ours = list(answers.predict(warm, [Path(answer.path) for answer in theirs]))
    for one, other in zip(ours, theirs, strict=True):
        assert dict(zip(STYLES, one.probabilities.tolist(), strict=True)) == other.probabilities
        assert one.probabilities.tolist() == pytest.approx((one.logits / 2.5).softmax(0).tolist())
        assert STYLES[one.top(3)[0]] == other.predicted


def test_batches_are_full_and_bad_files_are_named_in_their_place(paintings: Path, tmp_path: Path) -> None:
    paths = sorted(paintings.glob("*/*"))[:11]
    (tmp_path / "broken.jpg").write_bytes(paths[0].read_bytes()[:300])
    given = [*paths[:3], tmp_path / "broken.jpg", *paths[3:], tmp_path / "gone.jpg"]
    network, threads = linear(0, STYLES), torch.get_num_threads()
    found = list(answers.batches(network, given, batch_size=4))
    assert [len(batch.numbers) for batch in found] == [4, 4, 3]
    assert [number for batch in found for number in batch.numbers] == [0, 1, 2, *range(4, 12)]
    assert [[number for number, _ in batch.failed] for batch in found] == [[3], [], [12]]
    assert torch.equal(found[1].pictures[0], images.load_square(given[5], 8, "crop"))
    assert found[0].features.shape == (4, 192)
    assert torch.get_num_threads() == threads
    one_by_one = list(answers.predict(network, given, batch_size=4))
    assert [answer.path for answer in one_by_one if not isinstance(answer, UserError)] == paths
    assert "broken.jpg: cannot be decoded" in str(one_by_one[3])
    assert str(one_by_one[12]) == f"{tmp_path / 'gone.jpg'}: there is no such file; correct its name"
    assert [len(batch.failed) for batch in answers.batches(network, [tmp_path / "gone.jpg"])] == [1]


def test_pictures_are_read_no_further_ahead_than_said(paintings: Path) -> None:
    paths, taken = sorted(paintings.glob("*/*")), []
    reading = read_ahead((taken.append(path) or path for path in paths), [(8, "squash")], 89, ahead=5)
    next(reading)
    assert len(taken) == 5
    reading.close()


def test_an_ensemble_is_the_mean_of_its_networks(paintings: Path) -> None:
    """Of other sizes, with their classes in another order, each with its own temperature."""
    paths = sorted(paintings.glob("*/*"))[:9]
    first = linear(0, STYLES)
    second = replace(linear(1, STYLES[::-1], size=12), calibration=Calibration(temperature=3.0))
    both = list(answers.predict([first, second], paths, batch_size=4))
    alone = [list(answers.predict(one, paths, batch_size=4)) for one in (first, second)]
    for answer, one, other in zip(both, *alone, strict=True):
        assert torch.equal(answer.logits, one.logits)
        mean = (one.probabilities + other.probabilities.flip(0)) / 2
        assert torch.allclose(answer.probabilities, mean, atol=1e-7)
        best = int(mean.argmax())
        agree = (int(one.probabilities.argmax()) == best) + (2 - int(other.probabilities.argmax()) == best)
        assert answer.agreement == agree / 2
    assert {answer.agreement for answer in both} <= {0.0, 0.5, 1.0}
    assert alone[0][0].agreement is None
    message = (
        "only in network 1, linear 0: Waves; only in network 2, linear 1: Cubes; name checkpoints of the same styles"
    )
    with pytest.raises(UserError, match=message):
        next(answers.predict([first, linear(1, ["Cubes", *STYLES[:2]])], paths))


def test_weights_that_are_not_finite_are_an_error(paintings: Path) -> None:
    broken = linear(0, STYLES)
    broken.head.bias[1] = torch.nan
    with pytest.raises(
        UserError, match=r"\.jpg: the probabilities are not finite; are the weights of linear 0 valid\?"
    ):
        next(answers.predict(broken, sorted(paintings.glob("*/*"))))
