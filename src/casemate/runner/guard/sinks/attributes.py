"""Attributes that the event names. `setattr` raises no audit event: watched in the own code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import Guard
from ..sink import Sink, Verdict

NAME = "attributes"
_FIX = "set attributes of a list in the code: `for name in ('city', 'zip'): ...`"


def _on_setattr(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    if function is setattr and len(arguments) == 3:
        name = arguments[1]
        if isinstance(name, str) and name.startswith("_"):
            guard.decide(NAME, lambda: _verdict(guard, name))


def _verdict(guard: Guard, name: str) -> Verdict | None:
    chosen = next((s for s in guard.spans(name) if s.checked not in ("member", "constant")), None)
    if chosen is None:
        return None
    return Verdict(chosen.origin, "names an attribute that is no data: it begins with `_`", _FIX)


SINK = Sink(
    name=NAME,
    summary="setattr: the event must not name attributes such as `__class__`.",
    calls={"setattr": _on_setattr},
)
