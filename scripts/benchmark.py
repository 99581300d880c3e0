"""How fast is Brushwork, and beside what? python scripts/benchmark.py"""

import argparse
import io
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from brushwork import files, run_folder, run_names
from brushwork.errors import UserError, unknown
from brushwork.terminal import count, exit_on_signals, exit_with

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from torch import Tensor, nn
    from torch.utils.data import DataLoader

Figures = dict[str, dict[str, list[float]]]  # of each side, by unit, of all repeats

WIKIART = Path("data/wikiart")
REPOSITORY = Path(__file__).resolve().parent.parent
IMAGE_SIZE, BATCH_SIZE, EPOCHS = 224, 64, 5
BF16, FP32 = "bf16-mixed", "32-true"
CALLBACKS = ("best", "last", "dashboard", "saliency", "progress_bar")
LONGER_SIDE = 1100  # pixels of the large JPEGs
JPEG_BYTES = (250_000, 400_000)
GRAIN = 10  # levels of 256, deviation: without it an enlarged picture is a small and easily decoded file
STORES = (2_000, 20_000)  # pictures
SMALL_SIDE = 64  # pixels of the many pictures that are to fill a store
SALIENCY_BATCH = 8
METHODS = (  # brushwork.saliency.methods has the same: to import it would make --help wait for torch
    *("gradient", "smoothgrad", "input_x_gradient", "integrated_gradients"),
    *("guided_backprop", "gradcam", "occlusion"),
)
LEAST_SECONDS = 2.0  # that a step is repeated for

EPILOG = """\
examples:
  python scripts/benchmark.py                                   half an hour on 2 cores
  python scripts/benchmark.py --only full,steady --repeats 5
  python scripts/benchmark.py --root ~/wikiart --paintings 2800 --out logs/benchmark/h200

groups of rows, for --only:
  steady     images a second in training, beside the bare step on data in memory
  full       five epochs, with and without caches, beside a plain loop and beside Lightning's defaults
  head_only  five epochs of the new layer alone, without caches, beside a plain loop
  start      --help and the first step, beside the imports of torch and lightning
  saliency   maps of VGG-16 for the predicted class, beside captum
  methods    maps of SqueezeNet by each saliency method, and the memory that they take, beside captum
  memory     with 20,000 pictures, beside 2,000
  extras     what checkpoints, dashboard and panels cost

All sides work on the same large JPEGs with grain, made from ROOT's paintings; each runs in a process of its own, in
turn, its clock started after the imports. Checkpoints, dashboard, panels, progress bar and TensorBoard are off but in
the rows of their own. The files are in the system's cache for all sides.
"""


# ---- What is compared: each row two sides, the figure of both, and how far it is to reach.


@dataclass(frozen=True)
class Row:
    """A line of the table: the figure `unit` of the side `ours`, beside that of the side `theirs`.

    kind: "faster": the ratio says how many times faster or smaller ours is; "growth": how many times larger;
        "cost": which share of ours the difference is; "alone": there is nothing beside it.
    reach: of the ratio (of the figure, when alone), on a processor and on a GPU; of growth and alone, at most so much.
    """

    group: str
    name: str
    ours: str
    theirs: str | None
    unit: str
    kind: str = "faster"
    reach: tuple[float | None, float | None] = (None, None)


ROWS = (
    Row("steady", "training, bf16", "warm, bf16", "bare step, bf16", "images/s", reach=(0.90, 0.85)),
    Row("steady", "training, fp32", "warm, fp32", "bare step, fp32", "images/s", reach=(0.90, 0.85)),
    Row("full", "5 epochs warm, bf16", "warm, bf16", "plain loop", "s", reach=(2.4, 15)),
    Row("full", "5 epochs warm, fp32", "warm, fp32", "plain loop", "s", reach=(1.4, None)),
    Row("full", "5 epochs cold, bf16", "cold, bf16", "plain loop", "s", reach=(1.8, 4)),
    Row("full", "5 epochs warm, fp32", "warm, fp32", "Lightning's defaults", "s"),
    Row("full", "peak anonymous memory, warm, fp32", "warm, fp32", "plain loop", "MB"),
    Row("full", "an epoch of 4000 paintings, warm, bf16", "warm, bf16", None, "s per 4000", "alone", (None, 0.5)),
    Row("full", "filling the painting store", "store", None, "paintings/s", "alone"),
    Row("head_only", "5 epochs cold, head_only", "cold, head_only", "plain loop, head_only", "s", reach=(4, 10)),
    Row("start", "train.py --help", "--help", "imports", "s"),
    Row("start", "train.py to the first step", "first step", "imports", "s"),
    Row("saliency", "VGG-16, predicted class", "saliency", "captum", "maps/s", reach=(1.7, 1.7)),
    *(
        Row("methods", f"{method}, SqueezeNet", f"our {method}", f"captum's {method}", unit)
        for unit in ("maps/s", "MB")
        for method in METHODS
    ),
    Row("memory", "peak anonymous memory", "store of 20,000", "store of 2,000", "MB", "growth", (1.2, 1.2)),
    Row("extras", "both checkpoints, 5 epochs, bf16", "with checkpoints", "warm, bf16", "s", "cost"),
    Row("extras", "dashboard and panels, 5 epochs, bf16", "with pictures", "warm, bf16", "s", "cost"),
)
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))


@dataclass(frozen=True)
class Setup:
    """What every side is told: plain values, since each runs in a process of its own."""

    work: str  # large JPEGs (paintings), caches (cache) and run folders; removed at the end
    device: str
    paintings: int
    train: int  # of them; the others validate
    workers: int  # of the plain loaders: the best of those tried
    image_size: int
    batch_size: int
    epochs: int
    stores: tuple[int, int]


def main() -> int:
    arguments = parser().parse_args()
    if arguments.side:  # a process that this script started
        side, setup = arguments.side
        answer = SIDES[side](Setup(**json.loads(setup)))
        import torch

        print(json.dumps(answer | {"threads": torch.get_num_threads()}))
        return 0
    with exit_on_signals():
        return benchmark(arguments)


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(
        prog="benchmark.py",
        description="Measure Brushwork beside the bare step, a plain training loop, Lightning's defaults and captum.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("--root", type=Path, metavar="FOLDER", help="style folders (data/wikiart; else the demo's)")
    parse.add_argument("--paintings", type=count, default=420, metavar="N", help="over all styles (%(default)s)")
    parse.add_argument("--repeats", type=count, default=2, metavar="N", help="whose median counts (%(default)s)")
    parse.add_argument("--only", type=groups, default=GROUPS, metavar="ROWS", help="a comma list of the groups below")
    parse.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="(%(default)s)")
    parse.add_argument("--out", type=Path, metavar="DIR", help="default: a new folder in logs/benchmark")
    parse.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    return parse


def groups(text: str) -> tuple[str, ...]:
    """The argparse type of a comma list of groups."""
    for name in (names := tuple(text.split(","))):
        if name not in GROUPS:
            raise argparse.ArgumentTypeError(str(unknown("group", name, GROUPS)))
    return names


def benchmark(arguments: argparse.Namespace) -> int:
    """Measure all sides in turn, and write what came out."""
    for needed in ("captum", "psutil"):
        if find_spec(needed) is None:
            raise UserError(f"the benchmark needs {needed}: pip install --constraint constraints.txt {needed}")

    # Seconds to import, which --help and a mistyped option don't need.
    import torch

    from brushwork import drawing
    from brushwork.paintings import catalogue
    from brushwork.training import devices

    device = devices.choose(arguments.device).type
    root = arguments.root or (WIKIART if WIKIART.is_dir() else None)
    if root is not None:
        catalogue.style_folders(root)  # refuses what is none, before anything is written
    out = arguments.out or Path(run_names.fresh_folder("logs/benchmark", ""))
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="work-", dir=out.resolve()) as work:
        paintings = make_large(root, arguments.paintings, Path(work))
        setup = Setup(
            work=work,
            device=device,
            paintings=len(paintings),
            train=training_share(paintings),
            workers=0,
            image_size=IMAGE_SIZE,
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            stores=STORES,
        )
        machine = {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "gpu": torch.cuda.get_device_name() if device == "cuda" else None,
            "torch": torch.__version__,
            "paintings": len(paintings),
            "bytes_a_painting": round(sum(path.stat().st_size for path in paintings) / len(paintings)),
            "repeats": arguments.repeats,
        }
        print(f"{len(paintings)} JPEGs of {LONGER_SIDE} pixels, {machine['bytes_a_painting'] / 1000:.0f} kB each")
        rows = [row for row in ROWS if row.group in arguments.only]
        raw, machine["plain_workers"] = measure(rows, setup, arguments.repeats)
        machine["threads"] = sorted({threads for figures in raw.values() for threads in figures.pop("threads", [])})
    failed = [side for side, figures in raw.items() if not figures]
    results = compare(rows, raw, on_gpu=device == "cuda")
    files.write_json(out / "benchmark.json", {"machine": machine, "rows": results, "raw": raw})
    files.write_text(out / "benchmark.md", f"{describe(machine)}\n\n{markdown(table(results))}\n")
    with files.atomic_path(out / "benchmark.png") as temporary:
        drawing.as_picture(bars(results)).save(temporary, "PNG")
    print(f"{describe(machine)}\n{aligned(table(results))}")
    if failed:
        print(f"without the rows of what failed: {', '.join(failed)}; see the errors")
    print(f"results: {out} (benchmark.json, benchmark.md, benchmark.png)")
    return 1 if failed else 0


def processor() -> str:
    """The processor's name, as the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe(machine: dict[str, Any]) -> str:
    """What was measured on what, and how."""
    threads = " and ".join(map(str, machine["threads"])) or "?"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}; torch {machine['torch']}, "
        f"{threads} threads on all sides; {machine['paintings']} JPEGs of {LONGER_SIDE} pixels, "
        f"{machine['bytes_a_painting'] / 1000:.0f} kB each; medians of {machine['repeats']}. Checkpoints, dashboard, "
        f"panels and TensorBoard are off on all sides but in their own rows."
    )


# ---- The paintings: large JPEGs, as people have them.


def make_large(root: Path | None, number: int, work: Path) -> list[Path]:
    """Enlarge about `number` of ROOT's paintings, evenly over its styles, into work/paintings; without a ROOT, the
    demo's."""
    from concurrent.futures import ThreadPoolExecutor

    from tqdm import tqdm

    from brushwork.paintings import catalogue, demo

    if root is None:
        root = work / "demo"
        demo.paint_all(root, per_style(number, len(demo.PAINTERS)))
    found = catalogue.scan(root, limit_per_style=per_style(number, len(catalogue.style_folders(root))))
    made = [work / "paintings" / f"{painting.path}.jpg" for painting in found.paintings]

    def make(i: int) -> None:
        made[i].parent.mkdir(parents=True, exist_ok=True)
        made[i].write_bytes(large_jpeg(root / found.paintings[i].path, seed=i))

    with ThreadPoolExecutor() as pool:
        bar = tqdm(pool.map(make, range(len(made))), "enlarging", len(made), False, unit=" paintings", disable=None)
        list(bar)
    return made


def per_style(number: int, styles: int) -> int:
    return max(2, number // styles)


def large_jpeg(path: Path, seed: int) -> bytes:
    """A picture enlarged to LONGER_SIDE, with grain, as a JPEG of JPEG_BYTES: the quality is searched for."""
    import numpy as np
    from PIL import Image

    from brushwork import images

    picture = images.load_rgb(path)
    scale = LONGER_SIDE / max(picture.size)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
    grain = np.random.default_rng(seed).standard_normal((picture.height, picture.width, 1), np.float32) * GRAIN
    picture = Image.fromarray((np.asarray(picture) + grain).round().clip(0, 255).astype(np.uint8))
    low, high = 50, 98
    while True:  # a narrow strip may be too small at any quality: it gets the highest
        quality = (low + high + 1) // 2
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality)
        if JPEG_BYTES[0] <= content.tell() <= JPEG_BYTES[1] or low >= high:
            return content.getvalue()
        low, high = (quality, high) if content.tell() < JPEG_BYTES[0] else (low, quality - 1)


def training_share(paintings: Sequence[Path]) -> int:
    """How many of the paintings train, by split=random of a fifth of each style."""
    styles = Counter(path.parent for path in paintings)
    return len(paintings) - sum(max(1, round(number / 5)) for number in styles.values())


# ---- Measuring: every side in a process of its own, in turn.


def measure(rows: Sequence[Row], setup: Setup, repeats: int) -> tuple[Figures, dict[str, Any] | None]:
    """The figures of all repeats by side and unit, and which numbers of workers were tried for the plain loaders."""
    from tqdm import tqdm

    sides = list(dict.fromkeys(side for row in rows for side in (row.ours, row.theirs) if side))
    raw: Figures = {side: {} for side in sides}
    workers = None
    if not PLAIN.isdisjoint(sides):
        print("the plain loaders' workers: ", end="", flush=True)
        workers = run("workers", setup)
        setup = replace(setup, workers=workers["best"])
        print(", ".join(f"{rate:.0f} images/s with {tried}" for tried, rate in workers["images/s"].items()))
    if not WARM.isdisjoint(sides):
        print("filling the caches")
        run("warm, bf16", replace(setup, epochs=1))
    turns = [(turn, side) for turn in range(repeats) for side in sides if turn == 0 or side not in ONCE]
    with tqdm(turns, "measuring", unit=" runs", disable=None) as bar:
        for turn, side in bar:
            bar.set_postfix_str(side)
            try:
                answer = run(side, setup)
            except UserError as error:  # the others go on: they may have taken minutes
                tqdm.write(f"error: {error}", file=sys.stderr)
                continue
            for unit, value in answer.items():
                raw[side].setdefault(unit, []).append(value)
            told = ", ".join(f"{number(value)} {unit}" for unit, value in answer.items() if unit != "threads")
            tqdm.write(f"{turn + 1}/{repeats} {side}: {told}", file=sys.stdout)
    return raw, workers


def run(side: str, setup: Setup) -> dict[str, Any]:
    """One side, once: what its process answers, or how long its command takes, and the most anonymous memory (MB).

    Raises:
        UserError: it failed; what it said last.
    """
    told = ["--side", side, json.dumps(asdict(setup))]
    command = COMMANDS[side](setup) if side in COMMANDS else [sys.executable, __file__, *told]
    caches = os.environ | {"BRUSHWORK_CACHE": f"{setup.work}/cache"}
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, env=caches, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    out, errors = process.communicate(timeout=0.2)
                    break
                peak = max(peak, anonymous_memory(process.pid))
        except BaseException:
            process.kill()
            raise
    seconds = time.perf_counter() - start
    if process.returncode:
        *before, last = errors.strip().splitlines() or ["no word"]
        print(*before, sep="\n", end="\n" * bool(before), file=sys.stderr)
        raise UserError(f"the side '{side}' failed: {last.removeprefix('error: ')}")
    return ({"s": seconds} if side in COMMANDS else json.loads(out.splitlines()[-1])) | {"MB": peak}


def anonymous_memory(pid: int) -> float:
    """What a process and its children hold at this moment in memory that no file stands behind, in MB."""
    import psutil

    kilobytes = 0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(OSError):  # it has just ended
                for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    if line.startswith("RssAnon:"):
                        kilobytes += int(line.split()[1])
    return kilobytes / 1000


def per_second(step: Callable[[], object], items: int, device: str) -> float:
    """Items a second of a step that takes `items`: once unmeasured, then for LEAST_SECONDS, three times at least."""
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    step()
    times = 3
    while True:
        wait()
        start = time.perf_counter()
        for _ in range(times):
            step()
        wait()
        seconds = time.perf_counter() - start
        if seconds >= LEAST_SECONDS:
            return times * items / seconds
        times = math.ceil(1.2 * times * LEAST_SECONDS / seconds)


# ---- The limit: the bare step on data in memory.


def bare_step(setup: Setup, precision: str) -> dict[str, float]:
    """AlexNet in channels-last, fused SGD, random normalised batches on the device, of the sizes of an epoch's.

    Its process keeps freed memory, as Brushwork's does: without that the limit would be lower.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from brushwork.training import devices

    devices.keep_freed_memory()
    if setup.device == "cuda":  # as Brushwork has it
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    network = alexnet(classes_in(setup)).to(setup.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    images = torch.randn(setup.batch_size, 3, setup.image_size, setup.image_size, device=setup.device)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(classes_in(setup), (setup.batch_size,), device=setup.device)
    whole, rest = divmod(setup.train, setup.batch_size)
    sizes = [setup.batch_size] * whole + [rest] * (rest > 0)

    def epoch() -> None:
        for size in sizes:
            with torch.autocast(setup.device, torch.bfloat16) if precision == BF16 else nullcontext():
                loss = cross_entropy(network(images[:size]), labels[:size])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return {"images/s": per_second(epoch, setup.train, setup.device)}


def alexnet(num_classes: int, head_only: bool = False) -> "nn.Module":
    """AlexNet of random weights with its last layer replaced; its speed is that of ImageNet's weights."""
    from torch import nn
    from torchvision import models

    network = models.alexnet()
    network.requires_grad_(not head_only)
    network.classifier[6] = nn.Linear(4096, num_classes)
    return network


def classes_in(setup: Setup) -> int:
    return len(os.listdir(f"{setup.work}/paintings"))


# ---- What one would write otherwise: ImageFolder, torchvision's transforms, DataLoader, SGD, in fp32.


def plain_loaders(setup: Setup) -> "tuple[DataLoader, DataLoader]":
    """Training and validation batches, split at random into parts of the same sizes as Brushwork's."""
    import torch
    from torch.utils.data import DataLoader, Subset
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    squash = v2.Resize((setup.image_size, setup.image_size), antialias=True)
    to_tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    normalize = v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    root = f"{setup.work}/paintings"
    train = ImageFolder(root, v2.Compose([squash, v2.RandomHorizontalFlip(), *to_tensor, normalize]))
    val = ImageFolder(root, v2.Compose([squash, *to_tensor, normalize]))
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


def plain_epoch(
    network: "nn.Module", optimizer: "torch.optim.Optimizer", batches: "Iterable[tuple[Tensor, Tensor]]", device: str
) -> float:
    """Train on the batches; the last loss."""
    from torch.nn.functional import cross_entropy

    network.train()
    for images, labels in batches:
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
        optimizer.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    return loss.item()


def plain_accuracy(network: "nn.Module", loader: "DataLoader", device: str) -> float:
    import torch

    network.eval()
    right = 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            right += (network(images).argmax(1) == labels).sum().item()
    return right / len(loader.dataset)


def plain_sgd(network: "nn.Module") -> "torch.optim.Optimizer":
    import torch

    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.SGD(learning, lr=0.01, momentum=0.9)


def plain_loop(setup: Setup, head_only: bool = False) -> dict[str, float]:
    from torchvision.transforms import v2  # noqa: F401  before the clock starts

    start = time.perf_counter()
    train, val = plain_loaders(setup)
    network = alexnet(classes_in(setup), head_only).to(setup.device)
    optimizer = plain_sgd(network)
    for _ in range(setup.epochs):
        plain_epoch(network, optimizer, train, setup.device)
        plain_accuracy(network, val, setup.device)
    return {"s": time.perf_counter() - start}


def lightning_defaults(setup: Setup) -> dict[str, float]:
    """The same under Lightning's Trainer as it comes, but for checkpoints and logger."""
    import lightning as L
    from torch.nn.functional import cross_entropy
    from torchvision.transforms import v2  # noqa: F401

    class Classifier(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = alexnet(classes_in(setup))

        def training_step(self, batch: "tuple[Tensor, Tensor]", batch_idx: int) -> "Tensor":
            images, labels = batch
            return cross_entropy(self.network(images), labels)

        def validation_step(self, batch: "tuple[Tensor, Tensor]", batch_idx: int) -> None:
            images, labels = batch
            self.log("accuracy", (self.network(images).argmax(1) == labels).float().mean())

        def configure_optimizers(self) -> "torch.optim.Optimizer":
            return plain_sgd(self.network)

    start = time.perf_counter()
    accelerator = "gpu" if setup.device == "cuda" else "cpu"
    trainer = L.Trainer(
        max_epochs=setup.epochs, accelerator=accelerator, devices=1, logger=False, enable_checkpointing=False
    )
    trainer.fit(Classifier(), *plain_loaders(setup))
    return {"s": time.perf_counter() - start}


def best_workers(setup: Setup) -> dict[str, Any]:
    """Try 0, 1, 2, 4, ... workers, up to the number of cores, on a few batches of training each."""
    cores = len(os.sched_getaffinity(0))
    rates = {}
    for workers in sorted({0, cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)}):
        network = alexnet(classes_in(setup)).to(setup.device)
        train, _ = plain_loaders(replace(setup, workers=workers))
        batches = min(len(train), max(3, 2 * workers))
        start = time.perf_counter()
        plain_epoch(network, plain_sgd(network), itertools.islice(train, batches), setup.device)
        images = min(batches * setup.batch_size, setup.train)
        rates[str(workers)] = images / (time.perf_counter() - start)
    return {"best": int(max(rates, key=rates.get)), "images/s": rates}


# ---- Brushwork, by the way its users go: the real configuration, composed, checked and run.


def overrides(setup: Setup, precision: str, kept: Sequence[str] = ()) -> list[str]:
    """What train.py is told: the report's run on these paintings with random weights; callbacks off but for `kept`."""
    return [
        f"data.root='{setup.work}/paintings'",
        f"data.image_size={setup.image_size}",
        f"data.batch_size={setup.batch_size}",
        "model.weights=null",
        f"trainer.max_epochs={setup.epochs}",
        f"trainer.precision={precision}",
        f"trainer.accelerator={'gpu' if setup.device == 'cuda' else 'cpu'}",
        "logger=none",
        *(f"callbacks.{name}=null" for name in CALLBACKS if name not in kept),
    ]


def brushwork(
    setup: Setup, *more: str, precision: str = "auto", kept: Sequence[str] = (), cold: bool = False
) -> dict[str, float]:
    """A run with the settings of `overrides` and `more`; when cold, there is nothing in the caches."""
    from hydra import compose, initialize_config_dir

    from brushwork.training import config, job

    config.register()
    with tempfile.TemporaryDirectory(dir=setup.work) as folder:
        if cold:
            os.environ["BRUSHWORK_CACHE"] = f"{folder}/cache"
        start = time.perf_counter()
        with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
            settings = [*overrides(setup, precision, kept), f"run_dir='{folder}/run'", *more]
            job.run_job(config.make_job(compose("train", settings)))
        seconds = time.perf_counter() - start
        result = run_folder.read_result(Path(folder, "run"))
        epochs = run_folder.read_csv(Path(folder, "run", run_folder.METRICS))
    figures = {"s": seconds}
    if result["images_per_second"]:  # known from the second epoch on
        figures["images/s"] = result["images_per_second"]
        figures["s per 4000"] = median(float(row["seconds"]) for row in epochs[1:]) * 4000 / setup.paintings
    return figures


def fill_store(setup: Setup) -> dict[str, float]:
    """How fast the paintings are decoded, resized and written."""
    from brushwork.models import backbones
    from brushwork.paintings import catalogue, store
    from brushwork.paintings.checks import facts

    with tempfile.TemporaryDirectory(dir=setup.work) as folder:
        os.environ["BRUSHWORK_CACHE"] = folder
        start = time.perf_counter()
        found = catalogue.scan(Path(setup.work, "paintings"))
        preprocessing = backbones.preprocessing("alexnet", setup.image_size)
        store.open_pictures(found, facts.identities(found), preprocessing, 89)
        return {"paintings/s": len(found.paintings) / (time.perf_counter() - start)}


def many_pictures(setup: Setup, which: int) -> dict[str, float]:
    """The memory of a short run on thousands of pictures: a small network, so that the pictures would be seen."""
    with tempfile.TemporaryDirectory(dir=setup.work) as folder:
        write_small(Path(folder), setup.stores[which])
        return brushwork(
            setup,
            f"data.root='{folder}'",
            "data.image_size=128",
            "data.batch_size=16",
            "model=squeezenet1_1",
            "model.weights=null",
            "split.val_fraction=0.05",
            "trainer.max_epochs=1",
            "+trainer.limit_train_batches=20",
            cold=True,
        )


def write_small(root: Path, pictures: int) -> None:
    """Patches of colour, drawn by numpy: root/Style/artist_title.jpg."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(pictures):
        path = root / f"Style_{i % 4}" / f"artist-{i % 100}_{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        patches = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        patches.resize((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BICUBIC).save(path, "JPEG")


def first_step(setup: Setup) -> list[str]:
    """The command of a training of one batch."""
    limits = ["trainer.max_epochs=1", "+trainer.limit_train_batches=1", "+trainer.limit_val_batches=0"]
    folder = tempfile.mkdtemp(dir=setup.work)
    settings = [*overrides(setup, "auto"), *limits, f"hydra.run.dir='{folder}'"]
    return [sys.executable, str(REPOSITORY / "train.py"), *settings]


# ---- Saliency: VGG-16 of random weights, batches in memory.


def saliency(setup: Setup) -> dict[str, float]:
    """Logits and maps of the predicted class, as scripts/saliency.py has them."""
    from brushwork.models import predictor
    from brushwork.saliency.maps import logits_and_saliency
    from brushwork.training import devices

    devices.keep_freed_memory()
    network = predictor.imagenet("vgg16", None).network.to(setup.device)
    images = photos_like(setup)
    return {"maps/s": per_second(lambda: logits_and_saliency(network, images), len(images), setup.device)}


def captum(setup: Setup) -> dict[str, float]:
    """The same by captum, in full precision too."""
    import torch
    from captum.attr import Saliency
    from torchvision import models

    torch.backends.cudnn.conv.fp32_precision = "ieee"
    network = models.vgg16().eval().to(setup.device)
    images = photos_like(setup).requires_grad_()
    method = Saliency(network)

    def maps() -> "Tensor":
        return method.attribute(images, network(images).argmax(1)).amax(1)

    return {"maps/s": per_second(maps, len(images), setup.device)}


def by_method(setup: Setup, method: str) -> dict[str, float]:
    """Maps of the predicted class by one of our methods."""
    from brushwork.models import predictor
    from brushwork.saliency.methods import logits_and_maps
    from brushwork.training import devices

    devices.keep_freed_memory()
    network = predictor.imagenet("squeezenet1_1", None).network.to(setup.device)
    images = photos_like(setup)
    return {"maps/s": per_second(lambda: logits_and_maps([method], network, images), len(images), setup.device)}


def by_captum(setup: Setup, method: str) -> dict[str, float]:
    """The same by captum, as much at a time as ours."""
    import torch
    from captum import attr
    from torch import nn
    from torchvision import models

    torch.backends.cudnn.conv.fp32_precision = "ieee"
    network = models.squeezenet1_1().eval().to(setup.device)
    if method == "guided_backprop":  # captum's hooks fail on what works in place
        for module in network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False
    images, side = photos_like(setup), setup.image_size // 7
    squares = {"sliding_window_shapes": (3, side, side), "strides": (3, side // 2, side // 2)}

    def gradcam(images: "Tensor", target: "Tensor") -> "Tensor":
        coarse = attr.LayerGradCam(network, network.features).attribute(images, target, relu_attributions=True)
        return attr.LayerAttribution.interpolate(coarse, images.shape[2:], "bilinear")

    ask = {
        "gradient": attr.Saliency(network).attribute,
        "smoothgrad": partial(
            attr.NoiseTunnel(attr.Saliency(network)).attribute, nt_samples=50, nt_samples_batch_size=1
        ),
        "input_x_gradient": attr.InputXGradient(network).attribute,
        "integrated_gradients": partial(
            attr.IntegratedGradients(network).attribute, n_steps=50, internal_batch_size=SALIENCY_BATCH
        ),
        "guided_backprop": attr.GuidedBackprop(network).attribute,
        "gradcam": gradcam,
        "occlusion": partial(attr.Occlusion(network).attribute, perturbations_per_eval=2, **squares),
    }[method]

    def maps() -> "Tensor":
        with torch.no_grad():
            target = network(images).argmax(1)
        with nullcontext() if method != "occlusion" else torch.no_grad():
            return ask(images.clone().requires_grad_(), target=target).amax(1)

    return {"maps/s": per_second(maps, len(images), setup.device)}


def photos_like(setup: Setup) -> "Tensor":
    """Random normalised photos, (batch, 3, height, width), on the device."""
    import torch

    return torch.randn(SALIENCY_BATCH, 3, setup.image_size, setup.image_size, device=setup.device)


SIDES: dict[str, Callable[[Setup], dict[str, Any]]] = {
    "workers": best_workers,
    "bare step, bf16": partial(bare_step, precision=BF16),
    "bare step, fp32": partial(bare_step, precision=FP32),
    "plain loop": plain_loop,
    "plain loop, head_only": partial(plain_loop, head_only=True),
    "Lightning's defaults": lightning_defaults,
    "warm, bf16": partial(brushwork, precision=BF16),
    "warm, fp32": partial(brushwork, precision=FP32),
    "cold, bf16": partial(brushwork, precision=BF16, cold=True),
    "cold, head_only": lambda setup: brushwork(setup, "tuning=head_only", cold=True),
    "with checkpoints": partial(brushwork, precision=BF16, kept=("best", "last")),
    "with pictures": lambda setup: brushwork(
        setup,
        "logger=tensorboard",
        "callbacks.saliency.reference_weights=null",
        precision=BF16,
        kept=("dashboard", "saliency"),
    ),
    "store": fill_store,
    "store of 2,000": partial(many_pictures, which=0),
    "store of 20,000": partial(many_pictures, which=1),
    "saliency": saliency,
    "captum": captum,
    **{f"our {method}": partial(by_method, method=method) for method in METHODS},
    **{f"captum's {method}": partial(by_captum, method=method) for method in METHODS},
}
COMMANDS: dict[str, Callable[[Setup], list[str]]] = {
    "--help": lambda setup: [sys.executable, str(REPOSITORY / "train.py"), "--help"],
    "first step": first_step,
    "imports": lambda setup: [sys.executable, "-c", "import torch, lightning"],
}
PLAIN = {"plain loop", "plain loop, head_only", "Lightning's defaults"}  # what needs a number of workers
WARM = {"warm, bf16", "warm, fp32", "with checkpoints", "with pictures", "first step"}  # what finds full caches
ONCE = {"store of 2,000", "store of 20,000"}  # of what hardly varies there is one repeat


# ---- What came out.


def compare(rows: Sequence[Row], raw: Figures, on_gpu: bool) -> list[dict[str, Any]]:
    """The rows that were measured: the medians of both sides, their ratio, and whether the reach was met."""
    results = []
    for row in rows:
        ours = raw.get(row.ours, {}).get(row.unit)
        theirs = raw.get(row.theirs, {}).get(row.unit)
        if not ours or (row.theirs and not theirs):
            continue
        ours, theirs = median(ours), median(theirs) if theirs else None
        reach = row.reach[on_gpu]
        compared = ratio = ratio_of(row, ours, theirs)
        if row.kind == "alone":
            compared = ours
        is_ceiling = row.kind in ("growth", "alone")
        results.append(
            {
                "group": row.group,
                "row": row.name,
                "unit": row.unit,
                "kind": row.kind,
                "ours": ours,
                "beside": row.theirs,
                "theirs": theirs,
                "ratio": ratio,
                "reach": reach,
                "reached": None if reach is None else compared <= reach if is_ceiling else compared >= reach,
            }
        )
    return results


def ratio_of(row: Row, ours: float, theirs: float | None) -> float | None:
    """What `Row.kind` says of two figures."""
    if theirs is None:
        return None
    if row.kind == "cost":
        return (ours - theirs) / ours
    return ours / theirs if row.kind == "growth" or row.unit.endswith("/s") else theirs / ours


def table(results: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The results as text, a heading first."""
    rows = [["", "Brushwork", "beside it", "ratio", "reach", ""]]
    for result in results:
        unit, reach = result["unit"], result["reach"]
        beside = f"{result['beside']}: {number(result['theirs'])} {unit}" if result["beside"] else ""
        ratio = "" if result["ratio"] is None else f"{result['ratio']:.2f}"
        if result["kind"] == "cost":
            ratio = f"{result['ours'] - result['theirs']:+.1f} s, {result['ratio']:.0%}"
        sign = "<=" if result["kind"] in ("growth", "alone") else ">="
        rows.append(
            [
                result["row"],
                f"{number(result['ours'])} {unit}",
                beside,
                ratio,
                "" if reach is None else f"{sign} {reach:g}",
                {True: "reached", False: "missed", None: ""}[result["reached"]],
            ]
        )
    return rows


def number(value: float) -> str:
    """Three digits or all that stand before the point.

    >>> number(1234.5), number(41.234), number(0.1234)
    ('1,234', '41.2', '0.123')
    """
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:,.{digits}f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The table for the terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The table for the README."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def bars(results: Sequence[dict[str, Any]]) -> "Figure":
    """A bar for each ratio, from 1; a black line where its reach is."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    shown = [result for result in results if result["kind"] in ("faster", "growth")][::-1]
    figure = Figure(figsize=(9, 0.42 * len(shown) + 1.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    for y, result in enumerate(shown):
        ratio, reach = result["ratio"], result["reach"]
        color = {True: "tab:blue", False: "tab:red", None: "0.65"}[result["reached"]]
        axes.barh(y, ratio - 1, left=1, height=0.6, color=color)
        axes.text(1.01, y, f"{ratio:.2f}", va="center", fontsize=8, transform=axes.get_yaxis_transform())
        if reach is not None:
            axes.plot([reach, reach], [y - 0.4, y + 0.4], color="black", linewidth=2)
    at_most = {"growth": " (at most)", "faster": ""}
    names = [f"{result['row']}, beside {result['beside']}{at_most[result['kind']]}" for result in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.axvline(1, color="0.3", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="ratio; black line: reach, blue: reached, red: missed, grey: none stated")
    axes.grid(axis="x", alpha=0.25)
    return figure


if __name__ == "__main__":
    exit_with(main)
