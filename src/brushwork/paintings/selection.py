"""Which paintings a run uses: listed, checked and split, once."""

import logging
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
    """

    catalogue: Catalogue
    parts: Parts
    skipped: list[tuple[str, str]]
    split_hash: str


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
    return Selection(catalogue, thinned, skipped, splits.split_hash(catalogue, parts))


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
