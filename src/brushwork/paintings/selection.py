"""Which paintings a run uses: listed, checked and split, once."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from brushwork.errors import UserError
from brushwork.paintings import arguments, folds, known, splits
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks import duplicates, facts, findings
from brushwork.paintings.splits import Parts

if TYPE_CHECKING:
    from brushwork.paintings.datamodule import WikiArtDataModule

log = logging.getLogger(__name__)


class Selection(NamedTuple):
    """The paintings of a run and their parts.

    catalogue: without the files that can't be read. parts: of each of its paintings.
    skipped: (path, reason) of each file that was left out.
    split_hash: names the split before the training part is thinned.
    units: of each painting the number of its group, which folds within the training part don't divide: near duplicates,
        and where the split keeps artists apart all by one artist.
    """

    catalogue: Catalogue
    parts: Parts
    skipped: list[tuple[str, str]]
    split_hash: str
    units: list[int]


def select(data: "WikiArtDataModule") -> Selection:
    """Check the files that a data module found, and split its paintings.

    UserError for a bad file, data that don't allow the split, or a copy where `data.strict`.
    """
    catalogue, good, skipped = facts.read_good(
        data.unchecked_catalogue, data.max_megapixels, skip=data.on_bad_image == "skip"
    )
    pairs = duplicates.cached_pairs(good)
    together = duplicates.connected(pairs, len(good))
    name = data.split_name
    if catalogue.parts_from:
        what = "used (split=random pools them)" if name == "given" else "pooled (split=given uses them)"
        log.info("split=%s: the parts by %s are %s", name, catalogue.parts_from, what)
    arguments.check_folds(data, name)
    if data.fold is None:
        parts = splits.draw(name, catalogue, data.fractions, data.split_seed, together)
    else:
        parts = folds.draw(name, catalogue, data.fold, data.fractions.val, data.split_seed, together)
    if data.known_fraction is not None:
        parts = known.keep_back(parts, catalogue.paintings, data.known_fraction, data.split_seed, together)
    _report_copies(catalogue, parts, pairs, data.strict)
    splits.check(catalogue, parts)
    thinned = splits.thin(parts, catalogue.paintings, data.train_fraction, data.seed)
    thinned = known.of_training_artists(thinned, catalogue.paintings)
    units = _units(catalogue, parts, together)
    return Selection(catalogue, thinned, skipped, splits.split_hash(catalogue, parts), units)


def _units(catalogue: Catalogue, parts: Parts, together: Sequence[Sequence[int]]) -> list[int]:
    """See `Selection`."""
    by_artist, parts_of = defaultdict(list), defaultdict(set)
    for i, (painting, part) in enumerate(zip(catalogue.paintings, parts, strict=True)):
        if painting.artist is not None and part not in ("unused", "known"):
            by_artist[painting.artist].append(i)
            parts_of[painting.artist].add(part)
    apart = all(len(found) == 1 for found in parts_of.values())
    groups = [*together, *(by_artist.values() if apart else ())]
    unit_of = list(range(len(parts)))
    pairs = [duplicates.Pair(group[0], other, 0, False) for group in groups for other in group[1:]]
    for group in duplicates.connected(pairs, len(parts)) if pairs else ():
        for i in group:
            unit_of[i] = group[0]
    return unit_of


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
