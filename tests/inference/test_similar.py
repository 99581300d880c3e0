"""The nearest training paintings are those of a brute-force search; what is gone or broken is left out and counted."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from brushwork import csv_files, images, run_folder
from brushwork.errors import UserError
from brushwork.inference import similar
from brushwork.inference.run_data import RunPainting
from brushwork.inference.similar import TrainingIndex
from brushwork.models.modes import freeze
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import Preprocessing, normalize
from tests.conftest import STYLES, write_paintings

HOW = Preprocessing(16, (0.5, 0.4, 0.3), (0.2, 0.3, 0.2))


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    head = nn.Linear(24, 3)
    pooled = [nn.Conv2d(3, 24, 5, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = freeze(nn.Sequential(*pooled, head))
    return Predictor("small", network, STYLES, None, HOW.mean, HOW.std, head, preprocessing=HOW)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run folder with the tables that a run leaves: 30 paintings, 24 of them of the training part."""
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path / "cache"))
    root = write_paintings(tmp_path / "paintings")
    run = tmp_path / "logs/run"
    (run / "checkpoints").mkdir(parents=True)
    rows = [
        {"path": f"{path.parent.name}/{path.name}", "style": path.parent.name, "artist": f"artist {number % 2 or ''}"}
        | {"part": "val" if number % 5 == 0 else "train"}
        for number, path in enumerate(sorted(root.glob("*/*")))
    ]
    rows[1]["artist"] = ""
    csv_files.write(run / run_folder.SPLIT, run_folder.SPLIT_COLUMNS, rows)
    (run / run_folder.CONFIG).write_text(f"data:\n  root: {root}\n")
    yield run / run_folder.BEST


def features(predictor: Predictor, paths: list[Path]) -> torch.Tensor:
    pictures = torch.stack([images.load_square(path, HOW.image_size, HOW.resize).permute(2, 0, 1) for path in paths])
    return predictor.logits_and_features(normalize(pictures, HOW))[1]


def trained_on(checkpoint: Path) -> list[dict[str, str]]:
    return [row for row in csv_files.read(checkpoint.parents[1] / run_folder.SPLIT) if row["part"] == "train"]


def test_nearest_are_those_of_a_search_through_all(predictor: Predictor, checkpoint: Path) -> None:
    index = TrainingIndex.of_checkpoint(predictor, checkpoint, batch_size=5)
    rows, root = trained_on(checkpoint), index.root
    assert root == checkpoint.parents[3] / "paintings"
    queries = sorted(root.glob("*/*"))
    known = features(predictor, [root / row["path"] for row in rows]).double().numpy()
    asked = features(predictor, queries)
    by_hand = asked.double().numpy() @ known.T
    by_hand /= np.linalg.norm(known, axis=1) * np.linalg.norm(asked.double().numpy(), axis=1, keepdims=True)
    for path, cosines, found in zip(queries, by_hand, index.nearest(asked, 4), strict=True):
        expected = np.sort(cosines)[::-1][:4]
        assert [neighbor.similarity for neighbor in found] == pytest.approx(expected, abs=1e-4)
        for neighbor in found:
            (position,) = (i for i, row in enumerate(rows) if row["path"] == neighbor.path)
            assert neighbor.similarity == pytest.approx(cosines[position], abs=1e-4)
            assert (neighbor.style, neighbor.artist or "") == (rows[position]["style"], rows[position]["artist"])
        name = f"{path.parent.name}/{path.name}"
        if any(row["path"] == name for row in rows):  # the picture itself is shown
            assert (found[0].path, round(found[0].similarity, 4)) == (name, 1)
    first = next(n for row in index.nearest(asked, 24) for n in row if n.path == rows[0]["path"])
    assert first.artist is None
    assert first.title == "artist dots 0: 03"
    assert [len(found) for found in index.nearest(asked[:2], 99)] == [24, 24]
    assert index.nearest(asked[:0], 3) == []


def test_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    rows = nn.functional.normalize(torch.randn(101, 8), dim=1).half()
    index = TrainingIndex(Path(), [RunPainting(f"{i}.jpg", "Dots", None, "train") for i in range(101)], rows)
    queries = torch.randn(6, 8)
    whole = index.nearest(queries, 7)
    monkeypatch.setattr(similar, "_CHUNK_BYTES", 4 * 8 * 10)
    pieces = index.nearest(queries, 7)
    assert [[n.path for n in found] for found in pieces] == [[n.path for n in found] for found in whole]


def test_computed_once_and_what_cannot_be_read_is_counted(
    predictor: Predictor, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = []
    load = images.load_square
    monkeypatch.setattr(images, "load_square", lambda path, *options: (read.append(path), load(path, *options))[1])
    index = TrainingIndex.of_checkpoint(predictor, checkpoint)
    assert len(read) == len(index.paintings) == 24 and index.features.dtype == torch.float16
    again = TrainingIndex.of_checkpoint(predictor, checkpoint)
    assert len(read) == 24 and torch.equal(again.features, index.features)
    first, second, third = (index.root / painting.path for painting in index.paintings[:3])
    first.unlink()
    second.write_text("no picture")
    third.write_bytes(third.read_bytes() + b"\0")  # changed
    with caplog.at_level(logging.WARNING):
        fewer = TrainingIndex.of_checkpoint(predictor, checkpoint)
    assert "2 of 24 training paintings can't be read any more" in caplog.text
    assert read[24:] == [second, third]
    assert list(fewer.paintings) == list(index.paintings[2:])
    assert torch.equal(fewer.features, index.features[2:])
    assert fewer.nearest(features(predictor, [third]), 1)[0][0].similarity == pytest.approx(1, abs=1e-4)


def test_without_room_in_the_cache(predictor: Predictor, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = TrainingIndex.of_checkpoint(predictor, checkpoint)
    (checkpoint.parents[1] / "a file").touch()
    monkeypatch.setenv("BRUSHWORK_CACHE", str(checkpoint.parents[1] / "a file"))
    assert torch.equal(TrainingIndex.of_checkpoint(predictor, checkpoint).features, kept.features)


def test_other_place(predictor: Predictor, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = TrainingIndex.of_checkpoint(predictor, checkpoint).features
    moved = tmp_path / "elsewhere"
    (tmp_path / "paintings").rename(moved)
    with pytest.raises(UserError, match=r"no longer in .*/paintings: name the folder .* --root"):
        TrainingIndex.of_checkpoint(predictor, checkpoint)
    index = TrainingIndex.of_checkpoint(predictor, checkpoint, root=moved)
    assert index.root == moved and torch.equal(index.features, before)
    with pytest.raises(UserError, match=r"none of the 24 training paintings .* is in .*Dots/artist-dots-0_03.jpg"):
        TrainingIndex.of_checkpoint(predictor, checkpoint, root=checkpoint.parents[1])
    # A relative root is looked for in the folders above the run.
    moved.rename(tmp_path / "paintings")
    (checkpoint.parents[1] / run_folder.CONFIG).write_text("data:\n  root: paintings\n")
    monkeypatch.chdir(checkpoint.parent)
    assert torch.equal(TrainingIndex.of_checkpoint(predictor, Path("best.ckpt")).features, before)


def test_a_run_folder_that_is_gone(predictor: Predictor, checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"split.csv, which lists .* is missing: use the checkpoint in the run folder"):
        TrainingIndex.of_checkpoint(predictor, tmp_path / "alone/best.ckpt")
    run = checkpoint.parents[1]
    (run / run_folder.CONFIG).unlink()
    with pytest.raises(UserError, match=r"config.yaml, which says where .* can't be read .* --root"):
        TrainingIndex.of_checkpoint(predictor, checkpoint)
    (run / run_folder.SPLIT).write_text("path,part\na,train\n")
    with pytest.raises(UserError, match=r"split.csv can't be read"):
        TrainingIndex.of_checkpoint(predictor, checkpoint)
    shutil.copyfile(next(tmp_path.rglob("*.jpg")), run / run_folder.SPLIT)
    with pytest.raises(UserError, match=r"split.csv can't be read"):
        TrainingIndex.of_checkpoint(predictor, checkpoint)
