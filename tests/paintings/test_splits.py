"""The splits: shares, seeds, no artist on two sides, refused where a class can't be learned (FAULTS 13, 14, 16)."""

import logging
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from brushwork.errors import UserError
from brushwork.paintings import splits
from brushwork.paintings.catalogue import Catalogue, Painting
from brushwork.paintings.splits import Fractions


def some(style: str, count: int) -> list[Painting]:
    return [Painting(f"{style}/artist_{number:03}.jpg", style, 1) for number in range(count)]


def test_stratified() -> None:
    paintings = some("A", 400) + some("B", 37) + some("C", 2)
    parts = splits.random(paintings, Fractions(0.2), seed=0)
    counts = Counter((p.style, part) for p, part in zip(paintings, parts, strict=True))
    assert counts == {
        **{("A", "train"): 320, ("A", "val"): 80},
        **{("B", "train"): 30, ("B", "val"): 7},
        **{("C", "train"): 1, ("C", "val"): 1},
    }


def test_by_seed_alone() -> None:
    paintings = some("A", 50) + some("B", 50)
    assert splits.random(paintings, Fractions(0.2), 0) == splits.random(paintings, Fractions(0.2), 0)
    assert splits.random(paintings, Fractions(0.2), 0) != splits.random(paintings, Fractions(0.2), 1)
    assert (
        splits.random(some("B", 50), Fractions(0.2), 0) == splits.random(paintings, Fractions(0.2), 0)[50:]
    )  # whatever A is


def test_thinned() -> None:
    paintings = some("A", 64) + some("B", 20)
    parts = splits.random(paintings, Fractions(0.25), seed=0)
    quarter, sixteenth = (splits.thin(parts, paintings, fraction, seed=1) for fraction in (1 / 4, 1 / 16))
    counts = Counter((p.style, part) for p, part in zip(paintings, quarter, strict=True))
    assert counts["A", "train"], counts["B", "train"] == (12, 4)  # of 48 and 15
    assert {i for i, part in enumerate(sixteenth) if part == "train"} < {
        i for i, part in enumerate(quarter) if part == "train"
    }
    for before, after in zip(parts, quarter, strict=True):
        assert after == before or (before, after) == ("train", "unused")
    assert splits.thin(parts, paintings, 1 / 4, seed=2) != quarter
    least = splits.thin(parts, paintings, 0.001, seed=0)
    assert [p.style for p, part in zip(paintings, least, strict=True) if part == "train"] == ["A", "B"]


def test_class_too_small() -> None:
    with pytest.raises(UserError, match="style B has 1 painting, too few to split"):
        splits.random(some("A", 10) + some("B", 1), Fractions(0.2), 0)


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
    hashes = {splits.split_hash(catalogue, splits.random(paintings, Fractions(0.2), seed)) for seed in (0, 0, 1)}
    assert len(hashes) == 2


def test_a_test_part_beside() -> None:
    paintings = some("A", 100) + some("B", 10) + some("C", 3)
    parts = splits.random(paintings, Fractions(0.2, 0.1), seed=0)
    counts = Counter((p.style, part) for p, part in zip(paintings, parts, strict=True))
    assert [counts["A", part] for part in ("train", "val", "test")] == [70, 20, 10]
    assert [counts["B", part] for part in ("train", "val", "test")] == [7, 2, 1]
    assert [counts["C", part] for part in ("train", "val", "test")] == [1, 1, 1]
    without = splits.random(paintings, Fractions(0.2), seed=0)
    assert all(part == "val" for part, other in zip(without, parts, strict=True) if other == "val")
    with pytest.raises(UserError, match="style A has 2 paintings, too few to split into train, val and test"):
        splits.random(some("A", 2), Fractions(0.2, 0.1), 0)


def by_artists(style: str, *counts: int, first: int = 0) -> list[Painting]:
    """Paintings of one style by artists who have so many each."""
    return [
        Painting(f"{style}/painter-{first + artist}_{style}{number}.jpg", style, 1)
        for artist, count in enumerate(counts)
        for number in range(count)
    ]


def apart(
    paintings: list[Painting], fractions: Fractions, seed: int = 0, together: list[set[int]] | None = None
) -> list:
    catalogue = Catalogue(Path("x"), paintings, sorted({p.style for p in paintings}))
    return splits.draw("artist_disjoint", catalogue, fractions, seed, together or [])


def artists_of(paintings: list[Painting], parts: list[str], part: str) -> set[str | None]:
    return {p.artist for p, q in zip(paintings, parts, strict=True) if q == part}


@pytest.mark.parametrize("seed", range(5))
def test_no_artist_on_two_sides(seed: int) -> None:
    """Artists who paint in two styles, and one who painted a third of all."""
    paintings = by_artists("A", 30, *[3] * 20, *[1] * 10) + by_artists("B", 5, *[2] * 30, first=10)
    parts = apart(paintings, Fractions(0.2, 0.1), seed)
    sides = [artists_of(paintings, parts, part) for part in ("train", "val", "test")]
    assert sum(map(len, sides)) == len({p.artist for p in paintings})
    counts = Counter((p.style, part) for p, part in zip(paintings, parts, strict=True))
    for style, total in [("A", 100), ("B", 65)]:
        assert counts[style, "val"] / total == pytest.approx(0.2, abs=0.04)
        assert counts[style, "test"] / total == pytest.approx(0.1, abs=0.04)
    assert parts == apart(paintings, Fractions(0.2, 0.1), seed)
    assert parts != apart(paintings, Fractions(0.2, 0.1), seed + 1)


def test_real_paintings_apart(shared: Path) -> None:
    """On 7 x 400 paintings by 477 artists every style validates with 78 to 82 of its 400."""
    from brushwork.paintings import catalogue

    found = catalogue.scan(shared / "data/wikiart-7x400")
    for seed in range(3):
        parts = splits.draw("artist_disjoint", found, Fractions(0.2), seed)
        counts = Counter(p.style for p, part in zip(found.paintings, parts, strict=True) if part == "val")
        assert all(78 <= count <= 82 for count in counts.values()), counts
        assert not artists_of(found.paintings, parts, "train") & artists_of(found.paintings, parts, "val")


def test_unknown_artists_are_unused_or_too_many(caplog: pytest.LogCaptureFixture) -> None:
    known = by_artists("A", *[2] * 20)
    unknown = [Painting(f"A/unknown_{number}.jpg", "A", 1) for number in range(10)]
    parts = apart(known + unknown, Fractions(0.2))
    assert parts[40:] == ["unused"] * 10
    assert "unused" not in parts[:40]
    assert "10 paintings of unknown artists are unused" in caplog.text
    with pytest.raises(UserError, match=r"but 23% of the paintings have none in their file name \(20% at most\)"):
        apart(known + unknown + unknown[:2], Fractions(0.2))


def test_a_style_by_one_artist_cannot_be_split() -> None:
    paintings = by_artists("A", 5, 5, 5) + by_artists("B", 10, first=99)
    with pytest.raises(
        UserError, match=r"style B: all its paintings are by painter-99, too few for 2 disjoint parts: .*data\.styles"
    ):
        apart(paintings, Fractions(0.2))
    two = by_artists("A", 5, 5)
    with pytest.raises(UserError, match=r"by painter-0, painter-1, too few for 3 disjoint parts"):
        apart(two, Fractions(0.2, 0.2))


def test_a_part_that_stays_empty_is_refused() -> None:
    """Two artists a style with half of its paintings each: none is nearer to a fifth than both."""
    paintings = by_artists("A", 50, 50) + by_artists("B", 50, 50, first=5)
    with pytest.raises(UserError, match=r"val stays empty.*raise split\.val_fraction"):
        apart(paintings, Fractions(0.2))
    assert "val" in apart(paintings, Fractions(0.4))


def test_one_style_is_no_question() -> None:
    with pytest.raises(UserError, match=r"there is one style, A: name two or more with data\.styles"):
        splits.check(Catalogue(Path("x"), some("A", 4), ["A"]), ["train", "train", "val", "val"])


def test_the_same_picture_stays_on_one_side() -> None:
    paintings = by_artists("A", *[1] * 40)
    plain = apart(paintings, Fractions(0.3))
    pair = {plain.index("train"), plain.index("val")}  # two artists, two sides
    assert len({apart(paintings, Fractions(0.3), together=[pair])[i] for i in pair}) == 1
    catalogue = Catalogue(Path("x"), paintings, ["A"])
    plain = splits.draw("random", catalogue, Fractions(0.3), 0)
    pair = {plain.index("train"), plain.index("val")}
    kept = splits.draw("random", catalogue, Fractions(0.3), 0, [pair])
    assert {kept[i] for i in pair} == {"train"}
    assert sum(a != b for a, b in zip(plain, kept, strict=True)) == 1


def test_given_by_the_datas_own_catalogue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def drawn(*parts: str, of: str = "catalogue.csv") -> list[str]:
        paintings = [replace(painting, part=part) for painting, part in zip(some("A", 4), parts, strict=True)]
        return splits.draw("given", Catalogue(tmp_path, paintings, ["A"], of), Fractions(0.4), 0)

    with pytest.raises(UserError, match=rf"split=given: {re.escape(str(tmp_path))} has no split of its own"):
        drawn("", "", "", "", of="")
    assert drawn("train", "val", "test", "") == ["train", "val", "test", "unused"]
    assert "1 paintings have no part" in caplog.text
    with pytest.raises(UserError, match="has no painting with part=train"):
        drawn("val", "test", "test", "test")
    # Without a validation part, a share of the training part is one; the test part stays.
    caplog.set_level(logging.INFO)
    assert sorted(drawn("train", "train", "test", "train")[i] for i in (0, 1, 3)) == ["train", "train", "val"]
    assert drawn("train", "train", "test", "train")[2] == "test"
    assert "has no validation part: 1 of 3 training paintings validate" in caplog.text
