"""How the folders of runs are named: by what differs from the defaults, or by the time."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path

import yaml

from brushwork import files

# Overrides that don't change what a run computes, and those that `run_slug` names anyway.
_UNNAMED = {"name", "run_dir", "keep_last", "threads", "callbacks", "logger", "data.workers", "data.store"}
_UNNAMED |= {"head", "tuning", "seed"}


def run_slug(
    name: str,
    head: str,
    tuning: str,
    seed: int,
    overrides: list[str],
    sweep: str | None = None,
    ambiguous: Collection[str] | None = (),
) -> str:
    """Head, tuning, what differs from the defaults, and seed, as a folder's name: TensorBoard's name of the run.

    The order of the overrides does not matter. Choices of config groups stand alone, other keys follow with their last
    part. A path is named by its last part, a list by its first item and its length, and what then is no word of at
    most 32 characters by four digits of its hash.

    Args:
        sweep: the folder of a sweep. A job keeps the folder that it has there, even if an older version named it; one
            whose name is another job's gets the hashes of shortened values.
        ambiguous: values that get their hash at once (see `ambiguous_values`); None: all that are shortened.

    >>> run_slug("wikiart", "replace_two", "full", 0, ["seed=0", "head=replace_two"])
    'replace_two_full_seed-0'
    >>> run_slug("wikiart", "replace_last", "full", 1, ["optimizer.lr=0.01", "model=vgg16"])
    'replace_last_full_vgg16_lr-0.01_seed-1'
    >>> overrides = ["data.root=../paintings", "data.styles=[Baroque,Cubism]"]
    >>> run_slug("wikiart", "replace_last", "full", 0, overrides)
    'replace_last_full_root-paintings_styles-Baroque-2_seed-0'
    >>> run_slug("wikiart", "replace_last", "full", 0, overrides, "logs/wikiart", ambiguous=["../paintings"])
    'replace_last_full_root-paintings-4c32_styles-Baroque-2_seed-0'
    """

    def word(value: str) -> str:
        return _distinct(value) if ambiguous is None or value in ambiguous else _short(value)

    join = partial(_join, name, head, tuning, seed)
    preferred, distinct = join(overrides, word), join(overrides, _distinct)
    if sweep is None:
        return preferred
    for existing in (preferred, distinct, join(overrides, _short), join(overrides, _former)):
        folder, recorded = Path(sweep, existing), Path(sweep, existing, ".hydra/overrides.yaml")
        theirs = yaml.safe_load(recorded.read_bytes()) or [] if recorded.exists() else overrides
        if folder.is_dir() and join(theirs, _distinct) == distinct:
            return existing
    return distinct if Path(sweep, preferred).is_dir() else preferred


def ambiguous_values(jobs: list[list[str]]) -> set[str]:
    """Values of a sweep's jobs, each given by its overrides, that have the same short name as another one of their key.

    >>> sorted(ambiguous_values([["data.root=/a/paintings"], ["data.root=/b/paintings"], ["data.root=/a/drawings"]]))
    ['/a/paintings', '/b/paintings']
    """
    values = defaultdict(set)
    for key, _, value in (override.partition("=") for job in jobs for override in job):
        values[key, _short(value)].add(value)
    return set().union(*(same for same in values.values() if len(same) > 1))


def _join(name: str, head: str, tuning: str, seed: int, overrides: list[str], word: Callable[[str], str]) -> str:
    choices, values = {}, {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key in _UNNAMED or key.startswith(("callbacks.", "logger.")) or value == name:
            continue
        if "." not in key and not re.fullmatch(r"[\d.+-]*", value):
            choices[key] = word(value)
        else:
            last = key if key.endswith(".seed") else key.rsplit(".", 1)[-1]  # there are two seeds
            values[key] = f"{last.replace('.', '-')}-{word(value)}"
    others = [group[key] for group in (choices, values) for key in sorted(group)]
    joined = "_".join([head, tuning, *others])
    if len(joined) > 160:
        joined = f"{joined[:150]}-{files.short_hash(joined)[:8]}"
    return f"{joined}_seed-{seed}"


def _short(value: str) -> str:
    text = value.strip("'\"")
    items = text.strip("[]").split(",")
    word = Path(items[0].strip("'\" ")).name
    if not re.fullmatch(r"[\w.+-]{1,32}", word) or word == "..":
        return _hash(value)
    return f"{word}-{len(items)}" if text.startswith("[") or len(items) > 1 else word


def _distinct(value: str) -> str:
    word = _short(value)
    return word if word in (value, _hash(value)) else f"{word}-{_hash(value)}"


def _former(value: str) -> str:
    """As before paths and lists were shortened."""
    return value if re.fullmatch(r"[\w.+-]+", value) else _hash(value)


def _hash(value: str) -> str:
    return files.short_hash(value)[:4]


@cache
def fresh_folder(parent: str, what: str) -> str:
    """Make a new folder parent/<time stamp>_<what> that no other run has, and return its path.

    One process has one such folder, however often its configuration is resolved.
    """
    stem = "_".join(filter(None, [datetime.now().strftime("%Y-%m-%d_%H-%M-%S"), what]))
    for attempt in range(1, 1000):
        folder = Path(parent) / (stem if attempt == 1 else f"{stem}_{attempt}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return str(folder)
    raise FileExistsError(f"a thousand runs named {stem} in {parent}")
