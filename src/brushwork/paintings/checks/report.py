"""The report on a folder of paintings: findings and statistics, as plain data and as a page."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brushwork import web_page
from brushwork.paintings import baselines, catalogue, layout, splits
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks import duplicates, facts, findings
from brushwork.paintings.checks.facts import Facts
from brushwork.paintings.checks.findings import Finding, Item
from brushwork.paintings.described import Painting, given_parts
from brushwork.paintings.layout import PARTS, part_named
from brushwork.paintings.splits import Fractions

VAL_FRACTION, SEED = 0.2, 0  # training's default split
PERCENTS = (0, 5, 50, 95, 100)
SIDE = 144  # pixels of a thumbnail
# Files shown per finding by severity, the gravest first, so that a browser can open the page; the JSON has all.
SHOWN = {"spoils": 2000, "warning": 2000, "info": 48}


@dataclass(frozen=True)
class Report:
    """Findings on a folder of paintings, and statistics of its readable files.

    parts: the number of paintings in each.
    styles: a row a style: paintings, each part's count, artists, the largest artist's share, median sizes.
    artists: how many there are, how many in both train and val, the share of val by artists of train.
    baselines: accuracies in [0, 1] without looking at a pixel; None if unknown.
    sizes: the quantiles (PERCENTS) of width, height, megapixels, aspect (width / height) and bytes.
    """

    root: str
    split: str
    findings: list[Finding]
    parts: dict[str, int]
    styles: list[dict[str, Any]]
    artists: dict[str, Any]
    baselines: dict[str, float | None]
    sizes: dict[str, dict[str, float]]

    @property
    def spoilt(self) -> bool:
        """Whether a finding would make results wrong."""
        return any(finding.severity == "spoils" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {"spoilt": self.spoilt} | asdict(self)


def check(
    root: Path,
    split_csv: Path | None = None,
    max_megapixels: float = 89,
    table: Path | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> Report:
    """Read every painting under `root` and report the findings, the gravest first; UserError if there are none.

    `split_csv` is a table of files and parts, such as a run's split.csv; None: training's default split. For `table`
    and `columns` see `catalogue.scan`.
    """
    found = layout.read(root)
    whole = catalogue.listed(found, table=table, columns=columns, allow_empty=True)
    styles, paintings = whole.class_names, whole.paintings
    given = None if split_csv is None else _given(paintings, split_csv, columns)
    everything = dict(zip(paintings, facts.read(root, paintings, max_megapixels), strict=True))
    known = {painting: fact for painting, fact in everything.items() if not fact.reason}
    readable = list(known)
    pairs = duplicates.cached_pairs(list(known.values()))
    together = duplicates.connected(pairs, len(known))
    kept = replace(whole, paintings=readable)
    if given is None:
        parts = _drawn("given" if whole.is_split else "random", kept, range(len(readable)), together)
    elif "val" in given.values():
        parts = given
    else:  # as training does
        train = [i for i, painting in enumerate(readable) if given.get(painting.path) == "train"]
        parts = given | _drawn("random", kept, train, together)
    train, val = ([painting for painting in known if parts.get(painting.path) == part] for part in ("train", "val"))
    majority, artist_lookup = baselines.majority(train, val), baselines.artist_lookup(train, val)
    same = duplicates.same_bytes(root, known)
    problems = [
        *findings.unreadable(root, everything),
        *findings.same_copies(same, parts),
        *findings.near_copies(readable, pairs, same, parts),
        *findings.aliases(styles),
        *findings.unsplittable(styles, readable, parts),
        *([] if given is None else findings.unmatched(everything, known, parts)),
        *findings.imbalance(readable),
        *findings.artists_known(majority, artist_lookup),
        *findings.other_files(found, paintings),
        *findings.oddities(known),
    ]
    default = f"random, seed {SEED}, {VAL_FRACTION:.0%} for validation: training's default"
    if whole.is_split:
        default = f"given by {whole.parts_from}: training's default"
    return Report(
        root=str(root.resolve()),
        split=default if split_csv is None else str(split_csv),
        findings=sorted(problems, key=lambda finding: list(SHOWN).index(finding.severity)),
        parts={part: sum(parts.get(painting.path) == part for painting in known) for part in PARTS},
        styles=[_style_row(style, known, parts) for style in styles],
        artists=_artists(train, val),
        baselines={"majority": majority, "artist_lookup": artist_lookup},
        sizes=_sizes(known),
    )


def _given(paintings: list[Painting], path: Path, columns: Mapping[str, str | None] | None) -> dict[str, str]:
    """The part of each path in a table, also of paths without a file."""
    row_of, missing = given_parts([painting.path for painting in paintings], path, columns)
    named = [*row_of.items(), *((row.file, row) for row in missing)]
    return {name: part for name, row in named if (part := part_named(row.part or ""))}


def _drawn(name: str, kept: Catalogue, chosen: Sequence[int], together: Sequence[Sequence[int]]) -> dict[str, str]:
    """Training's split of some paintings, without the styles that are too small, which it would refuse."""
    counts = Counter(kept.paintings[i].style for i in chosen)
    large = [i for i in chosen if counts[kept.paintings[i].style] > 1]
    parts = splits.draw_among(large, name, kept, Fractions(VAL_FRACTION), SEED, together)
    return {kept.paintings[i].path: part for i, part in parts.items()}


def _artists(train: Sequence[Painting], val: Sequence[Painting]) -> dict[str, Any]:
    in_train, in_val = ({painting.artist for painting in part if painting.artist} for part in (train, val))
    share = sum(painting.artist in in_train for painting in val) / len(val) if val else None
    counts = {"artists": len(in_train | in_val), "in_train_and_val": len(in_train & in_val)}
    return counts | {"share_of_val_by_artists_of_train": share}


def _style_row(style: str, known: dict[Painting, Facts], parts: dict[str, str]) -> dict[str, Any]:
    known = {painting: fact for painting, fact in known.items() if painting.style == style}
    counts = Counter(parts.get(painting.path) for painting in known)
    artists = Counter(painting.artist for painting in known if painting.artist)
    return {
        "style": style,
        "paintings": len(known),
        **{part: counts[part] for part in PARTS},
        "artists": len(artists),
        "largest_artist_share": max(artists.values()) / len(known) if artists else None,
        "median": {name: quantiles["50"] for name, quantiles in _sizes(known).items()},
    }


def _sizes(known: dict[Painting, Facts]) -> dict[str, dict[str, float]]:
    if not known:
        return {}
    width, height, size = np.array([(fact.width, fact.height, p.bytes) for p, fact in known.items()], float).T
    names = ("width", "height", "megapixels", "aspect", "bytes")
    table = np.percentile([width, height, width * height / 1e6, width / height, size], PERCENTS, axis=1).T
    return {
        name: {str(percent): round(value, 4) for percent, value in zip(PERCENTS, row, strict=True)}
        for name, row in zip(names, table.tolist(), strict=True)
    }


def page(report: Report, max_megapixels: float = 89) -> str:
    """A report as a self-contained HTML page, with thumbnails of each finding; undecodable files are shown by name."""
    groups = {finding.kind: _first(finding.groups, SHOWN[finding.severity]) for finding in report.findings}
    paths = [item.path for shown in groups.values() for group in shown for item in group]
    thumbnails = web_page.thumbnails(Path(report.root), paths, SIDE, max_megapixels)
    values = {"groups": groups, "thumbnails": thumbnails, "parts": PARTS, "percents": PERCENTS, "side": SIDE}
    return web_page.render("paintings/checks/page.html.jinja", report=report, **values)


def _first(groups: list[list[Item]], count: int) -> list[list[Item]]:
    """The first groups, of at most `count` items in all, but at least one group."""
    totals = itertools.accumulate(map(len, groups))
    return [group for group, total in zip(groups, totals, strict=True) if total <= count] or groups[:1]
