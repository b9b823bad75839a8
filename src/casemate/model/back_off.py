"""How long attempts to log in have to wait after failed ones: the first cost nothing, then each
doubles the wait.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class BackOff(NamedTuple):
    """How failures of one account, or from one address, are answered."""

    free: int
    """So many cost nothing."""
    longest: float
    """Seconds to wait at the most."""

    def open_at(self, count: int, last_at: float) -> float:
        """Return from when on the next attempt is looked at, after `count` that failed.

        At once while they cost nothing, though the last one seem to be of a time to come.
        """
        beyond = count - self.free
        return last_at + min(2.0 ** min(beyond, 30), self.longest) if beyond >= 0 else 0.0


FREE_PER_ACCOUNT: Final = 5
FREE_PER_ADDRESS: Final = 20
LONGEST_WAIT: Final = 15 * 60.0
LONGEST_ADDRESS_WAIT: Final = 5.0
"""For an address. What bounds a search is the count of each account."""
OF_ACCOUNT: Final = BackOff(FREE_PER_ACCOUNT, LONGEST_WAIT)
OF_ADDRESS: Final = BackOff(FREE_PER_ADDRESS, LONGEST_ADDRESS_WAIT)
FORGET_AFTER: Final = 24 * 3600.0
"""Seconds after the last failure."""


def names_of(account: str | None, address: str, *, known: bool) -> dict[str, BackOff]:
    """Return under which names an attempt is counted; that of its account, if any, is the last.

    Where the account is `known` to have logged in from there it has a count of its own.
    """
    names = {f"address {address}": OF_ADDRESS}
    if account is not None:
        names[f"account {account} from {address}" if known else f"account {account}"] = OF_ACCOUNT
    return names
