"""Paths on Hydra's command line as people type them (FAULTS 49)."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from brushwork import WikiArtDataModule, files
from brushwork.errors import UserError
from brushwork.terminal import path
from brushwork.training import overrides
from brushwork.training.config import Job
from tests.conftest import REPOSITORY, write_paintings

# Names of folders that exist: Hydra reads most of them as something else, or not at all.
NAMES = [
    "a (b)",
    "x=y",
    "#hash",
    "a,b",
    "q'u\"o",
    "[z]",
    "{w}",
    "1e3",
    "true",
    "back\\s",
    "d$d",
    "sp ",
    "日本",
    "p,(q)",
]
NAMES += ["caf\udce9", "c:d", "new\nline", "a!b;c&d|e<f>", "100%", "~tilde"]
WORST = "a=b (c), #d 'e' \"f\" [g] {h} $i:j é~"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with folders of all names, which is the working folder too."""
    for name in NAMES:
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def read(argument: str) -> object:
    """What Hydra makes of an argument, which is the same when it is given again."""
    (given,) = overrides.as_hydra_reads([argument])
    assert overrides.as_hydra_reads([given]) == [given]
    return OverridesParser.create().parse_override(given).value()


@pytest.mark.parametrize("name", NAMES)
def test_a_path_works_as_typed(folders: Path, name: str) -> None:
    assert read(f"data.root={name}") == name
    assert read(f"data.root={folders / name}") == str(folders / name)
    for typed in ("~", "$HOME", "${HOME}"):
        for key in ("data.root", "+data.predict", "model.weights", "ckpt_path", "run_dir", "hydra.sweep.dir"):
            assert read(f"{key}={typed}/{name}") == str(folders / name)
    assert read(f"run_dir=~/{name}/new, (run)") == f"{folders / name}/new, (run)"  # is made, and is no sweep


def test_of_a_missing_path_the_error_is_not_the_lexers(folders: Path) -> None:
    for name in ("gone (1)", "a=b", "#2", "~/gone"):
        assert read(f"data.root={name}") == name.replace("~", str(folders))


@pytest.mark.parametrize(
    "argument",
    [
        *("data.root=data/wikiart", "data.root=/a b/c-d_e.f", "data.root=one,two", "data.root=choice(one,two)"),
        *("model.weights=imagenet,null", "model.weights=null", "seed=0,1", "seed=range(0,3)", "seed=1e3", "true=1"),
        *("data.styles=[Baroque,Cubism]", "~optimizer.momentum", "+trainer.max_time={hours: 1}", "optimizer.lr=0.01"),
        *(
            "data.root='~ (x)'",
            'data.root="a,b"',
            "data.root=${oc.env:HOME}/x",
            "hydra.sweep.dir=logs/${name}",
            "name=",
        ),
        *("-m", "--config-name=train", "data.root", "ha(ha=1"),
    ],
)
def test_all_else_stays_as_it_is(folders: Path, argument: str) -> None:
    assert overrides.as_hydra_reads(["-m", argument])[1:] == [argument]


@pytest.mark.parametrize(
    "argument", ["name=a,b", "seed=range(0,3)", "model.weights=imagenet,null", "data.root=one,two"]
)
def test_several_values_without_a_sweep(folders: Path, argument: str) -> None:
    with pytest.raises(UserError, match="is several values: add -m for a run with each, or") as caught:
        overrides.as_hydra_reads([argument])
    shown = str(caught.value).partition("quote it, ")[2]
    assert overrides.as_hydra_reads(shlex.split(shown)) == shlex.split(shown)
    for sweep in ("-m", "--multirun", "experiment=compare_heads", "hydra.mode=MULTIRUN"):
        overrides.as_hydra_reads([sweep, argument])
    missing = "/nowhere/a, b"
    assert read(f"data.root={missing}") == missing


def test_sweeps_of_paths(folders: Path) -> None:
    found = overrides.as_hydra_reads(["-m", "data.root=~/a (b),#hash,~/new", "model.weights=null,~/w(1).pth"])
    assert found == [
        "-m",
        f'data.root="{folders}/a (b)","#hash",{folders}/new',
        f'model.weights=null,"{folders}/w(1).pth"',
    ]
    assert read("data.root=a,b") == "a,b"  # a folder of that very name
    (folders / "null").mkdir()
    assert read("model.weights=null") is None


@pytest.mark.parametrize(
    ("argument", "quoted"),
    [
        ("name=a (b)", 'name="a (b)"'),
        ("data.styles=[Pop $Art$ (x),日本,Cubism]", 'data.styles=["Pop $Art$ (x)","日本",Cubism]'),
        ("name=it's", 'name="it\'s"'),
    ],
)
def test_the_error_shows_the_quoting_that_works(argument: str, quoted: str) -> None:
    with pytest.raises(UserError, match="Hydra cannot read the value of") as caught:
        overrides.as_hydra_reads([argument])
    shown = str(caught.value).partition("quote it, ")[2]
    assert "\n" not in shown
    assert shlex.split(shown) == [quoted]
    assert overrides.as_hydra_reads([quoted]) == [quoted]


def test_paths_in_yaml(tmp_path: Path, make_full_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_paintings(tmp_path / "x")
    for typed in ("~/x", "$HOME/x"):
        job = make_full_job(f"data.root='{typed}'", "callbacks.saliency.reference_weights='~/w.pth'")
        assert job.settings.data.root == job.resolved["data"]["root"] == str(tmp_path / "x")
        assert job.data.root == tmp_path / "x"
        assert job.resolved["callbacks"]["saliency"]["reference_weights"] == str(tmp_path / "w.pth")
    assert WikiArtDataModule("~/x").num_classes == 3
    assert path("$HOME/x") == tmp_path / "x"


def test_references_to_settings_stay(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS", "/r")
    for typed, meant in [("~/runs/", f"{folders}/runs/"), ("$RUNS/", "/r/"), ("~/a=b (c)/", f"{folders}/a=b (c)/")]:
        for key in ("run_dir", "hydra.run.dir", "callbacks.best.dirpath"):
            assert read(f"{key}={typed}${{name}}") == f"{meant}${{name}}"
    (folders / "D ${x}").mkdir()
    with pytest.raises(UserError, match=r"takes the \$\{ in D \$\{x\} for a setting: rename it"):
        overrides.as_hydra_reads(["data.root=D ${x}"])


def test_other_settings_and_flags(folders: Path) -> None:
    assert read("hydra.launcher.submitit_folder=~/a (b)") == str(folders / "a (b)")
    given = ["--config-dir=~/x", "-cd", "~/a=b", "head=replace_two"]
    assert overrides.as_hydra_reads(given) == [f"--config-dir={folders}/x", "-cd", f"{folders}/a=b", "head=replace_two"]


def test_a_name_with_a_dollar_wins(folders: Path) -> None:
    (folders / "$HOME").mkdir()
    assert files.expanded("$HOME") == "$HOME"
    assert files.expanded("$HOME/d$d") == str(folders / "d$d")


@pytest.mark.slow
def test_the_whole_command_and_its_repetition(tmp_path: Path) -> None:
    """In a home with all of it in its name; the command that the run records runs again."""
    home = tmp_path / WORST
    write_paintings(home / "data")
    arguments = [
        "data.root=~/data",
        "model=squeezenet1_1",
        "model.weights=null",
        "data.image_size=32",
        "callbacks=none",
    ]
    arguments += ["logger=none", "trainer.max_epochs=1", "trainer.accelerator=cpu", "data.workers=0"]

    def run(*given: str) -> dict:
        command = [sys.executable, str(REPOSITORY / "train.py"), *given]
        subprocess.run(command, cwd=tmp_path, env=os.environ | {"HOME": str(home)}, check=True, timeout=120)
        return yaml.safe_load((home / given[-1].rpartition("/")[2].rstrip('"') / "result.json").read_text())

    first = run(*arguments, "run_dir=~/one")
    words = shlex.split(first["command"])[2:]
    assert words[0] == 'data.root="{}/data"'.format(str(home).replace('"', '\\"'))
    second = run(*(word.replace("/one", "/two") for word in words))
    for key in ("data_hash", "config_hash", "split_hash"):
        assert first[key] == second[key]
