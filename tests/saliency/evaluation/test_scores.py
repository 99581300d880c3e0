"""The scores of a photo's maps where they are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from brushwork import images
from brushwork.models.predictor import Predictor
from brushwork.saliency.evaluation import annotations
from brushwork.saliency.evaluation.annotations import Annotation
from brushwork.saliency.evaluation.scores import evaluate, verdicts
from brushwork.saliency.photos import Photo


def test_a_patch_that_alone_decides_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network sees four pixels; a map of these is the best there is by each figure."""
    mask = np.zeros((12, 12), bool)
    mask[2:4, 8:10] = True
    linear = nn.Linear(3 * 144, 2, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0] = torch.from_numpy(np.stack([mask] * 3)).flatten().float()
    network = nn.Sequential(nn.Flatten(), linear)
    image = torch.ones(3, 12, 12)
    maps = {"gradient": mask.astype(np.float32), "occlusion": (~mask).astype(np.float32)}
    photo = Photo(0, Path("x.png"), image, None, maps, 0, np.array([1.0, 0.0]))
    scored = []
    monkeypatch.setattr(annotations, "mask", lambda *_: mask)
    monkeypatch.setattr(images, "load_rgb", lambda *_: Image.new("RGB", (12, 12)))
    predictor = Predictor("patch", network, ["0", "1"], None, (), (), network)
    found = evaluate(predictor, photo, Annotation(photo.path, boxes=[(8, 2, 10, 4)]), scored.append)
    assert [text.removeprefix("x.png: ") for text in scored] == list(found)
    assert list(found) == ["gradient", "occlusion", "random", "centre"]
    best, worst = found["gradient"], found["occlusion"]
    assert (best["pointing"], best["energy"]) == (1, 1)
    assert (worst["pointing"], worst["energy"]) == (0, 0)
    assert best["object_share"] == pytest.approx(4 / 144)
    sure = 1 / (1 + np.exp(-12.0))
    # 12 pixels a step: after the first all four are gone, and half of the probability stays.
    assert best["deletion"] == pytest.approx((sure / 2 + 11 * 0.5 + 0.25) / 12, abs=1e-6)
    assert worst["deletion"] > found["random"]["deletion"] > best["deletion"]
    assert best["insertion"] > found["random"]["insertion"] > worst["insertion"]
    assert [line[0] for line, _ in verdicts(found, "gradient")] == ["✓"] * 4
    assert [line[0] for line, _ in verdicts(found, "occlusion")] == ["✗"] * 4
    assert "class_contrast" not in best  # the other class has a map of zeros
