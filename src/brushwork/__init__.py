"""Brushwork: fine-tune ImageNet classifiers on paintings, compare them honestly, and see what they look at.

The public names are imported when they are first used, so that `import brushwork` itself takes no time.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_PUBLIC = {
    "StyleClassifier": "brushwork.models.classifier",
    "WikiArtDataModule": "brushwork.paintings.datamodule",
    "replace_last": "brushwork.models.heads",
    "replace_two": "brushwork.models.heads",
    "compare": "brushwork.study.comparison",
}
__all__ = ["StyleClassifier", "WikiArtDataModule", "compare", "replace_last", "replace_two", "saliency"]


def __getattr__(name: str) -> Any:
    if name == "saliency":
        return import_module("brushwork.saliency")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'brushwork' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
