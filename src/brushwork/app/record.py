"""How often a network was right on the paintings that were kept apart from its training, in sentences."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from brushwork import csv_files, run_folder
from brushwork.paintings import baselines

PARTS = {"test": "test part", "val": "validation part"}


class HeldOut(NamedTuple):
    """A painting that was kept apart, and what the network called it."""

    path: str
    artist: str
    style: str
    predicted: str


class OfStyle(NamedTuple):
    """How the network does for one style."""

    style: str
    paintings: int
    called: int  # how many paintings of any style were given this one
    correct: int


@dataclass(frozen=True)
class Record:
    """A network's answers for paintings that it was not trained on.

    part: "val", or "test" where there is one, on which nothing was chosen. validated: those of the validation part.
    artists: of the training part. majority: the share that the commonest style of the training part would get right.
    calibration_error: by how much calibrated probabilities were off on average (expected calibration error), measured
    where they were not fitted.
    """

    part: str
    held_out: Sequence[HeldOut]
    validated: Sequence[HeldOut]
    artists: frozenset[str]
    majority: float | None = None
    calibration_error: float | None = None

    @property
    def correct(self) -> int:
        return sum(painting.predicted == painting.style for painting in self.held_out)

    def by_style(self) -> list[OfStyle]:
        """Each style's counts, by name."""
        paintings = Counter(painting.style for painting in self.held_out)
        called = Counter(painting.predicted for painting in self.held_out)
        correct = Counter(painting.style for painting in self.held_out if painting.predicted == painting.style)
        return [OfStyle(name, paintings[name], called[name], correct[name]) for name in sorted(paintings | called)]

    def of_style(self, style: str, shown: str) -> str:
        """How the network does for a style, whose name is `shown`."""
        where = f"of the {PARTS[self.part]}, which it was not trained on,"
        found = next((one for one in self.by_style() if one.style == style), OfStyle(style, 0, 0, 0))
        if not found.paintings:
            recall = f"No painting {where} is {shown}: how well it knows this style was not measured."
        else:
            counts = f"{found.correct} ({percent(found.correct / found.paintings)})"
            recall = f"Of {_count(found.paintings, shown)} {where} it recognises {counts}."
        if not found.called:
            return f"{recall} It called none of them {shown}."
        share = percent(found.correct / found.called)
        return f"{recall} Of {found.called} that it calls {shown}, {found.correct} {_are(found.correct)} ({share})."

    def overall(self) -> str:
        """How often the right style is named, with the interval and what guessing would reach."""
        total, share = len(self.held_out), self.correct / len(self.held_out)
        low, high = (percent(bound) for bound in baselines.interval_95(share, total))
        said = (
            f"It named the right style for {self.correct} of {total} paintings of the {PARTS[self.part]} "
            f"({percent(share)}; 95 % interval {low} to {high})."
        )
        if self.majority is not None:
            said += f" Always naming the commonest style would be right for {percent(self.majority)}."
        return said

    def of_painters(self) -> str:
        """Whether the paintings are by painters whom the network knows, which an accuracy depends on."""
        known = [painting.artist for painting in self.held_out if painting.artist]
        shared = sum(artist in self.artists for artist in known)
        if not known or not self.artists:
            return "Their painters are not known, so it can't be said whether it knows styles or painters."
        if not shared:
            named = "" if len(known) == len(self.held_out) else f" of the {len(known)} whose painter is known"
            return (
                f"None{named or ' of these paintings'} is by a painter on whom it was trained: these figures hold for "
                f"painters that it has never seen."
            )
        return (
            f"{shared} of these paintings are by painters on whom it was also trained: it may know painters rather "
            f"than styles. Expect fewer right answers for other painters."
        )


def of_run(folder: Path, epoch: str) -> Record | None:
    """The record of a run's network at its `epoch`, "best" or "last"; None where its tables are gone."""
    try:
        rows = [row for row in csv_files.read(folder / run_folder.PREDICTIONS) if row["epoch"] == epoch]
        found = {part: [_held_out(row) for row in rows if row["part"] == part] for part in PARTS}
        split = csv_files.read(folder / run_folder.SPLIT)
        artists = frozenset(row["artist"] for row in split if row["part"] == "train" and row["artist"])
        result = run_folder.read_result(folder) or {}
    except (OSError, EOFError, KeyError, ValueError, csv.Error):
        return None
    part = next((part for part in PARTS if found[part]), None)
    if part is None:
        return None
    scored = (result.get("test") if part == "test" else result) or {}
    majority = (scored.get("baselines") or {}).get("majority")
    calibrated = (result.get("calibration") or {}).get(epoch) or {}
    return Record(part, found[part], found["val"], artists, majority, calibrated.get("ece_after"))


def percent(share: float) -> str:
    """
    >>> percent(0.5375)
    '54 %'
    """
    return f"{100 * share:.0f} %"


def _held_out(row: dict[str, str]) -> HeldOut:
    return HeldOut(row["path"], row["artist"] or "", row["style"], row["predicted"])


def _count(number: int, style: str) -> str:
    return f"{number} {style} {'painting' if number == 1 else 'paintings'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
