"""The terminal: log lines above a progress bar instead of through it; how a program ends, and on which signals."""

import argparse
import logging
import math
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from tqdm import tqdm

from brushwork.errors import UserError

WIDTH = 100  # columns in which scripts write their tables and sentences

# A Ctrl-C reaches a sweep's job from the terminal and from the sweep's process: it must not end the ending.
_SAME_SIGNAL = 3.0


class TerminalHandler(logging.StreamHandler):
    """A StreamHandler that writes by way of tqdm (conf/hydra/default.yaml names it)."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=self.stream)
        self.flush()


@contextmanager
def exit_on_signals(silent: bool = False) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process with status 130 and 143 (Lightning alone: 1 and 0).

    Both usually reach the whole process group. Data-loading workers then end without a word, and torch's alarm about
    vanished workers is off. DDP processes but the first (`silent`) go on until the first one ends them: where it waits
    for them in C++, no signal would reach it any more if they were gone.
    """
    owner, first = os.getpid(), -math.inf

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != owner:
            os._exit(0)
        if silent or time.monotonic() - first < _SAME_SIGNAL:
            return
        first = time.monotonic()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show_log() -> None:
    """A script shows the program's log on standard output."""
    log = logging.getLogger("brushwork")
    log.addHandler(TerminalHandler(sys.stdout))
    log.setLevel(logging.INFO)


def wrapped(line: str, indent: str = "") -> str:
    """A sentence in the terminal's columns; under an indent, what follows its first line is farther in."""
    return textwrap.fill(
        line,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  " * bool(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )


def count(text: str) -> int:
    """The argparse type of an option that counts something."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, but got {number}")
    return number


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Run a script: its value is the exit status; a user's mistake, or a file that the system refuses, is one line
    on standard error and status 1."""
    try:
        sys.exit(main())
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
