"""Takes apart what `string.Template` made: which of it is the template's, which its values'."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SCALARS = (str, int, float, bool, type(None))


def held(arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a substitution that may be held: a held file would not be closed."""
    given: dict[str, Any] = {}
    for mapping in (*arguments[:1], named):
        if isinstance(mapping, dict):
            given.update({k: v for k, v in mapping.items() if isinstance(v, _SCALARS)})
    return given


def pieces(
    template: str, pattern: re.Pattern[str], values: Mapping[str, Any]
) -> list[tuple[str, bool]]:
    """Return the texts in order, and whether each is the template's."""
    found: list[tuple[str, bool]] = []
    place = 0
    for match in pattern.finditer(template):
        found.append((template[place : match.start()], True))
        place = match.end()
        groups = match.groupdict()
        name = groups.get("named") or groups.get("braced")
        if name is None:
            # An escaped sign becomes one; what is invalid stays as it is.
            found.append((match[0][:1] if groups.get("escaped") is not None else match[0], True))
        elif name in values:
            value = values[name]
            found.append((value if type(value) is str else str(value), False))
        else:
            found.append((match[0], True))
    return [*found, (template[place:], True)]
