"""How often each peer may have something done: at once, and a second after that (GCRA)."""

from __future__ import annotations

from casemate.model.addresses import address_group

MOST_PEERS = 10_000
"""That are known at a time. Beyond them those are forgotten that have all of theirs again."""


class PeerRate:
    """One schedule for each peer: a turn comes `1 / per_second` after the last one's."""

    __slots__ = ("_every", "_lead", "_next")

    def __init__(self, at_once: int, per_second: float) -> None:
        """Start with nobody known."""
        self._every = 1.0 / per_second
        self._lead = at_once / per_second
        self._next: dict[str, float] = {}

    def delay(self, peer: str, now: float) -> float:
        """Take the peer's next turn; return how long it has to wait for that."""
        group = address_group(peer)
        at = self._at(group, now)
        self._keep(group, at, now)
        return max(0.0, at - now)

    def take(self, peer: str, now: float) -> bool:
        """Take a turn if there is one now; tell whether there was."""
        group = address_group(peer)
        at = self._at(group, now)
        if at > now:
            return False
        self._keep(group, at, now)
        return True

    def _at(self, group: str, now: float) -> float:
        return max(self._next.get(group, 0.0), now - self._lead) + self._every

    def _keep(self, group: str, at: float, now: float) -> None:
        if group not in self._next and len(self._next) >= MOST_PEERS:
            self._forget(now)
        self._next[group] = at

    def _forget(self, now: float) -> None:
        """Forget peers that have all at once again, or all peers if that is too few."""
        self._next = {group: at for group, at in self._next.items() if at > now - self._lead}
        if len(self._next) >= MOST_PEERS:
            self._next.clear()
