"""What a source of paintings offers, in an order drawn by seed, and which of it is taken."""

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
class Offer:
    """A painting that a source has.

    path: where it will be stored, Style/artist_title.jpg.
    source: where it comes from, as catalogue.csv tells it; no other offer has the same.
    place: where `Source.read` finds it.
    batch: offers of one batch are read together.
    """

    path: str
    artist: str
    title: str
    source: str
    place: object
    batch: object
    part: str = ""

    @property
    def style(self) -> str:
        return self.path.partition("/")[0]


class Unavailable(UserError):
    """The source does not answer or turns us away: its other paintings would fare no better just now."""


# The content of each offer of a batch, or the UserError that says why there is none.
Read = Callable[[Sequence[Offer]], Iterator[tuple[Offer, bytes | UserError]]]


@dataclass(frozen=True)
class Source:
    """Offers in the order in which they are taken, and how to read their contents.

    per_style: whether one chooses how many of each style; the report's catalogue fixes that itself.
    styles: the names of all styles that it has, where that is known before one has seen its offers.
    threads: how many batches are read at a time; None goes by the number of cores.
    """

    name: str
    offers: Iterable[Offer]
    read: Read
    per_style: bool = True
    styles: Sequence[str] | None = None
    threads: int | None = None


def choose(
    source: Source, styles: Sequence[str] | None, per_style: int | None, substitutes: Mapping[str, str]
) -> list[Offer]:
    """The first `per_style` offers of each style; no more offers are looked at than that takes.

    What a source lacks is logged. No two chosen paths differ in their case alone: some file systems could not
    hold both.

    Args:
        styles: in any spelling; None takes all.
        per_style: None takes all.
        substitutes: for a style that may be lacking, the one to take in its place.

    Raises:
        UserError: a substitute is for a style that is not asked for, or nothing is left.
    """
    asked = None if styles is None else {style_key(style): folder_name(style) for style in styles}
    stand_ins = {style_key(lacking): style_key(other) for lacking, other in substitutes.items()}
    for lacking, other in substitutes.items():
        if asked is None or style_key(lacking) not in asked:
            raise UserError(f"--substitute {lacking}={other}: {lacking} is not among --styles; add it there")
        if style_key(other) in asked:
            raise UserError(f"--substitute {lacking}={other}: {other} is among --styles already; name another")
    collected = None if asked is None else {*asked, *stand_ins.values()}
    if collected and source.styles is not None:
        collected &= {style_key(style) for style in source.styles}

    chosen: list[Offer] = []
    offered, members, taken = Counter(), Counter(), set()
    for offer in tqdm(source.offers, desc=f"choosing from {source.name}", unit=" paintings", leave=False, disable=None):
        key = style_key(offer.style)
        offered[key] += 1
        if (collected is None or key in collected) and (per_style is None or members[key] < per_style):
            chosen.append(_with_free_path(offer, taken))
            members[key] += 1
        if collected and per_style and all(members[key] == per_style for key in collected):
            break
    has = source.styles or [folder_name(key) for key, _ in offered.most_common()]
    wanted = set(members) if asked is None else _present(source.name, has, asked, stand_ins, offered)
    for key in sorted(wanted):
        if per_style is not None and members[key] < per_style:
            log.warning("%s has %d of %d paintings of %s", source.name, members[key], per_style, folder_name(key))
    if not wanted:
        raise UserError(f"{source.name} has no painting of the styles asked for: name others with --styles")
    return [offer for offer in chosen if style_key(offer.style) in wanted]


def _with_free_path(offer: Offer, taken: set[str]) -> Offer:
    path, number = PurePosixPath(offer.path), 1
    while str(path).lower() in taken:
        number += 1
        path = PurePosixPath(offer.path).with_stem(f"{PurePosixPath(offer.path).stem}-{number}")
    taken.add(str(path).lower())
    return replace(offer, path=str(path))


def _present(
    source: str, has: Sequence[str], asked: Mapping[str, str], stand_ins: Mapping[str, str], offered: Counter[str]
) -> set[str]:
    """The asked styles that the source has, and the named substitutes of those that it lacks."""
    wanted, lacking = set(), []
    for key, name in asked.items():
        other = stand_ins.get(key)
        if offered[key]:
            wanted.add(key)
        elif other is None:
            lacking.append(name)
        elif offered[other]:
            log.warning("%s has no %s: %s takes its place, under its own name", source, name, folder_name(other))
            wanted.add(other)
        else:
            raise UserError(
                f"{source} has neither {name} nor its substitute {folder_name(other)}; it has {', '.join(has)}"
            )
    if lacking:
        log.warning(
            "%s has no %s; --substitute %s=STYLE takes another in its place; it has %s",
            source,
            ", no ".join(lacking),
            lacking[0],
            ", ".join(has),
        )
    return wanted
