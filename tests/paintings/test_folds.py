"""Folds have every painting once, whole artists and whole groups of near duplicates, and are alike in style."""

import logging
from collections import Counter
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import folds
from brushwork.paintings.catalogue import Catalogue, Painting
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.paintings.folds import Fold


def by_artists(style: str, *counts: int, first: int = 0) -> list[Painting]:
    """Paintings of one style by artists who have so many each."""
    return [
        Painting(f"{style}/painter-{first + artist}_{style}{number}.jpg", style, 1)
        for artist, count in enumerate(counts)
        for number in range(count)
    ]


# Artists who paint in two styles, one who painted a quarter of all, and many with few paintings.
PAINTINGS = by_artists("A", 25, *[3] * 20, *[1] * 15) + by_artists("B", 5, *[2] * 30, first=10)
TOGETHER = [[0, 60, 110], [26, 140]]


def drawn(name: str, number: int, count: int = 5, seed: int = 0, paintings: list[Painting] = PAINTINGS) -> list[str]:
    catalogue = Catalogue(Path("x"), paintings, sorted({painting.style for painting in paintings}))
    together = TOGETHER if paintings is PAINTINGS else []
    return folds.draw(name, catalogue, Fold(number, count), 0.2, seed, together)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["artist_disjoint", "random"])
def test_every_painting_is_in_one_fold(name: str, seed: int) -> None:
    parts = [drawn(name, number, seed=seed) for number in range(5)]
    assert all(of_painting.count("test") == 1 for of_painting in zip(*parts, strict=True))
    assert parts == [drawn(name, number, seed=seed) for number in range(5)]
    assert parts[0] != drawn(name, 0, seed=seed + 1)
    for of_fold in parts:
        assert set(of_fold) == {"train", "val", "test"}
        assert of_fold.count("val") / (len(PAINTINGS) - of_fold.count("test")) == pytest.approx(0.2, abs=0.04)
        for group in TOGETHER:
            assert len({of_fold[i] for i in group}) == 1
        if name == "artist_disjoint":
            sides = [
                {p.artist for p, part in zip(PAINTINGS, of_fold, strict=True) if part == side} for side in set(of_fold)
            ]
            assert sum(map(len, sides)) == len(set().union(*sides))


@pytest.mark.parametrize("seed", range(3))
def test_folds_are_alike_in_style(seed: int) -> None:
    """By picture: off by one, and by what is kept together. By artist: 32 of A are by artist 0 and those who share a
    picture with him, and lie in one fold; the other 68 in four, and the 65 of B in five, are alike."""
    for name, expected, off in (
        ("random", {"A": [20] * 5, "B": [13] * 5}, 2),
        ("artist_disjoint", {"A": [17] * 4 + [32], "B": [13] * 5}, 2),
    ):
        counts = Counter(
            (painting.style, number)
            for number in range(5)
            for painting, part in zip(PAINTINGS, drawn(name, number, seed=seed), strict=True)
            if part == "test"
        )
        for style, wanted in expected.items():
            assert sorted(counts[style, number] for number in range(5)) == pytest.approx(wanted, abs=off), counts


def test_real_paintings_in_folds(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    """2,800 by 477 artists, one of whom has 88 of a style's 400: no other fold has more than a fifth and a painting."""
    from brushwork.paintings import catalogue

    found = catalogue.scan(shared / "data/wikiart-7x400")
    with caplog.at_level(logging.INFO, "brushwork"):
        parts = folds.draw("artist_disjoint", found, Fold(3, 5), 0.2, 0)
    assert 558 <= parts.count("test") <= 568
    assert caplog.messages[0] == (
        "split: fold 3 is the test part, of 5 folds with 558 to 568 paintings; of a style's paintings a fold has 19.5% "
        "to 22.0%"
    )


def test_unknown_artists_are_in_no_fold() -> None:
    paintings = by_artists("A", *[2] * 20) + [Painting(f"A/unknown_{number}.jpg", "A", 1) for number in range(5)]
    assert drawn("artist_disjoint", 0, paintings=paintings)[40:] == ["unused"] * 5
    assert "unused" not in drawn("random", 0, paintings=paintings)


def test_a_style_that_is_not_in_all_folds_is_refused() -> None:
    paintings = by_artists("A", *[2] * 20) + by_artists("B", 5, 5, 5, first=50)
    message = (
        r"split\.folds=5: style B has 3 artists, which fill 3 of 5 folds: use split\.folds=3 or fewer, .*split=random"
    )
    with pytest.raises(UserError, match=message):
        drawn("artist_disjoint", 0, paintings=paintings)
    assert "test" in drawn("artist_disjoint", 2, 3, paintings=paintings)
    few = by_artists("A", *[2] * 20) + by_artists("B", 5, 5, first=50)
    with pytest.raises(UserError, match=r"the other folds have style B by one of its 2 artists, too few to train and"):
        drawn("artist_disjoint", 0, 2, paintings=few)
    with pytest.raises(UserError, match=r"style B has 2 pictures, which fill 2 of 3 folds"):
        drawn("random", 0, 3, paintings=by_artists("A", 9) + by_artists("B", 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"folds": 5},
            r"split\.folds=5 goes with split\.fold=0: add it, or run all folds with python train",
        ),
        ({"fold": 2}, r"split\.fold=2 goes with split\.folds=5"),
        ({"folds": 1, "fold": 0}, r"expected split\.folds to be at least 2, but got 1"),
        ({"folds": 5, "fold": 5}, r"expected split\.fold to be from 0 to 4 \(split\.folds=5\), but got 5"),
        ({"folds": 5, "fold": 0, "test_fraction": 0.2}, r"split\.test_fraction=0\.2 does not go with split\.folds=5"),
        ({"folds": 5, "fold": 0, "split": "given"}, r"split\.folds=5 does not go with parts that are given"),
        ({"folds": 5, "fold": 0, "split": "auto", "split_file": "x.csv"}, r"does not go with parts that are given"),
        ({"known_fraction": 0.1, "split": "random"}, r"with split=random each part has known artists"),
        ({"known_fraction": 0.0}, r"expected split\.known_fraction to be between 0 and 1, but got 0"),
    ],
)
def test_what_does_not_go_together(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        WikiArtDataModule("x", **{"split": "artist_disjoint"} | arguments)
    assert "\n" not in str(caught.value)


def test_auto_is_checked_as_what_it_is(paintings: Path) -> None:
    """The data say random."""
    with pytest.raises(UserError, match="with split=random each part has known artists"):
        _ = WikiArtDataModule(paintings, known_fraction=0.1).parts
    assert WikiArtDataModule(paintings, folds=5, fold=0).parts.count("test") == 6
