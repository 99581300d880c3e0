"""Which paintings a run uses: listed, checked and split, once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from brushwork.errors import UserError
from brushwork.paintings import splits
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks import duplicates, facts, findings
from brushwork.paintings.splits import Fractions, Parts

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """The paintings of a run and their parts.

    catalogue: without the files that can't be read. parts: of each of its paintings.
    skipped: (path, reason) of each file that was left out.
    split_hash: names the split before the training part is thinned.
    """

    catalogue: Catalogue
    parts: Parts
    skipped: list[tuple[str, str]]
    split_hash: str


def select(
    found: Catalogue,
    split: str,
    fractions: Fractions,
    split_seed: int,
    *,
    max_megapixels: float,
    skip: bool,
    strict: bool,
    train_fraction: float,
    seed: int,
) -> Selection:
    """Check the files of a catalogue and split its paintings.

    Args:
        skip: leave bad files out instead of refusing them.
        strict: refuse one picture under two styles or in two parts, instead of a warning.
        train_fraction: share of each style's training paintings that is used, drawn by `seed`.

    Raises:
        UserError: a bad file, data that don't allow the split, or a copy where `strict`.
    """
    catalogue, known, skipped = facts.read_good(found, max_megapixels, skip=skip)
    pairs = duplicates.remembered_pairs(known)
    parts = splits.draw(split, catalogue, fractions, split_seed, duplicates.connected(pairs, len(known)))
    _report_copies(catalogue, parts, pairs, strict)
    splits.check(catalogue, parts)
    split_hash = splits.split_hash(catalogue, parts)
    return Selection(catalogue, splits.thin(parts, catalogue.paintings, train_fraction, seed), skipped, split_hash)


def _report_copies(catalogue: Catalogue, parts: Parts, pairs: Sequence[duplicates.Pair], strict: bool) -> None:
    """Warn of pictures that are under two styles or in two parts; refuse them when `strict`."""
    part_of = {p.path: part for p, part in zip(catalogue.paintings, parts, strict=True) if part != "unused"}
    same = duplicates.same_bytes(catalogue.root, catalogue.paintings)
    near = findings.near_copies(catalogue.paintings, pairs, same, part_of)
    for finding in (*findings.same_copies(same, part_of), *near):
        if finding.severity == "spoils":
            first = ", ".join(item.path for item in finding.groups[0])
            line = f"{finding.message} (groups: {len(finding.groups)}, the first: {first})"
            if strict:
                raise UserError(f"{line}; data.strict=false trains all the same, scripts/check_data.py shows them")
            log.warning("%s", line)
