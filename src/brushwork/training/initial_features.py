"""What the features of the initial weights are worth without fine-tuning: a linear probe, nearest neighbours."""

import logging
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from brushwork import files
from brushwork.models import probe
from brushwork.models.classifier import StyleClassifier
from brushwork.models.features import FrozenFeatures, PooledFeatures
from brushwork.paintings.datamodule import WikiArtDataModule
from brushwork.paintings.splits import HELD_OUT

log = logging.getLogger(__name__)

NEIGHBOURS = 20
_VERSION = 1  # of what is computed: a new one computes all again
_TOLERANCE = 1e-2  # of the probe, of which the answers alone are used

Answers = dict[str, np.ndarray]  # "probe_val", "knn_test", ...: (paintings,) class indices, in the catalogue's order


def answers(trainer: L.Trainer, model: StyleClassifier, data: WikiArtDataModule) -> Answers:
    """The answers for the held-out paintings, cached by weights and data; none of random weights.

    Features are the input of the layer that the head strategy made (of maps the means); of a run with tuning=probe its
    own, which it needs anyhow and whose probe is the run itself.
    """
    if model.hparams.weights is None or model.hparams.redraw:
        return {}
    arguments = data.preprocessing, trainer.strategy.root_device, trainer.precision_plugin
    if model.probe:
        extractor = FrozenFeatures(model.network, model.first_trained, *arguments)
    else:
        extractor = PooledFeatures(model.network, model.new_layer, *arguments)
    about = [extractor.about, str(data.preprocessing), data.unchecked_catalogue.data_hash, data.parts, data.units]
    weights = data.loss_weights()
    key = files.short_hash([_VERSION, bool(model.probe), weights if weights is None else weights.tolist(), *about])

    def load(path: Path) -> Answers:
        with np.load(path) as found:
            return dict(found)

    def compute() -> Answers:
        start = time.perf_counter()
        parts = {part: index for part in ("train", *HELD_OUT) if (index := data.indices(part))}
        whole = data.features(extractor, [i for index in parts.values() for i in index]).to(model.device)
        features = dict(zip(parts, whole.split([*map(len, parts.values())]), strict=True))
        found = _answers(features, data, bool(model.probe), weights)
        log.info("baselines of the initial weights: %.1f s", time.perf_counter() - start)
        return found

    def save(path: Path, found: Answers) -> None:
        with open(path, "wb") as file:
            np.savez(file, **found)

    return files.cached(files.cache_folder() / f"initial-features-{key}.npz", load, compute, save)


def _answers(features: dict[str, Tensor], data: WikiArtDataModule, is_probe: bool, weights: Tensor | None) -> Answers:
    train, index = features.pop("train"), data.indices("train")
    labels = data.labels[index].to(train.device)
    found = {f"knn_{part}": neighbours(train, labels, held_out) for part, held_out in features.items()}
    if not is_probe:
        units = [data.units[i] for i in index]
        solved = probe.solve(train[:, None], labels, units, data.num_classes, weights, _TOLERANCE)
        found |= {f"probe_{part}": solved.logits(held_out).argmax(1) for part, held_out in features.items()}
    return {name: values.cpu().numpy() for name, values in found.items()}


def neighbours(train: Tensor, labels: Tensor, held_out: Tensor) -> Tensor:
    """The most common class among the NEIGHBOURS training paintings of the largest cosine; of equals the one with the
    largest sum of cosines: (paintings,)."""
    train, held_out = normalize(train.float(), dim=1), normalize(held_out.float(), dim=1)
    found = []
    for some in held_out.split(1024):
        cosine, nearest = (some @ train.T).topk(min(NEIGHBOURS, len(train)), dim=1)
        votes = torch.zeros(len(some), int(labels.max()) + 1, device=train.device)
        votes.scatter_add_(1, labels[nearest], 1 + cosine / (2 * NEIGHBOURS))  # the cosines' sum is less than a vote
        found.append(votes.argmax(1))
    return torch.cat(found)


def accuracies(found: Answers, data: WikiArtDataModule, part: str) -> dict[str, float | None]:
    """The accuracy of each on a part; None where there is none."""
    labels = data.labels[data.indices(part)].numpy()
    keys: dict[str, Any] = {name: found.get(f"{name}_{part}") for name in ("probe", "knn")}
    return {name: None if values is None else float(np.mean(values == labels)) for name, values in keys.items()}
