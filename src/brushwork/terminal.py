"""The terminal: log lines that don't break a progress bar, line width, exit statuses and signals."""

import argparse
import io
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
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO

from tqdm import tqdm

from brushwork import files
from brushwork.errors import UserError
from brushwork.readable import readable

WIDTH = 100  # columns in which scripts write their tables and sentences

# A Ctrl-C reaches a sweep's worker both from the terminal and from the sweep's process: the second one must not
# interrupt the clean-up after the first.
_REPEAT_SECONDS = 3.0


class TerminalHandler(logging.StreamHandler):
    """A StreamHandler that writes through tqdm (conf/hydra/default.yaml names it)."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(readable(self.format(record), keep="\n\t"), file=self.stream)
        self.flush()


@contextmanager
def exit_on_signals(silent: bool = False) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the process with status 130 and 143 (Lightning alone: 1 and 0).

    Data-loading workers, which receive them too, exit silently; torch's handler for dead workers is reset. DDP
    processes other than rank 0 (`silent`) ignore the signals, and rank 0 ends them: if they exited first, rank 0 could
    wait for them in C++ code, which no Python signal handler interrupts.
    """
    owner, first = os.getpid(), -math.inf

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if os.getpid() != owner:
            os._exit(0)
        if silent or time.monotonic() - first < _REPEAT_SECONDS:
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


def take_any_name() -> None:
    """Names that the terminal's encoding lacks are written with escapes, on standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_log(stream: TextIO | None = None) -> None:
    """In a script: write the log to standard output, or to another stream."""
    log = logging.getLogger("brushwork")
    log.addHandler(TerminalHandler(stream or sys.stdout))
    log.setLevel(logging.INFO)


def wrapped(line: str, indent: str = "") -> str:
    """Text wrapped to WIDTH columns; with an indent, lines after the first are indented by two more spaces."""
    indents = {"initial_indent": indent, "subsequent_indent": f"{indent}  " if indent else ""}
    return textwrap.fill(line, WIDTH, **indents, break_long_words=False, break_on_hyphens=False)


def count(text: str) -> int:
    """The argparse type of a positive number."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, but got {number}")
    return number


def path(text: str) -> Path:
    """The argparse type of a path, with `~` and `$HOME` (a shell expands neither in `--out=~/maps`)."""
    return Path(files.expanded(text))


def pair(text: str) -> tuple[str, str]:
    """The argparse type of KEY=VALUE."""
    key, _, value = text.partition("=")
    if not (key and value):
        raise argparse.ArgumentTypeError(f"expected A=B, but got {text}")
    return key, value


def add_table(parser: argparse.ArgumentParser) -> None:
    """The options of a table that lists a folder's pictures."""
    parser.add_argument(
        "--table",
        type=path,
        metavar="FILE",
        help="lists the files and their styles (the one in ROOT, if there is one)",
    )
    parser.add_argument(
        "--columns",
        nargs="+",
        type=pair,
        default=[],
        metavar="KEY=HEADER",
        help="of the table, where not found: file, style, artist, part, date, genre",
    )


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Run a script's `main`, which returns the exit status; after a UserError or OSError, in one line, it is 1."""
    take_any_name()
    try:
        sys.exit(main())
    except BrokenPipeError:  # `| head` has enough: no error to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered would raise again
        sys.exit(128 + signal.SIGPIPE)
    except (UserError, OSError) as error:
        print("error:", readable(str(error), keep="\n"), file=sys.stderr)
        sys.exit(1)
