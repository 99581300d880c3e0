"""Small paintings, and the real configuration composed into a temporary folder."""

import dataclasses
import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hydra import compose, initialize_config_dir

from brushwork.paintings import demo
from brushwork.training import config
from brushwork.training.config import Job

REPOSITORY = Path(__file__).parent.parent
STYLES = ["Dots", "Facets", "Waves"]
Run = Callable[..., tuple[int, str, str]]
BOTH_HEADS = ["replace_last_full_seed-0", "replace_two_full_seed-0"]

config.register()
torch.set_num_threads(1)  # the networks of the tests are small: more threads only wait for one another


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Names of files that are not UTF-8, in what a test logs: pytest-xdist passes UTF-8 alone between its processes."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Never the user's own."""
    os.environ["BRUSHWORK_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real paintings, photos and weights, where they are at hand."""
    folder = Path(os.environ.get("BRUSHWORK_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("no folder of shared test data: set BRUSHWORK_SHARED to one that has it")
    return folder


def write_paintings(root: Path, per_style: int = 10, styles: list[str] = STYLES, painted: str | None = None) -> Path:
    """Style folders of 40-pixel JPEGs by three artists a style; `painted` paints all in one of the demo's styles."""
    for style in styles:
        (root / style).mkdir(parents=True, exist_ok=True)
        for number in range(per_style):
            path = root / style / f"artist-{style.lower()}-{number % 3}_{number:02}.jpg"
            demo.paint(painted or style, number, 40).save(path)
    return root


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """A read-only folder of the whole test run, filled by the first of pytest-xdist's workers that needs it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    finished = folder.with_name(f"{name}.finished")
    with FileLock(f"{folder}.lock"):
        if not finished.exists():
            fill(folder)
            finished.touch()
    return folder


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 paintings of three styles: read only."""
    return once(tmp_path_factory, "paintings", write_paintings)


def small_job(run_dir: Path, paintings: Path, *overrides: str, head: str = "replace_last") -> Job:
    """A job of the real configuration: a small network with dropout and batch norm, a second to train."""
    small = [
        f"run_dir={run_dir}",
        f"data.root={paintings}",
        "data.image_size=32",
        "data.batch_size=8",
        "data.workers=0",
        "model=mobilenet_v3_small",
        "model.weights=null",
        f"head={head}",
        "trainer.max_epochs=3",
        "trainer.accelerator=cpu",
        "callbacks.progress_bar=null",
        "callbacks.saliency.reference=null",  # VGG-16 would be downloaded
    ]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return config.make_job(compose("train", [*small, *overrides]))


@pytest.fixture
def make_full_job(tmp_path: Path, paintings: Path) -> Callable[..., Job]:
    """`small_job` in tmp_path/folder, with the default callbacks."""

    def make(*overrides: str, folder: str = "run", head: str = "replace_last") -> Job:
        return small_job(tmp_path / folder, paintings, *overrides, head=head)

    return make


@pytest.fixture
def make_job(make_full_job: Callable[..., Job]) -> Callable[..., Job]:
    """The same; modules that need neither dashboard nor saliency panels override it with `without_pictures`."""
    return make_full_job


def without_pictures(make_full_job: Callable[..., Job]) -> Callable[..., Job]:
    """Jobs without dashboard and saliency panels, which take half the time of so small a run."""
    return functools.partial(make_full_job, "callbacks.dashboard=null", "callbacks.saliency=null")


@pytest.fixture(scope="session")
def both_heads(tmp_path_factory: pytest.TempPathFactory, paintings: Path) -> Path:
    """A folder with a run of AlexNet for each head, two epochs of three steps: read only."""
    from brushwork.training import job as jobs

    def train(folder: Path) -> None:
        options = ["model=alexnet", "data.image_size=64", "trainer.max_epochs=2", "callbacks.dashboard.every_n_steps=3"]
        for run in BOTH_HEADS:
            # Each last.ckpt would be 450 MB, written twice, and is removed at the end.
            job = small_job(folder / run, paintings, *options, "callbacks.last=null", head=run.split("_full")[0])
            jobs.run_job(dataclasses.replace(job, command=[f"head={job.settings.head.name}"]))

    return once(tmp_path_factory, "logs", train)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory, paintings: Path) -> Path:
    """The run folder of one epoch of the small network on 64 pixels, 24 of the paintings trained on: read only."""
    from brushwork.training import job as jobs

    def train(folder: Path) -> None:
        off = [f"callbacks.{name}=null" for name in ("last", "dashboard", "saliency")]
        jobs.run_job(small_job(folder, paintings, "data.image_size=64", "trainer.max_epochs=1", *off))

    return once(tmp_path_factory, "small-run", train)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Iterator[Run]:
    """Run a script in this process, in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def start(name: str, *arguments: object) -> tuple[int, str, str]:
        specification = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
        script = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(script)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            script.exit_with(script.main)
        out, error = capsys.readouterr()
        log.handlers[:] = handlers
        return ended.value.code, out, error

    log = logging.getLogger("brushwork")
    handlers, level = log.handlers[:], log.level
    yield start
    log.handlers[:] = handlers
    log.setLevel(level)


@pytest.fixture
def weights_cache(tmp_path: Path) -> Iterator[Path]:
    """An empty weights cache in torch.hub's place; returns its checkpoints folder."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    yield tmp_path / "hub/checkpoints"
    torch.hub.set_dir(before)
