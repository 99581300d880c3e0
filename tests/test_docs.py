"""What README and docs show works: commands are composed, parsed or run, Python blocks run, links lead somewhere.

Each command, in a fenced block of `bash` or in the text, is one of these, or is in NOT_RUN with the reason:
- `python train.py ...`: every value of its overrides is composed and checked here; a slow test trains its first job;
- `python scripts/NAME.py ...`, also as `brushwork NAME`: its own parser accepts it; those in RUN are run on small data;
- `make TARGET ...`: `make -n` knows it, and what it would run is checked in the same way.
"""

import ast
import importlib.util
import json
import re
import shlex
import subprocess
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from torchvision.models import squeezenet1_1

from brushwork import csv_files
from brushwork.paintings import demo, listing
from brushwork.training import config, job
from tests.conftest import REPOSITORY, STYLES, Run, write_paintings

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(DOCS.glob("*.md"))
LANGUAGES = {"bash", "python", "text"}
PROGRAMS = ("python", "make", "brushwork", "pip", "tensorboard", "git", "source", ".venv/bin")

_INSTALLS = "installs packages"
_SERVER = "a server"
NOT_RUN = {
    "git clone <this repository> brushwork && cd brushwork": "a download",
    "python -m venv .venv": _INSTALLS,
    "source .venv/bin/activate": "changes the shell",
    "python -m pip install --constraint constraints.txt --editable '.[data,box,launchers]'": _INSTALLS,
    "pip install .": _INSTALLS,
    "pip install '.[app]'": _INSTALLS,
    "pip install '.[box]'": _INSTALLS,
    "pip install '.[data]'": _INSTALLS,
    "pip install '.[export]'": _INSTALLS,
    "pip install '.[hub]'": _INSTALLS,
    "pip install '.[launchers]'": _INSTALLS,
    "pip install '.[mlflow]'": _INSTALLS,
    "pip install '.[parquet]'": _INSTALLS,
    "pip install '.[timm]'": _INSTALLS,
    "pip install '.[wandb]'": _INSTALLS,
    ".venv/bin/pre-commit install": "changes the repository",
    ".venv/bin/python": "no command without arguments",
    "python train.py --help": "a process of its own: tests/test_train_command.py",
    "tensorboard --logdir logs": _SERVER,
    "tensorboard --logdir logs/wikiart": _SERVER,
    "tensorboard --logdir logs/compare_heads": _SERVER,
    "brushwork saliency": "the name of a command, without its arguments",
    "brushwork compare": "the name of a command, without its arguments",
    "brushwork check-data": "the name of a command, without its arguments",
    "brushwork train": "the name of a command, without its arguments",
}
# Run whole, in a folder that has what they name, with these arguments added.
NO_WEIGHTS = ["--model", "squeezenet1_1", "--weights", "WEIGHTS.pth"]  # VGG-16's would have to be downloaded
RUN = {
    "python scripts/check_data.py data/wikiart": [],
    "python scripts/stores.py": [],
    "python scripts/saliency.py husky.jpg flamingo.jpg": NO_WEIGHTS,
    "python scripts/saliency.py photos/ --target tabby": NO_WEIGHTS,
    "python scripts/predict.py logs/.../checkpoints/best.ckpt husky.jpg photos/": [],
    "python scripts/predict.py logs/.../checkpoints/best.ckpt photos/ --out answers": [],
    "python scripts/predict.py logs/.../checkpoints/best.ckpt 'photos/**/*.jpg' --json": [],
    "python scripts/compare.py logs/wikiart": [],
    "python scripts/figures.py logs/paper": [],
}
SLOW = {"python scripts/compare.py logs/wikiart", "python scripts/figures.py logs/paper"}
# Appended to a training: small, on the CPU, and nothing downloaded.
SMALL = ["data.image_size=64", "data.batch_size=8", "data.workers=0", "trainer.max_epochs=1", "trainer.accelerator=cpu"]
NOT_TRAINED = {
    "python train.py model=squeezenet1_1 model.weights=hf://USER/NAME": "needs the hub: tests/export/test_hub.py",
    "python train.py ckpt_path=logs/.../checkpoints/last.ckpt": "needs an interrupted run: tests/training",
    "python train.py trainer.devices=2": "two processes: tests/test_train_command.py",
}


def blocks(page: Path, language: str) -> list[str]:
    """The contents of a page's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(page: Path) -> list[str]:
    """A page's commands, without comments, their shell variables put in."""
    found, variables = [], {}
    for line in "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines():
        command = re.sub(r"\s+#.*$", "", line).strip()
        if assigned := re.fullmatch(r"([A-Z]+)=\"(.*)\"", command):
            variables[assigned[1]] = assigned[2]
        elif command:
            found.append(re.sub(r"\$([A-Z]+)", lambda name: variables[name[1]], command))
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for text in re.findall(r"`([^`]+)`", prose):
        command = " ".join(text.split())
        if command.startswith(tuple(f"{program} " for program in PROGRAMS)) or command.startswith(".venv/bin/"):
            found.append(command)
    return found


ALL = sorted({command for page in PAGES for command in commands(page)})


def arguments_of(command: str, script: str) -> list[str] | None:
    """The arguments, when the command calls this script."""
    for begin in (f"python {script}", f".venv/bin/python {script}"):
        if command == begin or command.startswith(begin + " "):
            return shlex.split(command.removeprefix(begin))
    return None


def loaded(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    return script


def composed(overrides: list[str], **options: bool) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("train", overrides, **options)


def axes(overrides: list[str]) -> tuple[list[str], list[list[str]]]:
    """The overrides that every job has, and for each axis of a sweep its overrides in turn; of seeds one will do."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    fixed = [one.input_line for one in parsed if not one.is_sweep_override()]
    if any(one.startswith("experiment=") for one in fixed):
        params = composed(fixed, return_hydra_config=True).hydra.sweeper.params or {}
        given = {one.get_key_element() for one in parsed}
        more = [f"{key}={values}" for key, values in params.items() if key not in given]
        parsed += OverridesParser.create().parse_overrides(more)
    swept = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        for one in parsed
        if one.is_sweep_override()
    ]
    return fixed, [values[:1] if values[0].startswith("seed=") else values for values in swept]


def check_training(arguments: list[str], folder: Path) -> None:
    """Compose jobs until every value of every axis was in one."""
    fixed, swept = axes([argument for argument in arguments if argument != "-m"])
    if "-m" not in arguments:
        assert not swept or any(one.startswith("experiment=") for one in fixed), "values with commas, but without -m"
    for turn in range(max(map(len, swept), default=1)):
        chosen = [values[turn % len(values)] for values in swept]
        config.make_job(composed([f"run_dir={folder}", *fixed, *chosen]))


def check(command: str, folder: Path) -> None:
    """Check a command in the way that its program has."""
    if (arguments := arguments_of(command, "train.py")) is not None:
        check_training(arguments, folder)
        return
    if command.startswith("brushwork "):
        program, *rest = shlex.split(command.removeprefix("brushwork "))
        script = "train.py" if program == "train" else f"scripts/{program.replace('-', '_')}.py"
        check(shlex.join(["python", script, *rest]), folder)
        return
    if found := re.match(r"(?:\.venv/bin/)?python scripts/(\w+)\.py", command):
        with nullcontext() if not command.endswith("--help") else pytest.raises(SystemExit, match="0"):
            loaded(found[1]).parser().parse_args(arguments_of(command, f"scripts/{found[1]}.py"))
        return
    assert command.startswith("make "), f"{command}: no test knows how to check it; add it to NOT_RUN with the reason"
    dry = ["make", "-n", *shlex.split(command)[1:]]
    would = subprocess.run(dry, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    programs = [line.strip() for line in would.replace("\\\n", " ").splitlines() if line.startswith(".venv/bin/")]
    runs = [line for line in programs if "-m pip" not in line]
    assert runs or command.endswith(("install", "clean")), f"{command} runs nothing"
    for line in runs:
        if line.startswith((".venv/bin/python train.py", ".venv/bin/python scripts/")):
            check(line, folder)


@pytest.mark.parametrize("command", [command for command in ALL if command not in NOT_RUN])
def test_command(command: str, tmp_path: Path) -> None:
    check(command, tmp_path)


def test_the_tables_name_commands_of_the_pages() -> None:
    named = {*NOT_RUN, *RUN, *NOT_TRAINED}
    assert named <= set(ALL), f"in no page: {sorted(named - set(ALL))}"
    assert len(ALL) > 80
    assert not NOT_RUN.keys() & (RUN.keys() | NOT_TRAINED.keys())


def test_a_wrong_command_is_found(tmp_path: Path) -> None:
    for wrong in ("python train.py haed=replace_two", "python train.py data.crop_scale=7", "pythn train.py"):
        with pytest.raises(Exception, match=r"haed|crop_scale|no test knows"):
            check(wrong, tmp_path)
    with pytest.raises(SystemExit):
        check("python scripts/saliency.py husky.jpg --metod gradcam", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        check("make tarin", tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_says_its_language(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.M)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three styles by three artists each, with a catalogue.csv that splits them, photos and weights."""
    folder = tmp_path_factory.mktemp("small")
    root = folder / "paintings"
    for style, painted in zip(("Baroque", "Realism", "Romanticism"), STYLES, strict=True):
        write_paintings(root, 10, [style], painted)
    rows = [
        ",".join(
            [f"{path.parent.name}/{path.name}", path.parent.name, *[""] * 6, "val" if number % 5 == 0 else "train"]
        )
        for number, path in enumerate(sorted(root.glob("*/*")))
    ]
    (root / listing.CATALOGUE).write_text("\n".join([",".join(listing.COLUMNS), *rows]) + "\n")
    for number, photo in enumerate(("husky.jpg", "flamingo.jpg", "photos/tabby.jpg")):
        (folder / photo).parent.mkdir(exist_ok=True)
        demo.paint(STYLES[0], number, 64).save(folder / photo)
    torch.manual_seed(0)
    torch.save(squeezenet1_1().state_dict(), folder / "WEIGHTS.pth")
    return folder


@pytest.fixture
def home(tmp_path: Path, run: Run, small: Path, small_run: Path) -> Path:
    """The working directory, with what the commands name: read only."""
    (tmp_path / "data").mkdir()
    for root in ("data/wikiart", "data/paper", "PATH", "PAINTINGS"):
        (tmp_path / root).symlink_to(small / "paintings")
    for name in ("husky.jpg", "flamingo.jpg", "photos", "WEIGHTS.pth"):
        (tmp_path / name).symlink_to(small / name)
    rows = listing.read(small / "paintings").values()
    listed = [{"Datei": row["path"], "Stil": row["style"]} for row in rows]
    csv_files.write(tmp_path / "labels.csv", ["Datei", "Stil"], listed)
    (tmp_path / "logs/...").mkdir(parents=True)
    (tmp_path / "logs/.../checkpoints").symlink_to(small_run / "checkpoints")
    csv_files.write(tmp_path / "logs/.../split.csv", ["path", "part"], rows)
    return tmp_path


def run_whole(command: str, run: Run) -> str:
    name = re.match(r"python scripts/(\w+)\.py", command)[1]
    code, out, error = run(name, *arguments_of(command, f"scripts/{name}.py"), *RUN[command])
    assert code == 0, error
    return out


@pytest.mark.parametrize("command", sorted(RUN.keys() - SLOW))
def test_command_run_whole(command: str, run: Run, home: Path) -> None:
    assert run_whole(command, run)


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted(SLOW))
def test_command_on_runs(command: str, run: Run, home: Path, both_heads: Path) -> None:
    for name in ("wikiart", "paper"):
        (home / "logs" / name).symlink_to(both_heads)
    assert "results: " in run_whole(command, run)


TRAININGS = [one for one in ALL if arguments_of(one, "train.py") is not None and one not in {*NOT_RUN, *NOT_TRAINED}]


@pytest.mark.slow
@pytest.mark.parametrize("command", TRAININGS)
def test_training_command_trains(command: str, home: Path) -> None:
    """The first job, whole, on small pictures."""
    fixed, swept = axes([argument for argument in arguments_of(command, "train.py") if argument != "-m"])
    overrides = [*fixed, *(values[0] for values in swept), *SMALL, "callbacks.progress_bar=null"]
    if "callbacks.saliency=null" not in overrides and "experiment=finetune_or_scratch" not in overrides:
        overrides.append("callbacks.saliency.reference=null")
    if not any(one.startswith("model") or one == "head=replace_two" for one in fixed):
        overrides.append("model=mobilenet_v3_small")  # AlexNet's checkpoints take seconds
    if not any("WEIGHTS.pth" in one for one in overrides):
        overrides.append("model.weights=null")
    if any("dinov2" in one for one in fixed):
        overrides.append("data.image_size=28")  # a multiple of its patch
    if "experiment=folds" in overrides or any(one.startswith("split.folds=") for one in overrides):
        overrides += ["split.folds=3", "split.val_fraction=0.5"]  # three artists a style
    if "experiment=demo" in overrides:
        overrides.append("data.paint_demo=5")
    made = config.make_job(composed([f"run_dir={home / 'run'}", *overrides]))
    job.run_job(replace(made, command=[]))
    assert json.loads((home / "run/result.json").read_text())["status"] == "finished"


@pytest.fixture
def demo_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a small demo and the repository's conf."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    demo.paint_all(Path("data/demo_100"), 10)
    (tmp_path / "conf").symlink_to(REPOSITORY / "conf")
    return tmp_path


def execute(code: str, name: str, namespace: dict) -> None:
    exec(compile(code, name, "exec"), namespace)


def test_readme_shows_the_script_of_the_page() -> None:
    assert blocks(REPOSITORY / "README.md", "python") == blocks(DOCS / "python.md", "python")[:1]


def run_script(namespace: dict) -> list[str]:
    """Execute the page's first block, check what it leaves, and return the other blocks."""
    script, *others = blocks(DOCS / "python.md", "python")
    execute(script, "docs/python.md", namespace)
    return others


def test_script(demo_home: Path) -> None:
    namespace = {}
    run_script(namespace)
    assert tuple(namespace["images"].shape) == (2, 3, 128, 128)
    assert tuple(namespace["maps"].shape) == (2, 128, 128)
    assert namespace["maps"].isfinite().all() and namespace["maps"].any()
    classes = {folder.name for folder in Path("data/demo_100").iterdir() if not folder.name.startswith(".")}
    for answer in namespace["answers"]:
        assert set(answer.probabilities) == classes
        assert sum(answer.probabilities.values()) == pytest.approx(1)


@pytest.mark.slow
def test_python_page(demo_home: Path) -> None:
    namespace = {}
    for number, block in enumerate(run_script(namespace), 2):
        execute(block, f"docs/python.md, block {number}", namespace)
    assert json.loads(Path("logs/by_hand/run/result.json").read_text())["status"] == "finished"


def cells(kind: str) -> list[dict]:
    notebook = json.loads((DOCS / "start.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_notebook_has_no_outputs_and_no_magic() -> None:
    for cell in cells("code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None
        ast.parse("".join(cell["source"]))
    assert sum("parameters" in cell["metadata"].get("tags", []) for cell in cells("code")) == 1


@pytest.mark.slow
def test_notebook(demo_home: Path) -> None:
    namespace = {}
    for number, cell in enumerate(cells("code"), 1):
        execute("".join(cell["source"]), f"start.ipynb, cell {number}", namespace)
        if "parameters" in cell["metadata"].get("tags", []):
            assert {"PICTURES", "EPOCHS", "IMAGE_SIZE", "WEIGHTS"} <= namespace.keys()
            namespace |= {"PICTURES": 10, "EPOCHS": 1, "IMAGE_SIZE": 64, "WEIGHTS": None}
    assert {run.name for run in Path("runs").iterdir()} == {"replace_last", "replace_two"}


def slug(heading: str) -> str:
    """A heading's anchor, as Markdown's table of contents and GitHub make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in map(slug, headings), link


def test_every_page_is_in_the_navigation() -> None:
    listed = re.findall(r": ([\w.]+\.md)$", (REPOSITORY / "mkdocs.yml").read_text(), re.M)
    assert sorted(listed) == sorted(page.name for page in DOCS.glob("*.md"))
    readme = (REPOSITORY / "README.md").read_text()
    assert [name for name in listed if f"docs/{name}" not in readme and name != "changelog.md"] == []
    assert len(readme.splitlines()) <= 150


def messages() -> str:
    """Every text in the source, what it puts in written as a …, one a line."""
    texts = [(REPOSITORY / "Makefile").read_text()]
    for path in [*(REPOSITORY / "src").rglob("*.py"), *(REPOSITORY / "scripts").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(re.sub(r"%[.\dsdg]*[sdgf]", "…", node.value))
            elif isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
    return "\n".join(texts)


def test_messages_in_troubleshooting_are_the_programs_own() -> None:
    source = messages()
    rows = re.findall(r"^\| (`.+?) \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.M)
    shown = [message for row in rows for message in re.findall(r"`([^`]+)`", row)]
    assert len(shown) > 40
    unknown = []
    for message in shown:
        parts = [re.escape(part.strip()) for part in message.split("…") if part.strip(" :;.,'()")]
        if not re.search(r"[^\n]*?".join(parts), source) and message != "CUDA out of memory":
            unknown.append(message)
    assert unknown == []


def test_pages_name_no_machine() -> None:
    for page in [*PAGES, DOCS / "start.ipynb", REPOSITORY / "mkdocs.yml", REPOSITORY / "CITATION.cff"]:
        assert not re.search(
            r"(?<![\w./])/(home|root|mnt|media|srv)/|pypi|localhost", page.read_text(encoding="utf-8")
        ), page


def test_files_that_the_pages_name_are_there() -> None:
    for page in PAGES:
        text = re.sub(r"^## Moved.*?^##", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for name in re.findall(r"`((?:[a-z_]+/)+[\w.]*\.(?:py|ipynb|yaml))`", text):
            if not name.startswith(("logs/", "conf/head/x", "conf/split/x")):
                assert any((place / name).exists() for place in (REPOSITORY, REPOSITORY / "src/brushwork")), name
