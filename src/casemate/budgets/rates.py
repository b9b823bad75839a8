"""Quotas: buckets of tokens, one for each function, caller or address that is told apart.

What is left is said in the fields RateLimit-Policy and RateLimit, as
draft-ietf-httpapi-ratelimit-headers-10 has them.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from casemate.model.budget import Quota

MOST_TOLD_APART = 10_000
"""Of one quota; the one that called longest ago is forgotten, which has its tokens back then."""
Fields = tuple[tuple[bytes, bytes], ...]


class Rate:
    """One quota. Times are those of a clock that does not go back."""

    def __init__(self, quota: Quota, nodes: int = 1) -> None:
        """All buckets are full. `nodes` take calls, each its part of them."""
        self.quota = quota
        self.refused = 0
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What is left, and when that was so."""
        self.divide(nodes)
        name = quota.name
        self._policy = f'"{name}";q={quota.calls};w={quota.seconds}'.encode()
        self._name = f'"{name}"'.encode()
        self._said: tuple[int, int, Fields] = (-1, -1, ())
        """The last fields, and of what they are."""

    def divide(self, nodes: int) -> None:
        """Have one of so many parts of the quota from now on.

        A bucket holds one call at the least, or few calls among many nodes would be none.
        """
        self._most = max(1.0, self.quota.calls / nodes)
        self._per_second = self.quota.calls / self.quota.seconds / nodes

    def __len__(self) -> int:
        """Return how many are told apart."""
        return len(self._buckets)

    def left(self, key: str, now: float) -> float:
        """Return how many calls are left to one."""
        found = self._buckets.get(key)
        if found is None:
            return self._most
        left, at = found
        if now > at:
            left += (now - at) * self._per_second
        return left if left < self._most else self._most

    def take(self, key: str, now: float) -> float:
        """Take one call off, and return how many are left; a negative number: none was taken."""
        # `left` written out, for a bucket that is looked up once: every call passes here.
        buckets, left = self._buckets, self._most
        if (found := buckets.get(key)) is not None:
            before, at = found
            if now > at:
                before += (now - at) * self._per_second
            left = min(left, before)
        left -= 1.0
        if left >= 0.0:
            buckets[key] = left, now
            if found is not None:
                buckets.move_to_end(key)
            elif len(buckets) > MOST_TOLD_APART:
                buckets.popitem(last=False)
        return left

    def give_back(self, key: str, left: float, now: float) -> None:
        """Have one call more than `left` again, as before it was taken."""
        self._buckets[key] = left + 1.0, now

    def fields(self, left: float) -> Fields:
        """Return the fields of an answer that say what is left."""
        whole, more = int(left), self.until_more(left)
        said_whole, said_more, said = self._said
        if said_whole != whole or said_more != more:
            text = b"%s;r=%d;t=%d" % (self._name, max(0, whole), more)
            said = (b"ratelimit-policy", self._policy), (b"ratelimit", text)
            self._said = whole, more, said
        return said

    def until_more(self, left: float) -> int:
        """Return after how many seconds there is one call more than are left.

        So `t` has it: of who was refused that is what `Retry-After` says.
        """
        more = min(int(left) + 1.0, self._most)
        return max(1, math.ceil((more - left) / self._per_second))
