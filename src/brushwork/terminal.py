"""The terminal's log lines: above a running progress bar instead of through it."""

import logging

from tqdm import tqdm


class TerminalHandler(logging.StreamHandler):
    """A StreamHandler that writes by way of tqdm (conf/hydra/default.yaml names it)."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=self.stream)
        self.flush()
