"""What is kept back is by artists who train, and of near duplicates all."""

from collections import Counter
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import known
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.datamodule import WikiArtDataModule
from tests.paintings.test_folds import by_artists

# Artist 0 has 20 of A, the next ten 3 each, twenty one painting each; artist 0 has one of B, too.
PAINTINGS = by_artists("A", 20, *[3] * 10, *[1] * 20) + by_artists("B", 1) + by_artists("B", *[4] * 10, first=40)
PARTS = ["train"] * (len(PAINTINGS) - 8) + ["val"] * 8


@pytest.mark.parametrize("seed", range(3))
def test_known_artists_go_on_training(seed: int) -> None:
    together = [[0, 1, 75], [20, 25]]  # 0 and 1 by artist 0, beside artist 41; one each of artists 1 and 2
    parts = known.keep_back(PARTS, PAINTINGS, 0.2, seed, together)
    assert [part for part in parts if part != "known"].count("val") == 8
    counts = Counter((p.style, part) for p, part in zip(PAINTINGS, parts, strict=True))
    assert 14 <= counts["A", "known"] <= 16  # a fifth of 70, and what is kept back with it
    assert 7 <= counts["B", "known"] <= 9  # a fifth of 33
    trained = {(p.artist, p.style) for p, part in zip(PAINTINGS, parts, strict=True) if part == "train"}
    kept = {(p.artist, p.style) for p, part in zip(PAINTINGS, parts, strict=True) if part == "known"}
    assert kept <= trained == {(p.artist, p.style) for p, part in zip(PAINTINGS, PARTS, strict=True) if part == "train"}
    assert all(len({parts[i] for i in group}) == 1 for group in together)
    assert parts == known.keep_back(PARTS, PAINTINGS, 0.2, seed, together)
    assert parts != known.keep_back(PARTS, PAINTINGS, 0.2, seed + 1, together)


def test_where_nothing_can_be_kept_back() -> None:
    single = by_artists("A", *[1] * 10) + [Painting(f"A/unknown_{i}.jpg", "A", 1) for i in range(5)]
    with pytest.raises(UserError, match="no artist has two paintings of one style to train on") as caught:
        known.keep_back(["train"] * 15, single, 0.5, 0)
    assert "\n" not in str(caught.value)


def test_an_artist_who_no_longer_trains_is_not_known(paintings: Path) -> None:
    """Of each style's training paintings one is left, by one of its artists."""
    data = WikiArtDataModule(
        paintings, split="artist_disjoint", val_fraction=0.4, known_fraction=0.4, train_fraction=0.01
    )
    assert data.parts.count("train") == 3
    trained = {painting.artist for painting in data.part("train")}
    assert {painting.artist for painting in data.part("known")} <= trained
    whole = WikiArtDataModule(paintings, split="artist_disjoint", val_fraction=0.4, known_fraction=0.4)
    assert whole.parts.count("known") > data.parts.count("known")
    assert whole.split_hash == data.split_hash
