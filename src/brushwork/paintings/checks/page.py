"""The report of a folder of paintings as one self-contained HTML page, with thumbnails of each finding."""

import itertools
from pathlib import Path

from brushwork import web_page
from brushwork.paintings.checks.findings import Item
from brushwork.paintings.checks.report import PERCENTS, Report
from brushwork.paintings.listing import PARTS

SIDE = 144  # pixels of a thumbnail
# Files shown per finding, so that a browser can open the page; the JSON has all.
SHOWN = {"spoils": 2000, "warning": 2000, "info": 48}


def page(report: Report, max_megapixels: float = 89) -> str:
    """The page. Files that cannot be decoded are shown by name."""
    groups = {finding.kind: _first(finding.groups, SHOWN[finding.severity]) for finding in report.findings}
    paths = [item.path for shown in groups.values() for group in shown for item in group]
    thumbnails = web_page.thumbnails(Path(report.root), paths, SIDE, max_megapixels)
    values = {"parts": PARTS, "percents": PERCENTS, "side": SIDE}
    return web_page.render(
        "paintings/checks/page.html.jinja", report=report, groups=groups, thumbnails=thumbnails, **values
    )


def _first(groups: list[list[Item]], count: int) -> list[list[Item]]:
    """The first groups, of at most `count` items in all, but at least one group."""
    totals = itertools.accumulate(map(len, groups))
    return [group for group, total in zip(groups, totals, strict=True) if total <= count] or groups[:1]
