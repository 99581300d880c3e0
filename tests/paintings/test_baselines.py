"""The no-pixel baselines against a table worked by hand."""

from pathlib import Path

import pytest

from brushwork.paintings import baselines, catalogue, splits
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.splits import Fractions


def of(*pairs: str) -> list[Painting]:
    """ "A:monet" is a painting of style A by monet."""
    return [Painting(f"{style}/{artist}_x.jpg", style, 1) for style, artist in (pair.split(":") for pair in pairs)]


def test_by_hand() -> None:
    train = of("A:monet", "A:monet", "B:monet", "B:degas", "B:unknown", "C:manet", "B:degas")
    val = of("A:monet", "B:monet", "B:degas", "C:manet", "B:cezanne", "A:unknown")
    # majority of train is B: right for 3 of 6
    assert baselines.majority(train, val) == 3 / 6
    # monet -> A: 1 of 2; degas -> B: 1; manet -> C: 1; cezanne, unknown -> majority B: 1 of 2
    assert baselines.artist_lookup(train, val) == 4 / 6


def test_equals_go_by_name() -> None:
    assert baselines.majority(of("B:x", "A:x"), of("A:y")) == 1.0
    assert baselines.majority(of("A:x", "B:x"), of("B:y")) == 0.0


def test_unknown_where_no_artist_is_named() -> None:
    assert baselines.artist_lookup(of("A:unknown"), of("A:unknown")) is None
    assert baselines.artist_lookup(of("A:x"), []) is None
    assert baselines.majority(of("A:x"), []) is None


def test_real_paintings(shared: Path) -> None:
    """Measured before, for the design: 0.14 and 0.84 on a random split."""
    found = catalogue.scan(shared / "data/wikiart-7x400")
    parts = splits.random(found.paintings, Fractions(0.2), seed=0)
    train, val = ([p for p, q in zip(found.paintings, parts, strict=True) if q == part] for part in ("train", "val"))
    assert baselines.majority(train, val) == pytest.approx(1 / 7)
    assert 0.80 < baselines.artist_lookup(train, val) < 0.88
    apart = splits.draw("artist_disjoint", found, Fractions(0.2), seed=0)
    train, val = ([p for p, q in zip(found.paintings, apart, strict=True) if q == part] for part in ("train", "val"))
    assert baselines.artist_lookup(train, val) == baselines.majority(train, val)  # no artist is known


def test_intervals_are_wilsons() -> None:
    """Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662."""
    assert baselines.interval_95(81 / 263, 263) == pytest.approx([0.2553, 0.3662], abs=1e-4)
