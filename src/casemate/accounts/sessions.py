"""Login by password and second factor, and logout.

Every attempt costs the same and gets the same answer, whether the name, the password or the code
is wrong: a hash is computed and a second factor opened for those who do not exist, too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from casemate.accounts import totp
from casemate.accounts.credential import token_id_of
from casemate.accounts.directory import Changes, Directory
from casemate.accounts.errors import LoginRefusedError, PasswordRefusedError
from casemate.accounts.issuing import SESSION_NAME, Issued, issue
from casemate.accounts.login import (
    CLOCK_NEXT_STEP,
    SET_BACK_STEP,
    clock_message,
    guarded,
    set_back_message,
    signed_in,
    totp_context,
)
from casemate.accounts.passwords import PasswordHashing, prepared
from casemate.accounts.refusals import Refusals
from casemate.accounts.throttle import Throttle
from casemate.model.account import Token, User
from casemate.model.facts import Fact
from casemate.operations.accounts import (
    AcceptTotpStep,
    KeepToken,
    ReplaceUser,
    RequireUser,
    RevokeTokens,
)
from casemate.store import StoreMovedError, UsedBeforeError
from casemate.vault.interface import Vault

MAX_SESSIONS = 50
"""Open sessions of one person; the next one ends the oldest."""
_NOBODY = ""
"""Not a name that anybody can have."""
_log = logging.getLogger("casemate.accounts")


def refused() -> LoginRefusedError:
    """Return the one error for everything that can be wrong with a login."""
    return LoginRefusedError(
        "The name, the password or the code is not right.",
        next_step="Each code works once: wait for the next one. An owner can reset an account: "
        "`casemate users reset NAME`.",
    )


class Sessions:
    """Opens and ends sessions."""

    def __init__(
        self,
        directory: Directory,
        vault: Vault,
        hashing: PasswordHashing,
        attempts: Throttle,
        refusals: Refusals,
        *,
        happened: Callable[[Fact], None],
        seconds: float,
    ) -> None:
        """Act on these; a session lasts `seconds`. `happened` is told who signed in."""
        self._happened = happened
        self._directory = directory
        self._vault = vault
        self._hashing = hashing
        self._attempts = attempts
        self._refusals = refusals
        self._seconds = seconds
        self._decoy: bytes | None = None

    async def login(self, name: str, password: str, code: str, remote: str) -> Issued:
        """Open a session. Raises LoginRefusedError or TooManyAttemptsError."""
        async with guarded(self._attempts, self._refusals, "login", name, remote) as attempt:
            user, step = await self._verified(name, password, code)
            issued = await self._open_by_code(user, step, password)
            await attempt.succeed()
        _log.info("user %s logged in from %s", name, remote)
        self._happened(signed_in(name, remote, "password", self._directory.clock()))
        return issued

    async def _verified(self, name: str, password: str, code: str) -> tuple[User, int]:
        """Return the user and the time step of the code, or raise LoginRefusedError."""
        user = self._directory.users.get(name)
        usable = user is not None and user.disabled_at is None
        stored = user.password if user is not None and usable else None
        secret = await self._second_factor(user)
        try:
            encoded = prepared(password)
        except PasswordRefusedError:
            encoded, stored = b"", None
        right = await self._hashing.verify(stored, encoded)
        now = self._directory.clock()
        step = totp.step_of(secret, code, now)
        if user is None or not right or user.totp is None or step is None:
            raise refused()
        if abs(totp.steps_off(step, now)) > totp.WINDOW:
            # Who gets here has both factors; only the time is wrong.
            raise LoginRefusedError(clock_message(step, now), next_step=CLOCK_NEXT_STEP)
        return user, step

    async def _second_factor(self, user: User | None) -> bytes:
        """Return a person's secret; for nobody a random one, opened in the same way."""
        if user is not None and user.totp is not None:
            return await self._vault.unwrap(totp_context(user.name), user.totp)
        if self._decoy is None:
            self._decoy = await self._vault.wrap(totp_context(_NOBODY), totp.new_secret())
        return await self._vault.unwrap(totp_context(_NOBODY), self._decoy)

    async def _open_by_code(self, user: User, step: int, password: str) -> Issued:
        fresh = None
        if self._hashing.outdated(user.password or ""):
            fresh = await self._hashing.hash(prepared(password))

        def decision() -> tuple[Changes, Issued]:
            current = self._directory.users.get(user.name)
            if current is None or _proof(current) != _proof(user):
                raise refused()
            step_used: Changes = (AcceptTotpStep(user=user.name, step=step),)
            if fresh is not None:
                changed = msgspec.structs.replace(current, password=fresh, totp_last=step)
                step_used = (*step_used, ReplaceUser(user=changed))
            opening, issued = self.opening(current)
            return (RequireUser(user=current), *step_used, *opening), issued

        try:
            return await self._directory.apply(decision)
        except (StoreMovedError, UsedBeforeError) as error:
            late = self._used_ahead(user.name, step)
            if late:
                raise LoginRefusedError(set_back_message(late), next_step=SET_BACK_STEP) from error
            raise refused() from error

    def _used_ahead(self, name: str, step: int) -> int:
        """Return by how many seconds a code is older than the last that was used, 0 if that can
        be while the clock goes on as it should.
        """
        known = self._directory.users.get(name)
        ahead = (known.totp_last if known is not None else 0) - step
        return ahead * totp.PERIOD if ahead > 2 * totp.WINDOW else 0

    def opening(self, user: User) -> tuple[Changes, Issued]:
        """Return what opens a session of a person who has proved to be that."""
        now = self._directory.clock()
        sessions = sorted(
            self._directory.index.of_user(user.name), key=lambda token: token.created_at
        )
        ending = tuple(each.id for each in sessions[: max(0, len(sessions) - MAX_SESSIONS + 1)])
        issued = issue(
            name=SESSION_NAME,
            created_by=f"user:{user.name}",
            created_at=now,
            expires_at=now + self._seconds,
            user=user.name,
        )
        ends: Changes = (RevokeTokens(ids=ending),) if ending else ()
        return (*ends, KeepToken(token=issued.token)), issued

    async def logout(self, authorization: str | None) -> bool:
        """End the session of an Authorization header's value; False if it is not a session."""
        if self._directory.index.authenticate(authorization) is None:
            return False

        def decision() -> tuple[Changes, Token | None]:
            token = self._directory.tokens.get(token_id_of(authorization) or "")
            if token is None or token.user is None:
                return (), None
            # What was made with it stays: people log out every day, and their tokens go on.
            return (RevokeTokens(ids=(token.id,)),), token

        token = await self._directory.apply(decision)
        if token is None:
            return False
        _log.info("user %s logged out", token.user)
        return True


def _proof(user: User) -> tuple[object, ...]:
    """Return what a person was proven by, and whether it may come in."""
    return user.password, user.totp, user.created_at, user.disabled_at
