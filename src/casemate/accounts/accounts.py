"""The accounts of a node: one object that holds its parts together."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable

from casemate.accounts.directory import Directory
from casemate.accounts.enrolment import Enrolment
from casemate.accounts.passwords import PasswordHashing
from casemate.accounts.people import People
from casemate.accounts.provider_login import ProviderLogin
from casemate.accounts.refusals import Refusals
from casemate.accounts.service_tokens import RECOVERY_SECONDS, ServiceTokens
from casemate.accounts.sessions import Sessions
from casemate.accounts.throttle import Throttle
from casemate.accounts.workloads import Workloads
from casemate.model.errors import CasemateError
from casemate.model.facts import Fact, SignedIn
from casemate.model.function import NAME_PATTERN
from casemate.model.nodes import MAX_CLOCK_OFF
from casemate.model.principal import ANONYMOUS, Checked, Principal, PrincipalKind
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store import Decisions
from casemate.store.interface import Store
from casemate.vault.interface import Vault

SESSION_SECONDS = 12 * 3600.0
MAINTENANCE_SECONDS = 15.0
BEGUN = "accounts/begun"
"""Name of the node value that says that the first owner's token was made."""

RECOVERED = "serve --recover-owner"
"""How somebody signed in for whom whoever runs the node had an owner's token made."""
_MOST_MAKERS = 64
"""Tokens that were made with each other, one after the other: more than can be made now."""
_NAME = NAME_PATTERN.removeprefix("^").removesuffix("$")
_FUNCTION = re.compile(rf"{_NAME}/{_NAME}")
_log = logging.getLogger("casemate.accounts")


class Accounts:
    """People, service tokens and sessions, and who a caller is.

    `authenticate` and `principal_of` work in memory and neither wait nor raise; all else is stored
    before it returns. Decides nothing: that is the policy's.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        *,
        roles: Callable[[], frozenset[str]],
        happened: Callable[[Fact], None],
        clock: Callable[[], float] = time.time,
        session_seconds: float = SESSION_SECONDS,
        session_idle: float | None = None,
        hashing: PasswordHashing | None = None,
        decisions: Decisions | None = None,
        deleting: Callable[[], float] | None = None,
    ) -> None:
        """Work on the store. `roles` gives the roles that exist, `happened` is told who
        signed in and who was refused.

        `hashing` is how passwords are hashed, without one as PasswordHashing does by itself.

        `decisions` make what was decided on what is in memory; a node alone needs none.

        `deleting` is the time by which tokens that are over are forgotten, without it `clock`.

        A session ends after `session_seconds`, and after `session_idle` seconds without a request
        where that is given. Nobody is let in before `load`.
        """
        self._store = store
        self._happened = happened
        self._directory = Directory(store, clock, session_idle, decisions, deleting)
        self._refusals = Refusals(happened, clock)
        self._hashing = hashing or PasswordHashing()
        attempts = Throttle(clock, store)
        guards = (attempts, self._refusals)
        self.people = People(self._directory, attempts, roles)
        self.tokens = ServiceTokens(self._directory, roles)
        self.enrolment = Enrolment(self._directory, vault, self._hashing, *guards)
        self.sessions = Sessions(
            self._directory,
            vault,
            self._hashing,
            *guards,
            happened=happened,
            seconds=session_seconds,
        )
        self.provider = ProviderLogin(
            store, vault, self._directory, self.sessions, *guards, happened=happened
        )
        self.workloads = Workloads(store, self._directory, roles, *guards, happened=happened)
        self._directory.renew = self._renew

    def check(self, authorization: str | None, before: Checked | None = None) -> Checked:
        """Return what `authenticate` finds, to be confirmed by it a moment later.

        That is what was found `before` for the same value, if nothing can have changed since.
        """
        return self._directory.index.check(authorization, before)

    def authenticate(
        self, authorization: str | None, checked: Checked | None = None
    ) -> Principal | None:
        """Return the principal of an Authorization header's value, or None. A few microseconds.

        `checked` is what was found a moment ago; it is used if nothing has changed since.
        """
        return self._directory.index.authenticate(authorization, checked)

    async def load(self, *, recover_owner: bool = False) -> str | None:
        """Read what is stored; return the text of a new owner's token if one was made.

        That is on the very first start, and with `recover_owner`, which whoever runs the node may
        give when no owner can get in any more; that token is valid for a day.
        """
        await self.reload()
        begun = await self._store.read(ReadNodeValue(name=BEGUN))
        text = None
        kept = KeepNodeValue(name=BEGUN, value=b"1")
        if not begun:
            made = await self.tokens.add_first_owner("bootstrap", kept)
            text = None if made is None else made.text
        if text is None and recover_owner:
            name = f"recovery-{int(self._directory.clock())}"
            made = await self.tokens.add_owner(name, seconds=RECOVERY_SECONDS)
            text = made.text
            by = f"{PrincipalKind.TOKEN}:{made.token.id}"
            # Nobody was asked who they are: who runs the node has broken the glass.
            self._happened(SignedIn(at=self._directory.clock(), by=by, method=RECOVERED))
        return text

    async def reload(self) -> None:
        """Read again what is stored: nobody is let in any more who is not. Raises StoreError."""
        async with self._directory.lock:
            await self._renew()

    async def _renew(self) -> None:
        await self._directory.load()
        await self.provider.load()
        await self.workloads.load()

    def principal_of(self, text: str) -> Principal | None:
        """Return the principal that a text names, with the bindings stored for it, or None.

        Forms: `user:NAME`, `token:ID`, `function:PROJECT/NAME`, `anonymous:public`. For questions
        about what one may do; it authenticates nobody.
        """
        kind, _, name = text.partition(":")
        if text == ANONYMOUS.text:
            return ANONYMOUS
        if kind == PrincipalKind.USER:
            user = self._directory.users.get(name)
            if user is None or user.disabled_at is not None:
                return None
            bindings = self._directory.roles_of(name)
            return Principal(kind=PrincipalKind.USER, id=name, bindings=bindings)
        if kind == PrincipalKind.TOKEN:
            return self._directory.token_principal(name)
        if kind == PrincipalKind.FUNCTION and _FUNCTION.fullmatch(name):
            return Principal(kind=PrincipalKind.FUNCTION, id=name)
        return None

    def is_bound(self, project: str) -> bool:
        """Tell whether some user has a role in a project by its name."""
        return self._directory.is_bound(project)

    def answerable(self, caller: str) -> str:
        """Return who answers for a caller, given as `Principal.text`.

        For a token that is who made it; for a function or trigger, its project. A token that the
        node made answers for itself: nobody knows whose it is.
        """
        for _ in range(_MOST_MAKERS):
            kind, _, name = caller.partition(":")
            if kind in (PrincipalKind.FUNCTION, PrincipalKind.TRIGGER):
                return f"project:{name.partition('/')[0]}"
            if kind != PrincipalKind.TOKEN:
                break
            token = self._directory.tokens.get(name)
            if token is None:
                return self._directory.pipelines.get(name, caller)
            if token.created_by == caller or ":" not in token.created_by:
                break
            caller = token.created_by
        return caller

    def there_since(self, text: str) -> float | None:
        """Return since when (Unix time) there is who a text names; None if they may not come in.

        What somebody of that name had before is not theirs.
        """
        if self.principal_of(text) is None:
            return None
        kind, _, name = text.partition(":")
        if kind == PrincipalKind.USER:
            return self._directory.users[name].created_at
        return self._directory.tokens[name].created_at if kind == PrincipalKind.TOKEN else None

    def as_keeper(self, text: str) -> Principal | None:
        """Return who had something kept to be done later, with the roles stored for it now.

        Also of a token whose time is over: what it had begun in its time goes on. None of whom
        nothing is known any more, and who never was a person, a token or a caller without one.
        """
        kind, _, name = text.partition(":")
        if kind == PrincipalKind.ANONYMOUS:
            return ANONYMOUS
        if kind == PrincipalKind.TOKEN:
            token = self._directory.tokens.get(name)
            if token is None:
                return None
            return Principal(kind=PrincipalKind.TOKEN, id=name, bindings=token.bindings)
        if kind != PrincipalKind.USER:
            return None
        bindings = self._directory.roles_of(name)
        return Principal(kind=PrincipalKind.USER, id=name, bindings=bindings)

    def sent_away(self, text: str) -> float | None:
        """Return since when (Unix time) a person or token may do nothing any more, None if it may.

        Sent away is who was revoked, disabled or removed, and nobody whose time was over: what
        they had begun in their time goes on.
        """
        kind, _, name = text.partition(":")
        if kind == PrincipalKind.TOKEN:
            token = self._directory.tokens.get(name)
            return None if token is None else token.revoked_at
        if kind != PrincipalKind.USER:
            return None
        user = self._directory.users.get(name)
        if user is not None:
            # What somebody of that name had kept before is of one who was removed.
            if user.disabled_at is None:
                return user.created_at
            # It is a time of the node where that was done, what was kept one of the database's.
            return user.disabled_at + (MAX_CLOCK_OFF if self._directory.shared else 0.0)
        # Removed: with all sessions, which are remembered for longer than an event waits.
        return self._directory.sessions_ended.get(name, float("inf"))

    async def maintain(self) -> None:
        """Write what is noted in memory, every few seconds until cancelled."""
        while True:
            await asyncio.sleep(MAINTENANCE_SECONDS)
            try:
                await self.flush()
            except CasemateError as error:
                _log.error("the use of tokens could not be recorded: %s", error)

    async def flush(self) -> None:
        """Record refusals and uses noted so far, and forget what is over."""
        self._refusals.flush()
        self.enrolment.drop_expired()
        await self._directory.flush_usage()

    async def close(self) -> None:
        """Write what is noted and let the threads end."""
        self._hashing.close()
        await self.flush()
