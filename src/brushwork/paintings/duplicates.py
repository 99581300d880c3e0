"""Paintings that are there more than once: the same bytes, or the same picture in other bytes."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from brushwork import files
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.facts import Facts

# Bits of 256 in which two prints of one picture may differ. On 2,800 paintings of seven styles, 3.9 million pairs,
# the two pairs within it are one picture each (distances 10 and 32; a colour photograph and a grey one of it), and
# the nearest pair of two pictures is at 74. Of copies it finds every one that is mirrored, re-encoded at quality
# 50, or doubled or halved in size, and 99 of 100 with 1 % cut from each edge; 2 %: 97 of 100; 3 %: 42 of 100.
NEAR = 48

_HEAD = 16384  # bytes: two files of equal size that begin alike are read whole
_BLOCK = 2048  # pictures: the distances of so many to so many are computed at once


def same_bytes(root: Path, paintings: Iterable[Painting]) -> list[list[Painting]]:
    """Groups of two and more paintings whose files are equal. Cheap: only files of equal size are read.

    Raises:
        OSError: a file is gone or may not be read.
    """

    def head(painting: Painting) -> bytes:
        with open(root / painting.path, "rb") as file:
            return hashlib.sha256(file.read(_HEAD)).digest()

    groups = [list(paintings)]
    for key in (lambda painting: painting.bytes, head, lambda painting: files.sha256(root / painting.path)):
        groups = [equals for group in groups for equals in _equals(group, key)]
    return groups


def _equals(group: list[Painting], key: Callable[[Painting], Hashable]) -> list[list[Painting]]:
    by_key = defaultdict(list)
    for painting in group:
        by_key[key(painting)].append(painting)
    return [equals for equals in by_key.values() if len(equals) > 1]


class Pair(NamedTuple):
    """Two positions, first < second, and in how many bits of 256 their prints differ; of `mirrored`
    pictures, the print of one and of the other's mirror image."""

    first: int
    second: int
    distance: int
    mirrored: bool


def near_pairs(facts: Sequence[Facts], distance: int = NEAR) -> list[Pair]:
    """All pairs of pictures whose prints differ in at most `distance` bits, also when one is mirrored.

    Exact, and bounded in memory: the bits as -1 and 1 are multiplied in blocks, whose product is
    bits - 2 x distance.
    """
    positions = [i for i, known in enumerate(facts) if known.print]
    if len(positions) < 2:
        return []
    prints = _signs([facts[i].print for i in positions])  # (pictures, bits)
    mirrors = _signs([facts[i].mirrored for i in positions])
    bits = prints.shape[1]
    nearest: dict[tuple[int, int], Pair] = {}
    starts = range(0, len(positions), _BLOCK)
    for top in tqdm(starts, desc="comparing pictures", unit=" blocks", leave=False, disable=None):
        for left in range(top, len(positions), _BLOCK):
            for others in (prints, mirrors):
                product = prints[top : top + _BLOCK] @ others[left : left + _BLOCK].T  # (pictures, pictures)
                for row, column in np.argwhere(product >= bits - 2 * distance):
                    first, second = positions[top + row], positions[left + column]
                    if first < second:
                        pair = Pair(first, second, int(bits - product[row, column]) // 2, others is mirrors)
                        nearest[first, second] = min(pair, nearest.get((first, second), pair))
    return sorted(nearest.values())


def near_duplicates(facts: Sequence[Facts], distance: int = NEAR) -> list[list[int]]:
    """Groups of two and more positions: pictures that a chain of near pairs connects.

    A split that keeps each group on one side has no picture on both.
    """
    return connected(near_pairs(facts, distance), len(facts))


def leaks(paintings: Sequence[Painting], parts: Sequence[str], groups: Iterable[Sequence[int]]) -> list[str]:
    """What groups of the same picture would spoil: a line for each that is under two styles or in two parts."""
    lines = []
    for group in groups:
        styles = sorted({paintings[i].style for i in group})
        sides = sorted({parts[i] for i in group} - {"unused"})
        names = ", ".join(paintings[i].path for i in group)
        if len(styles) > 1:
            lines.append(f"one picture under {' and '.join(styles)}: {names}")
        if len(sides) > 1:
            lines.append(f"one picture in {' and '.join(sides)}: {names}")
    return lines


def connected(pairs: Sequence[Pair], count: int) -> list[list[int]]:
    """The groups of 0 ... count - 1 that pairs connect; what no pair holds is in none."""
    first, second = ([getattr(pair, name) for pair in pairs] for name in ("first", "second"))
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(count, count))
    groups = defaultdict(list)
    _, labels = connected_components(graph, directed=False)
    for position in sorted({*first, *second}):
        groups[labels[position]].append(position)
    return list(groups.values())


def _signs(prints: list[str]) -> np.ndarray:
    """(pictures, bits) float32 of -1 and 1."""
    packed = np.frombuffer(bytes.fromhex("".join(prints)), np.uint8)
    return np.unpackbits(packed).reshape(len(prints), -1).astype(np.float32) * 2 - 1
