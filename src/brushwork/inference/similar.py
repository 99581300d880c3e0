"""The training paintings nearest to a picture, by the angle between features."""

import functools
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize as unit
from torch.utils.data import DataLoader

from brushwork import contact_sheet, images
from brushwork.errors import UserError
from brushwork.inference import run_data
from brushwork.inference.run_data import RunPainting
from brushwork.models.predictor import Predictor
from brushwork.models.weights import state_hash
from brushwork.preprocessing import Preprocessing, normalize
from brushwork.row_store import RowStore

log = logging.getLogger(__name__)

_VERSION = 1  # of how a row is computed: a new one computes all again
_BATCHES_AT_ONCE = 8  # after so many, what was computed is safe
_CHUNK_BYTES = 2**25  # of features that are compared at once


class Neighbor(NamedTuple):
    """A training painting and how similar its features are: the cosine of the angle, 1 for the same picture."""

    path: str  # below `TrainingIndex.root`
    style: str
    artist: str | None
    title: str
    similarity: float


@dataclass(frozen=True)
class TrainingIndex:
    """The training paintings of a run and their features, each of length 1, (paintings, width) float16."""

    root: Path
    paintings: Sequence[RunPainting]
    features: Tensor

    @classmethod
    def of_checkpoint(
        cls,
        predictor: Predictor,
        checkpoint: Path,
        *,
        root: Path | None = None,
        max_megapixels: float = 89,
        batch_size: int = 64,
    ) -> "TrainingIndex":
        """The training paintings of the run in whose folder a checkpoint lies.

        Their features are computed once, with a progress bar, and kept in the cache of row stores, from where they are
        read piece by piece. Paintings that can't be read any more are left out, with a warning.

        Args:
            predictor: the network of the checkpoint.
            checkpoint: RUN/checkpoints/best.ckpt; RUN has split.csv, and config.yaml with the paintings' folder.
            root: the paintings' folder, in place of that one.

        Raises:
            UserError: the run folder or the paintings are gone.
        """
        data = run_data.of_checkpoint(checkpoint, root)
        listed = data.part("train")
        known = {painting: identity for painting in listed if (identity := _identity(data.root / painting.path))}
        if not known:
            example = f": {listed[0].path}, for one" if listed else ""
            raise UserError(
                f"none of the {len(listed):,} training paintings of {checkpoint} is in {data.root.resolve()}{example}; "
                f"name the folder where they are by --root, or do without similar paintings"
            )
        keys = [(painting.path, *identity) for painting, identity in known.items()]
        features = _features(predictor, data.root, keys, max_megapixels, batch_size)
        is_read = ~features[:, 0].isnan()
        if missing := len(listed) - int(is_read.sum()):
            log.warning(
                "%d of %d training paintings can't be read any more in %s: they are not among the similar ones",
                *(missing, len(listed), data.root.resolve()),
            )
        if not is_read.any():
            raise UserError(f"none of the training paintings in {data.root.resolve()} can be read: fetch them again")
        paintings = [painting for painting, kept in zip(known, is_read.tolist(), strict=True) if kept]
        return cls(data.root, paintings, features if is_read.all() else features[is_read])

    def nearest(self, features: Tensor, count: int) -> list[list[Neighbor]]:
        """The `count` most similar training paintings of each picture, the most similar first.

        Args:
            features: (batch, width), as `Predictor.logits_and_features` gives them.
        """
        queries = unit(features.float().cpu(), dim=1)  # (batch, width)
        values, positions = queries.new_zeros(len(queries), 0), torch.zeros(len(queries), 0, dtype=torch.int64)
        rows = max(1, _CHUNK_BYTES // (4 * self.features.shape[1]))
        for start in range(0, len(self.features), rows):
            # Their length is 1 but for float16's rounding, which the same picture would show.
            found = queries @ unit(self.features[start : start + rows].float(), dim=1).T  # (batch, rows)
            here = torch.arange(start, start + found.shape[1]).expand(len(queries), -1)
            order = torch.cat([values, found], 1).sort(dim=1, descending=True, stable=True)
            chosen = order.indices[:, :count]
            values, positions = order.values[:, :count], torch.cat([positions, here], 1).gather(1, chosen)
        return [list(map(self._neighbor, *row)) for row in zip(positions.tolist(), values.tolist(), strict=True)]

    def _neighbor(self, position: int, similarity: float) -> Neighbor:
        path, style, artist, _ = self.paintings[position]
        return Neighbor(path, style, artist, contact_sheet.title(path), min(1.0, max(-1.0, similarity)))


def _identity(path: Path) -> tuple[int, int] | None:
    """A file's size and mtime in ns, by which a changed one is recognised; None where it can't be read."""
    with suppress(OSError, ValueError):
        if os.access(path, os.R_OK):
            return (status := path.stat()).st_size, status.st_mtime_ns
    return None


def _features(
    predictor: Predictor, root: Path, keys: list[tuple[str, int, int]], max_megapixels: float, batch_size: int
) -> Tensor:
    """The features of paintings, of length 1, (paintings, width) float16; NaN for one that is no picture."""
    network, how = predictor.network, predictor.preprocessing
    device = next(network.parameters()).device
    example = torch.zeros(1, 3, how.image_size, how.image_size, dtype=torch.uint8, device=device)
    width = predictor.logits_and_features(normalize(example, how))[1].shape[1]

    def compute(chosen: list[int]) -> Tensor:
        paths = [root / keys[i][0] for i in chosen]
        found = torch.full((len(chosen), width), torch.nan, dtype=torch.float16)
        for number, (pictures, is_read) in enumerate(_pictures(paths, how, max_megapixels, batch_size)):
            if len(pictures):
                of_batch = predictor.logits_and_features(normalize(pictures.to(device), how))[1]
                found[number * batch_size : (number + 1) * batch_size][is_read] = unit(of_batch, dim=1).half().cpu()
        return found

    about = {
        "root": str(root.resolve()),
        "network": f"{type(network).__name__} up to its last layer",
        "weights": state_hash(network.state_dict()),
        "precision": str(predictor.described.get("precision")),
        "device": device.type,
        "max_megapixels": max_megapixels,
        "version": _VERSION,
    }
    store = RowStore("training-paintings", about | asdict(how), (width,), torch.float16)
    rows = store.open(keys, compute, "training paintings", at_once=_BATCHES_AT_ONCE * batch_size)
    if rows is None:  # no room on the disk: they are in memory then
        return compute(list(range(len(keys))))
    in_order = torch.equal(rows.position, torch.arange(len(rows.position)))
    return rows.values[: len(keys)] if in_order else rows[torch.arange(len(keys))]


def _pictures(paths: list[Path], how: Preprocessing, max_megapixels: float, batch_size: int) -> DataLoader:
    """Batches of the pictures that can be read, uint8 (pictures, 3, height, width), and which these are, (batch,)."""
    workers = images.default_workers() if len(paths) > 2 * batch_size else 0  # starting them takes a while
    read = functools.partial(_read, how=how, max_megapixels=max_megapixels)  # runs in the workers
    return DataLoader(paths, batch_size=batch_size, num_workers=workers, collate_fn=read)


def _read(paths: list[Path], how: Preprocessing, max_megapixels: float) -> tuple[Tensor, Tensor]:
    found: list[Tensor | None] = []
    for path in paths:
        try:
            found.append(images.load_square(path, how.image_size, how.resize, max_megapixels))
        except (UserError, OSError):
            found.append(None)
    pictures = [picture.permute(2, 0, 1) for picture in found if picture is not None]
    is_read = torch.tensor([picture is not None for picture in found])
    return torch.stack(pictures) if pictures else torch.zeros(0, 3, 1, 1, dtype=torch.uint8), is_read
