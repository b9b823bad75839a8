"""Facts that come too often to be recorded one by one: the first at once, those alike counted.

What is alike within a second is one more entry with its count. Each kind has room of its own, of
which one function has a part: beyond so many different ones within the second, the rest of the
function, or of the kind, is one entry. So a flood of one kind neither pushes out nor hides what
happens of another, and one function not what others do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import (
    Accountable,
    BaselineDeviation,
    DecoyTouched,
    Fact,
    GrantUsed,
    InvocationEnded,
)

WINDOW_SECONDS = 1.0
MAX_DIFFERENT = 512
"""Different ones of a kind that are told apart within the window."""
MAX_OF_ONE = 128
"""Of these, those of one function."""
MAX_OF_NODE = 256
"""And those that are of no function."""
OTHERS = "(others)"


class _Alike(msgspec.Struct):
    fact: Fact
    count: int


def _denial_key(fact: Any) -> tuple[object, ...]:
    return (
        fact.kind,
        fact.project,
        fact.function,
        fact.by,
        fact.remote_address,
        fact.action,
        fact.resource,
        fact.reason,
    )


def _use_key(fact: Any) -> tuple[object, ...]:
    return (fact.project, fact.function, fact.version, fact.grant, fact.action, fact.prefix)


def _ended_key(fact: Any) -> tuple[object, ...]:
    return (fact.project, fact.function, fact.version, fact.outcome)


def _touch_key(fact: Any) -> tuple[object, ...]:
    return (fact.decoy, fact.project, fact.function, fact.by, fact.remote_address, fact.action)


def _deviation_key(fact: Any) -> tuple[object, ...]:
    return (fact.project, fact.function, fact.version, fact.kind, fact.value, fact.refused)


_KEYS: dict[type[Fact], Callable[[Any], tuple[object, ...]]] = {
    Denial: _denial_key,
    BaselineDeviation: _deviation_key,
    DecoyTouched: _touch_key,
    GrantUsed: _use_key,
    InvocationEnded: _ended_key,
}


def _alike(fact: Fact) -> int:
    return int(getattr(fact, "count", 1))


def _class_of(fact: Fact) -> tuple[type[Fact], DenialKind | None]:
    return type(fact), fact.kind if isinstance(fact, Denial) else None


def _nameless(fact: Fact, *, of_one: bool) -> Fact:
    """Return a fact that stands for others of its kind, of one function or of any."""
    fields: dict[str, Any] = {"invocation": "", "remote_address": "", "by": OTHERS}
    if not of_one:
        fields |= {"project": "", "function": "", "version": 0}
    if isinstance(fact, Accountable):
        fields |= {"account": msgspec.UNSET}
    if isinstance(fact, Denial):
        fields |= {"resource": OTHERS, "reason": "more different ones than are told apart"}
    if isinstance(fact, BaselineDeviation):
        fields |= {"value": OTHERS}
    if isinstance(fact, GrantUsed):
        fields |= {"prefix": "", "grant": OTHERS}
    return msgspec.structs.replace(fact, **fields)


class Folding:
    """What has come within the present window."""

    def __init__(self) -> None:
        """Begin with an empty window."""
        self._seen: dict[tuple[object, ...], _Alike] = {}
        self._different: dict[object, int] = {}

    def passes(self, fact: Fact) -> bool:
        """Tell whether a fact is to be recorded at once; one that is not is counted."""
        key_of = _KEYS.get(type(fact))
        if key_of is None:
            return True
        key = (type(fact), *key_of(fact))
        known = self._seen.get(key)
        if known is not None:
            known.count += _alike(fact)
            return False
        kind = _class_of(fact)
        one = (*kind, fact.project, fact.function)
        of_kind, of_one = self._different.get(kind, 0), self._different.get(one, 0)
        most = MAX_OF_ONE if fact.function else MAX_OF_NODE
        if of_kind < MAX_DIFFERENT and of_one < most:
            self._different[kind] = of_kind + 1
            self._different[one] = of_one + 1
            self._seen[key] = _Alike(fact, 0)
            return True
        # Only who had all of its part has an entry of its own for the rest: these are few.
        is_one = of_one >= most
        key = (*(one if is_one else kind), OTHERS)
        others = self._seen.get(key)
        if others is None:
            others = self._seen[key] = _Alike(_nameless(fact, of_one=is_one), 0)
        others.count += _alike(fact)
        return False

    def counts(self, key: tuple[object, ...]) -> bool:
        """Count one more of those alike by a key, its type first, if one of them has come."""
        known = self._seen.get(key)
        if known is None:
            return False
        known.count += 1
        return True

    def close_window(self) -> Iterator[tuple[Fact, int]]:
        """Yield what was counted and not recorded yet, each with its count, and begin anew."""
        seen, self._seen = self._seen, {}
        self._different.clear()
        for alike in seen.values():
            if alike.count:
                yield alike.fact, alike.count
