"""The memory that requests and answers take while they are on their way: one budget for all.

Bodies that come in and answers that were not taken yet are counted together. Where the budget is
used up, a new body is refused, and of the answers those go first whose readers are the slowest:
their connections are cut.
"""

from __future__ import annotations

from collections.abc import Callable

from casemate.model.addresses import address_group
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.request_head import RequestRefusedError

SLOW_RATE = 256 * 1024
"""Bytes a second below which a reader is slow."""
WINDOW_SECONDS = 0.5
"""Over how long the speed of a reader is measured, at least: anew each time, as kernels on the way
take the first of an answer whether or not it is read."""


class Answer:
    """An answer that its reader has not taken yet."""

    __slots__ = ("_looked_at", "_seen", "cut", "group", "since", "size", "speed", "taken")

    def __init__(
        self, group: str, size: int, since: float, taken: Callable[[], int], cut: Callable[[], None]
    ) -> None:
        """`size` bytes are in memory until all are `taken`; `cut` ends their connection."""
        self.group = group
        self.size = size
        self.since = self._looked_at = since
        self._seen = 0
        self.taken = taken
        self.cut = cut
        self.speed: float | None = None
        """Bytes a second, lately; None before that can be told."""

    def look(self, now: float) -> None:
        """Measure the reader's speed, if the last time is long enough ago."""
        passed = now - self._looked_at
        if passed >= WINDOW_SECONDS:
            taken = self.taken()
            self.speed = (taken - self._seen) / passed
            self._looked_at, self._seen = now, taken

    def order(self) -> tuple[int, float, float]:
        """Return what orders readers, those first that are cut first.

        Whoever has proved slow goes before who has not had the time to, the oldest of these
        first, and those before who is fast.
        """
        if self.speed is None:
            return 1, self.since, 0.0
        return (0 if self.speed < SLOW_RATE else 2), self.speed, self.since


class Buffers:
    """What one server holds. On its event loop only."""

    def __init__(self, limits: HttpLimits, is_proxy: Callable[[str], bool]) -> None:
        """Hold nothing. Peers that are proxies bring many callers: they share the whole budget."""
        self._limit = limits.buffered_bytes
        self._peer_limit = limits.buffered_bytes_per_peer
        self._is_proxy = is_proxy
        self._groups: dict[str, int] = {}
        self._answers: set[Answer] = set()
        self.used = 0
        """Bytes in memory."""
        self.cut = 0
        """Answers that were cut because their readers were the slowest."""

    def take(self, peer: str, size: int, now: float) -> bool:
        """Count bytes of a body; False if there is no room, though they count all the same."""
        return self.take_of(self.group(peer), size, now)

    def take_of(self, group: str, size: int, now: float) -> bool:
        """Do the same for a group, which is what is counted as one peer."""
        self.used = used = self.used + size
        held = 0
        if group:
            self._groups[group] = held = self._groups.get(group, 0) + size
        if used > self._limit:
            self._make_room(now, self._limit, None)
            return self.used <= self._limit and self._fits(group)
        return held <= self._peer_limit

    def give_back(self, peer: str, size: int) -> None:
        """Stop counting bytes of a body."""
        self.give_back_of(self.group(peer), size)

    def give_back_of(self, group: str, size: int) -> None:
        """Do the same for a group."""
        self.used -= size
        if group:
            left = self._groups.get(group, 0) - size
            if left > 0:
                self._groups[group] = left
            else:
                self._groups.pop(group, None)

    def hold(
        self, peer: str, size: int, now: float, taken: Callable[[], int], cut: Callable[[], None]
    ) -> Answer:
        """Count an answer until `drop`; cut the slowest readers if it is too much."""
        group = self._add(peer, size)
        answer = Answer(group, size, now, taken, cut)
        self._answers.add(answer)
        if self.used > self._limit:
            self._make_room(now, self._limit, None)
        if not self._fits(group):
            self._make_room(now, self._peer_limit, group)
        return answer

    def look(self, now: float) -> None:
        """Measure how fast each answer is read. To be called about every WINDOW_SECONDS."""
        for answer in self._answers:
            answer.look(now)

    def drop(self, answer: Answer) -> None:
        """Stop counting an answer that was taken, or whose connection is gone."""
        if answer in self._answers:
            self._answers.discard(answer)
            self.give_back_of(answer.group, answer.size)

    def _make_room(self, now: float, limit: int, group: str | None) -> None:
        """Cut the slowest readers, of all or of one group, until it holds no more than `limit`."""
        chosen = [a for a in self._answers if group is None or a.group == group]
        for answer in chosen:
            answer.look(now)
        for answer in sorted(chosen, key=Answer.order):
            if (self.used if group is None else self._groups.get(group, 0)) <= limit:
                return
            self.drop(answer)
            self.cut += 1
            answer.cut()

    def group(self, peer: str) -> str:
        """Return what a peer is counted with; empty for proxies, which bring many callers."""
        return "" if self._is_proxy(peer) else address_group(peer)

    def _fits(self, group: str) -> bool:
        return not group or self._groups.get(group, 0) <= self._peer_limit

    def _add(self, peer: str, size: int) -> str:
        group = self.group(peer)
        self.used += size
        if group:
            self._groups[group] = self._groups.get(group, 0) + size
        return group


class HeldBody:
    """The body of one connection's present request, as far as it is in memory."""

    __slots__ = ("_buffers", "_group", "size")

    def __init__(self, buffers: Buffers, peer: str) -> None:
        """Hold nothing of `peer` yet."""
        self._buffers = buffers
        self._group = buffers.group(peer)
        self.size = 0

    def grow(self, size: int, now: float) -> None:
        """Count that it now has `size` bytes. Raises RequestRefusedError without room for them."""
        more, self.size = size - self.size, size
        if more and not self._buffers.take_of(self._group, more, now):
            raise RequestRefusedError(503, "The server holds too many request bodies.")

    def release(self) -> None:
        """Hold nothing any more."""
        if self.size:
            self._buffers.give_back_of(self._group, self.size)
            self.size = 0
