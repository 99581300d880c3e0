"""The paintings that a checkpoint's run was trained and validated on, from its run folder."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

from brushwork import csv_files, files, run_folder
from brushwork.errors import UserError, one_line


class RunPainting(NamedTuple):
    """A painting of a run's split.csv; `path` is relative to the data's root, with "/"."""

    path: str
    style: str
    artist: str | None
    part: str  # train, val, test, or unused


@dataclass(frozen=True)
class RunData:
    """A run's paintings and the folder where they are."""

    root: Path
    paintings: list[RunPainting]

    def part(self, name: str) -> list[RunPainting]:
        return [painting for painting in self.paintings if painting.part == name]


def folder_of(checkpoint: Path) -> Path:
    """The run folder in which a checkpoint lies, RUN/checkpoints/best.ckpt."""
    return checkpoint.resolve().parent.parent  # a relative one may be named from within its folder


def of_checkpoint(checkpoint: Path, root: Path | None = None) -> RunData:
    """The paintings of a checkpoint's run; `root` in place of the folder that its config.yaml names.

    A UserError where the run folder or the folder of its paintings is gone.
    """
    folder = folder_of(Path(checkpoint))
    paintings = _split(folder, Path(checkpoint))
    place = Path(root) if root is not None else _configured_root(folder)
    if not place.is_dir():
        raise UserError(
            f"the paintings of {checkpoint} are no longer in {place.resolve()}: name the folder where they are "
            f"by --root, or do without similar paintings"
        )
    return RunData(place, paintings)


def _split(folder: Path, checkpoint: Path) -> list[RunPainting]:
    path = folder / run_folder.SPLIT
    try:
        rows = csv_files.read(path)
        return [RunPainting(row["path"], row["style"], row["artist"] or None, row["part"]) for row in rows]
    except FileNotFoundError:
        raise UserError(
            f"{path.resolve()}, which lists the training paintings of {checkpoint}, is missing: use the checkpoint in "
            f"the run folder where it was written, RUN/{run_folder.BEST}, or do without similar paintings"
        ) from None
    except (OSError, EOFError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path.resolve()} can't be read ({one_line(error)}): restore it, or do without similar paintings"
        ) from None


def _configured_root(folder: Path) -> Path:
    """data.root of a run's config.yaml; a relative one is looked for from here, then from the folders above the run."""
    path = folder / run_folder.CONFIG
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8", errors="surrogateescape"))
        root = Path(files.expanded(config["data"]["root"]))
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(
            f"{path.resolve()}, which says where the paintings are, can't be read ({one_line(error)}): "
            f"name their folder by --root, or do without similar paintings"
        ) from None
    if root.is_absolute():
        return root
    places = [place / root for place in (Path(), *folder.resolve().parents)]
    return next((place for place in places if place.is_dir()), root)
