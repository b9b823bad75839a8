"""What every way to log in has in common: attempts are counted, failures recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from casemate.accounts import totp
from casemate.accounts.errors import LoginRefusedError, TooManyAttemptsError
from casemate.accounts.people import is_account_name
from casemate.accounts.refusals import Refusals
from casemate.accounts.throttle import Counted, Throttle
from casemate.model.errors import CasemateError
from casemate.model.facts import SignedIn
from casemate.model.principal import PrincipalKind

CLOCK_NEXT_STEP = (
    "Set the clock of the device with the authenticator, or of the node (both should follow NTP), "
    "then log in with the next code."
)

SET_BACK_STEP = (
    "Set the node's clock right. Was it ahead before, wait until it has come to that time, or have "
    "an owner reset the account: `casemate users reset NAME`."
)


def totp_context(name: str) -> str:
    """Return the context to which the vault binds a person's second factor."""
    return f"user/{name}"


def clock_message(step: int, now: float) -> str:
    """Return the message for a code that is right but of another time."""
    off = totp.steps_off(step, now) * totp.PERIOD
    word = "ahead of" if off > 0 else "behind"
    return f"The code is right but not of now: its clock is about {abs(off)} s {word} the node's."


def set_back_message(seconds: int) -> str:
    """Return the message for a code that is right, but older than one that was used before."""
    return (
        "The code is right, but one that is about "
        f"{seconds} s newer was used before: the node's clock has been set back."
    )


def signed_in(name: str, remote: str, method: str, at: float) -> SignedIn:
    """Return that a person has a session now."""
    by = f"{PrincipalKind.USER.value}:{name}"
    return SignedIn(at=at, by=by, remote_address=remote, method=method)


class Attempt:
    """One attempt, counted as failed until it says otherwise."""

    def __init__(self, attempts: Throttle, counted: Counted | None) -> None:
        """Hold what `Throttle.begin` counted; None where it was not."""
        self._attempts = attempts
        self._counted = counted

    async def succeed(self) -> None:
        """Forget the failures of the account."""
        if self._counted is not None:
            await self._attempts.settle(self._counted, succeeded=True)

    async def cancel(self) -> None:
        """Count this attempt neither as a failure nor as a success."""
        if self._counted is not None:
            await self._attempts.settle(self._counted, succeeded=False)


@asynccontextmanager
async def guarded(
    attempts: Throttle,
    refusals: Refusals,
    action: str,
    name: str | None,
    remote: str,
    *,
    proves: Callable[[], Awaitable[object]] | None = None,
) -> AsyncIterator[Attempt]:
    """Count an attempt and record its failure.

    `proves` raises a CasemateError unless the caller shows what nobody comes upon by guesses: such
    an attempt waits for nobody else's failures at its address.

    Raises TooManyAttemptsError before anything is looked at. An attempt that failed for another
    reason than what the caller gave (busy, a store or vault that fails) does not count; one that
    is given up in the middle does.
    """
    # A name that nobody can have is not recorded: it may be a password typed into the wrong place.
    account = name if name is not None and is_account_name(name) else None
    principal = f"user:{account}" if account is not None else None
    async with AsyncExitStack() as doubted:
        try:
            counted = await attempts.begin(account, remote)
        except TooManyAttemptsError:
            reason = "too many attempts"
            if proves is None or not await doubted.enter_async_context(
                attempts.proven(proves, remote)
            ):
                refusals.note(action=action, reason=reason, remote=remote, principal=principal)
                raise
            counted = None
        attempt = Attempt(attempts, counted)
        async with _recorded(refusals, action, remote, principal, attempt):
            yield attempt


@asynccontextmanager
async def _recorded(
    refusals: Refusals, action: str, remote: str, principal: str | None, attempt: Attempt
) -> AsyncIterator[None]:
    try:
        yield
    except LoginRefusedError:
        refusals.note(action=action, reason="refused", remote=remote, principal=principal)
        raise
    except CasemateError:
        await attempt.cancel()
        raise
