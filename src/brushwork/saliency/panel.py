"""The panel of a run: a few validation paintings, each with its maps by the network in training, as one picture."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from brushwork import contact_sheet, images
from brushwork.contact_sheet import Cell
from brushwork.errors import UserError
from brushwork.models import backbones
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import Preprocessing, as_batch
from brushwork.saliency import methods
from brushwork.saliency.display import render

SIDE = 192  # pixels of each picture


Column = dict[str, list[Cell]]  # a column of the panel by its title


def column(title: str, maps: np.ndarray, captions: Sequence[str]) -> Column:
    """A network's maps (paintings, height, width) with a caption each, all on one scale, which the title names."""
    brightest = render.scale(maps)
    cells = [Cell(render.picture(one, brightest), caption) for one, caption in zip(maps, captions, strict=True)]
    return {f"{title}, 0 to {brightest:.2g}": cells}


class Panel:
    """Paintings of the validation part, balanced over styles: the same for all runs of one split and for every seed.

    `data` is a data module with `catalogue`, `parts`, `preprocessing` and `max_megapixels`, `count` the number of
    paintings (or all, where there are fewer), `seed` draws them. A UserError or OSError where one can't be read.
    """

    def __init__(self, data: Any, count: int, seed: int) -> None:
        held_out = [p for p, part in zip(data.catalogue.paintings, data.parts, strict=True) if part == "val"]
        chosen = contact_sheet.pick([painting.style for painting in held_out], count, seed)
        self.paintings = sorted((held_out[i] for i in chosen), key=lambda painting: painting.path)
        if not self.paintings:
            raise UserError("the data has no validation paintings")
        self.pictures = [images.load_rgb(data.catalogue.root / p.path, data.max_megapixels) for p in self.paintings]
        self.preprocessing: Preprocessing = data.preprocessing
        self.batch = as_batch(self.pictures, self.preprocessing)  # (paintings, 3, height, width)
        self.labels = torch.tensor([data.catalogue.label(painting) for painting in self.paintings])
        self.class_names = data.catalogue.class_names
        size, resize = self.preprocessing.image_size, self.preprocessing.resize
        shown = [images.resize(picture, size, resize) for picture in self.pictures]
        captions = [f"{painting.style}\n{contact_sheet.title(painting.path)}" for painting in self.paintings]
        self.column = list(map(Cell, shown, captions))

    def draw(
        self, network: nn.Module, device: torch.device, method: str, when: str, reference: Column
    ) -> tuple[Image.Image, Tensor, np.ndarray]:
        """The picture, with the reference's column; the network's probabilities (paintings, classes); its maps of the
        true style (paintings, height, width)."""
        batch = self.batch.to(device)
        logits, found, _ = methods.logits_and_maps([method], network, batch)
        of_true = methods.METHODS[method](network, batch, self.labels.to(device)).cpu().numpy()
        probabilities = logits.softmax(1).cpu()
        columns = {f"painting {when}\nmaps: {method}": self.column} | reference
        of_predicted = found[method].cpu().numpy()
        drawn = [("predicted", of_predicted, probabilities.argmax(1)), ("true", of_true, self.labels)]
        for word, maps, classes in drawn:
            pairs = zip(classes.tolist(), probabilities, strict=True)
            captions = [f"{word} {self.class_names[c]}\n{row[c]:.2f}" for c, row in pairs]
            columns |= column(f"network in training,\n{word} style", maps, captions)
        rows = list(zip(*columns.values(), strict=True))
        return contact_sheet.sheet(rows, side=SIDE, titles=list(columns)), probabilities, of_true

    def predicted(
        self, predictor: Predictor, device: torch.device, method: str, own_input: str | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """The maps (paintings, height, width) of the class that another network predicts, and captions with its name
        and probability. `own_input` is an architecture whose input size and normalisation replace the panel's."""
        batch = self.batch
        if own_input is not None:
            size = backbones.preprocessing(own_input).image_size
            own = Preprocessing(size, predictor.mean, predictor.std, self.preprocessing.resize)
            batch = as_batch(self.pictures, own)
        network = predictor.network.to(device)
        maps, captions = [], []
        for image in batch:  # one by one: VGG-16 needs much memory
            logits, found, _ = methods.logits_and_maps([method], network, image[None].to(device))
            probability, predicted = logits.softmax(1).max(1)
            maps.append(found[method][0].cpu().numpy())
            captions.append(f"{predictor.class_names[predicted]}\n{probability.item():.2f}")
        return np.stack(maps), captions
