"""Declared texts that are longer than any platform takes: each is read as far as one may be.

One text of a template stands in each function that refers to it, and in all that is told of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from casemate.audit.model import Application, Function
from casemate.audit.notes import bounded

_FIELDS = ("name", "runtime", "handler", "role", "triggers", "permissions", "environment")
"""Of a function: what is no code."""


def shortened(application: Application) -> Application:
    """Return an application whose functions declare no text that is too long."""
    shorten = _Shortening()
    functions = tuple(map(shorten.function, application.functions))
    if all(a is b for a, b in zip(functions, application.functions, strict=True)):
        return application
    return msgspec.structs.replace(application, functions=functions)


class _Shortening:
    """Shortens what several functions share once."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        """By the identity of what was shortened, all of which the application holds."""

    def function(self, function: Function) -> Function:
        """Return it, the same if nothing in it is too long."""
        shortened: Function = self._struct(function, _FIELDS)
        return shortened

    def _any(self, value: Any) -> Any:
        if isinstance(value, str):
            return bounded(value)
        if not isinstance(value, (tuple, list, Mapping, msgspec.Struct)):
            return value
        known = self._done.get(id(value))
        if known is None:
            known = self._done[id(value)] = self._composed(value)
        return known

    def _composed(self, value: Any) -> Any:
        if isinstance(value, msgspec.Struct):
            return self._struct(value, value.__struct_fields__)
        if isinstance(value, Mapping):
            made = {self._any(key): self._any(each) for key, each in value.items()}
            same = all(a is b for a, b in zip(made, value, strict=False)) and all(
                made[key] is each for key, each in value.items()
            )
            return value if same else made
        items = [self._any(each) for each in value]
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        return items if isinstance(value, list) else tuple(items)

    def _struct(self, value: Any, fields: tuple[str, ...]) -> Any:
        made = {
            name: new
            for name in fields
            if (new := self._any(old := getattr(value, name))) is not old
        }
        return msgspec.structs.replace(value, **made) if made else value
