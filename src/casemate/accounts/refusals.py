"""Records of refused credentials, few enough that a flood of them costs nothing.

The first refusal of an address is recorded at once; those that follow are counted and recorded
together: at most one record in `PERIOD` seconds for an address and the account it names.
"""

from __future__ import annotations

from collections.abc import Callable

from casemate.model.addresses import address_group
from casemate.model.denial import DenialKind, denied_on
from casemate.model.facts import Actor, Fact
from casemate.model.principal import ANONYMOUS, NODE

PERIOD = 10.0
MAX_ADDRESSES = 1024
OTHERS = "others"
"""Stands for the addresses beyond MAX_ADDRESSES in one period."""


class Refusals:
    """Counts refused credentials and records them."""

    def __init__(self, happened: Callable[[Fact], None], clock: Callable[[], float]) -> None:
        """Tell it by `happened`."""
        self._happened = happened
        self._clock = clock
        self._open: dict[tuple[str, str], tuple[float, int]] = {}

    def note(self, *, action: str, reason: str, remote: str, principal: str | None = None) -> None:
        """Note one refusal. `principal` is who the caller said to be, where that is known."""
        now = self._clock()
        key = (address_group(remote), f"{principal or ANONYMOUS.text}\n{action}\n{reason}")
        found = self._open.get(key)
        if found is None and len(self._open) >= MAX_ADDRESSES:
            key = (OTHERS, f"{ANONYMOUS.text}\n{action}\n{reason}")
            found = self._open.get(key)
        if found is None:
            self._open[key] = (now, 0)
            self._record(key, now, 1)
        elif self._is_over(found[0], now):
            self._open[key] = (now, 0)
            self._record(key, found[0], found[1] + 1)
        else:
            self._open[key] = (found[0], found[1] + 1)

    def flush(self) -> None:
        """Record what was counted in periods that are over; to be called now and then."""
        now = self._clock()
        for key, (since, count) in list(self._open.items()):
            if self._is_over(since, now):
                del self._open[key]
                if count:
                    self._record(key, since, count)

    @staticmethod
    def _is_over(since: float, now: float) -> bool:
        """Tell whether a period is; so is one that began by a clock that was ahead."""
        return not 0 <= now - since < PERIOD

    def _record(self, key: tuple[str, str], at: float, count: int) -> None:
        principal, action, reason = key[1].split("\n")
        self._happened(
            denied_on(
                NODE,
                at=at,
                kind=DenialKind.AUTHENTICATION,
                by=Actor(principal, key[0]),
                action=action,
                reason=reason,
                count=count,
            )
        )
