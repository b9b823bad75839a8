"""What tests of accounts share: a store and a vault in memory, a clock, an authenticator."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
from argon2 import PasswordHasher

from casemate.accounts import Accounts, Issued
from casemate.accounts.passwords import PasswordHashing
from casemate.accounts.totp import code_at
from casemate.model.account import Token, User, UserRoles
from casemate.model.denial import Denial
from casemate.model.errors import CasemateError, ConflictError, NotFoundError
from casemate.model.principal import BUILT_IN_ROLES, OWNER, Principal, PrincipalKind, RoleBinding
from casemate.operations.accounts import (
    AcceptTotpStep,
    ChangeAccounts,
    ForgetUser,
    KeepToken,
    KeepTokenUse,
    KeepUser,
    KeepUserRoles,
    ReadTokens,
    ReadUserRoles,
    ReadUsers,
    ReplaceUser,
    RequireUser,
    RevokeSessions,
    RevokeTokens,
    UseOnce,
)
from casemate.operations.declaration import Operation
from casemate.operations.node import KeepNodeValue, ReadNodeValue, ReadNodeValues
from casemate.operations.performing import Performed, Performers
from casemate.store import StoreMovedError, UsedBeforeError
from support.facts import stream

T = TypeVar("T")
PASSWORD = "violin-otter-granite-seven"
NODE_OWNER = (RoleBinding(role=OWNER),)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


performs = Performers()


class MemoryStore:
    """The part of a store that accounts use, with its conflicts."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.by_name: dict[str, User] = {}
        self.bindings: dict[str, UserRoles] = {}
        self.by_id: dict[str, Token] = {}
        self.values: dict[str, bytes] = {}
        self.used: dict[tuple[str, str], float] = {}
        self.fault: CasemateError | None = None

    async def read(self, operation: Operation[T]) -> T:
        return await _PERFORMED.reading(operation)(self, operation)

    async def change(self, operation: Operation[T]) -> T:
        if self.fault is not None:
            raise self.fault
        return await _PERFORMED.changing(operation)(self, operation)

    @performs(ReadUsers)
    async def _users(self, _operation: ReadUsers) -> tuple[User, ...]:
        return tuple(self.by_name.values())

    @performs(ReadUserRoles)
    async def _roles(self, _operation: ReadUserRoles) -> tuple[UserRoles, ...]:
        return tuple(self.bindings.values())

    @performs(ReadTokens)
    async def _tokens(self, _operation: ReadTokens) -> tuple[Token, ...]:
        return tuple(self.by_id.values())

    @performs(KeepUser)
    async def _add_user(self, operation: KeepUser) -> User:
        user = operation.user
        identities = {(u.oidc_issuer, u.oidc_subject) for u in self.by_name.values()}
        taken = user.oidc_subject and (user.oidc_issuer, user.oidc_subject) in identities
        if user.name in self.by_name or taken:
            raise ConflictError("taken")
        self.by_name[user.name] = user
        return user

    @performs(ReplaceUser)
    async def _replace_user(self, operation: ReplaceUser) -> None:
        self.by_name[operation.user.name] = operation.user

    @performs(AcceptTotpStep)
    async def _accept_totp_step(self, operation: AcceptTotpStep) -> bool:
        user = self.by_name[operation.user]
        if operation.step <= user.totp_last:
            return False
        self.by_name[user.name] = msgspec.structs.replace(user, totp_last=operation.step)
        return True

    @performs(ForgetUser)
    async def _remove_user(self, operation: ForgetUser) -> None:
        del self.by_name[operation.user]
        self.bindings.pop(operation.user, None)
        await self.change(RevokeSessions(user=operation.user))

    @performs(KeepUserRoles)
    async def _set_roles(self, operation: KeepUserRoles) -> None:
        self.bindings[operation.roles.user] = operation.roles

    @performs(KeepToken)
    async def _add_token(self, operation: KeepToken) -> None:
        token = operation.token
        names = {t.name for t in self.by_id.values() if t.user is None and t.revoked_at is None}
        if token.user is None and token.name in names:
            raise ConflictError("taken")
        self.by_id[token.id] = token

    @performs(RevokeTokens)
    async def _revoke_tokens(self, operation: RevokeTokens) -> tuple[Token, ...]:
        if not self.by_id.keys() >= set(operation.ids):
            raise NotFoundError("none")
        for token_id in operation.ids:
            token = self.by_id[token_id]
            if token.revoked_at is None:
                self.by_id[token_id] = msgspec.structs.replace(token, revoked_at=self.clock())
        return tuple(map(self.by_id.__getitem__, operation.ids))

    @performs(RevokeSessions)
    async def _revoke_tokens_of(self, operation: RevokeSessions) -> int:
        everybody = self.by_id.values()
        mine = [t.id for t in everybody if t.user == operation.user and t.revoked_at is None]
        return len(await self.change(RevokeTokens(ids=tuple(mine))))

    @performs(KeepTokenUse)
    async def _touch_tokens(self, operation: KeepTokenUse) -> None:
        for token_id, at in operation.used.items():
            if token_id in self.by_id:
                self.by_id[token_id] = msgspec.structs.replace(
                    self.by_id[token_id], last_used_at=at
                )

    @performs(RequireUser)
    async def _require_user(self, operation: RequireUser) -> None:
        kept, given = self.by_name.get(operation.user.name), operation.user
        if kept is None or (kept.password, kept.totp) != (given.password, given.totp):
            raise StoreMovedError

    @performs(UseOnce)
    async def _use_once(self, operation: UseOnce) -> bool:
        key = (operation.kind, operation.name)
        if self.used.get(key, 0.0) > self.clock():
            return False
        self.used[key] = self.clock() + operation.seconds
        return True

    @performs(ChangeAccounts)
    async def _change_all(self, operation: ChangeAccounts) -> tuple[Any, ...]:
        kept = {name: dict(value) for name, value in vars(self).items() if type(value) is dict}
        answers = []
        try:
            for each in operation.changes:
                answers.append(await self.change(each))
                if answers[-1] is False:
                    raise UsedBeforeError
        except CasemateError:
            vars(self).update(kept)
            raise
        return tuple(answers)

    @performs(ReadNodeValue)
    async def _node_value(self, operation: ReadNodeValue) -> bytes | None:
        return self.values.get(operation.name)

    @performs(ReadNodeValues)
    async def _node_values(self, operation: ReadNodeValues) -> tuple[bytes | None, ...]:
        return tuple(map(self.values.get, operation.names))

    @performs(KeepNodeValue)
    async def _set_node_value(self, operation: KeepNodeValue) -> None:
        self.values[operation.name] = operation.value


_PERFORMED = Performed(performs)


class MemoryVault:
    """Wraps small values, bound to their context; what it gives does not show them."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self.unwrapped: list[str] = []

    def _stream(self, context: str, nonce: bytes, length: int) -> bytes:
        seed = hmac.digest(self._key, context.encode() + b"\x00" + nonce, "sha256")
        return hashlib.shake_256(seed).digest(length)

    def _tag(self, context: str, body: bytes) -> bytes:
        return hmac.digest(self._key, context.encode() + b"\x01" + body, "sha256")

    async def wrap(self, context: str, value: bytes) -> bytes:
        nonce = secrets.token_bytes(16)
        stream = self._stream(context, nonce, len(value))
        body = nonce + bytes(a ^ b for a, b in zip(value, stream, strict=True))
        return body + self._tag(context, body)

    async def unwrap(self, context: str, wrapped: bytes) -> bytes:
        self.unwrapped.append(context)
        body, tag = wrapped[:-32], wrapped[-32:]
        if not hmac.compare_digest(tag, self._tag(context, body)):
            raise CasemateError("not wrapped for this")
        stream = self._stream(context, body[:16], len(body) - 16)
        return bytes(a ^ b for a, b in zip(body[16:], stream, strict=True))


FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""What a password costs where a test is not about that."""


class World:
    """Accounts on a store in memory, loaded, with an owner's token."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.vault = MemoryVault()
        self.denials: list[Denial] = []
        self.facts = stream(self.denials.append)
        self.role_names = frozenset(BUILT_IN_ROLES) | {"deployer"}
        self.settings = settings
        self.secrets: dict[str, bytes] = {}
        self.owner_text = ""
        self.accounts = self.start()

    def start(self) -> Accounts:
        """Make the accounts anew from what is stored, as after a restart."""
        self.accounts = Accounts(
            self.store,  # type: ignore[arg-type]
            self.vault,  # type: ignore[arg-type]
            roles=lambda: self.role_names,
            happened=self.facts.happened,
            clock=self.clock,
            **{"hashing": PasswordHashing(FAST), **self.settings},
        )
        self.owner_text = self.run(self.accounts.load()) or self.owner_text
        return self.accounts

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def who(self, text: str) -> Principal | None:
        return self.accounts.authenticate(f"Bearer {text}")

    @property
    def owner(self) -> Principal:
        found = self.who(self.owner_text)
        assert found is not None
        return found

    def code(self, name: str, steps: int = 0) -> str:
        return code_at(self.secrets[name], int(self.clock()) // 30 + steps)

    async def enrol(self, name: str, code: str, password: str = PASSWORD) -> None:
        uri = await self.accounts.enrolment.begin(name, code, password, "10.0.0.9")
        self.secrets[name] = secret_of(uri)
        await self.accounts.enrolment.confirm(name, code, self.code(name), "10.0.0.9")
        self.clock.now += 30  # that code is used

    def person(self, name: str, *bindings: RoleBinding) -> None:
        """Add a person and enrol it."""

        async def work() -> None:
            code = await self.accounts.people.add(name, bindings, by=self.owner)
            assert code is not None
            await self.enrol(name, code)

        self.run(work())

    def login(self, name: str, password: str = PASSWORD, remote: str = "10.0.0.9") -> Issued:
        issued = self.run(self.accounts.sessions.login(name, password, self.code(name), remote))
        self.clock.now += 30
        return issued


def secret_of(uri: str) -> bytes:
    """Return the secret in an otpauth URI, as an authenticator reads it."""
    import base64

    text = parse_qs(urlsplit(uri).query)["secret"][0]
    assert re.fullmatch("[A-Z2-7]+", text)
    return base64.b32decode(text + "=" * (-len(text) % 8))


def function_principal() -> Principal:
    return Principal(kind=PrincipalKind.FUNCTION, id="shop/cart")
