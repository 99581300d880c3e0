"""Where a network's names are among those of a file: under prefixes, wrapped, its parts apart."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

_DEEPEST = 64  # parts of a name


@dataclass
class Node:
    """A name in a tree of names: a tensor, or a module with its children, or both."""

    key: str = ""  # of the tensor, in its own dictionary
    value: Tensor | None = None
    children: "dict[str, Node]" = field(default_factory=dict)
    below: "list[Node] | None" = None

    def modules(self) -> "list[Node]":
        """This one and all below that have children."""
        if self.below is None:
            self.below = [self] if self.children else []
            for child in self.children.values():
                self.below += child.modules()
        return self.below


Pairs = dict[str, str]  # the network's key: the file's key
Fits = Callable[[str, Tensor], bool]


# Keys that torchvision changed after it had published its files: what its own loaders rename (densenet.py,
# vision_transformer.py).
_RENAMED = [
    (re.compile(r"(\bdenselayer\d+\..*?(?:norm|relu|conv))\.([12])(?=\.)"), r"\1\2"),
    (re.compile(r"\bmlp\.linear_1(?=\.)"), "mlp.0"),
    (re.compile(r"\bmlp\.linear_2(?=\.)"), "mlp.3"),
]


def renamed(key: str) -> str:
    """A file's key as torchvision spells it today.

    >>> renamed("features.denseblock1.denselayer2.norm.1.weight")
    'features.denseblock1.denselayer2.norm1.weight'
    """
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    return key


def split(name: str) -> list[str]:
    """The parts of a name: of modules, which dots divide, in dictionaries, which slashes divide."""
    return re.split(r"[./]", name)


def tree(tensors: Iterable[tuple[str, Tensor]]) -> Node:
    """The names as a tree; those of too many parts, which no network has, are left out."""
    root = Node()
    for name, tensor in tensors:
        node, parts = root, split(name)
        if len(parts) > _DEEPEST:
            continue
        for part in parts:
            node = node.children.setdefault(part, Node())
        node.key, node.value = name, tensor
    return root


def same_shapes(wanted: Mapping[str, Tensor], last: Collection[str]) -> Fits:
    """Whether a tensor has the shape of a key; of the last layer's the first dimension may differ."""

    def fits(key: str, tensor: Tensor) -> bool:
        ours = wanted[key].shape
        return tensor.shape == ours or (
            key in last and tensor.ndim == len(ours) and tensor.shape[1:] == ours[1:] and len(tensor) > 0
        )

    return fits


def matches(want: Node, have: Node, fits: Fits) -> list[Pairs]:
    """The pairs of each place where a whole network is, or else of its parts at places of their own."""
    known: dict[tuple[int, int], Pairs | None] = {}

    def at(want: Node, have: Node) -> Pairs | None:
        """Pairs where each child of `want` is a child of `have`."""
        pairs: Pairs = {}
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

    def within(want: Node, have: Node) -> Pairs | None:
        """Pairs at `have`, at one place below it, or with the parts of `want` at one place each."""
        pair = (id(want), id(have))
        if pair not in known:
            found = at(want, have)
            if found is None:
                below = [pairs for node in have.modules()[1:] if (pairs := at(want, node)) is not None]
                found = below[0] if len(below) == 1 else None if below else parts(want, have)
            known[pair] = found
        return known[pair]

    def parts(want: Node, have: Node) -> Pairs | None:
        pairs: Pairs = {}
        for name, child in want.children.items():
            alone = Node(children={name: child})
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


def foreign(pairs: Pairs, names: Collection[str]) -> list[str]:
    """Names of tensors inside the network's parts that it has not."""
    inside, used = set(), set(pairs.values())
    for key, name in pairs.items():
        if "." in key:
            inside.add(tuple(split(name)[: positions(key, name)[0] + 1]))
    foreign = []
    for name in names:
        if name not in used:
            parts = split(name)
            if any(tuple(parts[:length]) in inside for length in range(1, len(parts))):
                foreign.append(name)
    return foreign


def positions(key: str, name: str) -> list[int]:
    """Where the parts of the network's key are among those of the file's name."""
    parts, positions = split(name), []
    end = len(parts)
    for part in reversed(key.split(".")):
        end = max(position for position in range(end) if parts[position] == part)
        positions.append(end)
    return positions[::-1]


def likely_prefix(found: Iterable[str], wanted: Collection[str]) -> str:
    """What stands before the most of a file's names that end like keys of a network."""
    prefixes = Counter("")
    for name in found:
        starts = [0, *(match.end() for match in re.finditer(r"[./]", name))]
        prefixes.update(name[:start] for start in starts if name[start:] in wanted)
    return prefixes.most_common(1)[0][0] if prefixes else ""
