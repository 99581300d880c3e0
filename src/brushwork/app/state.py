"""What the app knows from its start: the network, its record, the training paintings, examples to try."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from brushwork import contact_sheet, run_folder
from brushwork.app import record, run
from brushwork.app.record import Record
from brushwork.errors import UserError
from brushwork.inference import run_data
from brushwork.inference.similar import TrainingIndex
from brushwork.models.predictor import Predictor, load_predictor
from brushwork.readable import readable
from brushwork.saliency import methods

log = logging.getLogger(__name__)

EXAMPLES = 8
_FIRST_METHODS = ("gradcam", "gradient")  # what follows the class and the weights most is shown first


class Example(NamedTuple):
    """A painting of the validation part, and what the network called it when its training ended."""

    path: Path
    style: str
    predicted: str


@dataclass(frozen=True)
class State:
    """What every answer needs; nothing in it changes."""

    predictor: Predictor
    run: str  # the name of the run folder
    methods: list[str]  # of saliency, which fit this network, the first one first
    record: Record | None
    index: TrainingIndex | None
    examples: list[Example]
    max_megapixels: float = 89

    @property
    def is_demo(self) -> bool:
        return str(self.predictor.described.get("data")).startswith("demo:")

    def style(self, number: int) -> str:
        """The name of a class as it is shown."""
        return shown(self.predictor.class_names[number])


def load(
    place: Path,
    device: torch.device | str = "cpu",
    *,
    root: Path | None = None,
    similar: bool = True,
    max_megapixels: float = 89,
) -> State:
    """Read a checkpoint and what is left of its run: what is missing is logged, and the page does without it.

    `root` is the folder of its paintings, in place of the one in the run's config; `similar`: whether to look for the
    training paintings that are most similar. A UserError where there is no checkpoint, or none of ours.
    """
    checkpoint = run.checkpoint_of(place)
    predictor = load_predictor(checkpoint)
    predictor.network.to(device)
    folder = run_data.folder_of(checkpoint)
    known = record.of_run(folder, "last" if checkpoint.name == Path(run_folder.LAST).name else "best")
    if known is None:
        log.warning("how often this network is right is not shown: %s has no predictions of it", folder.resolve())
    index, examples = None, []
    try:
        examples = _examples(known, run_data.of_checkpoint(checkpoint, root).root) if known else []
        if similar:
            index = TrainingIndex.of_checkpoint(predictor, checkpoint, root=root, max_megapixels=max_megapixels)
    except UserError as error:
        log.warning("similar paintings and examples are not shown: %s", error)
    return State(predictor, folder.resolve().name, _fitting(predictor), known, index, examples, max_megapixels)


def shown(style: str) -> str:
    """
    >>> shown("Art_Nouveau_Modern")
    'Art Nouveau Modern'
    """
    return readable(style).replace("_", " ")


def _fitting(predictor: Predictor) -> list[str]:
    """The methods that are defined for a network."""
    found = []
    for name in (*_FIRST_METHODS, *(name for name in methods.METHODS if name not in _FIRST_METHODS)):
        try:
            methods.check(name, predictor.network)
            found.append(name)
        except UserError:
            continue
    return found


def _examples(known: Record, root: Path) -> list[Example]:
    """Paintings of the validation part that are still there: a right and a wrong one in turn, each of another style as
    far as possible."""
    order = contact_sheet.pick([painting.style for painting in known.validated], len(known.validated), seed=0)
    there = [known.validated[i] for i in order if (root / known.validated[i].path).is_file()]
    left, chosen = list(there), []
    while left and len(chosen) < EXAMPLES:
        wanted, styles = len(chosen) % 2 == 0, [painting.style for painting in chosen]
        best = min(left, key=lambda one: (styles.count(one.style), (one.predicted == one.style) != wanted))
        left.remove(best)
        chosen.append(best)
    chosen.sort(key=lambda painting: painting.style)
    return [Example(root / painting.path, painting.style, painting.predicted) for painting in chosen]
