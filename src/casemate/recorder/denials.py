"""Records denials, many alike as one: a flood of attempts must not become a flood of records.

What callers without a token were denied is told by a few examples and a count: whoever asks for a
hundred thousand names that there are not gets twenty records and one more each minute. Each address
has examples of its own, or who goes for what there is would be one of the many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from casemate.model.addresses import address_group
from casemate.model.denial import Denial
from casemate.model.principal import ANONYMOUS

BURST = 20
"""How many alike are recorded one by one within a window."""
WINDOW_SECONDS = 1.0
MAX_KINDS = 4096
"""How many different ones are told apart within a window; those beyond are recorded as one."""

NAME_WINDOW_SECONDS = 60.0
EXAMPLES = 20
"""How many resources are recorded by their names, of those that callers without a token were denied
from one address in one kind and for one reason within `NAME_WINDOW_SECONDS`. The others are one
record."""
MAX_ADDRESSES = 50
"""Addresses that have examples of their own then, in one kind and for one reason. Those beyond have
them together: many addresses are no reason to keep more than some hundreds of records a minute."""
OTHERS = "several others"
"""The resource of that record; its count says how many attempts it stands for."""

_AS_IT_IS: Mapping[str, str | int] = {}
_OF_NOTHING: Mapping[str, str | int] = {
    "resource": OTHERS,
    "project": "",
    "function": "",
    "version": 0,
    "invocation": "",
}

_Key = tuple[str, ...]


class Counted:
    """Denials that each stand for those like it, with how many attempts there were."""

    def __init__(self) -> None:
        """Begin with none."""
        self._held: dict[_Key, Denial] = {}

    def has_room(self, key: _Key, most: int) -> bool:
        """Tell whether one of this key is held, or can be where `most` may be."""
        return key in self._held or len(self._held) < most

    def add(self, key: _Key, denial: Denial, fields: Mapping[str, str | int] = _AS_IT_IS) -> bool:
        """Count a denial with those of its key; True: it is the first, held with these fields."""
        held = self._held.get(key)
        if held is None:
            self._held[key] = msgspec.structs.replace(denial, **fields)
            return True
        self._held[key] = msgspec.structs.replace(held, count=held.count + denial.count)
        return False

    def tell(self, record: Callable[[Denial], None]) -> None:
        """Record each of them, and begin anew."""
        held, self._held = self._held, {}
        for denial in held.values():
            record(denial)


class DenialRecorder:
    """Listens to `Denial`, and stands before `Records.deny`. On the event loop only."""

    def __init__(self, record: Callable[[Denial], None], loop: asyncio.AbstractEventLoop) -> None:
        """Write through `record`."""
        self._record = record
        self._loop = loop
        self._counts: dict[_Key, int] = {}
        self._held = Counted()
        self._names: dict[_Key, set[str]] = {}
        self._others = Counted()
        self._addresses: dict[_Key, set[str]] = {}
        self._names_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def deny(self, denial: Denial) -> None:
        """Record one denial, or count it with others like it."""
        if denial.principal == ANONYMOUS.text and self._is_one_of_many(denial):
            return
        key: _Key = (
            denial.kind.value,
            denial.principal,
            denial.action,
            denial.resource,
            denial.reason,
            denial.remote_address,
        )
        if key not in self._counts and len(self._counts) >= MAX_KINDS:
            key = (denial.kind.value,)
        seen = self._counts.get(key, 0)
        self._counts[key] = seen + 1
        if self._timer is None:
            self._timer = self._loop.call_later(WINDOW_SECONDS, self._flush_held)
        if seen < BURST:
            self._record(denial)
        else:
            self._held.add(key, denial)

    def _is_one_of_many(self, denial: Denial) -> bool:
        """Tell whether there are examples enough of what nobody vouches for, and count it then."""
        now = self._loop.time()
        if now >= self._names_until:
            self._flush_others()
            self._names_until = now + NAME_WINDOW_SECONDS
        key: _Key = (denial.kind.value, denial.action, denial.reason)
        key = (*key, self._address_of(key, denial.remote_address))
        if key not in self._names and len(self._names) >= MAX_KINDS:
            key = (denial.kind.value,)
        names = self._names.setdefault(key, set())
        if denial.resource in names:
            return False
        if len(names) < EXAMPLES:
            names.add(denial.resource)
            return False
        if self._others.add(key, denial, _OF_NOTHING):
            self._loop.call_at(self._names_until, self._flush_others)
        return True

    def _address_of(self, key: _Key, address: str) -> str:
        """Return the address whose examples count for one; empty for those beyond the bound."""
        group = address_group(address)
        if key not in self._addresses and len(self._addresses) >= MAX_KINDS:
            return ""
        known = self._addresses.setdefault(key, set())
        if group not in known:
            if len(known) >= MAX_ADDRESSES:
                return ""
            known.add(group)
        return group

    def _flush_others(self) -> None:
        self._names.clear()
        self._addresses.clear()
        self._others.tell(self._record)

    def flush(self) -> None:
        """Record what was only counted so far, and begin anew."""
        self._others.tell(self._record)
        self._flush_held()

    def _flush_held(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._counts.clear()
        self._held.tell(self._record)
