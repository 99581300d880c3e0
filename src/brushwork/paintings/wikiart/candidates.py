"""The paintings that a source has, and which of them are chosen."""

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from tqdm import tqdm

from brushwork.errors import UserError
from brushwork.paintings.styles import folder_name, style_key

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A painting of a source.

    path: where it will be stored, Style/artist_title.jpg. source: its unique origin, as in catalogue.csv.
    date, genre: as the source says them; the date else by the year in a file's name.
    expected: width, height and SHA-256 of the stored file, where somebody's catalogue says them.
    place: where `Source.read` finds it. batch: candidates of one batch are read together.
    """

    path: str
    artist: str
    title: str
    source: str
    place: object
    batch: object
    part: str = ""
    date: str = ""
    genre: str = ""
    expected: tuple[int, int, str] | None = None

    @property
    def style(self) -> str:
        return self.path.partition("/")[0]


def listed_as(candidate: Candidate, row: Mapping[str, str]) -> Candidate:
    """The candidate under the name, labels and part of a row of catalogue.csv."""
    labels = {key: row.get(key) or "" for key in ("path", "artist", "title", "part", "date", "genre")}
    return replace(candidate, **labels, expected=(int(row["width"]), int(row["height"]), row["sha256"]))


class Unavailable(UserError):
    """The source does not respond or refuses access: other paintings would probably fail too."""


# The content of each candidate of a batch, or the reason why there is none.
Read = Callable[[Sequence[Candidate]], Iterator[tuple[Candidate, bytes | UserError]]]


@dataclass(frozen=True)
class Source:
    """Candidates in the order in which they are chosen, and how to read them.

    styles: the names of all its styles, if known in advance.
    threads: how many batches are read in parallel; None: by the number of cores.
    """

    name: str
    candidates: Iterable[Candidate]
    read: Read
    styles: Sequence[str] | None = None
    threads: int | None = None


def choose(
    source: Source, styles: Sequence[str] | None, per_style: int | None, substitutes: Mapping[str, str]
) -> list[Candidate]:
    """The first `per_style` candidates of each style; no further ones are listed. Missing styles are logged.

    Chosen paths that differ in case only are renamed, for file systems that ignore case. UserError if a substitute is
    for a style that is not requested, or there are no paintings of the styles.

    Args:
        styles: in any spelling; None: all. per_style: None: all.
        substitutes: {a style that may be missing: the one to use instead}.
    """
    requested = None if styles is None else {style_key(style): folder_name(style) for style in styles}
    for missing, other in substitutes.items():
        if requested is None or style_key(missing) not in requested:
            raise UserError(f"--substitute {missing}={other}: {missing} is not among --styles; add it there")
        if style_key(other) in requested:
            raise UserError(f"--substitute {missing}={other}: {other} is among --styles already; name another")
    substitute_of = {style_key(missing): style_key(other) for missing, other in substitutes.items()}
    eligible = None if requested is None else {*requested, *substitute_of.values()}
    if eligible and source.styles is not None:
        eligible &= {style_key(style) for style in source.styles}

    chosen: list[Candidate] = []
    seen, counts, paths = Counter(), Counter(), set()
    bar = tqdm(source.candidates, f"choosing from {source.name}", unit=" paintings", leave=False, disable=None)
    for candidate in bar:
        key = style_key(candidate.style)
        seen[key] += 1
        if (eligible is None or key in eligible) and (per_style is None or counts[key] < per_style):
            chosen.append(_with_unique_path(candidate, paths))
            counts[key] += 1
        if eligible and per_style and all(counts[key] == per_style for key in eligible):
            break
    has = source.styles or [folder_name(key) for key, _ in seen.most_common()]
    used = set(counts) if requested is None else _available(source.name, has, requested, substitute_of, seen)
    if not used:
        raise UserError(f"{source.name} has no painting of the requested styles: name others with --styles")
    for key in sorted(used):
        if per_style is not None and counts[key] < per_style:
            log.warning("%s has %d of %d paintings of %s", source.name, counts[key], per_style, folder_name(key))
    return [candidate for candidate in chosen if style_key(candidate.style) in used]


def _with_unique_path(candidate: Candidate, paths: set[str]) -> Candidate:
    path = first = PurePosixPath(candidate.path)
    numbers = itertools.count(2)
    while str(path).lower() in paths:
        path = first.with_stem(f"{first.stem}-{next(numbers)}")
    paths.add(str(path).lower())
    return replace(candidate, path=str(path))


def _available(
    source: str, has: Sequence[str], requested: Mapping[str, str], substitute_of: Mapping[str, str], seen: Counter[str]
) -> set[str]:
    """The requested styles that the source has, and the substitutes of those that it has not."""
    used, missing, styles = set(), [], ", ".join(has)
    for key, name in requested.items():
        other = substitute_of.get(key)
        if seen[key]:
            used.add(key)
        elif other is None:
            missing.append(name)
        elif seen[other]:
            log.warning("%s has no %s: %s is used instead, under its own name", source, name, folder_name(other))
            used.add(other)
        else:
            raise UserError(f"{source} has neither {name} nor its substitute {folder_name(other)}; it has {styles}")
    if missing:
        names = ", no ".join(missing)
        log.warning("%s has no %s; --substitute %s=STYLE uses another; it has %s", source, names, missing[0], styles)
    return used
