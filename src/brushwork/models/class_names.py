"""Names of a network's classes: from a file of names, and by number, name or ImageNet's synonyms to an index."""

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from torchvision import models

from brushwork.errors import UserError, unknown

_WORDNET = re.compile(r"(n\d{8})(?:[ _].*)?")  # also in front of a name, as in ImageNet's folders
_LISTED = 10  # names in an error


def read(path: Path, count: int) -> list[str]:
    """The names of `count` classes in a file.

    A name a line, or lines of an index and a name in any order (`0 Abstract`, `/a/airfield 0`, `0,Abstract`); or a
    dictionary or list as JSON or Python writes it: names, {index: name}, {name: index}, and [WordNet's number, name] in
    place of a name.

    Raises:
        UserError: there is no such file, or it names another number of classes.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path.resolve()}: name a file of class names, one a line")
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    if text.startswith(("{", "[")):
        try:
            # Reads JSON and Python's literals; all values are text: "no" is a name, and not False.
            names = _of_values(yaml.load(text.replace("\t", " "), yaml.BaseLoader))
        except (yaml.YAMLError, TypeError, ValueError, RecursionError):
            raise UserError(f"{path} is no list or dictionary of class names: write one name a line") from None
    else:
        names = _of_lines([line.strip() for line in text.splitlines() if line.strip()])
    if len(names) != count:
        raise UserError(f"{path} names {len(names)} classes, but the network has {count}: one name a line, in order")
    return names


def index_of(target: str, names: Sequence[str], whose: str) -> int:
    """The class of a number or a name; its case, hyphens and underscores matter only where names differ in them.

    Of ImageNet's 1000 classes also by WordNet's number (`n02123045`) and by every synonym.

    Raises:
        UserError: there is no such class, or several have the name; `whose` is the network's name in it.
    """
    last = len(names) - 1
    if re.fullmatch(r"-?\d+", target):
        index = int(target)
        if not 0 <= index <= last:
            raise UserError(
                f"class {index} is out of range: {whose} has classes 0 ({names[0]}) to {last} ({names[-1]})"
            )
        return index
    found = [index for index, name in enumerate(names) if name == target]
    for spelled in (str.lower, _spelled):
        found = found or [index for index, name in enumerate(names) if spelled(name) == spelled(target)]
    if not found and list(names) == _imagenet():
        synonyms = _synonyms()
        number = _WORDNET.fullmatch(target)
        if number and number[1] not in synonyms:
            raise UserError(f"{number[1]} is none of the 1000 classes of {whose}: give another number of WordNet's")
        found = synonyms.get(number[1] if number else _spelled(target), [])
    if len(found) > 1:
        raise UserError(f"{target} is the name of classes {' and '.join(map(str, found))}: give the number")
    if found:
        return found[0]
    near = [f"{name} ({index})" for index, name in enumerate(names) if _spelled(target) in _spelled(name)]
    if near:
        raise UserError(f"no class of {whose} is just '{target}': name one of {', '.join(near[:_LISTED])}")
    raise unknown(f"class of {whose}", target, names)


def _of_lines(lines: list[str]) -> list[str]:
    """The names in lines, without indices that count the lines in any order."""
    for pattern in (r"(?P<index>\d+)[\s,;:]+(?P<name>.*\S)", r"(?P<name>\S.*?)[\s,;:]+(?P<index>\d+)"):
        found = [re.fullmatch(pattern, line) for line in lines]
        if all(found):
            by_index = {int(match["index"]): match["name"].rstrip(",").strip("\"'") for match in found}
            if len(set(by_index.values())) == len(lines) and _counts(by_index):
                # Places365 sorts its names by their first letter: /a/airfield
                return [re.sub(r"^/[a-z]/", "", by_index[index]) for index in sorted(by_index)]
    return lines


def _of_values(values: object) -> list[str]:
    if isinstance(values, Mapping):
        if not _counts(values) and _counts(values.values()):
            values = {index: name for name, index in values.items()}
        if not _counts(values):
            raise ValueError
        values = [value for _, value in sorted(values.items(), key=lambda item: int(item[0]))]
    names = [value[-1] if isinstance(value, list) and value else value for value in values]
    if not all(isinstance(name, str) for name in names):
        raise TypeError
    return names


def _counts(indices: object) -> bool:
    """Whether these are 0, 1, 2, ... or 1, 2, 3, ... in any order, as numbers or text."""
    texts = [str(index) for index in indices]
    numbers = sorted(int(text) for text in texts if text.isdecimal())
    return len(numbers) == len(texts) > 0 and numbers in (list(range(len(texts))), list(range(1, len(texts) + 1)))


def _spelled(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", name.lower().strip()))


@functools.cache
def _imagenet() -> list[str]:
    return models.AlexNet_Weights.IMAGENET1K_V1.meta["categories"]


@functools.cache
def _synonyms() -> dict[str, list[int]]:
    """The indices of ImageNet's classes by WordNet's number and by each name there."""
    table = yaml.safe_load((Path(__file__).parent / "imagenet_classes.yaml").read_text(encoding="utf-8"))
    found: dict[str, list[int]] = {}
    for index, (number, names) in enumerate(table.items()):
        for name in (number, *map(_spelled, names.split(", "))):
            found.setdefault(name, []).append(index)
    return found
