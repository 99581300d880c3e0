"""Equal files and near pairs against counting by hand."""

from pathlib import Path

import numpy as np
import pytest

from brushwork.paintings import duplicates
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.duplicates import Pair
from brushwork.paintings.facts import Facts


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
    assert duplicates.near_duplicates(facts) == [[0, 1], [2, 40], [4, 21]]


def test_a_chain_is_one_group() -> None:
    pairs = [Pair(first, second, 5, False) for first, second in [(1, 4), (4, 6), (2, 3)]]
    assert duplicates.connected(pairs, 8) == [[1, 4, 6], [2, 3]]
    assert duplicates.connected([], 8) == []


def test_few_pictures() -> None:
    assert duplicates.near_duplicates([]) == []
    assert duplicates.near_duplicates([Facts(reason="bad"), Facts(print="0" * 64, mirrored="0" * 64)]) == []
