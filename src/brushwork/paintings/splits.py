"""Which painting is for training and which for validation, written down and hashed."""

import logging
from collections import Counter

from brushwork import files
from brushwork.errors import UserError
from brushwork.paintings.catalogue import Catalogue, Painting, style_rng

log = logging.getLogger(__name__)

Parts = list[str]  # for each painting of a catalogue "train" or "val", in its order


def random(paintings: list[Painting], val_fraction: float, seed: int) -> Parts:
    """A stratified random split: of each style, `val_fraction` of the paintings validate.

    Each style is drawn by (seed, style) alone: workers, other styles and the run's seed don't matter.

    Raises:
        UserError: a style has fewer than two paintings.
    """
    parts = ["train"] * len(paintings)
    for style, count in sorted(Counter(painting.style for painting in paintings).items()):
        if count < 2:
            raise UserError(
                f"style {style} has {count} painting, too few to split into train and val: "
                f"add paintings, or leave it out with data.styles"
            )
        members = [i for i, painting in enumerate(paintings) if painting.style == style]
        held_out = min(max(round(count * val_fraction), 1), count - 1)
        for i in style_rng(seed, style).permutation(members)[:held_out]:
            parts[i] = "val"
    return parts


SPLITS = {"random": random}


def check(catalogue: Catalogue, parts: Parts) -> None:
    """Refuse a split in which a class can't be learned; warn where one can't be scored.

    Raises:
        UserError: a class has validation paintings and none to train on, or no painting at all.
    """
    counts = Counter((painting.style, part) for painting, part in zip(catalogue.paintings, parts, strict=True))
    for style in catalogue.class_names:
        if not counts[style, "train"]:
            raise UserError(
                f"style {style} has no painting to train on ({counts[style, 'val']} to validate): "
                f"change the split, or leave it out with data.styles"
            )
        if not counts[style, "val"]:
            log.warning("style %s has no painting in val: its recall is n/a", style)


def split_hash(catalogue: Catalogue, parts: Parts) -> str:
    """Names the split: which relative path is in which part."""
    return files.short_hash([[p.path, part] for p, part in zip(catalogue.paintings, parts, strict=True)])
