"""The panel of a run: a few validation paintings, each with its maps by the network in training, as one picture."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Maps:
    """A network's maps of the paintings, (paintings, height, width), with a caption each."""

    maps: np.ndarray
    captions: list[str]

    def column(self) -> list[Cell]:
        """The maps on one scale."""
        brightest = render.scale(self.maps)
        cells = zip(self.maps, self.captions, strict=True)
        return [Cell(render.picture(one, brightest), caption) for one, caption in cells]

    @property
    def range(self) -> str:
        return f"0 to {render.scale(self.maps):.2g}"


class Panel:
    """Paintings of the validation part, the styles in turn: the same for all runs of one split, whatever their seed.

    Args:
        data: a data module with `catalogue`, `parts`, `preprocessing` and `max_megapixels`.
        count: paintings, or all where there are fewer. seed: which ones.

    Raises:
        UserError, OSError: there are no such paintings, or one can't be read.
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
        self.column = [
            Cell(images.resize(picture, size, resize), f"{p.style}\n{contact_sheet.title(p.path)}")
            for picture, p in zip(self.pictures, self.paintings, strict=True)
        ]

    def draw(
        self, network: nn.Module, device: torch.device, method: str, when: str, reference: tuple[str, Maps] | None
    ) -> tuple[Image.Image, Tensor, np.ndarray]:
        """The picture; the network's probabilities (paintings, classes); its maps of the true style (paintings, height,
        width). `reference` are title and maps of one more column."""
        batch = self.batch.to(device)
        logits, found, _ = methods.logits_and_maps([method], network, batch)
        of_true = methods.METHODS[method](network, batch, self.labels.to(device)).cpu().numpy()
        probabilities = logits.softmax(1).cpu()
        columns = {f"painting {when}\nmaps: {method}": self.column}
        if reference is not None:
            columns[f"{reference[0]},\npredicted class, {reference[1].range}"] = reference[1].column()
        for word, maps, classes in [
            ("predicted", found[method].cpu().numpy(), probabilities.argmax(1)),
            ("true", of_true, self.labels),
        ]:
            pairs = zip(classes.tolist(), probabilities, strict=True)
            drawn = Maps(maps, [f"{word} {self.class_names[c]}\n{row[c]:.2f}" for c, row in pairs])
            columns[f"network in training,\n{word} style, {drawn.range}"] = drawn.column()
        rows = list(zip(*columns.values(), strict=True))
        return contact_sheet.sheet(rows, side=SIDE, titles=list(columns)), probabilities, of_true

    def predicted(self, predictor: Predictor, device: torch.device, method: str, own_input: str | None = None) -> Maps:
        """The maps of the class that another network predicts, with its name and probability; one by one.

        Args:
            own_input: an architecture whose own input size and normalisation the paintings get, not the panel's.
        """
        batch = self.batch
        if own_input is not None:
            size = backbones.preprocessing(own_input).image_size
            own = Preprocessing(size, predictor.mean, predictor.std, self.preprocessing.resize)
            batch = as_batch(self.pictures, own)
        network = predictor.network.to(device)
        maps, captions = [], []
        for image in batch:
            logits, found, _ = methods.logits_and_maps([method], network, image[None].to(device))
            probability, predicted = logits.softmax(1).max(1)
            maps.append(found[method][0].cpu().numpy())
            captions.append(f"{predictor.class_names[predicted]}\n{probability.item():.2f}")
        return Maps(np.stack(maps), captions)
