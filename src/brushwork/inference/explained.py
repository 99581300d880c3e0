"""Answers with their saliency maps: pictures as scripts/saliency.py draws them, and one page of the first ones."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from brushwork import files, images, web_page
from brushwork.errors import UserError
from brushwork.inference.answers import AnsweredBatch, ranked
from brushwork.inference.output import NOT_SURE, Told
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import normalize
from brushwork.saliency.display import render
from brushwork.saliency.display.sheet import cells, page
from brushwork.saliency.methods import logits_and_maps
from brushwork.saliency.photos import Photo

SHOWN = 100  # pictures on the page: one of more is slow to open
_AT_ONCE = 8  # pictures whose maps are computed together: they take more memory than answers
_BARS = 5  # classes
_SIDE = 160  # pixels of a similar painting


def photos(
    predictor: Predictor, batch: AnsweredBatch, methods: Sequence[str], stems: Sequence[str]
) -> Iterator[Photo | UserError]:
    """The pictures of a batch with the maps of their predicted classes by the (first) network, in their order.

    Without methods there are no maps. `stems` has the name of each picture's results, by its number.
    """
    targets = ranked(batch.probabilities)[:, 0]
    device = next(predictor.network.parameters()).device
    for chosen in torch.arange(len(batch.numbers)).split(_AT_ONCE):
        pictures = normalize(batch.pictures[chosen].permute(0, 3, 1, 2).to(device), predictor.preprocessing)
        found, exact = {}, None
        if methods:
            _, found, exact = logits_and_maps(methods, predictor.network, pictures, targets[chosen].to(device))
        maps = {name: of_chosen.cpu().numpy() for name, of_chosen in found.items()}
        for place, i in enumerate(chosen.tolist()):
            own = {name: of_chosen[place] for name, of_chosen in maps.items()}
            if not all(np.isfinite(saliency).all() for saliency in own.values()):
                yield UserError(f"{batch.paths[i]}: its map is not finite; are the model's weights valid?")
                continue
            yield Photo(
                batch.numbers[i],
                batch.paths[i],
                pictures[place],
                predictor.shown(pictures[place]),
                own,
                int(targets[i]),
                batch.probabilities[i].numpy(),
                exact and tuple(values[place].item() for values in exact),
                stems[batch.numbers[i]] if stems else "",
            )


def draw(out: Path, photo: Photo, class_names: Sequence[str], top: int) -> None:
    """Writes a photo's picture, its maps and their overlays, OUT/STEM.png."""
    with files.atomic_path(out / f"{photo.stem}.png") as temporary:
        page(cells(photo, class_names, top)).save(temporary, "PNG", compress_level=2)


def shown(photo: Photo, told: Told, root: Path | None, max_megapixels: float) -> dict[str, Any]:
    """What the page shows of a picture: what is told of it, and pictures as text; `root` has the similar paintings."""
    maps = [(method, render.picture(saliency, photo=photo.shown)) for method, saliency in photo.maps.items()]
    similar = [
        {**neighbor, "picture": root and _thumbnail(root / neighbor["path"], max_megapixels)}
        for neighbor in told.get("similar", [])
    ]
    return told | {
        "picture": web_page.data_uri(photo.shown, 85),
        "bars": [*told["probabilities"].items()][:_BARS],
        "best": next(iter(told["probabilities"])),
        "maps": [(method, web_page.data_uri(picture)) for method, picture in maps],
        "similar": similar,
    }


def _thumbnail(path: Path, max_megapixels: float) -> str | None:
    try:
        return web_page.data_uri(images.thumbnail(path, _SIDE, max_megapixels))
    except UserError:
        return None


def gallery(entries: Sequence[Mapping[str, Any]], count: int, about: Mapping[str, Any]) -> str:
    """The page of `count` answers, of which `entries` are shown; `about` has what the template says of all of them."""
    return web_page.render(
        "inference/predictions.html.jinja",
        entries=entries,
        count=count,
        not_sure=NOT_SURE,
        percentile=render.PERCENTILE,
        **about,
    )
