"""A report on a folder of paintings as one HTML page that needs nothing else, a thumbnail with every offender."""

import itertools
from pathlib import Path

from brushwork import web_page
from brushwork.paintings.checks.doctor import PERCENTS, Report
from brushwork.paintings.checks.findings import Item
from brushwork.paintings.listing import PARTS

SIDE = 144  # pixels of a thumbnail
# Files of a finding, so that a browser can open the page; all are in the JSON.
SHOWN = {"spoils": 2000, "warning": 2000, "info": 48}


def page(report: Report, max_megapixels: float = 89) -> str:
    """The page. Files that can't be shown stand there with their names."""
    groups = {finding.kind: _first(finding.groups, SHOWN[finding.severity]) for finding in report.findings}
    paths = [item.path for shown in groups.values() for group in shown for item in group]
    thumbnails = web_page.thumbnails(Path(report.root), paths, SIDE, max_megapixels)
    return web_page.render(
        _TEMPLATE, report=report, groups=groups, thumbnails=thumbnails, parts=PARTS, percents=PERCENTS, side=SIDE
    )


def _first(groups: list[list[Item]], count: int) -> list[list[Item]]:
    """The first groups, with `count` items in all at most, but one group at least."""
    totals = itertools.accumulate(map(len, groups))
    return [group for group, total in zip(groups, totals, strict=True) if total <= count] or groups[:1]


_TEMPLATE = """\
{% macro figure(value, digits=3) %}{{ "n/a" if value is none else "%.*f" % (digits, value) }}{% endmacro %}
{% macro whole(value) %}{{ "{:,.0f}".format(value) }}{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Paintings in {{ report.root }}</title>
<style>
{{ style | safe }}
summary { cursor: pointer; }
summary span { font-weight: 700; }
.spoils { color: var(--spoils); } .warning { color: var(--warning); } .info { color: var(--info); }
details { margin: .75rem 0; }
.groups, .group { display: flex; flex-wrap: wrap; gap: .75rem; }
.groups { margin-top: .75rem; }
.group { border: 1px solid var(--line); border-radius: 6px; padding: .5rem; }
figure { width: {{ side }}px; }
figure img { max-width: {{ side }}px; max-height: {{ side }}px; }
.bar { background: linear-gradient(to left, var(--bar) var(--share), transparent var(--share)); }
</style>
</head>
<body>
<h1>{% if report.spoilt %}<span class="spoils">These paintings would spoil a result</span>
  {%- else %}Nothing here would spoil a result{% endif %}</h1>
<p>{{ report.root }}</p>
<p class="dim">Split: {{ report.split }}</p>
<dl>
  <div><dt>paintings that can be read</dt><dd>{{ whole(report.styles | sum(attribute="paintings")) }}</dd></div>
  <div><dt>styles</dt><dd>{{ report.styles | length }}</dd></div>
  <div><dt>artists</dt><dd>{{ whole(report.artists.artists) }}</dd></div>
  {% for part in parts if report.parts[part] %}
  <div><dt>{{ part }}</dt><dd>{{ whole(report.parts[part]) }}</dd></div>
  {% endfor %}
  <div><dt>no pixel: majority</dt><dd>{{ figure(report.baselines.majority) }}</dd></div>
  <div><dt>no pixel: artist look-up</dt><dd>{{ figure(report.baselines.artist_lookup) }}</dd></div>
  <div><dt>of val by artists of train</dt><dd>{{ figure(report.artists.share_of_val_by_artists_of_train) }}</dd></div>
</dl>

<h2>What was found</h2>
{% for finding in report.findings %}
<details id="{{ finding.kind }}"{{ " open" if finding.severity != "info" }}>
  <summary><span class="{{ finding.severity }}">{{ finding.severity }}
    {%- if finding.groups %} · {{ whole(finding.groups | length) }}{% endif %}</span> · {{ finding.message }}</summary>
  {% if finding.groups %}
  <div class="groups">
  {% for group in groups[finding.kind] %}
    <div class="group">
    {% for item in group %}
      <figure>
        {% if thumbnails[item.path] %}<img src="{{ thumbnails[item.path] }}" alt="">{% endif %}
        <figcaption>{{ item.path }}{% if item.note %}<span>{{ item.note }}</span>{% endif %}</figcaption>
      </figure>
    {% endfor %}
    </div>
  {% endfor %}
  </div>
  {% endif %}
  {% set more = finding.groups | length - groups[finding.kind] | length %}
  {% if more %}<p class="dim">and {{ whole(more) }} more, all in report.json</p>{% endif %}
</details>
{% else %}
<p>Nothing.</p>
{% endfor %}

<h2>Styles</h2>
{% set largest = report.styles | map(attribute="paintings") | max %}
<div class="table"><table>
<tr><th>style</th><th>paintings</th>{% for part in parts if report.parts[part] %}<th>{{ part }}</th>{% endfor %}
  <th>artists</th><th>largest artist</th><th>median size</th><th>median aspect</th></tr>
{% for row in report.styles %}
<tr><td>{{ row.style }}</td>
  <td class="bar" style="--share: {{ (100 * row.paintings / [largest, 1] | max) | round(1) }}%">
    {{- whole(row.paintings) }}</td>
  {% for part in parts if report.parts[part] %}<td>{{ whole(row[part]) }}</td>{% endfor %}
  <td>{{ whole(row.artists) }}</td>
  <td>{% if row.largest_artist_share is none %}n/a{% else %}{{ figure(100 * row.largest_artist_share, 0) }} %{% endif %}
  </td>
  {% if row.median %}
  <td>{{ whole(row.median.width) }} &times; {{ whole(row.median.height) }}</td>
  <td>{{ figure(row.median.aspect, 2) }}</td>
  {% else %}<td>n/a</td><td>n/a</td>{% endif %}</tr>
{% endfor %}
</table></div>

{% if report.sizes %}
<h2>Sizes</h2>
<div class="table"><table>
<tr><th></th>{% for percent in percents %}<th>{{ percent }} %</th>{% endfor %}</tr>
{% for name, quantiles in report.sizes.items() %}
<tr><td>{{ name }}</td>
  {% for percent in percents %}
  <td>{{ figure(quantiles[percent | string], 2) if name in ("aspect", "megapixels")
    else whole(quantiles[percent | string]) }}</td>
  {% endfor %}</tr>
{% endfor %}
</table></div>
{% endif %}
</body>
</html>
"""
