"""The kinds of problems that a folder of paintings may have, and how each is found."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from brushwork import images
from brushwork.paintings.checks import duplicates
from brushwork.paintings.checks.facts import Facts
from brushwork.paintings.described import Painting
from brushwork.paintings.layout import Layout
from brushwork.paintings.styles import style_key

IMBALANCE = 10  # a warning when the largest class has so many times the paintings of the smallest
ARTIST_LEAD = 0.1  # a warning when the artist look-up is so far above the majority
FOREIGN_ROWS = 0.01  # share of a split's rows without a file, above which it is the split of other data

Parts = Mapping[str, str]  # the part of each path; unused paintings are not in it

# {kind: (severity, message)}, in the order in which findings are listed.
KINDS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Item:
    """A file, a folder or a style, and a note on it."""

    path: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """All findings of one kind.

    severity: "spoils", "warning" or "info". message: one line: the problem, and what to do.
    groups: the copies of one picture, or the folders of one style; otherwise one item a group.
    """

    kind: str
    severity: str
    message: str
    groups: list[list[Item]]


def _finding(kind: str, groups: list[list[Item]], severity: str = "", **values: float) -> list[Finding]:
    """One finding, or none without `groups`; `values` are those in the message."""
    usual, message = KINDS[kind]
    message = message.format(min_side=images.MIN_SIDE, **values)
    return [Finding(kind, severity or usual, message, groups)] if groups else []


def unreadable(root: Path, known: Mapping[Painting, Facts]) -> list[Finding]:
    bad = {painting.path: fact.reason for painting, fact in known.items() if fact.reason}
    return _finding("unreadable", [[Item(path, why.removeprefix(f"{root / path}: "))] for path, why in bad.items()])


def same_copies(groups: Iterable[Sequence[Painting]], parts: Parts) -> list[Finding]:
    """Identical files; `groups` by duplicates.same_bytes."""
    return _copies("same", [{p: parts.get(p.path, "in no part") for p in group} for group in groups], parts)


def near_copies(
    paintings: Sequence[Painting], pairs: Sequence[duplicates.Pair], same: Iterable[Sequence[Painting]], parts: Parts
) -> list[Finding]:
    """Near duplicates (`pairs` of duplicates.near_pairs), without groups of identical files (`same`)."""
    closest: dict[Painting, duplicates.Pair] = {}
    for pair in sorted(pairs, key=lambda pair: -pair.distance):
        closest[paintings[pair.first]] = closest[paintings[pair.second]] = pair

    def note(painting: Painting) -> str:
        mirrored = ", mirrored" if closest[painting].mirrored else ""
        return f"{parts.get(painting.path, 'in no part')}, {closest[painting].distance} of 256 bits differ{mirrored}"

    reported = {frozenset(group) for group in same}
    groups = [[paintings[i] for i in group] for group in duplicates.connected(pairs, len(paintings))]
    new = [{painting: note(painting) for painting in group} for group in groups if frozenset(group) not in reported]
    return _copies("near", new, parts)


def _copies(prefix: str, groups: Iterable[Mapping[Painting, str]], parts: Parts) -> list[Finding]:
    """The findings of groups of copies (each with its note), by what a group spans."""
    by_span = {"label_conflict": [], "across_parts": [], "copy": []}
    for notes in groups:
        used = {parts[painting.path] for painting in notes if painting.path in parts}
        styles = {style_key(painting.style) for painting in notes}
        span = "label_conflict" if len(styles) > 1 else "across_parts" if len(used) > 1 else "copy"
        by_span[span].append([Item(painting.path, note) for painting, note in notes.items()])
    return [finding for span, groups in by_span.items() for finding in _finding(f"{prefix}_{span}", groups)]


def aliases(styles: Sequence[str]) -> list[Finding]:
    """Folders that are one style, such as Art_Nouveau and Art_Nouveau_Modern."""
    folders = defaultdict(list)
    for style in styles:
        folders[style_key(style)].append(Item(style))
    return _finding("alias", [group for group in folders.values() if len(group) > 1])


def unsplittable(styles: Sequence[str], paintings: Sequence[Painting], parts: Parts) -> list[Finding]:
    total = Counter(painting.style for painting in paintings)
    counts = Counter((painting.style, parts.get(painting.path)) for painting in paintings)
    groups = []
    for style in styles:
        if total[style] < 2:
            groups.append([Item(style, f"paintings: {total[style]}, too few to split")])
        elif missing := [part for part in ("train", "val") if not counts[style, part]]:
            groups.append([Item(style, f"none in {' and '.join(missing)}")])
        elif len(styles) == 1:
            groups.append([Item(style, "the only style")])
    return _finding("unsplittable", groups)


def unmatched(everything: Iterable[Painting], readable: Iterable[Painting], parts: Parts) -> list[Finding]:
    """Rows of a given split without a file, and readable files without a row."""
    existing = {painting.path for painting in everything}
    rows = [[Item(path, part)] for path, part in parts.items() if path not in existing]
    unlisted = [[Item(painting.path)] for painting in readable if painting.path not in parts]
    severity = "spoils" if len(rows) > FOREIGN_ROWS * len(parts) else "warning"
    return [*_finding("row_without_file", rows, severity), *_finding("file_without_row", unlisted)]


def imbalance(paintings: Sequence[Painting]) -> list[Finding]:
    counts = Counter(painting.style for painting in paintings).most_common()
    if not counts or counts[0][1] < IMBALANCE * counts[-1][1]:
        return []
    extremes = [[Item(style, f"paintings: {count}")] for style, count in (counts[0], counts[-1])]
    return _finding("imbalance", extremes, ratio=counts[0][1] / counts[-1][1])


def artists_known(majority: float | None, artist_lookup: float | None) -> list[Finding]:
    """A property of a random split rather than a fault of the data: a warning with both accuracies."""
    if majority is None or artist_lookup is None or artist_lookup - majority <= ARTIST_LEAD:
        return []
    severity, message = KINDS["artists_known"]
    return [Finding("artists_known", severity, message.format(majority=majority, artist_lookup=artist_lookup), [])]


def other_files(found: Layout, paintings: Iterable[Painting]) -> list[Finding]:
    """The files and links that are no paintings."""
    used = {painting.path for painting in paintings}
    groups = {
        "broken_link": found.broken,
        "outside": [picture.path for picture in found.pictures if picture.path not in used],
        "ignored": [path for path in found.others if "/" in path],
        "hidden": found.hidden,
    }
    return [finding for kind, paths in groups.items() for finding in _finding(kind, [[Item(path)] for path in paths])]


def oddities(known: Mapping[Painting, Facts]) -> list[Finding]:
    """What is unusual about readable files."""
    groups = defaultdict(list)
    for painting, fact in known.items():
        is_tiny = min(fact.width, fact.height) < images.MIN_SIDE
        named = Image.registered_extensions().get(Path(painting.path).suffix.lower(), "")
        for kind, is_so, note in [
            ("tiny", is_tiny, f"{fact.width} x {fact.height}"),
            ("blank", not fact.print and not is_tiny, ""),
            # MPO is a JPEG with further pictures after it.
            ("misnamed", ("JPEG" if fact.format == "MPO" else fact.format) != named, fact.format),
            ("rare_format", fact.format not in ("JPEG", "MPO", "PNG"), fact.format),
            ("mode", fact.mode != "RGB", fact.mode),
            ("turned", fact.turned, ""),
            ("non_ascii", not painting.path.isascii(), f"artist: {painting.artist}"),
            ("no_artist", painting.artist is None, ""),
        ]:
            if is_so:
                groups[kind].append([Item(painting.path, note)])
    return [finding for kind in KINDS if kind in groups for finding in _finding(kind, groups[kind])]
