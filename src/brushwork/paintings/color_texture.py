"""A baseline without a network: logistic regression on simple features of colour and texture."""

from pathlib import Path

import numpy as np
from PIL import Image

from brushwork import files, images
from brushwork.paintings.catalogue import Catalogue, Painting
from brushwork.paintings.checks import facts
from brushwork.paintings.splits import HELD_OUT, Parts

_SIDE = 128  # pixels to which a painting is resized
_VERSION = 2  # of `features`: a new one computes the cache again


def features(picture: Image.Image) -> np.ndarray:
    """124 features of an RGB picture, (124,) float32, independent of position in the picture.

    Colour: mean and deviation of red, green and blue (6); histograms of hue, saturation and value, 8 bins each
    (24); shares of 4 x 4 x 4 RGB cubes, as square roots (64). Texture, at 128, 64 and 32 pixels: gradient
    orientations in 8 bins, weighted by magnitude (24); mean and deviation of the magnitude, as logarithms (6).
    """
    picture = images.resize(picture, _SIDE)
    rgb = np.asarray(picture, np.float32) / 255  # (128, 128, 3)
    hsv = np.asarray(picture.convert("HSV"))
    found = [rgb.mean((0, 1)), rgb.std((0, 1))]
    found += [np.bincount(hsv[..., channel].ravel() // 32, minlength=8) / _SIDE**2 for channel in range(3)]
    cubes = (np.asarray(picture) // 64).astype(int) @ (16, 4, 1)
    found.append(np.sqrt(np.bincount(cubes.ravel(), minlength=64) / _SIDE**2))
    grey = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    for _ in range(3):  # 128, 64 and 32 pixels
        down, across = np.gradient(grey)
        magnitude = np.hypot(down, across)
        angle = np.arctan2(down, across) % np.pi / np.pi  # modulo half a turn: [0, 1)
        orientation = np.minimum((angle * 8).astype(int), 7)
        weights = np.bincount(orientation.ravel(), magnitude.ravel(), 8)
        found += [weights / (weights.sum() + 1e-6), np.log([magnitude.mean() + 1e-4, magnitude.std() + 1e-4])]
        grey = grey.reshape(len(grey) // 2, 2, len(grey) // 2, 2).mean((1, 3))
    return np.concatenate(found).astype(np.float32)


def accuracies(catalogue: Catalogue, parts: Parts, max_megapixels: float) -> dict[str, float]:
    """The accuracy in [0, 1] on each held-out part by logistic regression on training's standardised `features`.

    The L2 penalty is 1/C with C = 0.1 for all data.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import: not before it is needed
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = _table(catalogue, max_megapixels)  # (paintings, features)
    labels, part_of = np.array([painting.style for painting in catalogue.paintings]), np.array(parts)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    model.fit(table[part_of == "train"], labels[part_of == "train"])
    held_out = [part for part in HELD_OUT if part in parts]
    return {part: float(model.score(table[part_of == part], labels[part_of == part])) for part in held_out}


def _table(catalogue: Catalogue, max_megapixels: float) -> np.ndarray:
    """The features of all paintings, (paintings, 124), cached under the identities of their files."""

    def features_of(painting: Painting) -> np.ndarray:
        return features(images.load_rgb(catalogue.root / painting.path, max_megapixels, at_least=_SIDE))

    def compute() -> np.ndarray:
        found = images.in_threads(features_of, catalogue.paintings, "colour and texture", "paintings")
        return np.stack([row for _, row in found])

    def save(path: Path, table: np.ndarray) -> None:
        with open(path, "wb") as file:  # given a path, np.save would change its extension
            np.save(file, table)

    name = f"color-texture-{_VERSION}-{files.short_hash(facts.identities(catalogue))}.npy"
    return files.cached(files.cache_folder() / name, np.load, compute, save)
