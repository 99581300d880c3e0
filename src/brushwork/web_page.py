"""What our pages of HTML have in common: they need no other file, suit light and dark, and fit any width."""

import base64
import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image
from tqdm import tqdm

from brushwork import images
from brushwork.errors import UserError

_STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --card: #f4f3f0; --ink: #1d1c1a; --dim: #67645d; --line: #d9d6cf;
  --spoils: #b3261e; --good: #2e6b34; --warning: #8a5a00; --info: #2d5f8b; --bar: #c9d8e6; }
@media (prefers-color-scheme: dark) { :root { --paper: #171614; --card: #22211e; --ink: #eceae4; --dim: #a5a199;
  --line: #3a3833; --spoils: #ff8a80; --good: #8fd694; --warning: #f0b95a; --info: #8ec1ee; --bar: #2f4a61; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; }
p { margin: .25rem 0; }
.dim, figcaption span, dt { color: var(--dim); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
dl div, details { background: var(--card); border-radius: 8px; padding: .75rem 1rem; }
dt { font-size: .85rem; } dd { margin: 0; font-size: 1.3rem; font-weight: 600; }
figure { margin: 0; font-size: .8rem; line-height: 1.3; }
figure img { display: block; margin-bottom: .35rem; }
figcaption span { display: block; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .3rem .75rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; font-size: .85rem; color: var(--dim); }
"""


_MACROS = """\
{% macro table(rows) %}
<div class="table"><table>
{% for row in rows %}
<tr>{% for cell in row %}{% set head, _, tail = cell.partition("[") %}
  {% set kind = "th" if loop.first or row is sameas rows[0] else "td" %}
  <{{ kind }}>{{ head }}{% if tail %}<span class="dim">[{{ tail }}</span>{% endif %}</{{ kind }}>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endmacro %}
"""


def render(template: str, **values: Any) -> str:
    """A page from its template: a file's path in this package (one line), or the template's text.

    It finds the common style as `style | safe`, and `table(rows)`, a table of text: its first row is the heading, and
    what follows a [ in a cell is dim.
    """
    loader = jinja2.PackageLoader("brushwork", "")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    if "\n" not in template:
        template, _, _ = loader.get_source(environment, template)
    return environment.from_string(_MACROS + template).render(style=_STYLE, **values)


def data_uri(picture: Image.Image, quality: int = 70) -> str:
    """A picture as the text that stands for its file."""
    encoded = io.BytesIO()
    picture.save(encoded, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode()


def thumbnails(root: Path, paths: Iterable[str], side: int, max_megapixels: float) -> dict[str, str | None]:
    """The files under `root` as small pictures, `side` pixels at most, in text; None for one that can't be shown."""

    def small(path: str) -> str | None:
        try:
            return data_uri(images.thumbnail(root / path, side, max_megapixels)) if (root / path).is_file() else None
        except UserError:
            return None

    paths = sorted(set(paths))
    pool = ThreadPoolExecutor()
    try:
        bar = tqdm(paths, desc="drawing thumbnails", unit=" thumbnails", leave=False, disable=None)
        return dict(zip(bar, pool.map(small, paths), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
