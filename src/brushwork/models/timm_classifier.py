"""`StyleClassifier` by a name of timm's alone, which conf/model/timm.yaml makes."""

from typing import Any

from brushwork.models.classifier import StyleClassifier
from brushwork.models.timm_networks import PREFIX


def timm_classifier(architecture: str, *arguments: Any, **options: Any) -> StyleClassifier:
    """The arguments are those of `StyleClassifier`; the name has "timm:" before it or not."""
    return StyleClassifier(PREFIX + architecture.removeprefix(PREFIX), *arguments, **options)
