"""What training is compared with: the bare step on data in memory, and in fp32 a plain loop (ImageFolder, torchvision's
transforms, DataLoader) and Lightning's defaults."""

import itertools
import os
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset
from torchvision import models
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.setup import BF16, Setup
from benchmarks.timing import per_second


def alexnet(num_classes: int, head_only: bool = False) -> nn.Module:
    """AlexNet with random weights and a new last layer; as fast as with ImageNet weights."""
    network = models.alexnet()
    network.requires_grad_(not head_only)
    network.classifier[6] = nn.Linear(4096, num_classes)
    return network


def sgd(network: nn.Module) -> torch.optim.Optimizer:
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trainable, lr=0.01, momentum=0.9)


def bare_step(setup: Setup, precision: str) -> dict[str, float]:
    """Channels-last, fused SGD, random normalised batches on the device, of the sizes of an epoch's.

    Freed memory is kept, as in Brushwork: without that the limit would be lower.
    """
    from brushwork.training import devices

    devices.keep_freed_memory()
    if setup.device == "cuda":  # Brushwork's settings
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    network = alexnet(setup.classes).to(setup.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    images = torch.randn(setup.batch_size, 3, setup.image_size, setup.image_size, device=setup.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(setup.classes, (setup.batch_size,), device=setup.device)

    def epoch() -> None:
        for start in range(0, setup.train, setup.batch_size):
            size = min(setup.batch_size, setup.train - start)
            with torch.autocast(setup.device, torch.bfloat16) if precision == BF16 else nullcontext():
                loss = cross_entropy(network(images[:size]), labels[:size])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return {"images/s": per_second(epoch, setup.train, setup.device)}


def loaders(setup: Setup) -> tuple[DataLoader, DataLoader]:
    """Training and validation batches, split at random into parts of the same sizes as Brushwork's."""
    squash = v2.Resize((setup.image_size, setup.image_size), antialias=True)
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    normalize = v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    train = ImageFolder(setup.root, v2.Compose([squash, v2.RandomHorizontalFlip(), *to_tensor, normalize]))
    val = ImageFolder(setup.root, v2.Compose([squash, *to_tensor, normalize]))
    order = torch.randperm(len(train)).tolist()
    options = {
        "batch_size": setup.batch_size,
        "num_workers": setup.workers,
        "persistent_workers": setup.workers > 0,
        "pin_memory": setup.device == "cuda",
    }
    return (
        DataLoader(Subset(train, order[: setup.train]), shuffle=True, **options),
        DataLoader(Subset(val, order[setup.train :]), **options),
    )


def train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: Iterable[tuple[Tensor, Tensor]], device: str
) -> float:
    """Train on the batches; the last loss."""
    network.train()
    for images, labels in batches:
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    return loss.item()


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader, device: str) -> float:
    network.eval()
    right = 0
    for images, labels in loader:
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        right += (network(images).argmax(1) == labels).sum().item()
    return right / len(loader.dataset)


def plain_loop(setup: Setup, head_only: bool = False) -> dict[str, float]:
    start = time.perf_counter()
    train, val = loaders(setup)
    network = alexnet(setup.classes, head_only).to(setup.device)
    optimizer = sgd(network)
    for _ in range(setup.epochs):
        train_epoch(network, optimizer, train, setup.device)
        accuracy(network, val, setup.device)
    return {"s": time.perf_counter() - start}


def lightning_defaults(setup: Setup) -> dict[str, float]:
    """The same with Lightning's Trainer and its defaults, without checkpoints and logger."""
    import lightning as L

    class Classifier(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = alexnet(setup.classes)

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            images, labels = batch
            return cross_entropy(self.network(images), labels)

        def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
            images, labels = batch
            self.log("accuracy", (self.network(images).argmax(1) == labels).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return sgd(self.network)

    start = time.perf_counter()
    options = {"accelerator": "gpu" if setup.device == "cuda" else "cpu", "devices": 1}
    trainer = L.Trainer(max_epochs=setup.epochs, logger=False, enable_checkpointing=False, **options)
    trainer.fit(Classifier(), *loaders(setup))
    return {"s": time.perf_counter() - start}


def best_workers(setup: Setup) -> dict[str, Any]:
    """Try 0, 1, 2, 4, ... workers, up to the number of cores, on a few training batches each."""
    cores = len(os.sched_getaffinity(0))
    rates = {}
    for workers in sorted({0, cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)}):
        network = alexnet(setup.classes).to(setup.device)
        train, _ = loaders(replace(setup, workers=workers))
        batches = min(len(train), max(3, 2 * workers))
        start = time.perf_counter()
        train_epoch(network, sgd(network), itertools.islice(train, batches), setup.device)
        images = min(batches * setup.batch_size, setup.train)
        rates[str(workers)] = images / (time.perf_counter() - start)
    return {"best": int(max(rates, key=rates.get)), "images/s": rates}


@torch.no_grad()
def predict(setup: Setup, architecture: str) -> dict[str, float]:
    """Answers for files: Pillow, torchvision's transforms, batches."""
    network = models.get_model(architecture, num_classes=setup.classes).to(setup.device).eval()
    squash = v2.Resize((setup.image_size, setup.image_size), antialias=True)
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    normalize = v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    transform = v2.Compose([squash, *to_tensor, normalize])
    paths = sorted(path for path in Path(setup.root).rglob("*") if path.is_file())
    start, answers = time.perf_counter(), []
    for first in range(0, len(paths), setup.batch_size):
        some = paths[first : first + setup.batch_size]
        images = torch.stack([transform(Image.open(path).convert("RGB")) for path in some]).to(setup.device)
        answers += network(images).softmax(1).max(1).indices.tolist()
    return {"pictures/s": len(answers) / (time.perf_counter() - start)}
