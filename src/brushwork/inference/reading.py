"""Picture files as the squares that networks take, decoded by threads while the network works, in constant memory."""

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from brushwork import images
from brushwork.errors import UserError

_MOST = 16  # threads: no network is that fast

Squares = list[Tensor]  # of one picture in each shape, uint8 (size, size, 3)
Shape = tuple[int, str]  # size, and how it is reached: see `images.load_square`


def read_ahead(
    paths: Iterable[Path], shapes: Sequence[Shape], max_megapixels: float, ahead: int
) -> Iterator[Squares | UserError]:
    """Each picture in each shape, or why it can't be read, in the order of `paths`.

    At most `ahead` pictures are in memory. Threads do it: nearly all of the work (decoding, resizing) is done without
    Python's lock, and processes would have to be started and to send what they read.
    """

    def read(path: Path) -> Squares | UserError:
        try:
            return [images.load_square(path, size, how, max_megapixels) for size, how in shapes]
        except UserError as error:
            return error

    pool, waiting = _pool(), deque[Future[Squares | UserError]]()
    try:
        for path in paths:
            waiting.append(pool.submit(read, path))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _pool() -> ThreadPoolExecutor:
    """A thread for each core, up to _MOST, in which torch computes with one; here it keeps its number."""
    threads = torch.get_num_threads()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = min(cores, _MOST)
    started = threading.Barrier(cores)

    def start() -> None:
        torch.get_num_threads()  # a thread's first call of torch sets its number, which the next line changes
        torch.set_num_threads(1)

    pool = ThreadPoolExecutor(cores, initializer=start)
    list(pool.map(lambda _: started.wait(), range(cores)))  # until each has started
    torch.set_num_threads(threads)  # the same for all libraries, but for those that have it by thread
    return pool
