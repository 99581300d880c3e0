"""The figures of a photo's maps where they are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from brushwork.saliency.evaluation import evaluation
from brushwork.saliency.photos import Explained, Photo


def test_a_patch_that_alone_decides_the_class() -> None:
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
    answer = Explained(0, image, None, maps, 0, np.array([1.0, 0.0]))
    asked = []
    photo = evaluation.evaluated(network, Photo(0, Path("x.png"), "x", answer), mask, 8, asked.append)
    found = photo.figures
    assert list(found) == asked == ["gradient", "occlusion", "random", "centre"]
    best, worst = found["gradient"], found["occlusion"]
    assert (best["pointing"], best["energy"]) == (1, 1)
    assert (worst["pointing"], worst["energy"]) == (0, 0)
    assert best["object_share"] == pytest.approx(4 / 144)
    sure = 1 / (1 + np.exp(-12.0))
    # 12 pixels a step: after the first all four are gone, and half of the probability stays.
    assert best["deletion"] == pytest.approx((sure / 2 + 11 * 0.5 + 0.25) / 12, abs=1e-6)
    assert worst["deletion"] > found["random"]["deletion"] > best["deletion"]
    assert best["insertion"] > found["random"]["insertion"] > worst["insertion"]
    assert [line[0] for line, _ in photo.verdicts["gradient"]] == ["✓"] * 4
    assert [line[0] for line, _ in photo.verdicts["occlusion"]] == ["✗"] * 4
    assert "class_contrast" not in best  # the other class has a map of zeros
