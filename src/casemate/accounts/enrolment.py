"""Enrolment: a person with a one-time code chooses a password and sets up the second factor.

In two steps: the first returns the second factor's secret, the second proves that the person has
it. Nothing is stored before that, so that a secret that got lost on the way locks nobody out.
"""

from __future__ import annotations

import logging

import msgspec

from casemate.accounts import totp
from casemate.accounts.credential import digest, same
from casemate.accounts.directory import Changes, Directory
from casemate.accounts.errors import LoginRefusedError
from casemate.accounts.login import CLOCK_NEXT_STEP, clock_message, guarded, totp_context
from casemate.accounts.passwords import PasswordHashing, require_acceptable
from casemate.accounts.people import ENROLMENT_SECONDS
from casemate.accounts.refusals import Refusals
from casemate.accounts.throttle import Throttle
from casemate.model.account import User
from casemate.operations.accounts import ReplaceUser
from casemate.vault.interface import Vault

PENDING_SECONDS = 15 * 60.0
ISSUER = "Casemate"
_REFUSED = "The name or the enrolment code is not right, or the code has expired."
_NEXT = "Ask an owner for a new one: `casemate users reset NAME`."
_log = logging.getLogger("casemate.accounts")


class _Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Between the two steps; in memory only, of the node that did the first."""

    enrolment_sha256: str
    password: str
    secret: bytes
    expires_at: float

    def __repr__(self) -> str:
        return "_Pending()"


class Enrolment:
    """Enrols people."""

    def __init__(
        self,
        directory: Directory,
        vault: Vault,
        hashing: PasswordHashing,
        attempts: Throttle,
        refusals: Refusals,
    ) -> None:
        """Act on these."""
        self._directory = directory
        self._vault = vault
        self._hashing = hashing
        self._attempts = attempts
        self._refusals = refusals
        self._pending: dict[str, _Pending] = {}

    async def begin(self, name: str, code: str, password: str, remote: str) -> str:
        """Accept a password; return the otpauth URI of the second factor to set up.

        Raises LoginRefusedError, PasswordRefusedError, TooManyAttemptsError.
        """
        async with guarded(self._attempts, self._refusals, "enrol", name, remote) as attempt:
            user = self._user(name, code)
            encoded = require_acceptable(password, name)
            hashed = await self._hashing.hash(encoded)
            pending = _Pending(
                enrolment_sha256=user.enrolment_sha256 or "",
                password=hashed,
                secret=totp.new_secret(),
                expires_at=self._directory.clock() + PENDING_SECONDS,
            )
            self._pending[name] = pending
            await attempt.cancel()
        return totp.otpauth_uri(pending.secret, name, ISSUER)

    async def confirm(self, name: str, code: str, totp_code: str, remote: str) -> None:
        """Accept the second factor by its first code; the person is enrolled then.

        Raises LoginRefusedError, TooManyAttemptsError.
        """
        async with guarded(self._attempts, self._refusals, "enrol", name, remote) as attempt:
            self._user(name, code)
            pending = self._pending.get(name)
            now = self._directory.clock()
            if pending is None or now >= pending.expires_at:
                raise LoginRefusedError(
                    "The first step of the enrolment is missing on this node, or more than "
                    f"{PENDING_SECONDS / 60:.0f} minutes ago.",
                    next_step=f"Begin again: `casemate login --enrol --user {name}`. Of several "
                    "nodes, one does both steps: give the address of one of them.",
                )
            step = totp.step_of(pending.secret, totp_code, now)
            if step is None:
                raise LoginRefusedError(
                    "The code of the authenticator is not right.",
                    next_step="Give the code that the application shows now.",
                )
            if abs(totp.steps_off(step, now)) > totp.WINDOW:
                raise LoginRefusedError(clock_message(step, now), next_step=CLOCK_NEXT_STEP)
            await self._enrol(name, code, pending, step)
            await attempt.succeed()
        _log.warning("user %s enrolled from %s", name, remote)

    async def _enrol(self, name: str, code: str, pending: _Pending, step: int) -> None:
        sealed = await self._vault.wrap(totp_context(name), pending.secret)

        def decision() -> tuple[Changes, None]:
            user = self._user(name, code)  # again: a reset may have come between
            if not same(pending.enrolment_sha256, user.enrolment_sha256):
                raise LoginRefusedError(_REFUSED, next_step=_NEXT)
            enrolled = msgspec.structs.replace(
                user,
                password=pending.password,
                totp=sealed,
                totp_last=step,
                enrolment_sha256=None,
                enrolment_expires_at=None,
            )
            return (ReplaceUser(user=enrolled),), None

        await self._directory.decide(decision)
        self._pending.pop(name, None)

    def _user(self, name: str, code: str) -> User:
        """Return the user whose enrolment code this is. Raises LoginRefusedError."""
        user = self._directory.users.get(name)
        stored = user.enrolment_sha256 if user is not None else None
        right = same(digest(code), stored)
        if user is None or not right or user.disabled_at is not None:
            raise LoginRefusedError(_REFUSED, next_step=_NEXT)
        ends_at = user.enrolment_expires_at or 0.0
        # As with tokens: a clock that was years ahead when it was made gives it no years.
        if not ends_at - 2 * ENROLMENT_SECONDS <= self._directory.clock() < ends_at:
            raise LoginRefusedError(_REFUSED, next_step=_NEXT)
        return user

    def drop_expired(self) -> None:
        """Forget enrolments that were begun and not finished."""
        now = self._directory.clock()
        self._pending = {n: p for n, p in self._pending.items() if now < p.expires_at}
