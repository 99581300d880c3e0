"""Equal files and near pairs against counting by hand."""

import time
from pathlib import Path

import numpy as np
import pytest

from brushwork.paintings.catalogue import Painting
from brushwork.paintings.checks import duplicates
from brushwork.paintings.checks.duplicates import Pair
from brushwork.paintings.checks.facts import Facts


def groups(facts: list[Facts], distance: int = duplicates.NEAR) -> list[list[int]]:
    return duplicates.connected(duplicates.near_pairs(facts, distance), len(facts))


def test_same_bytes(tmp_path: Path) -> None:
    long = bytes(100_000)
    contents = {
        "A/one.jpg": b"abc",
        "A/other.jpg": b"abd",  # of the same size
        "B/one.jpg": b"abc",
        "B/again.jpg": b"abc",
        "A/long.jpg": long + b"x",
        "B/long.jpg": long + b"y",  # the same size and beginning
        "C/long.jpg": long + b"x",
    }
    paintings = []
    for path, content in contents.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
        paintings.append(Painting(path, path[0], len(content)))
    paintings.append(Painting("A/not-there.jpg", "A", 7))  # no other has its size, so it isn't opened
    found = duplicates.same_bytes(tmp_path, paintings)
    assert [[painting.path for painting in group] for group in found] == [
        ["A/one.jpg", "B/one.jpg", "B/again.jpg"],
        ["A/long.jpg", "C/long.jpg"],
    ]


def flipped(rng: np.random.Generator, number: int, bits: int) -> int:
    """The number with so many of its 256 bits changed."""
    for bit in rng.choice(256, bits, replace=False):
        number ^= 1 << int(bit)
    return number


def test_near_pairs_are_those_of_counting_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", 7)  # pairs within blocks, across blocks, and a block that isn't full
    rng = np.random.default_rng(0)
    prints, mirrors = ([int.from_bytes(rng.bytes(32)) for _ in range(40)] for _ in range(2))
    for first, second, bits, mirrored in [
        (0, 1, 0, False),
        (2, 39, 48, False),
        (3, 38, 49, False),
        (4, 20, 48, True),
        (5, 21, 49, True),
        (6, 6, 0, True),  # a picture that equals its own mirror image
    ]:
        source = mirrors if mirrored else prints
        prints[first] = flipped(rng, source[second], bits)
    facts = [Facts(print=f"{p:064x}", mirrored=f"{m:064x}") for p, m in zip(prints, mirrors, strict=True)]
    facts.insert(10, Facts())  # blank: it is near nothing
    prints.insert(10, None)
    mirrors.insert(10, None)

    expected = []
    for i in range(41):
        for j in range(i + 1, 41):
            if 10 not in (i, j):
                straight, turned = (prints[i] ^ prints[j]).bit_count(), (prints[i] ^ mirrors[j]).bit_count()
                if min(straight, turned) <= 48:
                    expected.append(Pair(i, j, min(straight, turned), turned < straight))
    assert duplicates.near_pairs(facts) == expected
    assert [(pair.first, pair.second, pair.distance) for pair in expected] == [(0, 1, 0), (2, 40, 48), (4, 21, 48)]
    assert groups(facts) == [[0, 1], [2, 40], [4, 21]]


def test_a_chain_is_one_group() -> None:
    pairs = [Pair(first, second, 5, False) for first, second in [(1, 4), (4, 6), (2, 3)]]
    assert duplicates.connected(pairs, 8) == [[1, 4, 6], [2, 3]]
    assert duplicates.connected([], 8) == []


def test_equal_prints_are_paired_with_their_first() -> None:
    prints = [1, 0, 1, 1, 3]
    facts = [Facts(print=f"{p:064x}", mirrored=f"{2**256 - 1 - p:064x}") for p in prints]
    pairs = [(pair.first, pair.second, pair.distance) for pair in duplicates.near_pairs(facts, distance=1)]
    assert pairs == [(0, 1, 1), (0, 2, 0), (0, 3, 0), (0, 4, 1)]
    assert groups(facts, distance=0) == [[0, 2, 3]]


def test_few_pictures() -> None:
    assert groups([]) == []
    assert groups([Facts(reason="bad"), Facts(print="0" * 64, mirrored="0" * 64)]) == []


@pytest.mark.slow
def test_as_many_paintings_as_wikiart_has() -> None:
    """81,444 prints: minutes would be too long for a check, and all distances at once are 26 GB."""
    rng = np.random.default_rng(0)
    facts = [Facts(print=rng.bytes(32).hex(), mirrored=rng.bytes(32).hex()) for _ in range(81_444)]
    for first, second in [(0, 81_443), (5_000, 40_000)]:
        near = flipped(rng, int(facts[second].print, 16), 48)
        facts[first] = Facts(print=f"{near:064x}", mirrored=facts[first].mirrored)
    start = time.perf_counter()
    assert groups(facts) == [[0, 81_443], [5_000, 40_000]]
    assert time.perf_counter() - start < 300


def test_pairs_are_remembered_by_the_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRUSHWORK_CACHE", str(tmp_path))
    rng = np.random.default_rng(1)
    first = int.from_bytes(rng.bytes(32))
    prints = [first, flipped(rng, first, 20), int.from_bytes(rng.bytes(32))]
    facts = [Facts(print=f"{p:064x}", mirrored=f"{p ^ 1:064x}") for p in prints]
    assert duplicates.cached_pairs(facts) == duplicates.near_pairs(facts) == [Pair(0, 1, 20, False)]
    (cache,) = tmp_path.glob("near-pairs-*.json")
    cache.write_text("[[0, 2, 1, true]]")
    assert duplicates.cached_pairs(facts) == [Pair(0, 2, 1, True)]  # not compared again
    assert duplicates.cached_pairs(facts[:2]) == [Pair(0, 1, 20, False)]  # other pictures are
    cache.write_text("[[0, ")
    assert duplicates.cached_pairs(facts) == [Pair(0, 1, 20, False)]
    cache.unlink()
    monkeypatch.setenv("BRUSHWORK_CACHE", "/proc/nowhere")
    assert duplicates.cached_pairs(facts) == [Pair(0, 1, 20, False)]
