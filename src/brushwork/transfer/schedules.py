"""Schedules of the learning rate that torch has only in parts."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR


def warmup_cosine(optimizer: Optimizer, epochs: int, warmup_epochs: int = 1) -> SequentialLR:
    """From a tenth of the rate up to it in `warmup_epochs`, then down along half a cosine."""
    rise = LinearLR(optimizer, start_factor=0.1, total_iters=warmup_epochs)
    fall = CosineAnnealingLR(optimizer, T_max=epochs - warmup_epochs)
    return SequentialLR(optimizer, [rise, fall], milestones=[warmup_epochs])
