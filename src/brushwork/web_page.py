"""HTML pages from Jinja templates: each needs no other file, suits light and dark themes, and fits any width."""

import base64
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from brushwork import images, tables
from brushwork.errors import UserError
from brushwork.readable import readable


def _finalize(value: Any) -> Any:
    """What a template shows of a value: names with bytes that are not UTF-8 don't spoil a page."""
    return type(value)(readable(value, keep="\n\t\r")) if isinstance(value, str) else value  # Markup stays Markup


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("brushwork", ""),
        autoescape=jinja2.select_autoescape(["html.jinja"], default_for_string=True),
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = tables.cell
    environment.globals["style"] = environment.loader.get_source(environment, "web_page.css")[0]
    environment.globals["table"] = environment.get_template("web_page.html.jinja").module.table
    return environment


def render(template: str, **values: Any) -> str:
    """Fill in a template: a page (`.html.jinja`: values are escaped), or Markdown (`.md.jinja`: they are not).

    `template` is a file relative to the package, "study/comparison.html.jinja", or HTML with a newline in it. A page
    has the common style as `style | safe`, and the macro `table(rows)` of web_page.html.jinja.
    """
    environment = _environment()
    made = environment.from_string(template) if "\n" in template else environment.get_template(template)
    return made.render(values)


def data_uri(picture: Image.Image, quality: int = 70) -> str:
    """A picture as a data URI (WebP)."""
    return "data:image/webp;base64," + base64.b64encode(images.encoded(picture, "WEBP", quality)).decode()


def thumbnails(root: Path, paths: Iterable[str], side: int, max_megapixels: float) -> dict[str, str | None]:
    """Data URIs of pictures under `root`, at most `side` pixels wide and high; None for one that can't be read."""

    def small(path: str) -> str | None:
        try:
            return data_uri(images.thumbnail(root / path, side, max_megapixels)) if (root / path).is_file() else None
        except UserError:
            return None

    return dict(images.in_threads(small, sorted(set(paths)), "drawing thumbnails", "thumbnails"))
