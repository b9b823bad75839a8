"""Dictionaries of the event that are put over a key of the code's own: `{"tenant": me, **saved}`.

What is asked for is then another tenant's. A key that is the event's in a dictionary of its own is
data: only one that takes the place of the code's is judged, and only if it says whose something is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .core import Guard
from .plain_names import says_whose
from .verdict import Verdict

NAME = "attributes"
_REPLACED = ("attributes", "replaced")
_MAX_KEPT = 50
_MAX_CHAINED = 8
_MAX_KEYS = 1000
_SCALARS = (str, int, float)
_FIX = (
    "let the code's own key come last: `{**given, 'tenant': tenant}`; or take keys of a list in "
    "the code from what is given"
)


def on_merged(guard: Guard, own: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Block a merge (BlockedError) that replaces what the code has written whose something is.

    `names` are the keys that it has written just there. Of other dictionaries it is kept what was
    replaced.
    """
    over, names = arguments
    if type(own) is not dict or not isinstance(over, Mapping):
        return
    for name, key in _replaced(own, over):
        if name in names:
            guard.decide(NAME, lambda name=name, key=key: _verdict(guard, name, key, own, over))  # type: ignore[misc]
        elif not names:
            _keep(guard, name, key, own, over)


def on_chained(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Keep what is replaced in `ChainMap(given, {"tenant": me})`: the first has its say."""
    if getattr(function, "__name__", "") == "ChainMap":
        for over, own in itertools.combinations(arguments[:_MAX_CHAINED], 2):
            on_merged(guard, own, (over, ()), named)


def on_update(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Keep what is replaced in a dictionary by `update`."""
    own = getattr(function, "__self__", None)
    if type(own) is dict and arguments and isinstance(arguments[0], dict):
        for name, key in _replaced(own, arguments[0]):
            _keep(guard, name, key, own, arguments[0])


def on_query(
    guard: Guard, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    """Block a query (BlockedError) in which the event has replaced whose it is."""
    kept = guard.provenance.kept.get(_REPLACED)
    if not kept:
        return
    for given in (*arguments, *named.values()):
        if not isinstance(given, Mapping):
            continue
        for name, key, own, over in kept:
            value = over.get(name)
            if name in given and type(given[name]) is type(value) and given[name] == value:
                guard.decide(NAME, lambda n=name, k=key, o=own, v=over: _verdict(guard, n, k, o, v))  # type: ignore[misc]


def _replaced(own: dict[Any, Any], over: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the code's keys whose value is replaced by another, and the key that does it."""
    names = [n for n in own if type(n) is str and says_whose(n) and n in over]
    for name in names[:_MAX_KEYS]:
        value = over[name]
        if isinstance(value, _SCALARS) and value != own[name]:
            yield name, next((k for k in itertools.islice(over, _MAX_KEYS) if k == name), name)


def _keep(guard: Guard, name: str, key: str, own: dict[Any, Any], over: Mapping[Any, Any]) -> None:
    kept: list[Any] = guard.provenance.kept.setdefault(_REPLACED, [])
    if len(kept) < _MAX_KEPT:
        kept.append((name, key, {name: own[name]}, {name: over[name]}))


def _verdict(
    guard: Guard, name: str, key: str, own: Mapping[Any, Any], over: Mapping[Any, Any]
) -> Verdict | None:
    if guard.constants.is_literal(key) or guard.check_of(key) == "member":
        return None  # the code has put it there, or takes it from a list of its own
    spans = guard.spans(key)
    chosen = next((s.origin for s in spans if not s.vouched), None) or guard.key(key)
    if chosen is None or any(s.vouched and s.checked == "member" for s in spans):
        return None
    first, second = _where(guard, own[name]), _where(guard, over[name])
    if first is not None and first == second:
        return None  # the code's own value was made of this very one
    return Verdict(chosen, "takes the place of the code's own key that says whose it is", _FIX)


def _where(guard: Guard, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    origin = next((s.origin for s in guard.spans(value)), None)
    return None if origin is None else f"{origin.source} {origin.pointer}"
