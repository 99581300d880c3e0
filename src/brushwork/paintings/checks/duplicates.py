"""Paintings that are there more than once: the same bytes, or the same picture in other bytes."""

import hashlib
import json
import logging
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
from brushwork.paintings.checks.facts import Facts

log = logging.getLogger(__name__)

# Bits of 256 in which two prints of one picture may differ. Among 2,800 paintings of seven styles (3.9 million
# pairs) two pairs are within it, and each is one picture: distances 8 and 32, the second a colour and a grey
# photograph. The nearest pair of two pictures is at 74; as the distances thin out below 90, some ten false pairs are
# to be expected among 81,000 paintings. It finds all copies that are grey, mirrored, of half or double size or of
# JPEG quality 50; with 1 % cut from each edge all, 2 %: 99 of 100, 3 %: 47, 5 %: 1.
NEAR = 48

_VERSION = 1  # of `near_pairs`: a new one compares all again
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
    """The pairs of pictures whose prints differ in at most `distance` bits, also when one is mirrored.

    Exact, and bounded in memory: the bits as -1 and 1 are multiplied in blocks, whose product is
    bits - 2 x distance. Pictures with equal prints are each paired with the first of them, which stands for
    them in all other pairs: a thousand copies of one placeholder are a thousand pairs and no million.
    """
    first_with: dict[str, int] = {}
    equals = []
    for i, known in enumerate(facts):
        if known.print and first_with.setdefault(known.print, i) != i:
            equals.append(Pair(first_with[known.print], i, 0, False))
    positions = list(first_with.values())
    if not positions:
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


def remembered_pairs(facts: Sequence[Facts]) -> list[Pair]:
    """`near_pairs` from the cache where the same pictures were compared before: 81,000 of them take a minute."""
    prints = files.short_hash([NEAR, *([known.print, known.mirrored] for known in facts)])
    path = files.cache_folder() / f"near-pairs-{_VERSION}-{prints}.json"
    try:
        return [Pair(*pair) for pair in json.loads(path.read_text())]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError):
        log.warning("%s is damaged and made anew", path)
    pairs = near_pairs(facts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, pairs)
    except OSError as error:
        log.warning("%s can't be written (%s): pictures are compared again next time", path, error.strerror)
    return pairs


def connected(pairs: Sequence[Pair], count: int) -> list[list[int]]:
    """The groups of 0 ... count - 1 that pairs connect; what no pair holds is in none.

    Of near pairs: a split that keeps each group on one side has no picture on both.
    """
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
