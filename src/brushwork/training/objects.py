"""The objects that nodes of the configuration describe by `_target_`: one, a group's several, or a factory.

Imported before torch, as config.py, so that --help is quick.
"""

import copy
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, open_dict

from brushwork.errors import UserError

EXTRAS = ("wandb", "mlflow")  # of pyproject.toml, with the packages of these loggers
_PARTIAL = "++{}._partial_=true"


def build(group: str, node: DictConfig | None, **options: Any) -> Any:
    """What a node describes, with plain values as arguments; None for an empty one. UserError where that fails."""
    if not node:  # a group whose choice is "none"
        return None
    try:
        return instantiate(node, _convert_="all", **options)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        if isinstance(error.__cause__, ModuleNotFoundError) and (name := group.rpartition(".")[2]) in EXTRAS:
            raise UserError(f"{group}: {name} is not installed: pip install '.[{name}]'") from None
        hint = f"; is {_PARTIAL.format(group)} missing?" if "required positional arg" in str(error) else ""
        raise UserError(f"{group} cannot be built: {' '.join(str(error).split())}{hint}") from None


def check_factory(group: str, node: DictConfig | None) -> None:
    """Refuse what makes no factory: an optimizer or a schedule is made when the network is there."""
    if node and ("_target_" not in node or not callable(build(group, node))):
        raise UserError(
            f"{group} is no class with arguments: it needs ++{group}._target_=CLASS {_PARTIAL.format(group)}"
        )


def build_all(group: str, nodes: Any) -> list[Any]:
    """The objects of a group: one by its keys, or several by name; a logger of the group's own keys may have others
    beside it, by name."""
    if not nodes:  # logger=none
        return []
    named = nodes
    if "_target_" in nodes:
        named = {name: node for name, node in nodes.items() if group == "logger" and _is_logger(node)}
        own = copy.copy(nodes)
        with open_dict(own):
            for name in named:
                del own[name]
        return [build(group, own), *build_all(group, named)]
    for name, node in named.items():
        if node and not (isinstance(node, DictConfig) and "_target_" in node):
            raise UserError(f"{group}.{name} has no class: add ++{group}.{name}._target_=CLASS, or see --help")
    return [build(f"{group}.{name}", node) for name, node in named.items() if node]


def _is_logger(node: Any) -> bool:
    """Whether a value in a logger's configuration is another logger, and no argument."""
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return False
    from lightning.pytorch.loggers import Logger

    try:
        made = get_class(node._target_)
    except Exception:  # a function, or nothing there
        return False
    return issubclass(made, Logger)
