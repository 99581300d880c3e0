"""Accuracies without looking at a pixel, to be shown beside every network's."""

from collections import Counter, defaultdict

from brushwork.paintings.catalogue import Painting


def majority(train: list[Painting], val: list[Painting]) -> float | None:
    """Accuracy in [0, 1] of always predicting the most common style of `train`; None without `val`.

    >>> a, b = (Painting(f"{style}/x_y.jpg", style, 1) for style in "AB")
    >>> majority([a, a, b], [a, b])
    0.5
    """
    if not val:
        return None
    prediction = _most_common(Counter(painting.style for painting in train))
    return sum(painting.style == prediction for painting in val) / len(val)


def artist_lookup(train: list[Painting], val: list[Painting]) -> float | None:
    """Accuracy in [0, 1] of predicting the artist's most common style in `train`, or the majority for other artists.

    None if no file name has an artist. If it is far above the majority, the split lets a network score by recognising
    artists.
    """
    if not val or not any(painting.artist for painting in val):
        return None
    styles = defaultdict(Counter)
    for painting in train:
        if painting.artist:
            styles[painting.artist][painting.style] += 1
    predictions = {artist: _most_common(counts) for artist, counts in styles.items()}
    default = _most_common(Counter(painting.style for painting in train))
    return sum(predictions.get(painting.artist, default) == painting.style for painting in val) / len(val)


def interval_95(accuracy: float, paintings: int) -> list[float]:
    """The 95% interval [low, high] of an accuracy on so many paintings (Wilson 1927)."""
    from scipy.stats import binomtest  # a second to import: not before it is needed

    interval = binomtest(round(accuracy * paintings), paintings).proportion_ci(method="wilson")
    return [float(interval.low), float(interval.high)]


def _most_common(counts: Counter) -> str:
    """The most common key; of equals the first by name."""
    return min(counts, key=lambda style: (-counts[style], style))
