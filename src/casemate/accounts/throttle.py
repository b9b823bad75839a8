"""Whether an attempt to log in is looked at: by what failed on this node, and on all others.

This node's own count is asked first, so that a flood costs the store little; where there are others
it holds nobody up for long, since what it knows of may have been forgiven elsewhere. What the store
cannot count is refused: with it away, each node would give as many tries again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from casemate.accounts.attempts import Attempts, too_many
from casemate.accounts.errors import TooManyAttemptsError
from casemate.model.addresses import address_group
from casemate.model.back_off import LONGEST_WAIT
from casemate.model.errors import CasemateError, UnavailableError
from casemate.operations.accounts import CountAttempt, ForgetAttempts, SettleAttempt
from casemate.operations.declaration import Operation
from casemate.store.interface import SharedStore, Store

ASK_SECONDS = 5.0
"""How long the store may take."""
HELD_HERE = 2.0
"""Seconds for which this node holds somebody up by itself, where there are others."""
MAX_ASKING = 8
"""Attempts that wait for it at once: a flood of them keeps no other change waiting for long."""
MAX_DOUBTED = 16
MAX_DOUBTED_OF_ADDRESS = 4
"""Attempts from addresses that have to wait, looked at all the same at once."""
AnswerT = TypeVar("AnswerT")
_log = logging.getLogger("casemate.accounts")


class Counted(NamedTuple):
    """One attempt that is looked at."""

    account: str | None
    remote: str
    here: tuple[str, ...]
    """What was counted on this node."""


class Throttle:
    """One per node, on its event loop."""

    def __init__(self, clock: Callable[[], float], store: Store) -> None:
        """Count in memory, and in `store` where other nodes have it, too."""
        self._store = store if isinstance(store, SharedStore) else None
        self._attempts = Attempts(clock, LONGEST_WAIT if self._store is None else HELD_HERE)
        self._asking = 0
        self._doubted: Counter[str] = Counter()

    async def begin(self, account: str | None, remote: str) -> Counted:
        """Count an attempt as failed; return what `settle` needs.

        Raises TooManyAttemptsError if it has to wait; then it does not count. UnavailableError if
        the store cannot count it.
        """
        here = self._attempts.begin(account, remote)
        if self._store is None:
            return Counted(account, remote, here)
        try:
            wait = await self._ask(CountAttempt(account=account, address=address_group(remote)))
        except CasemateError:
            self._attempts.cancelled(here)
            raise
        if wait > 0:
            # It stays counted here, so that the next ones are not all asked about.
            raise too_many(wait)
        return Counted(account, remote, here)

    @asynccontextmanager
    async def proven(
        self, proves: Callable[[], Awaitable[object]], remote: str
    ) -> AsyncIterator[bool]:
        """Tell, for one that has to wait, whether it shows what nobody comes upon by guesses.

        Many people may be behind one address: who fails there again and again must not keep the
        others out. How many are looked at is bounded until they end.
        """
        group = address_group(remote)
        if self._doubted[group] >= MAX_DOUBTED_OF_ADDRESS or self._doubted.total() >= MAX_DOUBTED:
            yield False
            return
        self._doubted[group] += 1
        try:
            try:
                await proves()
            except CasemateError:
                shown = False
            else:
                shown = True
            yield shown
        finally:
            self._doubted[group] -= 1
            self._doubted += Counter()  # leaves out who has none

    async def settle(self, counted: Counted, *, succeeded: bool) -> None:
        """Take an attempt back; one that succeeded forgets the failures of its account."""
        account, remote, here = counted
        if succeeded and account is not None:
            self._attempts.succeeded(account, remote, here)
        else:
            self._attempts.cancelled(here)
        address = address_group(remote)
        await self._tell(SettleAttempt(account=account, address=address, succeeded=succeeded))

    async def forget_account(self, account: str) -> None:
        """Drop every count of an account, as after an owner has reset it."""
        self._attempts.forget_account(account)
        await self._tell(ForgetAttempts(account=account))

    async def _tell(self, operation: Operation[None]) -> None:
        """Have it counted less; what the store does not hear of counts on, until it is old."""
        if self._store is None:
            return
        try:
            await self._ask(operation)
        except CasemateError as error:
            _log.warning("an attempt to log in counts as failed: %s", error)

    async def _ask(self, operation: Operation[AnswerT]) -> AnswerT:
        if self._store is None or self._asking >= MAX_ASKING:
            raise TooManyAttemptsError(
                "Too many people log in at the same time.",
                retry_after=2.0,
                next_step="Try again in a moment.",
            )
        self._asking += 1
        try:
            # Not wait_for, which can lose the end of this task in Python 3.11.
            async with asyncio.timeout(ASK_SECONDS):
                return await self._store.change(operation)
        except TimeoutError as error:
            raise UnavailableError(
                "Attempts to log in cannot be counted: the control store takes too long.",
                next_step="Try again in a moment.",
            ) from error
        finally:
            self._asking -= 1
