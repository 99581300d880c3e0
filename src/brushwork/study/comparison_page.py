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
        _TEMPLATE,
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


_TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ heading }}</title>
<style>
{{ style | safe }}
.verdict { background: var(--card); border-left: 4px solid var(--info); border-radius: 4px; padding: .75rem 1rem;
  margin: .75rem 0; font-size: 1.15rem; }
.warning { color: var(--warning); }
.method { color: var(--dim); font-size: .9rem; max-width: 48rem; margin: .5rem 0 1rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
th:first-child { white-space: normal; min-width: 8rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.charts img { width: 100%; border-radius: 6px; background: #fff; }
.gallery, .maps { display: flex; flex-wrap: wrap; gap: 1rem .75rem; }
.gallery figure { width: {{ side }}px; }
.gallery img { max-width: {{ side }}px; max-height: {{ side }}px; }
.panel { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); gap: 1rem; }
.maps { flex-wrap: nowrap; }
.maps figure { flex: 1 1 0; min-width: 0; max-width: {{ side }}px; }
.maps img { width: 100%; }
ul { padding-left: 1.2rem; font-size: .9rem; }
@media (prefers-color-scheme: dark) { .charts img { filter: invert(.9) hue-rotate(180deg); } }
@media (max-width: 40rem) { .table span { display: block; white-space: nowrap; }
  .table { font-size: .9rem; overflow-wrap: normal; }
  .table th, .table td { padding: .3rem .4rem; white-space: normal; }
  th:first-child { min-width: 5.5rem; }
  .gallery figure { width: calc(50% - .375rem); } .gallery img { max-width: 100%; } }
</style>
</head>
<body>
<h1>{{ heading }}</h1>
<p class="dim">The last epoch, on the validation part of split {{ splits | join(" and ") }}</p>
{% for verdict in verdicts %}<p class="verdict">{{ verdict }}</p>
{% endfor %}
{% for warning in warnings %}<p class="warning">Warning: {{ warning }}.</p>
{% endfor %}
<dl>{% for name, value in facts.items() %}
  <div><dt>{{ name }}</dt><dd>{{ value }}</dd></div>{% endfor %}
</dl>

<h2>The arms</h2>
{{ table(arms) }}
<p class="method">{{ method.arms }}</p>

<h2>The differences</h2>
{{ table(differences) }}
<p class="method">{{ method.differences }}</p>
{{ table(seeds) }}
<p class="method">{{ method.seeds }}</p>

<h2>Epoch by epoch</h2>
<div class="charts">{% for picture in curves %}<img src="{{ picture }}" alt="curves">{% endfor %}</div>
<p class="method">Thin lines are runs, thick ones an arm's mean; bands reach from its lowest to its highest seed.</p>

<h2>What was taken for what</h2>
<div class="charts">{% for name, picture in matrices.items() %}
  <img src="{{ picture }}" alt="confusion matrix of {{ name }}">{% endfor %}</div>

<h2>Where they disagree, and what all miss</h2>
<p class="method">In bold the true style; then what each arm took the painting for, with the number of seeds.</p>
{% for gallery in galleries %}
<h3>{{ gallery.title }}: {{ gallery.count }} painting{{ "s" if gallery.count != 1 }}
  {%- if gallery.count > gallery.paintings | length %}, the clearest {{ gallery.paintings | length }}{% endif %}</h3>
<div class="gallery">
{% for path, style, taken in gallery.paintings %}
  <figure>
    {% if thumbnails[path] %}<img src="{{ thumbnails[path] }}" alt="">{% endif %}
    <figcaption>{{ title(path) }}<br><b>{{ style }}</b>
    {% for name, answer in taken %}<span>{{ name }}: {{ answer }}</span>{% endfor %}</figcaption>
  </figure>
{% endfor %}
</div>
{% else %}
<p>The arms were scored on different paintings.</p>
{% endfor %}

<h2>What they look at</h2>
{% if why_no_maps %}<p>No maps: {{ why_no_maps }}</p>{% else %}
<p class="method">|&part; score / &part; pixel| for the true style, with its probability, of each arm's first seed at
its best epoch. All maps have one scale: black is 0, the brightest the 99th percentile of all of them.</p>
<div class="panel">
{% for row in maps %}
<div class="maps">{% for lines, picture in row %}
  <figure><img src="{{ picture }}" alt="">
    <figcaption>{{ lines[0] }}{% for line in lines[1:] %}<span>{{ line }}</span>{% endfor %}</figcaption></figure>
{% endfor %}</div>
{% endfor %}
</div>
{% endif %}

<h2>The runs</h2>
<ul>
{% for name, run in runs %}<li>{{ name }}, seed {{ run.seed }}: {{ run.folder }}</li>
{% endfor %}
{% for line in left_out %}<li class="warning">left out: {{ line }}</li>
{% endfor %}
</ul>
</body>
</html>
"""
