"""From the tensors in a file to the state dict that a network wants: by matching names and shapes, filling nothing."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from brushwork.errors import UserError

# Keys that torchvision changed after it had published its files: what its own loaders rename (densenet.py,
# vision_transformer.py).
_RENAMED = [
    (re.compile(r"(\bdenselayer\d+\..*?(?:norm|relu|conv))\.([12])(?=\.)"), r"\1\2"),
    (re.compile(r"\bmlp\.linear_1(?=\.)"), "mlp.0"),
    (re.compile(r"\bmlp\.linear_2(?=\.)"), "mlp.3"),
]
_COUNTER = "num_batches_tracked"  # of batch norm: younger than many files, and used in no computation here
_DEEPEST = 64  # parts of a name
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_NAMED = 5  # names in a list, at most
_AVERAGE = {"ema", "averaged", "average", "avg", "swa", "polyak", "shadow"}  # words in the names of averaged weights
# Lightning's averaging of weights keeps the average as "state_dict", and these beside it.
_NOT_AVERAGED = "current_model_state"


class Misfit(Exception):
    """The tensors are not those of the network."""


class Fitted(NamedTuple):
    """A state dict for a network, and what was done to get it."""

    state: dict[str, Tensor]  # by the network's keys; lacks those of layers that are replaced and do not fit
    notes: list[str]  # parts of a sentence


@dataclass
class _Node:
    """A name in a tree of names: a tensor, or a module with its children, or both."""

    key: str = ""  # of the tensor, in its own dictionary
    value: Tensor | None = None
    children: "dict[str, _Node]" = field(default_factory=dict)
    below: "list[_Node] | None" = None

    def modules(self) -> "list[_Node]":
        """This one and all below that have children."""
        if self.below is None:
            self.below = [self] if self.children else []
            for child in self.children.values():
                self.below += child.modules()
        return self.below


_Pairs = dict[str, str]  # the network's key: the file's key
_Fits = Callable[[str, Tensor], bool]


def fit(
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    last: Collection[str],
    replaced: Collection[str] = (),
) -> Fitted:
    """The state dict that a network wants, from the tensors in a file.

    A file's key fits a network's if it is the same but for names that wrappers put in front or in between
    (`state_dict/module.features.module.0.weight`), each child of a module at one place, and if the shapes are equal.

    Args:
        found: the tensors by key; "/" divides the names of dictionaries in one another (see `tensors_in`).
        wanted: the network's state dict; only names and shapes count.
        last: the keys of the network's last layer, which may have another number of classes, the first dimension.
        replaced: keys of layers that are thrown away: they may be missing or have any shape.

    Raises:
        Misfit: no such match, or not all keys of one network.
        UserError: there are several matches of different values, or tensors of a kind that can't be used.
            The text begins with "holds" or "has".
    """
    names = {_renamed(key): key for key in found} | {key: key for key in found if _renamed(key) == key}
    have = _tree((name, found[key]) for name, key in names.items())
    counters = [key for key in wanted if key.endswith(f".{_COUNTER}")]
    required = {key: tensor for key, tensor in wanted.items() if key not in set(counters)}
    for absent in ((), replaced) if replaced else ((),):
        kept = {key: tensor for key, tensor in required.items() if key not in set(absent)}
        matches = _matches(_tree(kept.items()), have, _shapes(kept, last))
        places = {key.rpartition(".")[0].partition(".")[0] for key in absent}  # foreign layers may stand there
        matches = [pairs for pairs in matches if not _foreign(pairs, names, places)]
        if matches:
            break
    else:
        raise Misfit
    pairs, notes = _chosen(matches, {name: found[key] for name, key in names.items()})
    state = {key: found[names[name]] for key, name in pairs.items()}
    _check_usable(state, {key: names[name] for key, name in pairs.items()}, wanted, last)
    filled = 0
    for key in counters:
        beside = pairs[key.replace(_COUNTER, "running_mean")].removesuffix("running_mean") + _COUNTER
        count = found.get(names.get(beside, ""))
        filled += count is None
        state[key] = torch.zeros((), dtype=torch.int64) if count is None else count.reshape(-1)[0]
    notes += [*_moved(pairs), *_changed(pairs, names, state, filled)]
    return Fitted(state, [*notes, *_left(matches, pairs, names, state, wanted, last, replaced)])


def keys_of(layers: str | Collection[str], state: Iterable[str]) -> list[str]:
    """The keys of layers by their names."""
    names = {layers} if isinstance(layers, str) else set(layers)
    return [key for key in state if key.rpartition(".")[0] in names]


def likely_prefix(found: Iterable[str], wanted: Collection[str]) -> str:
    """What stands before the most of a file's names that end like keys of a network."""
    prefixes = Counter("")
    for name in found:
        starts = [0, *(match.end() for match in re.finditer(r"[./]", name))]
        prefixes.update(name[:start] for start in starts if name[start:] in wanted)
    return prefixes.most_common(1)[0][0] if prefixes else ""


def _renamed(key: str) -> str:
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    return key


def _split(name: str) -> list[str]:
    return re.split(r"[./]", name)


def _tree(tensors: Iterable[tuple[str, Tensor]]) -> _Node:
    root = _Node()
    for name, tensor in tensors:
        node, parts = root, _split(name)
        if len(parts) > _DEEPEST:
            continue
        for part in parts:
            node = node.children.setdefault(part, _Node())
        node.key, node.value = name, tensor
    return root


def _shapes(wanted: Mapping[str, Tensor], last: Collection[str]) -> _Fits:
    """Whether a tensor has the shape of a key; of the last layer's the first dimension may differ."""

    def fits(key: str, tensor: Tensor) -> bool:
        ours = wanted[key].shape
        return tensor.shape == ours or (
            key in last and tensor.ndim == len(ours) and tensor.shape[1:] == ours[1:] and len(tensor) > 0
        )

    return fits


def _matches(want: _Node, have: _Node, fits: _Fits) -> list[_Pairs]:
    """The pairs of each place where a whole network is, or else of its parts at places of their own."""
    known: dict[tuple[int, int], _Pairs | None] = {}

    def at(want: _Node, have: _Node) -> _Pairs | None:
        """Pairs where each child of `want` is a child of `have`."""
        pairs: _Pairs = {}
        for name, child in want.children.items():
            other = have.children.get(name)
            if other is None:
                return None
            if child.value is not None:
                if other.value is None or not fits(child.key, other.value):
                    return None
                pairs[child.key] = other.key
            else:
                inner = within(child, other)
                if inner is None:
                    return None
                pairs |= inner
        return pairs

    def within(want: _Node, have: _Node) -> _Pairs | None:
        """Pairs at `have`, at one place below it, or with the parts of `want` at one place each."""
        pair = (id(want), id(have))
        if pair not in known:
            found = at(want, have)
            if found is None:
                below = [pairs for node in have.modules()[1:] if (pairs := at(want, node)) is not None]
                found = below[0] if len(below) == 1 else None if below else parts(want, have)
            known[pair] = found
        return known[pair]

    def parts(want: _Node, have: _Node) -> _Pairs | None:
        pairs: _Pairs = {}
        for name, child in want.children.items():
            alone = _Node(children={name: child})
            places = [inner for node in have.modules() if (inner := at(alone, node)) is not None]
            if len(places) != 1:
                return None
            pairs |= places[0]
        return pairs

    whole = [pairs for node in have.modules() if (pairs := at(want, node)) is not None]
    if whole:
        return whole
    split = parts(want, have)
    return [] if split is None else [split]


def _foreign(pairs: _Pairs, names: Collection[str], ignored: Collection[str]) -> list[str]:
    """Names of tensors inside the network's parts that it has not; those in the parts `ignored` do not count."""
    inside, used = set(), set(pairs.values())
    for key, name in pairs.items():
        part, nested, _ = key.partition(".")
        if nested and part not in ignored:
            inside.add(tuple(_split(name)[: _positions(key, name)[0] + 1]))
    foreign = []
    for name in names:
        if name not in used and not name.endswith(f".{_COUNTER}"):
            parts = _split(name)
            if any(tuple(parts[:length]) in inside for length in range(1, len(parts))):
                foreign.append(name)
    return foreign


def _positions(key: str, name: str) -> list[int]:
    """Where the parts of the network's key are among those of the file's name."""
    parts, positions = _split(name), []
    end = len(parts)
    for part in reversed(key.split(".")):
        end = max(position for position in range(end) if parts[position] == part)
        positions.append(end)
    return positions[::-1]


def _chosen(matches: list[_Pairs], found: Mapping[str, Tensor]) -> tuple[_Pairs, list[str]]:
    """The one match, or of several that hold the same values one, or else the average of the weights; and a note."""
    distinct: list[_Pairs] = []
    for pairs in matches:
        if not any(all(_same(found[pairs[key]], found[other[key]]) for key in pairs) for other in distinct):
            distinct.append(pairs)
    if len(distinct) == 1:
        return distinct[0], []
    places = [_place(pairs) for pairs in distinct]
    grades = [_grade(place) for place in places]
    if grades.count(max(grades)) > 1:
        raise UserError(
            f"holds the weights of {len(places)} such networks, under {' and '.join(places)}: save the state dict of "
            f"one of them"
        )
    best = grades.index(max(grades))
    others = " or ".join(place for place in places if place != places[best])
    return distinct[best], [f"preferred {places[best]}, an average of the weights, to {others}"]


def _place(pairs: _Pairs) -> str:
    """Under which name a match lies in the file."""
    key, name = next(iter(pairs.items()))
    parts = re.findall(r"[^./]*[./]", name)[: _positions(key, name)[0]]
    return "".join(parts).rstrip("/") or "no name"


def _grade(place: str) -> int:
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", place).lower())
    return sum(word in _AVERAGE for word in words) - (_NOT_AVERAGED in place)


def _same(one: Tensor, other: Tensor) -> bool:
    plain = one.layout == other.layout == torch.strided and not (one.is_quantized or one.is_meta or other.is_meta)
    return one is other or (plain and one.shape == other.shape and one.dtype == other.dtype and one.equal(other))


def _check_usable(
    state: Mapping[str, Tensor], names: Mapping[str, str], wanted: Mapping[str, Tensor], last: Collection[str]
) -> None:
    for key, tensor in state.items():
        kind = f"of type {str(tensor.dtype).removeprefix('torch.')}"
        if tensor.is_quantized:
            kind = "quantized"
        elif tensor.layout != torch.strided or tensor.is_nested:
            kind = "sparse"
        elif tensor.is_meta and not wanted[key].is_meta:
            kind = "without values (device meta)"
        elif tensor.dtype in (_FLOATS if wanted[key].is_floating_point() else _INTEGERS):
            continue
        raise UserError(f"holds {names[key]}, which is {kind}: save plain tensors of floating-point numbers")
    classes = {len(state[key]) for key in last if key in state}
    if len(classes) > 1:
        raise UserError(f"has a last layer of different numbers of classes: {' and '.join(map(str, sorted(classes)))}")


def _moved(pairs: _Pairs) -> Iterator[str]:
    """Notes on what the file's names have more than the network's."""
    outer, inserted = Counter(), Counter()
    for key, name in pairs.items():
        used, containers = set(_positions(key, name)), name.count("/")
        more = [(position, part) for position, part in enumerate(_split(name)) if position not in used]
        outer["/".join(part for position, part in more if position < containers)] += 1
        inserted[".".join(part for position, part in more if position >= containers)] += 1
    if any(outer):
        yield f"took {' and '.join(place for place in outer if place)}"
    for prefix, number in inserted.items():
        if prefix:
            yield f"dropped {prefix}. of {number} keys"


def _changed(pairs: _Pairs, names: Mapping[str, str], state: Mapping[str, Tensor], filled: int) -> Iterator[str]:
    if renamed := sum(names[name] != name for name in pairs.values()):
        yield f"renamed {renamed} keys as torchvision does"
    if filled:
        yield f"filled {filled} {_COUNTER}"
    types = {state[key].dtype for key in pairs if state[key].is_floating_point()} - {torch.float32}
    if types:
        yield f"converted {' and '.join(sorted(map(str, types)))} to float32".replace("torch.", "")


def _left(
    matches: list[_Pairs],
    pairs: _Pairs,
    names: Collection[str],
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    last: Collection[str],
    replaced: Collection[str],
) -> Iterator[str]:
    """Notes on what of the file is not used, and on the last layer."""
    parents = {tuple(_split(name)[:length]) for name in pairs.values() for length in range(len(_split(name)) + 1)}
    others = {name for match in matches for name in match.values()}
    left: dict[str, None] = {}
    for name in names:
        if name not in others and not name.endswith(f".{_COUNTER}"):
            parts = _split(name)
            new = next((length for length in range(len(parts)) if tuple(parts[:length]) not in parents), len(parts))
            left[".".join(parts[:new])] = None
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        yield f"left out {', '.join([*left][:_NAMED])}{more}"
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in (replaced or last)))
    if any(key not in state for key in last):
        yield f"began without {' and '.join(layers)}, which is replaced"
    elif theirs := {len(state[key]) for key in last if state[key].shape != wanted[key].shape}:
        yield f"its last layer, {layers[-1]}, has {theirs.pop()} classes" + (" and is replaced" if replaced else "")
