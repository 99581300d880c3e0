"""What is said of all answers together: withheld ones, odd pictures, agreement, scores; counted row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from brushwork.inference import labels
from brushwork.inference.labels import Judged, Truth
from brushwork.inference.output import NOT_SURE, Telling

# The groups of pictures that are scored, and how a sentence about each begins.
_SCORED = {"all": "", "answered": "without those that are withheld: ", "unseen": "of pictures not seen in training: "}


@dataclass
class Tally:
    """Counts over the rows of predictions.csv, and a few numbers of each picture of known style."""

    pictures: int = 0
    withheld: int = 0
    unlike: int = 0
    agreement: float = 0.0  # the sum
    judged: list[Judged] = field(default_factory=list)

    def add(
        self,
        numbers: Sequence[int],
        rows: Sequence[Mapping[str, str]],
        truth: Sequence[Truth | None],
        class_names: Sequence[str],
    ) -> None:
        """Counts rows of the pictures of these numbers; `truth` is of all pictures."""
        for number, row in zip(numbers, rows, strict=True):
            is_withheld = row["predicted"] == NOT_SURE and bool(row.get("most_likely"))
            self.pictures += 1
            self.withheld += is_withheld
            self.unlike += row.get("unlike_training") == "yes"
            self.agreement += float(row.get("agreement") or 0)
            if (known := truth[number]) is not None:
                best = class_names.index(row.get("most_likely") or row["predicted"])
                self.judged.append(Judged(number, known.style, best, float(row["probability"]), is_withheld))

    def scores(
        self, truth: Sequence[Truth | None], parts: Sequence[str], class_names: Sequence[str]
    ) -> dict[str, dict[str, Any] | int | None]:
        """The scores of the groups that there are; `parts` of the networks' runs that all pictures were in, or ""."""
        chosen = {
            "all": self.judged,
            "answered": [one for one in self.judged if not one.withheld] if self.withheld else [],
            "unseen": [one for one in self.judged if not parts[one.number]] if any(parts) else [],
        }
        found = {name: labels.score(judged, truth, class_names) for name, judged in chosen.items()}
        return {**found, "in_training_part": parts.count("train"), "in_validation_part": parts.count("val")}

    def sentences(self, telling: Telling, precision: float | None, scores: Mapping[str, Any]) -> list[str]:
        """What the terminal and the page say; `precision` is that of --withhold."""
        found, of_all = [], f"of {self.pictures:,}"
        if not self.pictures:
            return []
        if telling.threshold is not None:
            found.append(
                f"{self.withheld:,} {of_all} answers ({self.withheld / self.pictures:.1%}) are withheld: their "
                f"probability is below {telling.threshold:.3f}, from which on {precision:g} of the validation part's "
                f"answers were right"
            )
        if telling.familiarity is not None:
            alarms = f"as are {telling.familiarity.false_alarms:.1%} of held-out paintings"
            found.append(f"{self.unlike:,} {of_all} pictures are unlike the training pictures, {alarms}")
        if telling.networks > 1:
            agreement = self.agreement / self.pictures
            found.append(f"on average {agreement:.1%} of the {telling.networks} networks agree with the common answer")
        return found + [begin + labels.sentence(scores[name]) for name, begin in _SCORED.items() if scores.get(name)]
