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


class MemoryStore:
    """The part of a store that accounts use, with its conflicts."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.by_name: dict[str, User] = {}
        self.bindings: dict[str, UserRoles] = {}
        self.by_id: dict[str, Token] = {}
        self.values: dict[str, bytes] = {}
        self.fault: CasemateError | None = None

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def users(self) -> tuple[User, ...]:
        return tuple(self.by_name.values())

    async def roles(self) -> tuple[UserRoles, ...]:
        return tuple(self.bindings.values())

    async def tokens(self) -> tuple[Token, ...]:
        return tuple(self.by_id.values())

    async def add_user(self, user: User) -> None:
        self._check()
        identities = {(u.oidc_issuer, u.oidc_subject) for u in self.by_name.values()}
        taken = user.oidc_subject and (user.oidc_issuer, user.oidc_subject) in identities
        if user.name in self.by_name or taken:
            raise ConflictError("taken")
        self.by_name[user.name] = user

    async def replace_user(self, user: User) -> None:
        self._check()
        self.by_name[user.name] = user

    async def accept_totp_step(self, name: str, step: int) -> bool:
        self._check()
        user = self.by_name[name]
        if step <= user.totp_last:
            return False
        self.by_name[name] = msgspec.structs.replace(user, totp_last=step)
        return True

    async def remove_user(self, name: str) -> None:
        self._check()
        del self.by_name[name]
        self.bindings.pop(name, None)
        await self.revoke_tokens_of(name)

    async def set_roles(self, roles: UserRoles) -> None:
        self._check()
        self.bindings[roles.user] = roles

    async def add_token(self, token: Token) -> None:
        self._check()
        names = {t.name for t in self.by_id.values() if t.user is None and t.revoked_at is None}
        if token.user is None and token.name in names:
            raise ConflictError("taken")
        self.by_id[token.id] = token

    async def revoke_tokens(self, token_ids: tuple[str, ...]) -> tuple[Token, ...]:
        self._check()
        if not self.by_id.keys() >= set(token_ids):
            raise NotFoundError("none")
        for token_id in token_ids:
            token = self.by_id[token_id]
            if token.revoked_at is None:
                self.by_id[token_id] = msgspec.structs.replace(token, revoked_at=self.clock())
        return tuple(map(self.by_id.__getitem__, token_ids))

    async def revoke_tokens_of(self, user: str) -> int:
        self._check()
        mine = [t for t in self.by_id.values() if t.user == user and t.revoked_at is None]
        for token in mine:
            await self.revoke_tokens((token.id,))
        return len(mine)

    async def touch_tokens(self, used: dict[str, float]) -> None:
        self._check()
        for token_id, at in used.items():
            if token_id in self.by_id:
                self.by_id[token_id] = msgspec.structs.replace(
                    self.by_id[token_id], last_used_at=at
                )

    async def node_value(self, name: str) -> bytes | None:
        return self.values.get(name)

    async def set_node_value(self, name: str, value: bytes) -> None:
        self._check()
        self.values[name] = value


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
