"""Batches: the order of an epoch, and its shares under DDP."""

import numpy as np
import pytest
import torch

from brushwork.batch import Batch
from brushwork.paintings.batches import EpochOrder, StoredBatches


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


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_stored_batches(ahead: int) -> None:
    """Each picture of the part once, in the epoch's order, with its own label and index."""
    rows = torch.arange(20)[:, None].expand(20, 3)
    labels = torch.arange(20) * 10
    part = torch.arange(20)[::2]
    batches = StoredBatches(
        Batch, lambda index: rows[index], part, labels, EpochOrder(10, 0), 4, ahead, pin_memory=False
    )
    batches.sampler.set_epoch(3)
    found = list(batches)
    assert [len(batch.index) for batch in found] == [4, 4, 2]
    assert len(batches) == 3
    index = torch.cat([batch.index for batch in found])
    order = EpochOrder(10, 0)
    order.set_epoch(3)
    assert index.tolist() == [2 * i for i in order]
    assert torch.equal(torch.cat([batch.images for batch in found])[:, 0], index)
    assert torch.equal(torch.cat([batch.labels for batch in found]), index * 10)


def test_an_error_in_gathering_is_not_lost() -> None:
    def gather(index: torch.Tensor) -> torch.Tensor:
        raise OSError("the disk is gone")

    batches = StoredBatches(Batch, gather, torch.arange(4), torch.arange(4), EpochOrder(4, 0), 2, 2, pin_memory=False)
    with pytest.raises(OSError, match="the disk is gone"):
        next(iter(batches))
