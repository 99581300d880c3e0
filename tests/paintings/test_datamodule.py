"""Batches: the order of an epoch, and its shares under DDP."""

import numpy as np
import pytest

from brushwork.paintings.datamodule import EpochOrder


def test_order_is_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochOrder(50, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(0, 0)) == list(range(50))
    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_without_seed_in_the_order_of_the_data() -> None:
    assert list(EpochOrder(5, None)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("size", "world_size"), [(64, 2), (65, 2), (7, 4), (3, 5)])
def test_shares_make_the_batches_of_one_process(size: int, world_size: int) -> None:
    shares = [list(EpochOrder(size, 0, rank, world_size)) for rank in range(world_size)]
    assert {len(share) for share in shares} == {len(EpochOrder(size, 0, 0, world_size))}
    together = np.array(shares).T.flatten()  # a batch of each process, interleaved
    alone = list(EpochOrder(size, 0))
    assert together[:size].tolist() == alone
    assert set(together[size:].tolist()) <= set(alone)  # the padding
