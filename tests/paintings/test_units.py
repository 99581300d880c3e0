"""The groups that folds within the training part do not divide."""

import shutil
from pathlib import Path

import pytest

from brushwork.paintings.datamodule import WikiArtDataModule
from tests.conftest import write_paintings


def test_artists_are_units_where_the_split_keeps_them_apart(paintings: Path) -> None:
    data = WikiArtDataModule(paintings, split="artist_disjoint", val_fraction=0.3)
    by_artist = {}
    for painting, unit in zip(data.catalogue.paintings, data.units, strict=True):
        by_artist.setdefault(painting.artist, set()).add(unit)
    assert all(len(units) == 1 for units in by_artist.values())
    assert len(set(data.units)) == len(by_artist) == 9


@pytest.mark.parametrize("known", [None, 0.3])
def test_paintings_kept_back_of_training_artists_change_nothing(paintings: Path, known: float | None) -> None:
    data = WikiArtDataModule(paintings, split="artist_disjoint", val_fraction=0.3, known_fraction=known)
    assert len({data.units[i] for i in data.indices("train")}) < len(data.indices("train"))


def test_near_duplicates_are_units_in_a_random_split(tmp_path: Path) -> None:
    root = write_paintings(tmp_path / "paintings")
    shutil.copy(root / "Dots" / "artist-dots-0_00.jpg", root / "Dots" / "other_copy.jpg")
    data = WikiArtDataModule(root, split="random")
    unit_of = dict(zip((p.path for p in data.catalogue.paintings), data.units, strict=True))
    assert unit_of["Dots/artist-dots-0_00.jpg"] == unit_of["Dots/other_copy.jpg"]
    assert len(set(data.units)) == 30
