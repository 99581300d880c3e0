"""Setup: the plain values that every side's process gets."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BF16, FP32 = "bf16-mixed", "32-true"


@dataclass(frozen=True)
class Setup:
    work: str  # folder of the large JPEGs (paintings), caches (cache) and run folders; removed at the end
    device: str
    paintings: int
    train: int  # of them; the others validate
    workers: int = 0  # of the plain loaders: the fastest number
    image_size: int = 224
    batch_size: int = 64
    epochs: int = 5
    stores: tuple[int, int] = (2_000, 20_000)  # pictures

    @property
    def root(self) -> str:
        return f"{self.work}/paintings"

    @property
    def classes(self) -> int:
        return len(os.listdir(self.root))
