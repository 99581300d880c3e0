"""Overrides of the command line, as people type them, in the form that Hydra reads.

Hydra's grammar has no "~", "=", "(", "#", quotation marks or letters beyond ASCII in an unquoted value, and takes a
comma for a sweep. A path works as typed: it is quoted here. Of other values the error shows the quoting that works.
"""

import os
import re
import shlex
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from brushwork import files
from brushwork.errors import UserError, one_line

# The last parts of the keys whose values are paths; those of the second are written, and never swept.
PATHS = {"root", "predict", "table", "weights", "reference_weights", "file", "ckpt_path", "dirpath", "save_dir"}
_WRITTEN = {"run_dir", "dir"}
PATHS |= _WRITTEN
_FLAGS_WITH_VALUE = {"-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir", "-p", "--package"}
_FUNCTION = re.compile(r"\w+\(")  # range(0,3), choice(a,b): Hydra's
_FAILED = object()


def as_hydra_reads(arguments: list[str]) -> list[str]:
    """The arguments with paths expanded ("~", "$HOME") and quoted where Hydra needs it; all others as they are.

    UserError for a value that Hydra can't read and that is no path, or that is several outside of a sweep: it shows the
    argument quoted.
    """
    found, before = [], ""
    # An experiment may be a sweep (hydra.mode=MULTIRUN).
    single = not any(a in ("-m", "--multirun") or a.startswith(("experiment=", "hydra.")) for a in arguments)
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if before in _FLAGS_WITH_VALUE:
            found.append(files.expanded(argument))
        elif argument.startswith("-") or not equals:
            found.append(f"{key}={files.expanded(value)}" if equals else argument)
        else:
            found.append(_override(key, value, single))
        before = argument
    return found


def is_path(key: str) -> bool:
    """Whether the setting of this name is a path: data.root, model.weights."""
    return key.lstrip("+").rsplit(".", 1)[-1] in PATHS


def _override(key: str, value: str, single: bool) -> str:
    unchanged, read = f"{key}={value}", _read(value)
    if read is None or (value[:1] in ("'", '"') and read is not _FAILED):  # null, or quoted already
        return unchanged
    expanded = files.expanded(value)
    if "${" in expanded and os.path.lexists(expanded):
        raise UserError(f"Hydra takes the ${{ in {expanded} for a setting: rename it, or name a symbolic link to it")
    if is_path(key) or value.startswith("~/"):
        if os.path.lexists(expanded):
            return f"{key}={_literal(expanded)}"
        if key.rsplit(".", 1)[-1] in _WRITTEN and "${" not in value:
            return f"{key}={_literal(expanded)}"
        # Outside of a sweep a comma is part of a name, also of a folder that is not there.
        if single and {",", "/"} <= set(value) and not _FUNCTION.match(value) and (read is _FAILED or _is_sweep(value)):
            return f"{key}={_literal(expanded)}"
        if expanded != value or read is _FAILED:
            swept = expanded.split(",") if read is _FAILED else value.split(",")
            return f"{key}={','.join(_item(item) for item in swept)}"
    if single and read is not _FAILED and _is_sweep(value):
        listed, quoted = shlex.quote(f"{key}=[{value}]"), shlex.quote(f"{key}={_literal(value)}")
        else_list = "" if _FUNCTION.match(value) else f"write a list, {listed}, or "
        raise UserError(f"{unchanged} is several values: add -m for a run with each, or {else_list}quote it, {quoted}")
    if is_path(key) or read is not _FAILED or _read("x", key) is _FAILED:  # a key that Hydra refuses: it says why
        return unchanged
    if os.path.lexists(expanded):
        return f"{key}={_literal(expanded)}"
    quoted = shlex.quote(f"{key}={_hint(value)}")
    raise UserError(f"Hydra cannot read the value of {unchanged} ({_reason(value)}): quote it, {quoted}")


def _item(text: str) -> str:
    """One path of a sweep, or another value in its place (null)."""
    if (read := _read(text)) is None:
        return text
    expanded = files.expanded(text)
    return _literal(expanded) if expanded != text or read is _FAILED or os.path.lexists(text) else text


def _literal(text: str) -> str:
    """Text as Hydra reads it: as it is, or where that means something else, in quotation marks.

    "${name}" remains a reference to another setting: hydra.utils.instantiate resolves values twice, so that no escape
    would keep it.
    """
    if _read(text) == text:
        return text
    escaped = re.sub(r'(\\*)(?="|$)', r"\1\1", text).replace('"', '\\"')
    return f'"{escaped}"'


def _hint(value: str) -> str:
    """The value in quotation marks; of a list, its items."""
    if len(value) > 1 and value[0] == "[" and value[-1] == "]":
        listed = ",".join(_literal(item.strip()) for item in value[1:-1].split(","))
        if _read(f"[{listed}]") is not _FAILED:
            return f"[{listed}]"
    return _literal(value)


def _read(value: str, key: str = "key") -> Any:
    """What Hydra reads; `_FAILED` where it can't."""
    try:
        return _parser().parse_override(f"{key}={value}").value()
    except HydraException:
        return _FAILED


def _is_sweep(value: str) -> bool:
    return _parser().parse_override(f"key={value}").is_sweep_override()


def _reason(value: str) -> str:
    try:
        _parser().parse_override(f"key={value}")
    except HydraException as error:
        return one_line(error)
    return ""


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()
