"""Checkpoints of a run that is resumed in another folder."""

import logging
import shutil
from pathlib import Path
from typing import Any

from brushwork import files, run_folder

log = logging.getLogger(__name__)


def move_checkpoints(state: dict[str, Any], dirpath: str) -> None:
    """Rewrite the folder in a ModelCheckpoint's state."""

    def moved(path: str) -> str:
        return str(Path(dirpath) / Path(path).name) if path else path

    state["dirpath"] = dirpath
    for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
        state[key] = moved(state[key])
    state["best_k_models"] = {moved(path): score for path, score in state["best_k_models"].items()}


def keep_best(ckpt_path: Path, folder: Path) -> None:
    """Copy the best epoch's checkpoint when a run is resumed in another folder."""
    theirs, ours = ckpt_path.with_name(Path(run_folder.BEST).name), folder / run_folder.BEST
    if theirs.exists() and not ours.exists():
        ours.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_path(ours) as temporary:
            shutil.copyfile(theirs, temporary)
    elif not ours.exists():
        log.warning("no %s beside %s: if its best epoch is past, its weights are lost", theirs.name, ckpt_path)
