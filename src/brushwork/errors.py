"""UserError: a mistake that the user can correct, in one line."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct. The message names the thing and the next step, in one line."""


def unknown(what: str, given: str, valid: Iterable[str]) -> UserError:
    """A UserError for a name that is not among the valid ones; suggests the nearest.

    >>> print(unknown("head", "replace_lst", ["replace_last", "replace_two"]))
    unknown head 'replace_lst': did you mean 'replace_last'? valid: replace_last, replace_two
    """
    valid = list(valid)
    listed = valid if len(valid) <= 100 else [*valid[:10], f"... ({len(valid)} in all)"]
    near = difflib.get_close_matches(given, valid, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UserError(f"unknown {what} '{given}': {hint}valid: {', '.join(listed)}")


def one_line(error: BaseException) -> str:
    """The first non-empty line of an error's text, or its type's name where there is none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
