"""Each project's share of what the node runs at once: a flood of one leaves the others theirs.

While one project alone calls, or the machine has cores to spare, nothing here holds anybody back.
Once several call, and together run more than the cores are good for, a project that has its share
already waits in its own queues, and one that has less goes on at once. What a project leaves
unused, others may use.

Counted are calls in their first second: one that goes on for longer most likely waits for an answer
from elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Protocol
from weakref import WeakValueDictionary

from casemate.dispatch.saturation import Saturation

CALLS_PER_CORE = 8
"""Young calls that run beside each other on one core before projects are held to their shares."""
LEAST_CALLS = 2
"""A project's share, however many others there are."""
YOUNG_SECONDS = 1.0
"""A call counts for this long, or until its answer."""
ACTIVE_SECONDS = 1.0
"""A project has a share for this long after its last call."""
_FADING = 0.9
"""What is left of a peak from one look to the next: a half after about a seventh of a second."""
_LOOK_SECONDS = 0.02
"""How often ages are looked at while somebody is held back."""
_SATURATED_SECONDS = 0.5


class Held(Protocol):
    """What has calls that wait for their project's share."""

    def resume(self) -> None:
        """Go on with them as far as the share allows, and ask to be held again for the rest."""
        ...


class ProjectShare:
    """What one project runs. Kept by whoever runs calls of the project."""

    __slots__ = ("__weakref__", "_shares", "last", "peak", "reserved", "young")

    def __init__(self, shares: Shares) -> None:
        """Start at nothing."""
        self._shares = shares
        self.young: dict[Hashable, float] = {}
        """The calls that count, oldest first, each with its begin."""
        self.last = float("-inf")
        """Loop time of its last call."""
        self.peak = 0.0
        """The most calls that counted at once, lately."""
        self.reserved = 0.0
        """Of its fair part, what it lately used: nobody else may have that."""

    def called(self, now: float) -> None:
        """Note that a call came."""
        self.last = now

    def admits(self) -> bool:
        """Tell whether one more call may begin now."""
        shares = self._shares
        return shares.total < shares.idle or shares.admits(self)

    def cores_are_short(self) -> bool:
        """Tell whether processes wait for a core, as of the last look."""
        return self._shares.saturated()

    def begin(self, call: Hashable) -> None:
        """Count a call that begins."""
        shares, young = self._shares, self.young
        young[call] = shares.loop.time()
        self.peak = max(self.peak, len(young))
        shares.total += 1

    def end(self, call: Hashable) -> None:
        """Stop counting a call."""
        if self.young.pop(call, None) is not None:
            self._shares.total -= 1
            if self._shares.held:
                self._shares.go_on()

    def hold(self, held: Held) -> None:
        """Have `held` resumed once the share may have room."""
        self._shares.hold(self, held)


class Shares:
    """The shares of all projects of a node. On the event loop only."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, cores: int, saturation: Saturation
    ) -> None:
        """Divide what `cores` cores run at once, while they are the bottleneck."""
        self.loop = loop
        self._saturation = saturation
        self._contended = False
        self._saturated_until = float("-inf")
        self.capacity = CALLS_PER_CORE * cores
        self.idle = self.capacity // 2
        """While fewer calls count nobody is held back."""
        self.total = 0
        """Calls that count, of all projects."""
        self._projects: WeakValueDictionary[str, ProjectShare] = WeakValueDictionary()
        self.held: dict[Held, ProjectShare] = {}
        """Who waits, and of which project it is."""
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = float("-inf")
        self._fair = self.capacity
        """Calls that each project may have, whatever others do."""
        self._reserved = 0.0
        self._going_on = False

    def of(self, project: str) -> ProjectShare:
        """Return a project's share, the same object as long as somebody keeps it."""
        share = self._projects.get(project)
        if share is None:
            share = self._projects[project] = ProjectShare(self)
        return share

    def admits(self, share: ProjectShare) -> bool:
        """Tell whether a project may begin one more call."""
        if self.total < self.idle:
            return True
        self._look()
        if not self._contended:
            return True
        mine = len(share.young)
        return mine < self._fair or mine < self.capacity - (self._reserved - share.reserved)

    def saturated(self) -> bool:
        """Tell whether the cores are the bottleneck, or were lately: looks are few."""
        self._look()
        return self.loop.time() < self._saturated_until

    def hold(self, share: ProjectShare, held: Held) -> None:
        """Remember who waits; it is resumed when calls end, grow old, or others stop calling."""
        self.held[held] = share
        if self._timer is None:
            self._timer = self.loop.call_later(_LOOK_SECONDS, self._look_again)

    def go_on(self) -> None:
        """Resume who waits, those whose project runs least first, as long as there is room."""
        if not self.held or self._going_on:
            return
        self._going_on = True
        try:
            while self.held:
                held, share = min(self.held.items(), key=lambda item: len(item[1].young))
                if not self.admits(share):
                    return  # nor may anybody who runs more
                del self.held[held]
                held.resume()
        finally:
            self._going_on = False

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._saturation.close()

    def _look_again(self) -> None:
        self._timer = None
        self.go_on()
        if self.held:
            self._timer = self.loop.call_later(_LOOK_SECONDS, self._look_again)

    def _look(self) -> None:
        """Forget calls that are no longer young, and see who is active and uses what."""
        now = self.loop.time()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        active = []
        for share in self._projects.values():
            young = share.young
            while young:
                call = next(iter(young))
                if now - young[call] < YOUNG_SECONDS:
                    break
                del young[call]
                self.total -= 1
            share.peak = max(share.peak * _FADING, len(young))
            if young or now - share.last < ACTIVE_SECONDS:
                active.append(share)
        saturated = self._saturation.look()
        if saturated:
            self._saturated_until = now + _SATURATED_SECONDS
        self._contended = saturated and len(active) > 1
        self._fair = max(LEAST_CALLS, self.capacity // max(1, len(active)))
        for share in active:
            share.reserved = min(self._fair, share.peak)
        self._reserved = sum(share.reserved for share in active)
