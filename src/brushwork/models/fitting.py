"""From the tensors in a file to the state dict that a network wants: by matching names and shapes, filling nothing."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from brushwork.errors import UserError
from brushwork.models import naming

COUNTER = "num_batches_tracked"  # of batch norm: younger than many files, and used in no computation here
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
    names = {naming.renamed(key): key for key in found} | {key: key for key in found if naming.renamed(key) == key}
    have = naming.tree((name, found[key]) for name, key in names.items())
    counters = [key for key in wanted if key.endswith(f".{COUNTER}")]
    required = {key: tensor for key, tensor in wanted.items() if key not in set(counters)}
    own = [name for name in names if not name.endswith(f".{COUNTER}")]
    for absent in ((), replaced) if replaced else ((),):
        kept = {key: tensor for key, tensor in required.items() if key not in set(absent)}
        matches = naming.matches(naming.tree(kept.items()), have, naming.same_shapes(kept, last))
        matches = [pairs for pairs in matches if all(_comes_after(name, absent) for name in naming.foreign(pairs, own))]
        if matches:
            break
    else:
        raise Misfit
    pairs, notes = _chosen(matches, {name: found[key] for name, key in names.items()})
    state = {key: found[names[name]] for key, name in pairs.items()}
    _check_usable(state, {key: names[name] for key, name in pairs.items()}, wanted, last)
    filled = 0
    for key in counters:
        beside = pairs[key.replace(COUNTER, "running_mean")].removesuffix("running_mean") + COUNTER
        count = found.get(names.get(beside, ""))
        known = count is not None and count.numel() == 1 and count.dtype in (*_INTEGERS, *_FLOATS)
        state[key] = count.reshape(()) if known else torch.zeros((), dtype=torch.int64)
        filled += not known
    notes += [*_moved(pairs, said=bool(notes)), *_changed(pairs, names, state, filled)]
    return Fitted(state, [*notes, *_left(matches, pairs, names, state, wanted, last, replaced)])


def _comes_after(name: str, replaced: Collection[str]) -> bool:
    """Whether a tensor is of a layer at the place of one that is replaced, or after it in the same sequence."""
    for key in replaced:
        *outer, layer, _ = key.split(".")
        for part, following in zip(naming.split(name), naming.split(name)[1:], strict=False):
            later = following.isdecimal() and layer.isdecimal() and int(following) > int(layer)
            if [part] == outer[-1:] and (following == layer or later):
                return True
    return False


def keys_of(layers: str | Collection[str], state: Iterable[str]) -> list[str]:
    """The keys of layers by their names."""
    names = {layers} if isinstance(layers, str) else set(layers)
    return [key for key in state if key.rpartition(".")[0] in names]


def _chosen(matches: list[naming.Pairs], found: Mapping[str, Tensor]) -> tuple[naming.Pairs, list[str]]:
    """The one match, or of several that hold the same values one, or else the average of the weights; and a note."""
    distinct: list[naming.Pairs] = []
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


def _place(pairs: naming.Pairs) -> str:
    """Under which name a match lies in the file."""
    key, name = next(iter(pairs.items()))
    parts = re.findall(r"[^./]*[./]", name)[: naming.positions(key, name)[0]]
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


def _moved(pairs: naming.Pairs, said: bool) -> Iterator[str]:
    """Notes on what the file's names have more than the network's; `said`: not the names of dictionaries again."""
    outer, inserted = Counter(), Counter()
    for key, name in pairs.items():
        used, containers = set(naming.positions(key, name)), name.count("/")
        more = [(position, part) for position, part in enumerate(naming.split(name)) if position not in used]
        outer["/".join(part for position, part in more if position < containers)] += 1
        inserted[".".join(part for position, part in more if position >= containers)] += 1
    if any(outer) and not said:
        yield f"took {' and '.join(place for place in outer if place)}"
    for prefix, number in inserted.items():
        if prefix:
            yield f"dropped {prefix}. of {number} keys"


def _changed(pairs: naming.Pairs, names: Mapping[str, str], state: Mapping[str, Tensor], filled: int) -> Iterator[str]:
    if renamed := sum(names[name] != name for name in pairs.values()):
        yield f"renamed {renamed} keys as torchvision does"
    if filled:
        yield f"filled {filled} {COUNTER}"
    types = {state[key].dtype for key in pairs if state[key].is_floating_point()} - {torch.float32}
    if types:
        yield f"converted {' and '.join(sorted(map(str, types)))} to float32".replace("torch.", "")


def _left(
    matches: list[naming.Pairs],
    pairs: naming.Pairs,
    names: Collection[str],
    state: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    last: Collection[str],
    replaced: Collection[str],
) -> Iterator[str]:
    """Notes on what is not used of the dictionaries that hold the network, and on the last layer."""
    containers = {name.rpartition("/")[0] for name in pairs.values()}
    parents = set()
    for parts in map(naming.split, pairs.values()):
        parents |= {tuple(parts[:length]) for length in range(len(parts) + 1)}
    others = {name for match in matches for name in match.values()}
    left: dict[str, None] = {}
    for name in names:
        container, parts = name.rpartition("/")[0], naming.split(name)
        if container in containers and name not in others and not name.endswith(f".{COUNTER}"):
            new = next((length for length in range(len(parts)) if tuple(parts[:length]) not in parents), len(parts))
            left[".".join(parts[len(naming.split(container)) if container else 0 : new])] = None
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        yield f"left out {', '.join([*left][:_NAMED])}{more}"
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in (replaced or last)))
    if any(key not in state for key in last):
        yield f"began without {' and '.join(layers)}, since a new layer takes that place"
    elif theirs := {len(state[key]) for key in last if state[key].shape != wanted[key].shape}:
        yield f"its last layer, {layers[-1]}, has {theirs.pop()} classes" + (" and is replaced" if replaced else "")
