"""What a network of the demo looks at, as a picture for its card; paintings have licences of their own."""

import torch
from PIL import Image

from brushwork import contact_sheet
from brushwork.contact_sheet import Cell
from brushwork.models.predictor import Predictor
from brushwork.paintings import demo
from brushwork.paintings.demo_styles import STYLES
from brushwork.saliency import methods
from brushwork.saliency.display import render

_SHOWN = 4


def saliency(predictor: Predictor) -> Image.Image:
    """Pictures that the demo paints, each with the gradient of the predicted style's score."""
    styles = [style for style in STYLES if style in predictor.class_names][:_SHOWN]
    batch = torch.stack([predictor.transform(demo.paint(style, 0)) for style in styles])  # (batch, 3, height, width)
    logits, maps, _ = methods.logits_and_maps(["gradient"], predictor.network, batch)
    probabilities = (logits / predictor.calibration.temperature).softmax(1)
    columns = []
    for style, image, one, row in zip(styles, batch, maps["gradient"].numpy(), probabilities, strict=True):
        shown, best = predictor.shown(image), int(row.argmax())
        caption = f"{predictor.class_names[best]} {row[best]:.2f}"
        cells = [Cell(shown, style), Cell(render.picture(one), caption), Cell(render.picture(one, photo=shown))]
        columns.append(cells)
    return contact_sheet.sheet(list(zip(*columns, strict=True)))
