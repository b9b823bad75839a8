"""When one more instance of a version would only wait for the cores with those there are."""

from __future__ import annotations

import asyncio

from casemate.dispatch.arrivals import ArrivalRate
from casemate.dispatch.pool_zygotes import PoolZygotes
from casemate.dispatch.restored import RestoredInstances
from casemate.dispatch.shares import ProjectShare


class Crowding:
    """Of instances that are used again. On the event loop only."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        zygotes: PoolZygotes,
        restored: RestoredInstances,
        arrivals: ArrivalRate,
        share: ProjectShare,
    ) -> None:
        """Decide by what these know of the version, and by how busy its project is."""
        self._loop = loop
        self._zygotes = zygotes
        self._restored = restored
        self._arrivals = arrivals
        self._share = share

    def of_another(self, busy: int) -> bool:
        """Tell whether another one would only wait with the `busy`, coming ones among them."""
        zygote = self._zygotes.current
        if zygote is None or not self._restored.wanted(zygote):
            return False
        rate = self._arrivals.rate(self._loop.time())
        return self._restored.crowded(zygote, rate, self._share.cores_are_short, busy)

    def of_all(self, total: int, kept: int) -> bool:
        """Tell whether one that is ready again had better end: the others take its calls sooner.

        `total` are all that there are, `kept` those that are to be there whatever the rate.
        """
        zygote = self._zygotes.current
        if zygote is None or total < self._restored.most_of_use + kept:
            return False
        rate = self._arrivals.rate(self._loop.time())
        return self._restored.keep_cores_busy(zygote, rate, self._share.cores_are_short)
