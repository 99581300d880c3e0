"""Duplicates: paintings with the same bytes, and near duplicates by a perceptual hash."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from brushwork import files
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.checks.facts import Facts

# Bits of 256 in which the hashes of one picture may differ (measured: docs/data.md). Among 2,800 paintings the nearest
# pair of different pictures is at 74, from which some ten false pairs are expected among 81,000 paintings.
NEAR = 48

_VERSION = 1  # of `near_pairs`: a new one compares all again
_HEAD = 16384  # bytes: files of equal size are read whole only if they begin alike
_BLOCK = 2048  # pictures: distances are computed in blocks of so many squared


def same_bytes(root: Path, paintings: Iterable[Painting]) -> list[list[Painting]]:
    """Groups of two and more paintings whose files are identical; only files of equal size are read."""

    def head(painting: Painting) -> bytes:
        with open(root / painting.path, "rb") as file:
            return hashlib.sha256(file.read(_HEAD)).digest()

    groups = [list(paintings)]
    for key in (lambda painting: painting.bytes, head, lambda painting: files.sha256(root / painting.path)):
        by_key = defaultdict(list)
        for number, group in enumerate(groups):
            for painting in group:
                by_key[number, key(painting)].append(painting)
        groups = [group for group in by_key.values() if len(group) > 1]
    return groups


class Pair(NamedTuple):
    """Two positions, first < second, and the bits of 256 in which their hashes differ; if `mirrored`, the hash of one
    and that of the other's mirror image."""

    first: int
    second: int
    distance: int
    mirrored: bool


def near_pairs(facts: Sequence[Facts], distance: int = NEAR) -> list[Pair]:
    """The pairs of pictures whose hashes differ in at most `distance` bits, also when one is mirrored.

    Exact, in bounded memory: the bits as -1 and 1 are multiplied in blocks, since a product is bits - 2 x distance.
    Pictures with equal hashes are paired with the first of them only, which represents them in all other pairs, so
    that a thousand equal pictures make a thousand pairs rather than a million.
    """
    first_with, equals = {}, []
    for i, known in enumerate(facts):
        if known.print and first_with.setdefault(known.print, i) != i:
            equals.append(Pair(first_with[known.print], i, 0, False))
    if not (positions := list(first_with.values())):
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
    return sorted([*equals, *nearest.values()])


def cached_pairs(facts: Sequence[Facts]) -> list[Pair]:
    """`near_pairs`, cached by the pictures' hashes: 81,000 of them take a minute."""
    prints = files.short_hash([NEAR, *([known.print, known.mirrored] for known in facts)])
    path = files.cache_folder() / f"near-pairs-{_VERSION}-{prints}.json"

    def load(path: Path) -> list[Pair]:
        return [Pair(*pair) for pair in json.loads(path.read_text())]

    return files.cached(path, load, lambda: near_pairs(facts), files.write_json)


def connected(pairs: Sequence[Pair], count: int) -> list[list[int]]:
    """The connected components of 0 ... count - 1 by `pairs`, without single ones."""
    first, second = [pair.first for pair in pairs], [pair.second for pair in pairs]
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
