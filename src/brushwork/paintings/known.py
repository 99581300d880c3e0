"""The part `known`: paintings by artists of the training part that are kept back, to score a network on both."""

import logging
from collections import Counter
from collections.abc import Sequence

from brushwork.errors import UserError
from brushwork.paintings.catalogue import Painting, style_rng
from brushwork.paintings.splits import Parts

log = logging.getLogger(__name__)


def keep_back(
    parts: Parts, paintings: list[Painting], fraction: float, seed: int, together: Sequence[Sequence[int]] = ()
) -> Parts:
    """The parts with a share of each style's training paintings as "known", drawn by (seed, style) alone.

    Near duplicates are kept back together, and every artist keeps a training painting of each style that he had there:
    a style whose artists have one painting each gives none. UserError where none can be kept back.
    """
    found = list(parts)
    group_of = {i: group for group in together for i in group}
    training = Counter((p.artist, p.style) for p, part in zip(paintings, parts, strict=True) if part == "train")
    styles = sorted({style for _, style in training})
    for style in styles:
        members = [i for i, p in enumerate(paintings) if p.style == style and parts[i] == "train"]
        wanted = max(1, round(fraction * len(members)))
        for i in style_rng(seed, style).permutation(members).tolist():
            if sum(found[j] == "known" for j in members) >= wanted:
                break
            same = [j for j in group_of.get(i, [i]) if found[j] == "train"]
            taken = Counter((paintings[j].artist, paintings[j].style) for j in same)
            if all(key[0] is not None and training[key] > count for key, count in taken.items()):
                training.subtract(taken)
                for j in same:
                    found[j] = "known"
    if "known" not in found:
        raise UserError(
            f"split.known_fraction={fraction:g}: no artist has two paintings of one style to train on, of which one "
            f"could be kept back: leave it out, or use data that have more paintings of an artist"
        )
    kept = [painting for painting, part in zip(paintings, found, strict=True) if part == "known"]
    counts = Counter(painting.style for painting in kept)
    log.info(
        "split: %d paintings by %d artists of the training part are kept back as known, %d to %d per style",
        len(kept),
        len({painting.artist for painting in kept}),
        min(counts[style] for style in styles),
        max(counts.values()),
    )
    return found


def of_training_artists(parts: Parts, paintings: list[Painting]) -> Parts:
    """The parts with those of "known" whose artist does not train (any more) unused."""
    trained = {painting.artist for painting, part in zip(paintings, parts, strict=True) if part == "train"}
    return [
        "unused" if part == "known" and painting.artist not in trained else part
        for painting, part in zip(paintings, parts, strict=True)
    ]
