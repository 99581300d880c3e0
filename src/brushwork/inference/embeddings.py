"""The features before the head of any number of pictures, as a file that grows batch by batch: .npy or parquet."""

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from torch import Tensor

from brushwork import csv_files, files, result_folder
from brushwork.errors import UserError
from brushwork.readable import readable

KINDS = ("npy", "parquet")
_GROWING = ".features.npy.tmp"  # until all is there
_HEADER = 128  # bytes: numpy leaves room for a number of rows of any length
_CHUNK = 4096  # rows


def pyarrow() -> ModuleType:
    """pyarrow, which is an extra; raises a UserError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(f"--embed parquet needs pyarrow ({error}): pip install '.[parquet]', or --embed npy") from None
    return pyarrow


def name(kind: str) -> str:
    """The file's name."""
    return f"features.{kind}"


class FeatureFile:
    """Features (pictures, width) float32, appended in the order of predictions.csv.

    Until `finish` they are a growing .npy file, hidden; of a killed process its rows stay.
    """

    def __init__(self, out: Path, kind: str) -> None:
        self.path, self.growing, self.kind = out / name(kind), out / _GROWING, kind

    def rows(self, width: int) -> int:
        """How many whole rows there are."""
        if self.kind == "parquet" and self.path.exists():
            return pyarrow().parquet.read_metadata(self.path).num_rows
        path = self.path if self.path.exists() else self.growing
        return max(0, path.stat().st_size - _HEADER) // (4 * width) if path.exists() else 0

    def keep(self, rows: int, width: int) -> None:
        """Drops all but the first rows, so that others can follow."""
        if self.path.exists() and rows == self.rows(width):
            return
        if self.kind == "parquet" and self.path.exists():
            raise UserError(f"{self.path.resolve()} is finished and can't grow again: use --overwrite")
        if self.path.exists():
            self.path.replace(self.growing)
        if not self.growing.exists():
            self.growing.write_bytes(b" " * _HEADER)
        os.truncate(self.growing, _HEADER + rows * 4 * width)

    def append(self, features: Tensor) -> None:
        """Adds features (batch, width)."""
        with result_folder.naming(self.growing), open(self.growing, "ab") as file:
            file.write(features.numpy().astype("<f4").tobytes())

    def finish(self, width: int, table: Path) -> None:
        """Makes the file that was asked for, with the paths of predictions.csv in a parquet file."""
        if self.path.exists():  # of an earlier run, which was at its end
            return
        rows = self.rows(width)
        with open(self.growing, "r+b") as file:
            about = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
            np.lib.format.write_array_header_1_0(file, about)
        if self.kind == "npy":
            self.growing.replace(self.path)
            return
        paths = [readable(row["path"]) for row in csv_files.read(table)]
        with files.atomic_path(self.path) as temporary:
            _write_parquet(temporary, paths, np.load(self.growing, mmap_mode="r"))
        self.growing.unlink()


def _write_parquet(path: Path, names: Sequence[str], features: np.ndarray) -> None:
    """Columns `path` and `features`, a list of fixed length, in chunks."""
    arrow = pyarrow()
    width = features.shape[1]
    schema = arrow.schema([("path", arrow.string()), ("features", arrow.list_(arrow.float32(), width))])
    with arrow.parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, len(names), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            lists = arrow.FixedSizeListArray.from_arrays(arrow.array(np.array(features[chunk]).ravel()), width)
            paths = arrow.array(names[chunk], arrow.string())
            writer.write_table(arrow.Table.from_arrays([paths, lists], schema=schema))
