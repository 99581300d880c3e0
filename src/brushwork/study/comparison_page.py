"""A comparison as one HTML page that needs nothing else: sentences, tables, figures, paintings, maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from brushwork import contact_sheet, web_page
from brushwork.contact_sheet import Cell
from brushwork.study import answers, comparison_text
from brushwork.study.answers import Answers
from brushwork.study.comparison import Comparison
from brushwork.study.comparison_text import METHOD

SIDE = 176  # pixels of a painting or a map
SHOWN = 12  # paintings of a gallery


@dataclass(frozen=True)
class _Gallery:
    """Paintings as (path, style, what each arm took it for), the first of `count`."""

    title: str
    count: int
    paintings: list[tuple[str, str, list[tuple[str, str]]]]


def page(
    compared: Comparison,
    curves: Sequence[Image.Image],
    matrices: Mapping[str, Image.Image],
    maps: Sequence[Sequence[Cell]],
    why_no_maps: str,
    left_out: Sequence[str],
) -> str:
    """The page. Paintings whose files are gone stand there with their names.

    Args:
        matrices: a confusion matrix by the arm's name.
        maps: a row of pictures a painting.
        why_no_maps: in their stead, where they can't be drawn.
        left_out: a line for each run that was found and not taken.
    """
    data = compared.arms[0].runs[0].config["data"]
    galleries = _galleries(compared)
    paths = [path for gallery in galleries for path, _, _ in gallery.paintings]
    return web_page.render(
        "study/comparison.html.jinja",
        heading=comparison_text.title(compared),
        verdicts=[comparison_text.verdict(one) for one in compared.differences],
        warnings=compared.warnings,
        method=METHOD,
        arms=comparison_text.arms_table(compared),
        differences=comparison_text.differences_table(compared),
        seeds=comparison_text.seeds_table(compared),
        splits=sorted({comparison_text.split(arm.runs[0]) for arm in compared.arms}),
        facts=_facts(compared),
        curves=[web_page.data_uri(picture, 90) for picture in curves],
        matrices={name: web_page.data_uri(picture, 90) for name, picture in matrices.items()},
        galleries=galleries,
        thumbnails=web_page.thumbnails(Path(data["root"]), paths, SIDE, data["max_megapixels"]),
        title=contact_sheet.title,
        maps=[[(cell.caption.splitlines(), web_page.data_uri(cell.picture, 80)) for cell in row] for row in maps],
        why_no_maps=why_no_maps,
        runs=[(arm.name, run) for arm in compared.arms for run in arm.runs],
        left_out=left_out,
        side=SIDE,
    )


def _facts(compared: Comparison) -> dict[str, str]:
    runs = [run for arm in compared.arms for run in arm.runs]
    facts = {"arms": str(len(compared.arms)), "runs": str(len(runs))}
    if compared.same_paintings:
        first = compared.answers[0]
        facts["validation paintings"] = f"{len(first.paths):,}"
        facts["by artists"] = f"{len(set(first.artists) - {''}):,}" if any(first.artists) else "unknown"
        facts["styles"] = str(len(set(first.styles)))
    return facts


def _galleries(compared: Comparison) -> list[_Gallery]:
    if not compared.same_paintings:
        return []
    given = {arm.name: one for arm, one in zip(compared.arms, compared.answers, strict=True)}
    reference, *others = given
    galleries = [
        _gallery(
            f"{right} is right more often than {wrong}", answers.only_second_right(given[wrong], given[right]), given
        )
        for other in others
        for right, wrong in [(other, reference), (reference, other)]
    ]
    missed = answers.always_missed(compared.answers)
    return [*galleries, _gallery("missed by every seed of every arm", missed, given)]


def _gallery(title: str, chosen: Sequence[int], given: Mapping[str, Answers]) -> _Gallery:
    any_arm = next(iter(given.values()))
    paintings = [
        (any_arm.paths[i], any_arm.styles[i], [(name, one.described(i)) for name, one in given.items()])
        for i in chosen[:SHOWN]
    ]
    return _Gallery(title, len(chosen), paintings)

