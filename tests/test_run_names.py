"""Names of runs' folders: short, distinct within a sweep, and the same for the same command."""

from collections.abc import Collection
from pathlib import Path

import pytest
import yaml

from brushwork import run_names


def name(*overrides: str, sweep: Path | None = None, ambiguous: Collection[str] | None = ()) -> str:
    slug = run_names.run_slug(
        "wikiart", "replace_last", "full", 0, list(overrides), None if sweep is None else str(sweep), ambiguous
    )
    return slug.removeprefix("replace_last_full_").removesuffix("_seed-0")


def run_in(folder: Path, *overrides: str) -> None:
    """What Hydra leaves of a job."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text(yaml.safe_dump(list(overrides)))


@pytest.mark.parametrize(
    ("override", "short"),
    [
        ("optimizer.lr=0.01", "lr-0.01"),
        ("model=vgg16", "vgg16"),
        ("split.seed=1", "split-seed-1"),
        ("+trainer.limit_val_batches=0.5", "limit_val_batches-0.5"),
        ("data.root=../shared/paintings", "root-paintings"),
        ("data.root='/a b/paintings/'", "root-paintings"),
        ("model.weights=logs/a/checkpoints/best.ckpt", "weights-best.ckpt"),
        ("data.styles=[Baroque,Art_Nouveau,Cubism]", "styles-Baroque-3"),
        ("data.styles=['Baroque', 'Cubism']", "styles-Baroque-2"),
        ("data.styles='A,B'", "styles-A-2"),
        ("trainer.devices=[0]", "devices-0-1"),
        # What is no plain word, or too long: a hash.
        ("data.root=..", "root-a8ca"),
        ("data.root=/", "root-df7e"),
        ("data.root='/my paintings'", "root-14d5"),
        ("data.styles=[]", "styles-b328"),
        ("optimizer={lr:1,momentum:0}", "f52d"),
        ("model.weights=" + "y" * 32, "weights-" + "y" * 32),
        ("model.weights=" + "y" * 33, "weights-940d"),
    ],
)
def test_short_names(override: str, short: str) -> None:
    assert name(override) == short


def test_what_is_not_named() -> None:
    unnamed = ["experiment=demo", "name=x", "head=replace_two", "callbacks.saliency=null", "logger=none", "threads=1"]
    assert run_names.run_slug("demo", "replace_two", "full", 0, unnamed) == "replace_two_full_seed-0"


def test_many_differences_are_cut_and_still_apart() -> None:
    cut = [name(*(f"a.{'k' * 20}{i}=1" for i in range(20)), last) for last in ("b=1", "b=2")]
    assert cut[0] != cut[1]
    assert all(len(each) <= 180 for each in cut)


PAIRS = [
    ("data.root=/a/paintings", "data.root=/b/paintings"),
    ("data.root=paintings", "data.root=/b/paintings"),
    ("data.styles=[A,B]", "data.styles=[A,C]"),
    ("data.root=/a/paintings", "data.root=/a/paintings/"),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_jobs_of_one_sweep_with_the_same_short_name(tmp_path: Path, pair: tuple[str, str]) -> None:
    """Distinct before either has a folder: jobs may start at once."""
    assert name(pair[0]) == name(pair[1])
    same = run_names.ambiguous_values([[each, "seed=0", "model.weights=/a/best.ckpt"] for each in pair])
    assert same == {each.split("=")[1] for each in pair}
    names = [name(each, "model.weights=/a/best.ckpt", sweep=tmp_path, ambiguous=same) for each in pair]
    assert len(set(names)) == 2
    assert all(each.endswith("_weights-best.ckpt") for each in names)
    for folder, override in zip(names, pair, strict=True):
        run_in(tmp_path / f"replace_last_full_{folder}_seed-0", override, "model.weights=/a/best.ckpt")
    again = [name(each, "model.weights=/a/best.ckpt", sweep=tmp_path, ambiguous=same) for each in pair]
    assert again == names


def test_jobs_with_different_short_names_are_not_ambiguous() -> None:
    assert not run_names.ambiguous_values([["data.root=/a/b"], ["data.root=/a/c"], ["data.styles=[A,B]"]])
    assert not run_names.ambiguous_values([["data.root=/a/b", f"seed={seed}"] for seed in range(3)])


def test_jobs_that_only_their_sweeper_knows(tmp_path: Path) -> None:
    names = {name(each, sweep=tmp_path, ambiguous=None) for pair in PAIRS for each in pair}
    assert len(names) == len({each for pair in PAIRS for each in pair})


@pytest.mark.parametrize("pair", PAIRS)
def test_jobs_of_two_commands_with_the_same_short_name(tmp_path: Path, pair: tuple[str, str]) -> None:
    first, second = pair
    run_in(tmp_path / f"replace_last_full_{name(first, sweep=tmp_path)}_seed-0", "threads=1", first)
    others = name(second, sweep=tmp_path)
    assert others != name(first)
    run_in(tmp_path / f"replace_last_full_{others}_seed-0", second)
    for ambiguous in [(), None, {each.split("=")[1] for each in pair}]:  # the same again, or a sweep over both
        assert [name(each, sweep=tmp_path, ambiguous=ambiguous) for each in pair] == [name(first), others]


@pytest.mark.parametrize(
    ("overrides", "former"),
    [
        (["data.root=../shared/paintings"], "root-ca58"),
        (["data.styles=[A,B]", "optimizer.lr=0.1"], "styles-ba54_lr-0.1"),
        (["model.weights=" + "y" * 40], "weights-" + "y" * 40),
    ],
)
def test_a_folder_of_an_earlier_naming_is_found(tmp_path: Path, overrides: list[str], former: str) -> None:
    run_in(tmp_path / f"replace_last_full_{former}_seed-0", *overrides)
    assert name(*overrides) != former
    for ambiguous in ((), None):
        assert name(*overrides, sweep=tmp_path, ambiguous=ambiguous) == former


def test_fresh_folders(tmp_path: Path) -> None:
    run_names.fresh_folder.cache_clear()
    first = run_names.fresh_folder(str(tmp_path), "seed-0")
    assert run_names.fresh_folder(str(tmp_path), "seed-0") == first
    run_names.fresh_folder.cache_clear()  # as another process in the same second
    second = run_names.fresh_folder(str(tmp_path), "seed-0")
    assert first != second
    assert len(list(tmp_path.iterdir())) == 2
