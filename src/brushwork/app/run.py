"""The checkpoint that a user means: a file, a run folder, or the newest finished run below a folder."""

import logging
from pathlib import Path

from brushwork import files, run_folder
from brushwork.errors import UserError

log = logging.getLogger(__name__)


def checkpoint_of(place: Path) -> Path:
    """The checkpoint of a run, a UserError where there is none. Of several runs the newest finished one is logged."""
    place = Path(files.expanded(place))
    if place.is_file():
        return place
    if not place.is_dir():
        raise UserError(f"there is no run in {place.resolve()}: name a run folder, logs/demo/... say, or a checkpoint")
    if (place / run_folder.BEST).is_file():
        return place / run_folder.BEST
    found = sorted(place.rglob(run_folder.RESULT), key=lambda result: result.stat().st_mtime, reverse=True)
    finished = [result.parent for result in found if _is_finished(result.parent)]
    if not finished:
        raise UserError(f"no finished run in {place.resolve()}: train first, for instance with make train")
    if len(found) > 1:
        log.info("%d runs in %s: the newest finished one is taken, %s", len(found), place, finished[0])
    return finished[0] / run_folder.BEST


def _is_finished(folder: Path) -> bool:
    try:
        result = run_folder.read_result(folder)
        return result["status"] == "finished" and (folder / run_folder.BEST).is_file()
    except (OSError, ValueError, KeyError, TypeError):  # damaged, or another program's
        return False
