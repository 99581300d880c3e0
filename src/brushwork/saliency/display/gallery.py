"""Photos and their maps as one HTML page that needs nothing else: methods side by side, and whether to believe them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from brushwork import images, web_page
from brushwork.models.predictor import Predictor
from brushwork.saliency.display import render
from brushwork.saliency.display.results import Row
from brushwork.saliency.evaluation import evaluation
from brushwork.saliency.evaluation import judgement as judgements
from brushwork.saliency.evaluation.judgement import Judgement
from brushwork.saliency.evaluation.measures import MEASURES

SHOWN = 100  # photos: a page of more is slow to open
_BARS = 5  # classes


@dataclass(frozen=True)
class _Map:
    """A method's map as pictures in text, and what is said of it."""

    method: str
    alone: str
    over: str
    verdicts: list[tuple[str, str]]


@dataclass(frozen=True)
class _Photo:
    """A photo as its card shows it. bars: (class, probability); true: empty where it is not known."""

    name: str
    seen: str
    predicted: str
    true: str
    target: str
    bars: list[tuple[str, float]]
    maps: list[_Map]

    @property
    def verdict(self) -> str:
        return "unknown" if not self.true else "right" if self.true == self.predicted else "wrong"


def page(
    predictor: Predictor, rows: Sequence[Row], out: Path, max_megapixels: float, judgement: Judgement | None = None
) -> str:
    """The page of the first SHOWN photos.

    Args:
        rows: of the table (see `results`), a photo's together. out: where their maps are.
        judgement: of all photos; None where they were not evaluated.
    """
    by_photo: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_photo.setdefault(row["photo"], {})[row["method"]] = row
    bar = tqdm(list(by_photo.values())[:SHOWN], desc="gallery", unit=" photos", leave=False, disable=None)
    photos = [_photo(predictor, of_photo, out, max_megapixels) for of_photo in bar]
    firsts = [next(iter(of_photo.values())) for of_photo in by_photo.values()]
    known = [row for row in firsts if row["true"]]
    targets = {row["target"] for row in firsts}
    of_predicted = all(row["target"] == row["predicted"] for row in firsts)
    return web_page.render(
        _TEMPLATE,
        network=predictor.name,
        photos=photos,
        count=len(by_photo),
        methods=[one.method for one in photos[0].maps],
        target=None if of_predicted or len(targets) > 1 else targets.pop(),
        known=len(known),
        right=sum(row["true"] == row["predicted"] for row in known),
        judgement=judgement,
        figures=judgement and judgements.table(judgement.compared),
        sentences=judgement and judgements.sentences(judgement.compared),
        explained=judgement and judgements.explained(judgement.compared),
        method=judgements.METHOD,
        curve=judgement and web_page.data_uri(judgement.curve, 90),
        percentile=render.PERCENTILE,
    )


def _photo(predictor: Predictor, of_photo: Mapping[str, Row], out: Path, max_megapixels: float) -> _Photo:
    first = next(iter(of_photo.values()))
    image = predictor.transform(images.load_rgb(first["photo"], max_megapixels))
    seen = predictor.shown(image)
    with torch.no_grad():
        batch = image[None].to(next(predictor.network.parameters()))
        probabilities, classes = predictor.network(batch)[0].softmax(0).topk(min(_BARS, len(predictor.class_names)))
    figures = {
        method: {name: float(row[name]) for name in MEASURES if row.get(name)} for method, row in of_photo.items()
    }
    maps = []
    for method, row in of_photo.items():
        if row["map"]:  # else a baseline's
            saliency = np.load(out / row["map"])
            alone, over = render.picture(saliency), render.overlay(seen, saliency)
            verdicts = evaluation.verdicts(figures, method)
            maps.append(_Map(method, web_page.data_uri(alone), web_page.data_uri(over), verdicts))
    return _Photo(
        Path(first["photo"]).name,
        web_page.data_uri(seen, 85),
        first["predicted"],
        first["true"],
        first["target"],
        [(predictor.class_names[i], p) for i, p in zip(classes.tolist(), probabilities.tolist(), strict=True)],
        maps,
    )


_TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Where {{ network }} looks</title>
<style>
{{ style | safe }}
ul { background: var(--card); border-left: 4px solid var(--info); border-radius: 4px; margin: .75rem 0;
  padding: .6rem 1rem .6rem 2rem; }
li { margin: .25rem 0; }
.method { color: var(--dim); font-size: .9rem; max-width: 60rem; margin: .5rem 0 1rem; }
.measures dt { font-size: .9rem; font-weight: 600; color: var(--ink); } .measures dd { font-size: .85rem;
  font-weight: 400; color: var(--dim); }
.measures { grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.chart { max-width: 46rem; width: 100%; border-radius: 6px; background: #fff; }
form { position: sticky; top: 0; z-index: 1; background: var(--paper); padding: .6rem 0; margin-top: 2rem;
  display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; border-bottom: 1px solid var(--line); font-size: .9rem; }
fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem .75rem; }
legend { float: left; color: var(--dim); margin-right: .75rem; padding: 0; }
label { cursor: pointer; white-space: nowrap; }
.photo { background: var(--card); border-radius: 8px; padding: 1rem; margin: 1rem 0; }
.photo h3 { font-size: 1.05rem; margin: 0 0 .75rem; }
.photo h3 span { font-weight: 400; }
.right h3 b { color: var(--good); } .wrong h3 b { color: var(--spoils); }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.25rem, 1fr)); gap: 1rem .75rem; }
.row figure { max-width: 18rem; }
.row img { width: 100%; border-radius: 4px; cursor: zoom-in; }
figcaption b, figcaption i { display: block; font-style: normal; }
.good { color: var(--good); } .bad { color: var(--spoils); }
.bars { margin-top: .5rem; }
.bars div { position: relative; padding: .1rem .3rem; margin: 2px 0; display: flex; justify-content: space-between;
  gap: .5rem; background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
.bars .true { font-weight: 700; }
body:has(#alone:checked) .over, body:has(#over:checked) .alone,
body:has(#only-right:checked) .photo:not(.right), body:has(#only-wrong:checked) .photo:not(.wrong) { display: none; }
dialog { border: 0; padding: 0; background: none; max-width: 96vw; } dialog::backdrop { background: #000c; }
dialog img { width: min(96vw, 88vh); image-rendering: pixelated; cursor: zoom-out; display: block; }
@media (prefers-color-scheme: dark) { .chart { filter: invert(.9) hue-rotate(180deg); } }
@media (max-width: 40rem) { .row { grid-template-columns: 1fr 1fr; } .photo { padding: .75rem; }
  .table { font-size: .85rem; } .table th, .table td { padding: .3rem .4rem; } .table span { display: block; } }
</style>
</head>
<body>
<h1>Where {{ network }} looks</h1>
<p class="dim">What in each photo sways the score of
  {% if target %}“{{ target }}”{% else %}the class that it is taken for{% endif %}, by {{ methods | join(", ") }}.</p>
<dl>
  <div><dt>photos</dt><dd>{{ "{:,}".format(count) }}</dd></div>
  {% if known %}<div><dt>of known class, predicted right</dt><dd>{{ right }} of {{ known }}</dd></div>{% endif %}
  <div><dt>methods</dt><dd>{{ methods | length }}</dd></div>
</dl>

{% if judgement %}
<h2>Can the maps be believed?</h2>
<ul>{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
{{ table(figures) }}
<p class="method">{{ method }}</p>
<dl class="measures">{% for title, text in explained.items() %}
  <div><dt>{{ title }}</dt><dd>{{ text }}</dd></div>{% endfor %}
</dl>

<h2>Do the maps depend on what the network has learned?</h2>
<ul><li>{{ judgement.sanity }}</li></ul>
<img class="chart" src="{{ curve }}" alt="likeness of the maps to the original ones as more layers are drawn anew">
<p class="method">The weights are drawn anew, layer by layer from the classifier down, and each map is held against the
original one by the rank correlation of their pixels: 1 is the same map. A map that stays the same does not show what
the network has learned. The dotted lines are what maps of different photos have in common. (Adebayo et al. 2018,
“Sanity Checks for Saliency Maps”)</p>
{% endif %}

<form>
  <fieldset><legend>maps</legend>
    <label><input type="radio" name="shown" id="both" checked> both</label>
    <label><input type="radio" name="shown" id="alone"> alone</label>
    <label><input type="radio" name="shown" id="over"> over the photo</label></fieldset>
  {% if known %}<fieldset><legend>photos</legend>
    <label><input type="radio" name="which" id="all" checked> all</label>
    <label><input type="radio" name="which" id="only-right"> right</label>
    <label><input type="radio" name="which" id="only-wrong"> wrong</label></fieldset>{% endif %}
</form>
{% for photo in photos %}
<section class="photo {{ photo.verdict }}">
  <h3>{{ photo.name }} <span>is taken for</span> {{ photo.predicted }}
    {%- if photo.verdict == "right" %} <b>✓ right</b>{% elif photo.verdict == "wrong" %} <b>✗ wrong:</b>
    <span>it is</span> {{ photo.true }}{% endif %}
    {%- if photo.target != photo.predicted %}; <span>maps of</span> {{ photo.target }}{% endif %}</h3>
  <div class="row">
    <figure><img src="{{ photo.seen }}" alt="{{ photo.name }}"><figcaption>as the network saw it</figcaption>
      <div class="bars">{% for name, probability in photo.bars %}
        <div style="--share: {{ (100 * probability) | round(1) }}%"{% if name == photo.true %} class="true"{% endif %}>
          <span>{{ name }}</span><span>{{ "%.2f" % probability }}</span></div>{% endfor %}</div></figure>
    {% for map in photo.maps %}
    <figure><img class="alone" src="{{ map.alone }}" alt="{{ map.method }}">
      <img class="over" src="{{ map.over }}" alt="{{ map.method }} over the photo">
      <figcaption><b>{{ map.method }}</b>{% for verdict, beside in map.verdicts %}
        <i class="{{ "good" if verdict.startswith("✓") else "bad" }}">{{ verdict }}</i>
        {%- if beside %}<span>{{ beside }}</span>{% endif %}{% endfor %}
      </figcaption></figure>
    {% endfor %}
  </div>
</section>
{% endfor %}
{% if count > photos | length %}<p class="dim">The first {{ photos | length }} of {{ "{:,}".format(count) }} photos;
  all are in the folder.</p>{% endif %}
<p class="method">Each map is bright from 0 to its {{ percentile }}th percentile. Click a picture to enlarge it.</p>
<dialog><img alt=""></dialog>
<script>
const dialog = document.querySelector("dialog");
document.addEventListener("click", (event) => {
  if (dialog.open) dialog.close();
  else if (event.target.matches(".row img")) {
    dialog.firstChild.src = event.target.src;
    dialog.showModal();
  }
});
</script>
</body>
</html>
"""
