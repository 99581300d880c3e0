"""What training pictures look like, against scikit-learn's principal components."""

import io

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from brushwork.models import familiarity


def features(count: int, width: int, seed: int) -> torch.Tensor:
    """Near a plane of 5 of `width` dimensions, the same for each seed."""
    plane = torch.randn(5, width, generator=torch.Generator().manual_seed(9))
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=generator) @ plane + 0.1 * torch.randn(count, width, generator=generator) + 3


def test_the_distance_is_of_the_residual_that_principal_components_leave() -> None:
    training, held_out = features(300, 20, 0), features(200, 20, 1)
    found = familiarity.fit(training, held_out, [str(number // 4) for number in range(200)])
    pca = PCA(len(found.components)).fit(training.double().numpy())
    residual = np.linalg.norm(
        held_out.numpy() - pca.inverse_transform(pca.transform(held_out.double().numpy())), axis=1
    )
    logs = np.log(residual)
    assert found.typical == pytest.approx(np.median(logs), abs=0.02)
    np.testing.assert_allclose(found.distance(held_out).numpy(), np.abs(logs - found.typical), atol=0.02)
    assert found.is_unlike(held_out).float().mean() == pytest.approx(0.05, abs=0.006)
    assert 0.02 < found.false_alarms < 0.1


def test_what_excites_other_directions_or_none_is_unlike() -> None:
    training = features(300, 20, 0)
    found = familiarity.fit(training, features(200, 20, 1), [""] * 200)
    assert found.is_unlike(
        features(50, 20, 2) + 5 * torch.randn(50, 20, generator=torch.Generator().manual_seed(3))
    ).all()
    assert found.is_unlike(training.mean(0, keepdim=True)).all()  # nothing in it at all
    assert not found.is_unlike(features(50, 20, 4)).float().mean() > 0.2


@pytest.mark.parametrize("width", [4096, 25088])
def test_it_takes_at_most_a_megabyte(width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    found = familiarity.fit(
        torch.rand(150, width, generator=generator), torch.rand(20, width, generator=generator), [""] * 20
    )
    content = io.BytesIO()
    torch.save(found.plain(), content)
    assert content.tell() < 1e6
    again = familiarity.Familiarity.of(torch.load(io.BytesIO(content.getvalue()), weights_only=True))
    assert (again.mean == found.mean).all()
    assert again.threshold == found.threshold


def test_of_equal_features_and_of_too_few() -> None:
    assert familiarity.fit(torch.ones(3, 8), torch.ones(5, 8), [""] * 5) is None
    same = familiarity.fit(torch.ones(9, 8), torch.ones(5, 8), [""] * 5)
    assert not same.is_unlike(torch.ones(2, 8)).any()
    assert same.is_unlike(torch.zeros(2, 8)).all()
