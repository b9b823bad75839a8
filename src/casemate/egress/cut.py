"""Hosts that connections are cut off from, whatever is granted."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.egress.errors import DeniedError
from casemate.egress.target import Target

EVERYTHING = "*"
_WILDCARD = "*."


class Cut:
    """Names are those that functions ask for, in the one form of `Target.host`."""

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        """Cut off from hosts, from what is below `*.host`, or from all by `*`."""
        self._exact: set[str] = set()
        self._below: set[str] = set()
        self._all = False
        for host in hosts:
            if host == EVERYTHING:
                self._all = True
            elif host.startswith(_WILDCARD):
                self._below.add(host.removeprefix(_WILDCARD))
            else:
                self._exact.add(host)

    def covers(self, target: Target) -> bool:
        """Tell whether nothing may go there, on whatever port."""
        if self._all or target.host in self._exact:
            return True
        below = target.host
        while self._below and (below := below.partition(".")[2]):
            if below in self._below:
                return True
        return False

    def require_not(self, target: Target) -> None:
        """Raise DeniedError if nothing may go there."""
        if self.covers(target):
            raise DeniedError(
                "cut off",
                f"Connections to {target.text} are cut off at present.",
                next_step="Ask who runs the node; casemate restrict ls says since when and why.",
            )
