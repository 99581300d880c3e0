"""The baseline between no pixel and a network: logistic regression on a few figures of colour and texture."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image
from tqdm import tqdm

from brushwork import files, images
from brushwork.paintings.catalogue import Catalogue
from brushwork.paintings.checks import facts
from brushwork.paintings.splits import Parts

log = logging.getLogger(__name__)

_SIDE = 128  # pixels to which a painting is squashed
_SCALES = 3  # of texture: 128, 64 and 32 pixels
_ORIENTATIONS = 8
_VERSION = 2  # of `features`: a new one makes the cache anew


def features(picture: Image.Image) -> np.ndarray:
    """124 figures of an RGB picture, (124,) float32, which don't say where in the picture things are.

    Colour: mean and deviation of red, green and blue (6); histograms of hue, saturation and value, 8 bins each
    (24); shares of 4 x 4 x 4 RGB cubes, as square roots (64). Texture, at 128, 64 and 32 pixels: gradient
    orientations in 8 bins, weighted by strength (24); mean and deviation of the strength, as logarithms (6).
    """
    picture = images.resize(picture, _SIDE)
    rgb = np.asarray(picture, np.float32) / 255  # (128, 128, 3)
    hsv = np.asarray(picture.convert("HSV"))
    found = [rgb.mean((0, 1)), rgb.std((0, 1))]
    found += [np.bincount(hsv[..., channel].ravel() // 32, minlength=8) / _SIDE**2 for channel in range(3)]
    cubes = (np.asarray(picture) // 64).astype(int) @ (16, 4, 1)
    found.append(np.sqrt(np.bincount(cubes.ravel(), minlength=64) / _SIDE**2))
    grey = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    for _ in range(_SCALES):
        down, across = np.gradient(grey)
        strength = np.hypot(down, across)
        turn = np.arctan2(down, across) % np.pi / np.pi  # an edge has no direction: [0, 1)
        orientation = np.minimum((turn * _ORIENTATIONS).astype(int), _ORIENTATIONS - 1)
        weights = np.bincount(orientation.ravel(), strength.ravel(), _ORIENTATIONS)
        found.append(weights / (weights.sum() + 1e-6))
        found.append(np.log([strength.mean() + 1e-4, strength.std() + 1e-4]))
        grey = grey.reshape(len(grey) // 2, 2, len(grey) // 2, 2).mean((1, 3))
    return np.concatenate(found).astype(np.float32)


def accuracies(catalogue: Catalogue, parts: Parts, max_megapixels: float) -> dict[str, float]:
    """The accuracy in [0, 1] on each held-out part of logistic regression on the training part's `features`.

    They are standardised by the training part; L2 penalty 1/C with C = 0.1, chosen once and never by the data.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import: not before it is needed
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = _table(catalogue, max_megapixels)  # (paintings, features)
    labels = np.array([painting.style for painting in catalogue.paintings])
    of_part = np.array(parts)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(table[of_part == "train"], labels[of_part == "train"])
    return {
        part: float(model.score(table[of_part == part], labels[of_part == part]))
        for part in ("val", "test")
        if part in parts
    }


def _table(catalogue: Catalogue, max_megapixels: float) -> np.ndarray:
    """The features of all paintings, (paintings, features), from the cache where these paintings were met before."""
    path = files.cache_folder() / f"color-texture-{_VERSION}-{files.short_hash(facts.identities(catalogue))}.npy"
    if path.exists():
        try:
            return np.load(path)
        except (ValueError, OSError, EOFError):
            log.warning("%s is damaged and made anew", path)

    def look(i: int) -> np.ndarray:
        return features(images.load_rgb(catalogue.root / catalogue.paintings[i].path, max_megapixels, at_least=_SIDE))

    count = len(catalogue.paintings)
    with ThreadPoolExecutor() as pool:
        rows = tqdm(pool.map(look, range(count)), "colours and textures", count, False, unit=" paintings", disable=None)
        table = np.stack(list(rows))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, table)
    except OSError as error:
        log.warning("%s can't be written (%s): colours and textures are computed again next time", path, error.strerror)
    return table
