"""Which versions have how many instances kept ready (`limits.warm`), and whether there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from casemate.admission import Catalogue
from casemate.dispatch import Dispatcher
from casemate.model.caps import Caps
from casemate.model.deployment import DeployedFunction, Version

Shares = Sequence[tuple[Version, int]]
"""Versions that are live or are to be, each with its share of the calls in per cent."""


class ReadyInstances:
    """Has what is live keep its instances ready, within what the node gives."""

    def __init__(self, catalogue: Catalogue, dispatcher: Dispatcher, caps: Caps | None) -> None:
        """`caps` has the most of all functions together; None: no bound."""
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._caps = caps

    def require_room(self, coming: Shares) -> None:
        """Raise InvalidInputError if there is no room for what is to be live.

        It takes the place of all that is live of the same functions.
        """
        if self._caps is None:
            return
        names = {(version.project, version.function) for version, _ in coming}
        others = sum(
            _of_share(version, weight)
            for version, weight in self._catalogue.live_shares()
            if (version.project, version.function) not in names
        )
        asking = sorted({version.function for version, _ in coming if version.spec.limits.warm})
        self._caps.require_warm(sum(_of_share(*one) for one in coming), others, asking)

    def follow(self) -> None:
        """Keep ready what is live now."""
        most = None if self._caps is None else self._caps.warm
        self._dispatcher.keep_warm(divided(self._catalogue.live_shares(), most))

    def told(self, functions: Sequence[DeployedFunction]) -> tuple[DeployedFunction, ...]:
        """Return functions with how many of their instances wait for a call."""
        ready = self._dispatcher.spares_by_function()
        return tuple(
            msgspec.structs.replace(function, ready=ready[function.project, function.name])
            for function in functions
        )


def _of_share(version: Version, weight: int) -> int:
    return math.ceil(version.spec.limits.warm * weight / 100)


def divided(shares: Shares, most: int | None) -> list[tuple[Version, int]]:
    """Return how many each version has, of at most so many together, in the order of names.

    There are more only where a node gives fewer than when they were deployed.
    """
    found = []
    left = most
    by_name = sorted(shares, key=lambda one: (one[0].project, one[0].function, one[0].number))
    for version, weight in by_name:
        count = _of_share(version, weight)
        if left is not None:
            count = min(count, left)
            left -= count
        if count:
            found.append((version, count))
    return found
