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


# The content of each offer of a batch, or the UserError that says why there is none.
Read = Callable[[Sequence[Offer]], Iterator[tuple[Offer, bytes | UserError]]]


@dataclass(frozen=True)
class Source:
    """Offers in the order in which they are taken, and how to read their contents.

    per_style: whether one chooses how many of each style; the report's catalogue fixes that itself.
    threads: how many batches are read at a time; None goes by the number of cores.
    """

    name: str
    offers: Iterable[Offer]
    read: Read
    per_style: bool = True
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
    for lacking in substitutes:
        if asked is None or style_key(lacking) not in asked:
            raise UserError(f"--substitute {lacking}={substitutes[lacking]}: {lacking} is not asked for by --styles")
    collected = None if asked is None else {*asked, *stand_ins.values()}

    chosen: dict[str, list[Offer]] = {}
    offered, taken = Counter(), set()
    for offer in tqdm(source.offers, desc=f"choosing from {source.name}", unit=" paintings", leave=False, disable=None):
        key = style_key(offer.style)
        offered[key] += 1
        if collected is not None and key not in collected:
            continue
        members = chosen.setdefault(key, [])
        if per_style is None or len(members) < per_style:
            members.append(_with_free_path(offer, taken))
        if collected and per_style and all(len(chosen.get(key, ())) == per_style for key in collected):
            break
    wanted = set(chosen) if asked is None else _present(source.name, asked, stand_ins, offered)
    for key in sorted(wanted):
        if per_style is not None and len(chosen[key]) < per_style:
            log.warning("%s has %d of %d paintings of %s", source.name, len(chosen[key]), per_style, folder_name(key))
    if not wanted:
        raise UserError(f"{source.name} has no painting of the styles asked for: name others with --styles")
    return [offer for key in sorted(wanted) for offer in chosen[key]]


def _with_free_path(offer: Offer, taken: set[str]) -> Offer:
    path, number = PurePosixPath(offer.path), 1
    while str(path).lower() in taken:
        number += 1
        path = PurePosixPath(offer.path).with_stem(f"{PurePosixPath(offer.path).stem}-{number}")
    taken.add(str(path).lower())
    return replace(offer, path=str(path))


def _present(source: str, asked: Mapping[str, str], stand_ins: Mapping[str, str], offered: Counter[str]) -> set[str]:
    """The asked styles that the source has, and the named substitutes of those that it lacks."""
    has = ", ".join(folder_name(key) for key, _ in offered.most_common())
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
            raise UserError(f"{source} has neither {name} nor its substitute {folder_name(other)}; it has {has}")
    if lacking:
        log.warning(
            "%s has no %s; --substitute %s=STYLE takes another in its place; it has %s",
            source,
            ", no ".join(lacking),
            lacking[0],
            has,
        )
    return wanted
