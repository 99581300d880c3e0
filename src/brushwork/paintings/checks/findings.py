"""Each kind of fault that a folder of paintings may have, and what finds it."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from brushwork import images
from brushwork.paintings import catalogue
from brushwork.paintings.catalogue import Painting
from brushwork.paintings.checks import duplicates
from brushwork.paintings.checks.facts import Facts

IMBALANCE = 10  # the largest class so many times the smallest: a warning
ARTIST_LEAD = 0.1  # the artist look-up so far above the majority: a warning
FOREIGN_ROWS = 0.01  # the share of a split's rows without a file from which on it is one of other data

Parts = Mapping[str, str]  # the part of each path; what is in no part is not in it


@dataclass(frozen=True)
class Item:
    """A file, a folder or a style, and what is to be said of it."""

    path: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """All there is of one kind of fault.

    severity: "spoils" (a result on these data would be wrong), "warning" or "info".
    message: one line, what it is and what to do.
    groups: the copies of one picture, the folders of one style; otherwise one item a group.
    """

    kind: str
    severity: str
    message: str
    groups: list[list[Item]]


def unreadable(root: Path, known: Mapping[Painting, Facts]) -> Iterator[Finding]:
    bad = [
        [Item(painting.path, fact.reason.removeprefix(f"{root / painting.path}: "))]
        for painting, fact in known.items()
        if fact.reason
    ]
    if bad:
        message = "can't be read: mend as noted, or leave out with data.on_bad_image=skip"
        yield Finding("unreadable", "spoils", message, bad)


# By what the copies of a picture span.
_COPIES = {
    "label_conflict": ("spoils", "one picture under two styles, {how}: keep it under the right one"),
    "across_parts": ("spoils", "one picture in two parts of the split, {how}: keep one of them"),
    "copy": ("warning", "one picture more than once in a style and part, {how}: keep one of them"),
}


def same_copies(groups: Iterable[Sequence[Painting]], parts: Parts) -> Iterator[Finding]:
    """Pictures that are there more than once; `groups` by duplicates.same_bytes."""
    copies = [[(painting, _part(painting, parts)) for painting in group] for group in groups]
    yield from _copies("same", "byte for byte", copies, parts)


def near_copies(
    paintings: Sequence[Painting],
    pairs: Sequence[duplicates.Pair],
    same: Iterable[Sequence[Painting]],
    parts: Parts,
) -> Iterator[Finding]:
    """Pictures that a perceptual hash takes for one (`pairs` of duplicates.near_pairs), but for groups of the `same`
    bytes."""
    closest: dict[Painting, duplicates.Pair] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.distance):
        closest[paintings[pair.first]] = closest[paintings[pair.second]] = pair

    def note(painting: Painting) -> str:
        pair = closest[painting]
        mirrored = ", mirrored" if pair.mirrored else ""
        return f"{_part(painting, parts)}, {pair.distance} of 256 bits differ{mirrored}"

    told = {frozenset(group) for group in same}
    groups = [[paintings[i] for i in group] for group in duplicates.connected(pairs, len(paintings))]
    copies = [[(painting, note(painting)) for painting in group] for group in groups if frozenset(group) not in told]
    yield from _copies("near", "re-encoded, resized or mirrored, as a perceptual hash judges", copies, parts)


def _copies(prefix: str, how: str, groups: Iterable[list[tuple[Painting, str]]], parts: Parts) -> Iterator[Finding]:
    by_span = defaultdict(list)
    for group in groups:
        items = [Item(painting.path, note) for painting, note in group]
        by_span[_span([painting for painting, _ in group], parts)].append(items)
    for span, (severity, message) in _COPIES.items():
        if by_span[span]:
            yield Finding(f"{prefix}_{span}", severity, message.format(how=how), by_span[span])


def _part(painting: Painting, parts: Parts) -> str:
    return parts.get(painting.path, "in no part")


def _span(group: Sequence[Painting], parts: Parts) -> str:
    if len({catalogue.style_key(painting.style) for painting in group}) > 1:
        return "label_conflict"
    used = {parts[painting.path] for painting in group if painting.path in parts}
    return "across_parts" if len(used) > 1 else "copy"


def aliases(styles: Sequence[str]) -> Iterator[Finding]:
    """Folders that are one style, such as Art_Nouveau and Art_Nouveau_Modern."""
    folders = defaultdict(list)
    for style in styles:
        folders[catalogue.style_key(style)].append(Item(style))
    groups = [group for group in folders.values() if len(group) > 1]
    if groups:
        yield Finding("alias", "spoils", "folders that are one style: put their paintings into one of them", groups)


def unsplittable(styles: Sequence[str], paintings: Sequence[Painting], parts: Parts) -> Iterator[Finding]:
    total = Counter(painting.style for painting in paintings)
    counts = Counter((painting.style, parts.get(painting.path)) for painting in paintings)
    groups = []
    for style in styles:
        if total[style] < 2:
            groups.append([Item(style, f"paintings: {total[style]}, too few to split")])
        elif missing := [part for part in ("train", "val") if not counts[style, part]]:
            groups.append([Item(style, f"none in {' and '.join(missing)}")])
    if groups:
        message = "styles that can't be both learned and scored: add paintings, or leave them out with data.styles"
        yield Finding("unsplittable", "spoils", message, groups)


def strangers(everything: Iterable[Painting], readable: Iterable[Painting], parts: Parts) -> Iterator[Finding]:
    """Rows of a given split without a file, and good files without a row."""
    there = {painting.path for painting in everything}
    rows = [[Item(path, part)] for path, part in parts.items() if path not in there]
    if rows:
        severity = "spoils" if len(rows) > FOREIGN_ROWS * len(parts) else "warning"
        yield Finding("row_without_file", severity, "in the split, but no such file: is the split of these data?", rows)
    files = [[Item(painting.path)] for painting in readable if painting.path not in parts]
    if files:
        yield Finding("file_without_row", "info", "in no part of the split: not used", files)


def imbalance(paintings: Sequence[Painting]) -> Iterator[Finding]:
    counts = Counter(painting.style for painting in paintings).most_common()
    if counts and counts[0][1] >= IMBALANCE * counts[-1][1]:
        ends = [[Item(style, f"paintings: {count}")] for style, count in (counts[0], counts[-1])]
        message = f"the largest style has {counts[0][1] / counts[-1][1]:.0f} times the smallest: read recall by style"
        yield Finding("imbalance", "warning", message, ends)


def artists_known(majority: float | None, artist_lookup: float | None) -> Iterator[Finding]:
    """A property of a random split, not a fault of the data: a warning with its two figures."""
    if majority is not None and artist_lookup is not None and artist_lookup - majority > ARTIST_LEAD:
        message = (
            f"the artist look-up, which sees no pixel, scores {artist_lookup:.3f} on this split and the majority "
            f"{majority:.3f}: a network can win by knowing painters, so show both beside its accuracy"
        )
        yield Finding("artists_known", "warning", message, [])


def look_around(root: Path) -> tuple[dict[str, bool], list[Finding]]:
    """Each style folder with whether it holds a painting, and what is there that is none.

    Raises:
        UserError: the root is missing, empty or closed.
    """
    catalogue.style_folders(root)
    styles, hidden, ignored, outside = {}, [], [], []
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            hidden.append([Item(entry.name)])
        elif entry.is_dir():
            styles[entry.name] = False
            for inner in sorted(os.scandir(entry), key=lambda inner: inner.name):
                path = f"{entry.name}/{inner.name}"
                if images.is_hidden(inner.name):
                    hidden.append([Item(path)])
                elif inner.is_file() and images.is_named_as_one(inner.name):
                    styles[entry.name] = True
                else:
                    ignored.append([Item(path, "a folder" if inner.is_dir() else "no image by its name")])
        elif images.is_named_as_one(entry.name):
            outside.append([Item(entry.name)])
    found = [
        Finding("outside", "warning", "outside the style folders, not read: move them into one", outside),
        Finding("ignored", "warning", "no painting, not read: convert, move or remove", ignored),
        Finding("hidden", "info", "hidden files that systems leave behind, not read", hidden),
    ]
    return styles, [finding for finding in found if finding.groups]


def _is_tiny(fact: Facts) -> bool:
    return min(fact.width, fact.height) < images.MIN_SIDE


def _formats(path: str) -> tuple[str, ...]:
    """Pillow's formats that a file's name may stand for; MPO is a JPEG with further pictures behind it."""
    named = Image.registered_extensions().get(Path(path).suffix.lower(), "")
    return ("JPEG", "MPO") if named == "JPEG" else (named,)


# Kind, severity, message, and what is odd about one painting that can be read: None for nothing.
_ODDITIES: list[tuple[str, str, str, Callable[[Painting, Facts], str | None]]] = [
    (
        "tiny",
        "warning",
        f"a side under {images.MIN_SIDE} pixels, next to nothing in it: fetch a larger one or remove",
        lambda painting, fact: f"{fact.width} x {fact.height}" if _is_tiny(fact) else None,
    ),
    (
        "blank",
        "warning",
        "of one colour: fetch again or remove",
        lambda painting, fact: "" if not fact.print and not _is_tiny(fact) else None,
    ),
    (
        "misnamed",
        "info",
        "of another format than the name says: read all the same",
        lambda painting, fact: fact.format if fact.format not in _formats(painting.path) else None,
    ),
    (
        "rare_format",
        "info",
        "neither JPEG nor PNG: read all the same",
        lambda painting, fact: fact.format if fact.format not in ("JPEG", "MPO", "PNG") else None,
    ),
    (
        "mode",
        "info",
        "not 8-bit RGB: converted when read",
        lambda painting, fact: fact.mode if fact.mode != "RGB" else None,
    ),
    (
        "turned",
        "info",
        "not upright but for EXIF: turned when read",
        lambda painting, fact: "" if fact.turned else None,
    ),
    (
        "non_ascii",
        "info",
        "names beyond ASCII, some of them garbled: see what the artist reads as",
        lambda painting, fact: f"artist: {painting.artist}" if not painting.path.isascii() else None,
    ),
    (
        "no_artist",
        "info",
        "no artist in the name (artist_title.jpg): unknown to the artist look-up",
        lambda painting, fact: "" if painting.artist is None else None,
    ),
]


def oddities(known: Mapping[Painting, Facts]) -> Iterator[Finding]:
    """What is unusual about files that can be read."""
    for kind, severity, message, oddity in _ODDITIES:
        notes = [(painting, oddity(painting, fact)) for painting, fact in known.items()]
        if groups := [[Item(painting.path, note)] for painting, note in notes if note is not None]:
            yield Finding(kind, severity, message, groups)
