"""Is the difference between arms of finished runs significant? All figures of a comparison as an object."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from brushwork import contact_sheet, csv_files, drawing, files, statistics, tables, web_page
from brushwork.contact_sheet import Cell
from brushwork.statistics import Interval, Spread
from brushwork.study import arms, comparison_tables, difference, figures, folds, predictions, runs
from brushwork.study.arms import Arm
from brushwork.study.difference import Difference
from brushwork.study.predictions import Predictions
from brushwork.terminal import wrapped

SIDE = 176  # pixels of a painting or a map on the page
SHOWN = 12  # paintings of a gallery


@dataclass(frozen=True)
class Comparison:
    """All figures of a comparison; the first arm is the reference. A notebook shows it as sentences and tables.

    spreads: {label of a quantity: for each arm, None where a run lacks it}.
    over_paintings: for each arm, the interval of the last epoch's accuracy for other paintings, by artist.
    over_known: the same of paintings by artists of the training part, where some were kept back.
    predictions: for each arm; None where its runs were scored on different paintings.
    from_probes: of the arms that have them, the differences from the probes of their initial weights.
    same_paintings: whether all arms were scored on the same. left_out: a line for each run that is not compared.
    """

    arms: list[Arm]
    spreads: dict[str, list[Spread | None]]
    over_paintings: list[Interval | None]
    over_known: list[Interval | None]
    differences: list[Difference]
    warnings: list[str]
    predictions: list[Predictions | None] = field(repr=False)
    same_paintings: bool
    left_out: list[str]
    from_probes: list[Difference] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What is compared: "replace_two against replace_last"."""
        reference, *others = [arm.name for arm in self.arms]
        if not others:
            return reference
        return f"{others[0] if len(others) == 1 else f'{len(others)} arms'} against {reference}"

    @property
    def quantity(self) -> comparison_tables.Quantity:
        """The accuracy that is compared: in validation, or of pooled folds in test."""
        return comparison_tables.TEST_LAST if self.arms[0].runs[0].folds else comparison_tables.LAST

    @property
    def pooled(self) -> list[str]:
        """What was pooled, in sentences, where runs are folds: one for all arms, where they have the same split."""
        return [*filter(None, dict.fromkeys(folds.described(arm.runs[0]) for arm in self.arms))]

    @property
    def verdicts(self) -> list[str]:
        """What each difference shows, and whether arms beat the probe of their initial weights."""
        return [one.verdict for one in (*self.differences, *self.from_probes)]

    @property
    def tables(self) -> dict[str, tables.Table]:
        """As text: the arms, and where there are several their differences over seeds, and these seed by seed."""
        found = {"arms": comparison_tables.of_arms(self)}
        if self.differences:
            found |= {
                "differences": comparison_tables.of_differences(self),
                "seeds": comparison_tables.of_seeds(self),
            }
        return found

    def __str__(self) -> str:
        blocks = ["\n".join(tables.plain(table)) + "\n" for table in self.tables.values()]
        sentences = [*self.pooled, *(f"warning: {warning}" for warning in self.warnings), *self.verdicts]
        return "\n".join([*blocks, *(f"left out: {line}" for line in self.left_out), *map(wrapped, sentences)])

    def _repr_html_(self) -> str:
        return web_page.render("study/comparison_summary.html.jinja", compared=self)

    def galleries(self) -> dict[str, list[int]]:
        """The paintings on which arms disagree, and those for which all are wrong, by a title."""
        if not self.same_paintings:
            return {}
        reference, *others = self.arms
        found = {}
        for other in others:
            for better, worse in ((other, reference), (reference, other)):
                paintings = predictions.more_often_correct(worse.predictions, better.predictions)
                found[f"{better.name} is correct more often than {worse.name}"] = paintings
        return found | {"wrong for every seed of every arm": predictions.always_wrong(self.predictions)}

    def figures(self) -> dict[str, Image.Image]:
        """The report's figures 5 to 7, the arms' confusion matrices and reliability, by the names of their files."""
        drawn = {name: figures.curves(self.arms, columns) for name, columns in figures.CURVES.items()}
        for arm in self.arms:
            slug = re.sub(r"[^\w.=-]+", "_", arm.name)
            if arm.predictions is not None:
                drawn[f"confusion-{slug}"] = figures.confusion_matrix(arm)
            if (calibration := figures.calibration(arm)) is not None:
                drawn[f"calibration-{slug}"] = calibration
        return {name: drawing.as_picture(figure) for name, figure in drawn.items()}

    def write(
        self, folder: Path | str, maps: Sequence[Sequence[Cell]] = (), why_no_maps: str = "none were given"
    ) -> list[Path]:
        """Write comparison.html, comparison.md, comparison.csv and the figures as PNG; returns their paths. The page
        shows saliency maps (a row a painting), or states why there are none."""
        folder, pictures = Path(folder), self.figures()
        galleries, data = self.galleries(), self.arms[0].runs[0].config["data"]
        paths = [self.predictions[0].paths[i] for chosen in galleries.values() for i in chosen[:SHOWN]]
        page = web_page.render(
            "study/comparison.html.jinja",
            compared=self,
            pictures=pictures,
            galleries=galleries,
            thumbnails=web_page.thumbnails(Path(data["root"]), paths, SIDE, data["max_megapixels"]),
            maps=maps,
            why_no_maps="" if maps else why_no_maps,
            **{"data_uri": web_page.data_uri, "painting_title": contact_sheet.title, "side": SIDE, "shown": SHOWN},
        )
        if maps:
            pictures["saliency"] = contact_sheet.sheet(maps, side=SIDE)
        folder.mkdir(parents=True, exist_ok=True)
        for stale in [
            *folder.glob("confusion-*.png"),
            *folder.glob("calibration-*.png"),
            folder / "saliency.png",
        ]:  # perhaps of other arms
            stale.unlink(missing_ok=True)
        for name, picture in pictures.items():
            with files.atomic_path(folder / f"{name}.png") as temporary:
                picture.save(temporary, "PNG")
        columns, rows = comparison_tables.COLUMNS, comparison_tables.csv_rows(self)
        csv_files.write(folder / "comparison.csv", columns, rows)
        document = web_page.render("study/comparison.md.jinja", compared=self, markdown=tables.markdown, names=pictures)
        files.write_text(folder / "comparison.md", document + "\n")
        files.write_text(folder / "comparison.html", page)
        written = ["comparison.html", "comparison.md", "comparison.csv", *(f"{name}.png" for name in pictures)]
        return [folder / name for name in written]


def compare(folders: Path | str | Iterable[Path | str], *, reference: str | None = None) -> Comparison:
    """Compare the finished runs in and below some folders; runs that differ in their seed or fold only form an arm, and
    the test parts of folds are pooled.

    `reference` names the arm that the others are compared with; by default it is the first by name. Raises UserError
    where there are no runs, or no two arms; or they can't be compared.
    """
    places = [folders] if isinstance(folders, Path | str) else folders
    found, left_out = runs.find_all(map(Path, places))
    return of_arms(arms.with_reference(arms.group(folds.pooled(found)), reference), left_out)


def of_arms(compared: Sequence[Arm], left_out: Sequence[str] = ()) -> Comparison:
    """Compare each arm with the first. Raises UserError where a run was not validated, or no seed is in common."""
    runs.require_accuracy(run for arm in compared for run in arm.runs)
    bar = tqdm(compared, desc="reading predictions", unit=" arms", leave=False, disable=None)
    read = [arm.predictions for arm in bar]
    probes = [difference.from_probe(arm, len(compared)) for arm in compared]
    same, (reference, *others) = arms.on_same_paintings(compared), compared
    spreads = {one.label: [one.spread(arm) for arm in compared] for one in comparison_tables.QUANTITIES}
    return Comparison(
        arms=list(compared),
        spreads={label: spread for label, spread in spreads.items() if any(spread)},
        over_paintings=[one and _over_artists(one) for one in read],
        over_known=[arm.known and _over_artists(arm.known) for arm in compared],
        differences=difference.corrected([difference.between(reference, other, len(others), same) for other in others]),
        warnings=arms.warnings(compared),
        predictions=read,
        same_paintings=same,
        left_out=list(left_out),
        from_probes=difference.corrected([one for one in probes if one]),
    )


def _over_artists(found: Predictions) -> Interval | None:
    return statistics.cluster_interval(found.correct.mean(0), found.artists.tolist())
