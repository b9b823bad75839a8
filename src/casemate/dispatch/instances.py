"""The instances of one version, by what they do at the moment."""

from __future__ import annotations

from casemate.dispatch.pool_zygotes import PoolZygotes
from casemate.dispatch.restored import RestoredInstances
from casemate.dispatch.spares import Spares
from casemate.dispatch.starting import Starting


class Instances:
    """Those that start, wait, serve a call, or are restored after one."""

    def __init__(
        self, zygotes: PoolZygotes, starting: Starting, restored: RestoredInstances
    ) -> None:
        """Begin without any."""
        self.spares = Spares()
        self.starting = starting
        self.restored = restored
        self.busy = 0
        self._zygotes = zygotes

    @property
    def none(self) -> bool:
        """True while there is not one, not even one that starts."""
        return not (self.busy or self.starting or self.spares or self.restored)

    def lasting_spares(self) -> int:
        """Return how many spares wait that are of the zygote in use."""
        if not self._zygotes.any_old:
            return len(self.spares)
        return sum(not self._zygotes.is_of_old(spare) for spare, _ in self.spares)

    def being_made_ready(self) -> int:
        """Return how many spares come back soon that are of the zygote in use."""
        if not self._zygotes.any_old:
            return len(self.restored)
        return sum(not self._zygotes.is_of_old(instance) for instance in self.restored)
