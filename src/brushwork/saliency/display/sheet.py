"""A photo and its maps as one picture, and as lines for the terminal."""

from collections.abc import Sequence

from PIL import Image

from brushwork import contact_sheet
from brushwork.contact_sheet import Cell
from brushwork.saliency.display import render
from brushwork.saliency.evaluation.scores import verdicts
from brushwork.saliency.photos import Photo


def cells(photo: Photo, class_names: Sequence[str], top: int) -> list[list[Cell]]:
    """A row for each method: photo, map and overlay, with the `top` predicted classes and the class of the map; where
    objects were looked for, the object in one more column."""
    predicted = [f"{class_names[i]}  {photo.probabilities[i]:.3f}" for i in photo.top(top)]
    first = Cell(photo.shown, "\n".join([photo.path.name, "predicted:", *predicted]))
    rows = []
    for method, saliency in photo.maps.items():
        described = [
            f'{method} of "{class_names[photo.target]}"  {photo.probabilities[photo.target]:.3f}',
            f"0 to {render.scale(saliency):.3g}, clipped there ({render.PERCENTILE}th percentile)",
            *_completeness(photo, method),
        ]
        over = ["over the photo"]
        for verdict, baselines in verdicts(photo.scores, method):
            over += [verdict, f"    {baselines}"] if baselines else [verdict]
        row = [
            Cell(None) if rows else first,
            Cell(render.picture(saliency), "\n".join(described)),
            Cell(render.picture(saliency, photo=photo.shown), "\n".join(over)),
        ]
        if photo.objects is not None:
            found = photo.objects[method]
            drawn = render.outlined(photo.shown, *found) if found else None
            row.append(Cell(drawn, "object and its box" if drawn else "no object found"))
        rows.append(row)
    return rows


def page(rows: list[list[Cell]]) -> Image.Image:
    """Rows of `cells`, of one photo or of many."""
    return contact_sheet.sheet(rows, side=336, text_size=15)


def notes(photo: Photo) -> list[str]:
    """What the terminal shows of a photo's maps, in addition to its classes."""
    lines = []
    for method, saliency in photo.maps.items():
        found = [render.defect(saliency), *_completeness(photo, method)]
        if photo.objects is not None:
            piece = photo.objects[method]
            found.append("box " + " ".join(map(str, piece.box)) if piece else "no object found")
        found += [verdict for verdict, _ in verdicts(photo.scores, method)]
        if any(found):
            lines.append(f"{method}: {', '.join(filter(None, found))}")
    return lines


def _completeness(photo: Photo, method: str) -> list[str]:
    """How exact integrated gradients are (see `methods.integrated_gradients_and_completeness`)."""
    if method != "integrated_gradients":
        return []
    error, rise = photo.completeness
    return [f"completeness error {error:.2g} of {abs(rise):.3g}"]
