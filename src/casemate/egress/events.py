"""Reports of what was allowed and denied: the first at once, more of the same counted.

A function can cause any number of attempts with any number of hosts; what it makes the proxy
remember, and the gateway read, is bounded. Nothing is lost but the names of hosts beyond the bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from casemate.egress.interface import EgressEvent

_WINDOW = 1.0
_FIRST_AT_ONCE = 64
"""Events of one zygote in one window that go out by themselves."""
_DISTINCT = 256
"""Events of one zygote in one window that are told apart."""
OTHERS = "more attempts than are recorded one by one"

_Key = tuple[str, int, bool, str, str]


class _Window:
    """What one zygote did since the last flush."""

    def __init__(self) -> None:
        self.sent = 0
        self.seen: set[_Key] = set()
        self.held: dict[_Key, EgressEvent] = {}


class Reporter:
    """Takes events from connections and hands them to `send`, which tells whether it took them.

    `flush` is to be called about every second.
    """

    def __init__(self, send: Callable[[EgressEvent], bool]) -> None:
        """Send with a function that does not block."""
        self._send = send
        self._windows: dict[int, _Window] = {}

    def report(self, event: EgressEvent) -> None:
        """Send an event, or count it."""
        window = self._windows.setdefault(event.zygote, _Window())
        key = self._key(event)
        if key not in window.seen and window.sent < _FIRST_AT_ONCE and self._send(event):
            window.sent += 1
            window.seen.add(key)
            return
        if key not in window.held and len(window.held) >= _DISTINCT:
            reason = "" if event.allowed else OTHERS
            event = msgspec.structs.replace(event, host="", port=0, reason=reason)
            key = self._key(event)
        held = window.held.get(key)
        if held is not None:
            event = msgspec.structs.replace(held, count=held.count + event.count)
        window.held[key] = event

    @staticmethod
    def _key(event: EgressEvent) -> _Key:
        return (event.host, event.port, event.allowed, event.grant, event.reason)

    def flush(self) -> None:
        """Send what was counted; what is not taken is kept for the next time."""
        for zygote, window in list(self._windows.items()):
            if not self._flush(window):
                continue
            if window.sent:
                self._windows[zygote] = _Window()
            else:
                del self._windows[zygote]

    def _flush(self, window: _Window) -> bool:
        for key, event in list(window.held.items()):
            if not self._send(event):
                return False
            del window.held[key]
        return True


def event_now(
    zygote: int,
    host: str,
    port: int,
    *,
    allowed: bool,
    grant: str = "",
    reason: str = "",
) -> EgressEvent:
    """Return an event of this moment."""
    return EgressEvent(
        zygote=zygote,
        at=time.time(),
        host=host,
        port=port,
        allowed=allowed,
        grant=grant,
        reason=reason,
    )
