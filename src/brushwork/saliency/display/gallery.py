"""Photos and their maps as one HTML page that needs no other file: methods side by side, and their evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from brushwork import images, web_page
from brushwork.models.predictor import Predictor
from brushwork.saliency.display import render, results
from brushwork.saliency.display.results import Row
from brushwork.saliency.evaluation import report
from brushwork.saliency.evaluation.measures import MEASURES
from brushwork.saliency.evaluation.scores import verdicts

SHOWN = 100  # photos: a page of more is slow to open
_BARS = 5  # classes


def page(
    predictor: Predictor,
    rows: Sequence[Row],
    out: Path,
    max_megapixels: float,
    evaluation: report.Evaluation | None = None,
) -> str:
    """The page of the first SHOWN photos of the table (see `results`), whose maps are in `out`, and of the evaluation
    of all of them, if there is one."""
    by_photo = results.by_photo(rows)
    bar = tqdm(list(by_photo.values())[:SHOWN], desc="gallery", unit=" photos", leave=False, disable=None)
    photos = [_photo(predictor, of_photo, out, max_megapixels) for of_photo in bar]
    firsts = [next(iter(of_photo.values())) for of_photo in by_photo.values()]
    known = [row for row in firsts if row["true"]]
    targets = {row["target"] for row in firsts}
    of_predicted = all(row["target"] == row["predicted"] for row in firsts)
    return web_page.render(
        "saliency/display/gallery.html.jinja",
        network=predictor.name,
        photos=photos,
        count=len(by_photo),
        methods=[one["method"] for one in photos[0]["maps"]],
        target=None if of_predicted or len(targets) > 1 else targets.pop(),
        known=len(known),
        right=sum(row["true"] == row["predicted"] for row in known),
        evaluation=evaluation,
        report=report,
        curve=evaluation and web_page.data_uri(evaluation.curve, 90),
        percentile=render.PERCENTILE,
    )


def _photo(predictor: Predictor, of_photo: Mapping[str, Row], out: Path, max_megapixels: float) -> dict[str, Any]:
    """What the template shows of a photo: its row of the table, and pictures as text."""
    first = next(iter(of_photo.values()))
    image = predictor.transform(images.load_rgb(first["photo"], max_megapixels))
    shown = predictor.shown(image)
    with torch.no_grad():
        batch = image[None].to(next(predictor.network.parameters()))
        probabilities, classes = predictor.network(batch)[0].softmax(0).topk(min(_BARS, len(predictor.class_names)))
    scores = {
        method: {name: float(row[name]) for name in MEASURES if row.get(name)} for method, row in of_photo.items()
    }
    maps = []
    for method, row in of_photo.items():
        if row["map"]:  # else a baseline's
            saliency = np.load(out / row["map"])
            alone = web_page.data_uri(render.picture(saliency))
            over = web_page.data_uri(render.picture(saliency, photo=shown))
            maps.append({"method": method, "verdicts": verdicts(scores, method), "alone": alone, "over": over})
    return first | {
        "name": Path(first["photo"]).name,
        "shown": web_page.data_uri(shown, 85),
        "bars": [(predictor.class_names[i], p) for i, p in zip(classes.tolist(), probabilities.tolist(), strict=True)],
        "maps": maps,
    }
