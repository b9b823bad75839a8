"""Names of a project, functions and resources out of what they were called before."""

from __future__ import annotations

import re

from casemate.model.function import NAME_PATTERN

_MAX = 63
_NAME = re.compile(NAME_PATTERN)
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")
_SUFFIX = re.compile(r"(?:Lambda)?Function\Z")


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a project."""
    return _NAME.fullmatch(text) is not None


def plain(text: str, otherwise: str) -> str:
    """Return a name: `create-user` of `CreateUser`, `create_user` and `Create User`."""
    words = _WORDS.findall(text[:400])
    made = "-".join(word.lower() for word in words)
    made = re.sub(r"[^a-z0-9-]", "", made).lstrip("0123456789-")[:_MAX].rstrip("-")
    return made or otherwise


def of_function(declared: str) -> str:
    """Return a function's name: without the `Function` that is behind it in templates."""
    return plain(_SUFFIX.sub("", declared) or declared, "function")


class Names:
    """Gives each thing of a kind a name of its own."""

    def __init__(self) -> None:
        """Start with none taken."""
        self._taken: set[str] = set()

    def take(self, wanted: str) -> str:
        """Return the name that is wanted, or that with a number if it is taken."""
        made, number = wanted, 1
        while made in self._taken:
            number += 1
            end = f"-{number}"
            made = wanted[: _MAX - len(end)].rstrip("-") + end
        self._taken.add(made)
        return made
