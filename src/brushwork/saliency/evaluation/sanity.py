"""The sanity check of maps: do they change when the network's weights are redrawn?"""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from brushwork.models import backbones
from brushwork.saliency import maps, methods
from brushwork.saliency.evaluation.agreement import rank_correlation
from brushwork.saliency.layers import EachCall


def cascade(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    originals: Mapping[str, np.ndarray],
    steps: int = 12,
    batch_size: int = 8,
    seed: int = 0,
) -> Iterator[tuple[list[str], dict[str, np.ndarray]]]:
    """Cascading randomisation (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", section 3.1).

    Layer by layer, from the classifier down to the first convolution, weights of a copy of the model are redrawn, and
    each image's map is compared with its original one by rank correlation: 1 is the same map, which can't depend on the
    weights. Each tensor keeps its mean and deviation (`backbones.redraw`), where the paper draws from the layer's
    initialisation. Running statistics of normalisations and the random state stay as they were.

    Yields of each step the layers redrawn in it, the highest first, and by method the rank correlations (count,)
    float64; NaN where a map is constant.

    Args:
        images: (count, 3, height, width). targets: (count,) int64, the classes of the original maps.
        originals: by method, (count, height, width): the original maps, as `methods.in_batches` gives them.
        steps: at most. The first is the classifier alone; the other layers are divided evenly.
    """
    if steps < 1:
        raise ValueError(f"expected steps to be at least 1, but got {steps}")
    with torch.inference_mode(False):
        model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for group in _divided(layers(model, images[:1])[::-1], steps):
        for _, layer in group:
            backbones.redraw(layer, recurse=False, generator=generator)
        redrawn = {method: methods.in_batches(method, model, images, targets, batch_size) for method in originals}
        yield [name for name, _ in group], {name: rank_correlation(originals[name], of) for name, of in redrawn.items()}


def layers(model: nn.Module, image: Tensor) -> list[tuple[str, nn.Module]]:
    """The modules that have parameters of their own, by name, in the order in which a forward pass of an image
    (1, 3, height, width) uses these; unused ones (an auxiliary classifier) are left out."""
    owners = {id(parameter): name.rpartition(".")[0] for name, parameter in model.named_parameters()}
    used: dict[str, None] = {}  # names of modules

    def note(function: Callable, arguments: tuple, output: Any) -> None:
        # Hooks on modules would miss parameters that a parent uses itself: attention's output layer, a class token.
        used.update(dict.fromkeys(owners[id(value)] for value in arguments if id(value) in owners))

    device = next(model.parameters()).device
    with maps.preserved_state(model, image.to(device)) as pixels, torch.no_grad(), EachCall(note):
        model(pixels)
    return [(name or type(model).__name__, model.get_submodule(name)) for name in used]


def _divided(found: list, steps: int) -> list[list]:
    """The first alone, the others in at most `steps` - 1 groups of almost equal size.

    >>> _divided([1, 2, 3, 4, 5, 6], 3), _divided([1, 2], 3), _divided([1, 2], 1)
    ([[1], [2, 3, 4], [5, 6]], [[1], [2]], [[1, 2]])
    """
    if steps == 1:
        return [found]
    places = np.array_split(np.arange(1, len(found)), steps - 1)
    return [found[:1], *([found[i] for i in group] for group in places if len(group))]
