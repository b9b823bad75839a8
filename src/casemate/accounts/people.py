"""Administration of people: add, roles, reset, disable, remove.

`by` is who asks. Policy has decided that it may manage accounts; here it is kept from giving, or
taking over, more than it has.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable

import msgspec

from casemate.accounts.bindings import (
    binding_text,
    is_node_owner,
    require_covered,
    require_known_roles,
)
from casemate.accounts.credential import digest
from casemate.accounts.directory import Changes, Directory
from casemate.accounts.throttle import Throttle
from casemate.model.account import Token, User, UserRoles
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.function import NAME_PATTERN
from casemate.model.principal import Principal, RoleBinding
from casemate.operations.accounts import (
    ForgetUser,
    KeepUser,
    KeepUserRoles,
    ReplaceUser,
    RevokeSessions,
)

ENROLMENT_SECONDS = 24 * 3600.0
CODE_PREFIX = "cmenrol_"
_log = logging.getLogger("casemate.accounts")


def is_account_name(name: str) -> bool:
    """Tell whether a user or service token can have this name."""
    return re.fullmatch(NAME_PATTERN.removesuffix("$") + r"\Z", name) is not None


def require_account_name(name: str, what: str) -> None:
    """Raise InvalidInputError if a user or token cannot have this name."""
    if not is_account_name(name):
        raise InvalidInputError(
            f"The {what}'s name is {name[:80]!r}, expected lower-case letters, digits and `-`, "
            "at most 63, a letter first.",
        )


class People:
    """Changes accounts of people."""

    def __init__(
        self, directory: Directory, attempts: Throttle, roles: Callable[[], frozenset[str]]
    ) -> None:
        """Act on the directory; `roles` gives the roles that exist."""
        self._directory = directory
        self._attempts = attempts
        self._roles = roles

    async def add(
        self,
        name: str,
        bindings: tuple[RoleBinding, ...],
        *,
        by: Principal,
        oidc_subject: str | None = None,
        made_with: str | None = None,
    ) -> str | None:
        """Add a person; return the one-time code to enrol with, None for those who come by OIDC.

        `made_with` is the id of the token or session that `by` showed: who revokes that ends the
        code.

        Raises ConflictError if the name is taken, EscalationError if `by` would give more than
        it has.
        """
        require_account_name(name, "user")
        require_known_roles(bindings, self._roles())
        require_covered(by, bindings, f"give {name} roles")
        self._directory.require_no_pipeline(by, f"add {name}")

        def decision() -> tuple[Changes, str | None]:
            self._directory.require_current(by, made_with)
            now = self._directory.clock()
            # Later than the end of who had the name before, though the clock was set back since:
            # what is older than an account is not its own.
            after = self._directory.sessions_ended.get(name, 0.0)
            user = User(name=name, created_at=max(now, after), made_with=made_with)
            code = None
            if oidc_subject is None:
                user, code = self._with_enrolment(user, now)
            else:
                user = self._with_subject(user, oidc_subject)
            return (KeepUser(user=user, after=after), self._roles_change(name, bindings)), code

        code = await self._directory.decide(decision)
        await self._attempts.forget_account(name)
        _log.warning("user %s added by %s", name, by.text)
        return code

    @staticmethod
    def _roles_change(name: str, bindings: tuple[RoleBinding, ...]) -> KeepUserRoles:
        return KeepUserRoles(roles=UserRoles(user=name, bindings=bindings))

    def _with_subject(self, user: User, subject: str) -> User:
        issuer = self._directory.oidc_issuer
        if issuer is None:
            raise ConflictError(
                "No OpenID provider is set, so nobody can come by one.",
                next_step="`casemate oidc set ISSUER --client-id ID`, then add the user.",
            )
        if not 1 <= len(subject) <= 255 or not subject.isprintable():
            raise InvalidInputError(
                f"The OIDC subject is {subject[:80]!r}, expected 1 to 255 printable characters.",
                next_step="It is the claim `sub` of the person's ID token.",
            )
        return msgspec.structs.replace(user, oidc_issuer=issuer, oidc_subject=subject)

    @staticmethod
    def _with_enrolment(user: User, now: float) -> tuple[User, str]:
        code = CODE_PREFIX + secrets.token_urlsafe(24)
        fresh = msgspec.structs.replace(
            user,
            password=None,
            totp=None,
            enrolment_sha256=digest(code),
            enrolment_expires_at=now + ENROLMENT_SECONDS,
        )
        return fresh, code

    def _require_reach(
        self, name: str, by: Principal, what: str, made_with: str | None = None
    ) -> User:
        """Return the user if `by` may change it: nobody takes over who can do more."""
        self._directory.require_current(by, made_with)
        user = self._directory.user(name)
        require_covered(by, self._directory.roles_of(name), what)
        return user

    async def set_roles(
        self,
        name: str,
        bindings: tuple[RoleBinding, ...],
        *,
        by: Principal,
        made_with: str | None = None,
    ) -> None:
        """Replace a person's roles, at once for its open sessions too. `made_with`: as in `add`."""
        require_known_roles(bindings, self._roles())
        require_covered(by, bindings, f"give {name} roles")
        if bindings:
            self._directory.require_no_pipeline(by, f"give {name} roles")

        def decision() -> tuple[Changes, None]:
            self._require_reach(name, by, f"change the roles of {name}", made_with)
            held = self._directory.roles_of(name)
            if is_node_owner(held) and not is_node_owner(bindings):
                self._directory.require_owner_left(without_user=name)
            return (self._roles_change(name, bindings),), None

        await self._directory.decide(decision)
        _log.warning("roles of user %s changed by %s", name, by.text)

    async def take_roles(
        self,
        name: str,
        role: RoleBinding | None,
        *,
        by: Principal,
        made_with: str | None = None,
    ) -> tuple[RoleBinding, ...]:
        """Take a role, or all of them, of those that a person has by now; return what it had.

        `made_with`: as in `add`. Raises NotFoundError if it has none such any more.
        """

        def decision() -> tuple[Changes, tuple[RoleBinding, ...]]:
            self._require_reach(name, by, f"change the roles of {name}", made_with)
            held = self._directory.roles_of(name)
            left = tuple(each for each in held if role not in (None, each))
            if left == held:
                raise NotFoundError(
                    f"user:{name} has no role{'' if role is None else ' ' + binding_text(role)}.",
                    next_step=f"It has {', '.join(map(binding_text, held)) or 'none'}.",
                )
            if is_node_owner(held) and not is_node_owner(left):
                self._directory.require_owner_left(without_user=name)
            return (self._roles_change(name, left),), held

        held = await self._directory.decide(decision)
        _log.warning("roles of user %s taken by %s", name, by.text)
        return held

    async def reset(self, name: str, *, by: Principal, made_with: str | None = None) -> str:
        """Take a person's password, second factor and sessions; return a new one-time code.

        `made_with`: as in `add`.
        """
        self._directory.require_no_pipeline(by, f"reset {name}")

        def decision() -> tuple[Changes, str]:
            user = self._require_reach(name, by, f"reset {name}", made_with)
            if user.oidc_subject is not None:
                raise ConflictError(
                    f"{name} comes by OIDC and has nothing to reset here.",
                    next_step=f"Reset it at {user.oidc_issuer}; `casemate users disable {name}` "
                    "ends its sessions.",
                )
            if user.password is not None:
                self._directory.require_owner_left(without_user=name)
            fresh, code = self._with_enrolment(user, self._directory.clock())
            fresh = msgspec.structs.replace(fresh, made_with=made_with)
            return (ReplaceUser(user=fresh), RevokeSessions(user=name)), code

        code = await self._directory.decide(decision)
        await self._attempts.forget_account(name)
        _log.warning("user %s reset by %s", name, by.text)
        return code

    async def set_disabled(
        self, name: str, disabled: bool, *, by: Principal, made_with: str | None = None
    ) -> None:
        """Let a person in no more, sessions included, or let it in again.

        `made_with`: as in `add`.
        """
        if not disabled:
            self._directory.require_no_pipeline(by, f"enable {name}")

        def decision() -> tuple[Changes, None]:
            user = self._require_reach(name, by, f"disable or enable {name}", made_with)
            if disabled:
                self._directory.require_owner_left(without_user=name)
            at = (user.disabled_at or self._directory.clock()) if disabled else None
            change = ReplaceUser(user=msgspec.structs.replace(user, disabled_at=at))
            # For good: who is let in again logs in again.
            return ((change, RevokeSessions(user=name)) if disabled else (change,)), None

        await self._directory.decide(decision)
        _log.warning("user %s %s by %s", name, "disabled" if disabled else "enabled", by.text)

    async def end_sessions(self, name: str, *, by: Principal) -> None:
        """End all sessions of a person, who may log in again. NotFoundError."""

        def decision() -> tuple[Changes, None]:
            self._directory.user(name)
            return (RevokeSessions(user=name),), None

        await self._directory.decide(decision)
        _log.warning("sessions of user %s ended by %s", name, by.text)

    async def remove(self, name: str, *, by: Principal, made_with: str | None = None) -> None:
        """Forget a person with its roles and sessions. `made_with`: as in `add`."""

        def decision() -> tuple[Changes, None]:
            self._require_reach(name, by, f"remove {name}", made_with)
            self._directory.require_owner_left(without_user=name)
            return (ForgetUser(user=name),), None

        await self._directory.decide(decision)
        await self._attempts.forget_account(name)
        _log.warning("user %s removed by %s", name, by.text)

    def all(self) -> tuple[User, ...]:
        """Return everybody, by name."""
        # In one go: a listing may be made on another thread while somebody is removed.
        return tuple(sorted(self._directory.users.values(), key=lambda user: user.name))

    def roles_of(self, name: str) -> tuple[RoleBinding, ...]:
        """Return a person's roles."""
        return self._directory.roles_of(name)

    def one(self, name: str) -> User:
        """Return a person (NotFoundError if there is none)."""
        return self._directory.user(name)

    def is_enrolled(self, user: User) -> bool:
        """Tell whether a person could log in now, were it not disabled."""
        return self._directory.can_get_in(msgspec.structs.replace(user, disabled_at=None))

    def seen_at(self, user: User) -> float | None:
        """Return when a person was last there, to the hour; None if never."""
        return self._directory.seen.at(user)

    def tokens_made_by(self, name: str) -> tuple[Token, ...]:
        """Return the service tokens in force that a person made: they outlive its account."""
        return self._directory.tokens_made_by(name)
