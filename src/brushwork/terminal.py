"""The terminal: log lines above a running progress bar instead of through it, and how a script ends."""

import logging
import sys
from collections.abc import Callable
from typing import NoReturn

from tqdm import tqdm

from brushwork.errors import UserError


class TerminalHandler(logging.StreamHandler):
    """A StreamHandler that writes by way of tqdm (conf/hydra/default.yaml names it)."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=self.stream)
        self.flush()


def show_log() -> None:
    """A script shows the program's log on standard output."""
    log = logging.getLogger("brushwork")
    log.addHandler(TerminalHandler(sys.stdout))
    log.setLevel(logging.INFO)


def exit_with(main: Callable[[], int]) -> NoReturn:
    """Run a script: its value is the exit status; a user's mistake is one line on standard error and status 1."""
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
