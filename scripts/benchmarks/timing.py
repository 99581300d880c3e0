"""The rate of a repeated step."""

import math
import time
from collections.abc import Callable

import torch

LEAST_SECONDS = 2.0


def per_second(step: Callable[[], object], items: int, device: str) -> float:
    """Items per second of a step that processes `items`: one warm-up, then at least 3 times and LEAST_SECONDS."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    step()
    times, seconds = 3, 0.0
    while seconds < LEAST_SECONDS:
        times = math.ceil(1.2 * times * LEAST_SECONDS / seconds) if seconds else times
        wait()
        start = time.perf_counter()
        for _ in range(times):
            step()
        wait()
        seconds = time.perf_counter() - start
    return times * items / seconds
