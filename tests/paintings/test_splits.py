"""The split: stratified, by its own seed, refused where a class can't be learned (FAULTS 13, 14, 16)."""

from collections import Counter
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import splits
from brushwork.paintings.catalogue import Catalogue, Painting


def some(style: str, count: int) -> list[Painting]:
    return [Painting(f"{style}/artist_{number:03}.jpg", style, 1) for number in range(count)]


def test_stratified() -> None:
    paintings = some("A", 400) + some("B", 37) + some("C", 2)
    parts = splits.random(paintings, 0.2, seed=0)
    counts = Counter((p.style, part) for p, part in zip(paintings, parts, strict=True))
    assert counts == {
        **{("A", "train"): 320, ("A", "val"): 80},
        **{("B", "train"): 30, ("B", "val"): 7},
        **{("C", "train"): 1, ("C", "val"): 1},
    }


def test_by_seed_alone() -> None:
    paintings = some("A", 50) + some("B", 50)
    assert splits.random(paintings, 0.2, 0) == splits.random(paintings, 0.2, 0)
    assert splits.random(paintings, 0.2, 0) != splits.random(paintings, 0.2, 1)
    assert splits.random(some("B", 50), 0.2, 0) == splits.random(paintings, 0.2, 0)[50:]  # whatever A is


def test_class_too_small() -> None:
    with pytest.raises(UserError, match="style B has 1 painting, too few to split"):
        splits.random(some("A", 10) + some("B", 1), 0.2, 0)


def test_class_only_in_validation() -> None:
    catalogue = Catalogue(Path("x"), some("A", 2) + some("B", 2), ["A", "B"])
    with pytest.raises(UserError, match=r"style B has no painting to train on \(2 to validate\)"):
        splits.check(catalogue, ["train", "val", "val", "val"])


def test_class_without_validation(caplog: pytest.LogCaptureFixture) -> None:
    catalogue = Catalogue(Path("x"), some("A", 2) + some("B", 2), ["A", "B"])
    splits.check(catalogue, ["train", "val", "train", "train"])
    assert "style B has no painting in val: its recall is n/a" in caplog.text


def test_hash_names_the_split() -> None:
    paintings = some("A", 20) + some("B", 20)
    catalogue = Catalogue(Path("x"), paintings, ["A", "B"])
    hashes = {splits.split_hash(catalogue, splits.random(paintings, 0.2, seed)) for seed in (0, 0, 1)}
    assert len(hashes) == 2
