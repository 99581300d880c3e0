"""Deletion and insertion against curves by hand, the published protocol, and a real network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from brushwork import images
from brushwork.models import predictor
from brushwork.saliency import maps
from brushwork.saliency.evaluation import faithfulness
from brushwork.saliency.evaluation.faithfulness import area, centre_map, curve, random_map
from tests.saliency.test_maps import state
from tests.saliency.test_methods import network


class Patch(nn.Module):
    """Class 1 has odds of e^4 while the 2 x 2 pixels in the corner add up to their full brightness, else less."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(4 / 12))

    def forward(self, images: Tensor) -> Tensor:
        score = self.weight * images[:, :, :2, :2].sum((1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], 1)


BRIGHT = torch.ones(3, 8, 8)
ON_PATCH = np.zeros((8, 8), np.float32)
ON_PATCH[:2, :2] = 1


def sigmoid(score: float) -> float:
    return 1 / (1 + np.exp(-score))


def test_deletion_of_the_patch_that_decides() -> None:
    """A step takes 2 pixels of its 4: odds of e^4, e^2, e^0, and no pixel of the rest matters."""
    found = curve(Patch(), BRIGHT, ON_PATCH, 1, step=2)
    assert found == pytest.approx([sigmoid(4), sigmoid(2)] + [0.5] * 31)
    assert area(found) == pytest.approx((sigmoid(4) / 2 + sigmoid(2) + 30 * 0.5 + 0.25) / 32)
    late = curve(Patch(), BRIGHT, -ON_PATCH, 1, step=2)
    assert late == pytest.approx([sigmoid(4)] * 31 + [sigmoid(2), 0.5])
    assert curve(Patch(), BRIGHT, ON_PATCH, 0, step=2) == pytest.approx(1 - found, abs=1e-6)


def test_insertion_of_the_patch_that_decides() -> None:
    """The blur spreads a bright patch: all of it that is left there is the kernel's middle."""
    image = BRIGHT * torch.from_numpy(ON_PATCH)
    gauss = np.exp(-(np.arange(-20, 21) ** 2) / 50)
    kernel = np.zeros(11)
    for place, value in zip(range(-15, 26), gauss / gauss.sum(), strict=True):
        while not 0 <= place < 11:  # the tails are folded back in
            place = -1 - place if place < 0 else 21 - place
        kernel[place] += value
    first, last = curve(Patch(), image, ON_PATCH, 1, "insertion", step=4)[[0, 1]]
    left = (2 * kernel[5] + 2 * kernel[4]) ** 2  # each of 4 pixels from all 4
    assert first == pytest.approx(sigmoid(left), abs=1e-6)
    assert last == pytest.approx(sigmoid(4))


def published(model: nn.Module, image: Tensor, saliency: np.ndarray, target: int, kind: str) -> list[float]:
    """Pixel by pixel in falling order, a row's worth at a time."""
    order = sorted(range(saliency.size), key=lambda i: -saliency.flat[i])
    width = saliency.shape[1]
    start = image.clone() if kind == "deletion" else faithfulness._blurred(image[None])[0]
    end = torch.zeros_like(image) if kind == "deletion" else image
    probabilities = [model(start[None]).softmax(1)[0, target].item()]
    for begin in range(0, saliency.size, width):
        for i in order[begin : begin + width]:
            start[:, i // width, i % width] = end[:, i // width, i % width]
        probabilities.append(model(start[None]).softmax(1)[0, target].item())
    return probabilities


@pytest.mark.parametrize("kind", faithfulness.KINDS)
@torch.no_grad()
def test_equals_the_published_protocol_pixel_by_pixel(kind: str) -> None:
    model, image = (
        network().eval().double(),
        torch.randn(3, 32, 48, generator=torch.Generator().manual_seed(0)).double(),
    )
    saliency = random_map(32, 48, seed=1)
    found = curve(model, image, saliency, 2, kind, batch_size=5)
    assert found.shape == (33,)
    assert found == pytest.approx(published(model, image, saliency, 2, kind), abs=1e-9)
    assert curve(model, image, saliency, 2, kind, batch_size=64) == pytest.approx(found, abs=1e-9)
    mean = (found.sum() - found[0] / 2 - found[-1] / 2) / 32  # as the published code has the area
    assert area(found) == pytest.approx(mean)


def test_the_blur_pads_with_zeros_and_keeps_the_brightness_inside() -> None:
    blurred = faithfulness._blurred(torch.ones(1, 3, 31, 31, dtype=torch.float64))
    assert blurred[0, :, 5:26, 5:26].numpy() == pytest.approx(1)
    assert blurred[0, 1, 0, 15].item() == pytest.approx(0.54, abs=0.01)  # 6 of 11 rows


def test_equal_values_are_drawn_by_lot() -> None:
    """On a plateau no corner comes first; the lot is the seed's."""
    plateau = np.zeros((40, 40), np.float32)
    plateau[10, 10] = 1
    ranks = faithfulness._ranks(plateau, seed=0)
    assert ranks[10, 10] == 0
    assert sorted(ranks.flat) == list(range(1600))
    rows, columns = np.nonzero(ranks < 400)
    assert (rows.mean(), columns.mean()) == pytest.approx((19.5, 19.5), abs=2)  # argsort's would be in 10 rows
    assert np.array_equal(ranks, faithfulness._ranks(plateau, seed=0))
    assert not np.array_equal(ranks, faithfulness._ranks(plateau, seed=1))


def test_a_linear_models_own_gradient_beats_any_other_order() -> None:
    """S_1 = sum of w I, I = 1: to delete the largest w first is the best that can be done."""
    torch.manual_seed(0)
    weight = torch.rand(8, 8)
    linear = nn.Linear(192, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.stack([torch.zeros(192), weight.repeat(3, 1, 1).flatten() / 24]))
    model = nn.Sequential(nn.Flatten(), linear)
    own = maps.class_saliency(model, BRIGHT[None], torch.tensor([1]))[0].numpy()
    assert own == pytest.approx(weight.numpy() / 24)
    left = np.sort(weight.numpy().ravel())[::-1].reshape(8, 8).sum(1)
    scores = (left.sum() - np.concatenate([[0], left.cumsum()])) / 8
    found = curve(model, BRIGHT, own, 1)
    assert found == pytest.approx(sigmoid(scores), abs=1e-6)
    others = [area(curve(model, BRIGHT, other, 1)) for other in (-own, random_map(8, 8, 0), centre_map(8, 8))]
    assert area(found) < min(others)


def test_area_by_hand() -> None:
    assert area(np.array([1.0, 0.2, 0.4])) == pytest.approx((0.6 + 0.3) / 2)
    assert area(np.ones(225)) == pytest.approx(1)


def test_baselines() -> None:
    centre = centre_map(8, 16)
    assert centre.shape == (8, 16)
    assert centre == pytest.approx(centre[::-1, ::-1])
    assert centre[4, 12] / centre[4, 8] == pytest.approx(np.exp(-(4.5**2 - 0.5**2) / 2 / 4**2))  # deviation 16 / 4
    assert centre[6, 8] / centre[4, 8] == pytest.approx(np.exp(-(2.5**2 - 0.5**2) / 2 / 2**2))
    assert np.array_equal(random_map(8, 16, 3), random_map(8, 16, 3))
    assert not np.array_equal(random_map(8, 16, 3), random_map(8, 16, 4))


def test_what_does_not_fit_is_refused() -> None:
    saliency = ON_PATCH.copy()
    saliency[3, 3] = np.nan
    for bad in (saliency, ON_PATCH[:4]):
        with pytest.raises(ValueError, match=r"expected a finite map of the image's \(8, 8\)"):
            curve(Patch(), BRIGHT, bad, 1)
    with pytest.raises(ValueError, match="expected kind to be one of deletion, insertion, but got erasure"):
        curve(Patch(), BRIGHT, ON_PATCH, 1, "erasure")
    with pytest.raises(ValueError, match="expected targets from 0 to 1, but got 2"):
        curve(Patch(), BRIGHT, ON_PATCH, 2)


def test_everything_stays_as_it_was() -> None:
    model, image = network().train(), torch.randn(3, 32, 32)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, kept = state(model), image.clone()
    with torch.inference_mode():
        curve(model, image, random_map(32, 32, 0), 1, "insertion", step=512)
    assert state(model) == before
    assert torch.equal(image, kept)


def test_a_real_photo(shared: Path) -> None:
    """The doberman's gradient tells what the network goes by; its opposite does not."""
    squeezenet = predictor.imagenet("squeezenet1_1", str(shared / "weights/squeezenet1_1-imagenet.pth"))
    image = squeezenet.transform(images.load_rgb(shared / "data/photos/assignment/doberman.jpg"))
    target = squeezenet.class_index("Doberman")
    saliency = maps.class_saliency(squeezenet.network, image[None], torch.tensor([target]))[0].numpy()
    deletion, opposite = (curve(squeezenet.network, image, one, target, step=224 * 8) for one in (saliency, -saliency))
    with torch.no_grad():
        probability = squeezenet.network(image[None]).softmax(1)[0, target].item()
    assert deletion[0] == pytest.approx(probability, abs=1e-5)
    assert deletion.shape == (29,)
    assert area(deletion) < 0.2 < area(opposite)
