"""Pictures to put under any names."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def pictures(paintings: Path) -> list[Path]:
    """Thirty different ones."""
    return sorted(paintings.glob("*/*.jpg"))


def fill(root: Path, pictures: list[Path], *names: str) -> Path:
    """Pictures under these names, each another one."""
    for picture, name in zip(pictures, names, strict=False):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture, root / name)
    assert len(names) <= len(pictures)
    return root
