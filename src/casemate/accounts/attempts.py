"""Back-off after failed attempts to log in, in memory and bounded.

The first failures cost nothing; then each doubles the wait, during which attempts are refused
unseen. An attempt counts as failed when it begins, so that many at once get no further than one
after the other.

Failures are counted for each account and for each address. The address only slows a search of many
accounts down, and each time not for long: many people may be behind one, and a proxy that is not
known as such makes it everybody's. While somebody goes on failing there, who has never logged in
from there may find the next attempt taken each time. An address from which somebody logged in
before has a count of its own for that account, and no other holds it up: neither whoever hammers
the account from elsewhere nor who fails with other accounts from there can keep its owner out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from casemate.accounts.errors import TooManyAttemptsError
from casemate.model.addresses import address_group
from casemate.model.back_off import FORGET_AFTER, LONGEST_WAIT, BackOff, names_of

MAX_ENTRIES = 8192
MAX_KNOWN = 4096


@dataclass
class _Failures:
    count: int
    last_at: float
    back_off: BackOff

    def open_at(self) -> float:
        """Return from when on the next attempt is looked at."""
        return self.back_off.open_at(self.count, self.last_at)


def too_many(wait: float) -> TooManyAttemptsError:
    """Return the error for an attempt that has to wait so many seconds."""
    return TooManyAttemptsError(
        "Too many attempts failed.",
        retry_after=wait,
        next_step=f"Try again in {wait:.0f} s. A session that is open goes on working.",
    )


class Attempts:
    """Counts failed attempts for each account and each remote address."""

    def __init__(self, clock: Callable[[], float], longest: float = LONGEST_WAIT) -> None:
        """Start with none. Nobody waits for more than `longest` seconds."""
        self._clock = clock
        self._longest = longest
        self._failures: dict[str, _Failures] = {}
        self._known: dict[tuple[str, str], None] = {}

    def begin(self, account: str | None, remote: str) -> tuple[str, ...]:
        """Count an attempt as failed; return what `succeeded` or `cancelled` need.

        Raises TooManyAttemptsError if it has to wait; then it does not count.
        """
        group = address_group(remote)
        known = account is not None and (account, group) in self._known
        keys = names_of(account, group, known=known)
        now = self._clock()
        held_by = list(keys)[1:] if known else list(keys)
        wait = max(self._wait(key, now) for key in held_by)
        if wait > 0:
            raise too_many(wait)
        for key, (free, longest) in keys.items():
            self._count(key, BackOff(free, min(longest, self._longest)), now)
        return tuple(keys)

    def _wait(self, key: str, now: float) -> float:
        found = self._failures.get(key)
        if found is None:
            return 0.0
        # The clock was set back: nobody waits for longer than is said, however far that was.
        found.last_at = min(found.last_at, now)
        return max(0.0, found.open_at() - now)

    def _count(self, key: str, back_off: BackOff, now: float) -> None:
        found = self._failures.get(key)
        if found is None or now - found.last_at > FORGET_AFTER:
            if found is None and len(self._failures) >= MAX_ENTRIES:
                self._make_room(now)
            self._failures[key] = _Failures(1, now, back_off)
        else:
            found.count += 1
            found.last_at = now

    def _make_room(self, now: float) -> None:
        """Forget what matters least: the old, then those with the fewest failures.

        A flood of made-up names thus displaces itself, not the count of an account under attack.
        """
        self._failures = {
            k: f for k, f in self._failures.items() if now - f.last_at <= FORGET_AFTER
        }
        if len(self._failures) >= MAX_ENTRIES:
            ranked = sorted(self._failures, key=lambda k: self._danger(self._failures[k]))
            for key in ranked[: MAX_ENTRIES // 8]:
                del self._failures[key]

    @staticmethod
    def _danger(failures: _Failures) -> tuple[int, float]:
        return failures.count, failures.last_at

    def succeeded(self, account: str, remote: str, counted: tuple[str, ...]) -> None:
        """Forget the account's failures; the address only gets this one attempt back."""
        for key in counted:
            if key.startswith("account "):
                self._failures.pop(key, None)
        self.cancelled(tuple(k for k in counted if k.startswith("address ")))
        self._known.pop((account, address_group(remote)), None)
        self._known[account, address_group(remote)] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    def cancelled(self, counted: tuple[str, ...]) -> None:
        """Take back an attempt that was not looked at, or that succeeded."""
        for key in counted:
            found = self._failures.get(key)
            if found is not None:
                found.count -= 1
                if found.count <= 0:
                    del self._failures[key]

    def forget_account(self, account: str) -> None:
        """Drop every count of an account, as after an owner has reset it."""
        starts = (f"account {account}", f"account {account} from ")
        for key in [k for k in self._failures if k == starts[0] or k.startswith(starts[1])]:
            del self._failures[key]
        for pair in [p for p in self._known if p[0] == account]:
            del self._known[pair]
