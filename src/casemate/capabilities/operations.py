"""What is done once a use has been decided: each operation's effect and its reply."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from casemate.capabilities.labels import LabelledItem, LabelledObject, LabelledPage
from casemate.data.interface import ProjectData
from casemate.model.data import Item, ItemPage, ObjectInfo
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.operations.declaration import Operation
from casemate.operations.items import GetItem, PutItem, QueryItems
from casemate.operations.objects import ReadObject
from casemate.operations.performing import asked
from casemate.operations.uses import ReadSecret, SignedToken
from casemate.vault.interface import Vault

TOKEN_SECONDS = 300


class Answer(msgspec.Struct, frozen=True):
    """The reply to one request. `descriptor`, if there is one, is the receiver's to close."""

    fields: Any
    body: bytes = b""
    descriptor: int | None = None


class Nothing(msgspec.Struct, frozen=True):
    """The fields of a reply that says no more than that it is done."""


def _object(found: tuple[ObjectInfo, bytes]) -> Answer:
    return Answer(LabelledObject.of(found[0]), found[1])


def _item(item: Item) -> Answer:
    return Answer(Nothing(), msgspec.json.encode(LabelledItem.of(item)))


def _written(item: Item) -> Answer:
    return Answer(LabelledItem({}, item.revision, item.modified_at))


def _page(page: ItemPage) -> Answer:
    return Answer(Nothing(), msgspec.json.encode(LabelledPage.of(page)))


_REPLIES: dict[type[Operation[Any]], Callable[[Any], Answer]] = {
    ReadObject: _object,
    GetItem: _item,
    PutItem: _written,
    QueryItems: _page,
}
"""Answers that a function gets in another form than they are, for their labels or their size."""


class Operations:
    """The effects of operations that need nothing of the invocation but its version."""

    def __init__(self, data: ProjectData, vault: Vault, issuer: str) -> None:
        """`issuer` is what identity tokens name as theirs: the node's address."""
        self._data = data
        self._vault = vault
        self._issuer = issuer

    def perform_at_once(self, operation: Operation[Any]) -> Answer | None:
        """Return the answer if it takes no waiting, None if it does."""
        if type(operation) is not ReadObject or operation.revision is not None:
            return None
        found = self._data.recent(operation)
        return None if found is None else _object(found)

    async def perform(self, operation: Operation[Any]) -> Answer:
        """Do it, and return the answer."""
        if type(operation) is ReadSecret:
            return await self._secret(operation)
        answer = await asked(self._data, operation)
        reply = _REPLIES.get(type(operation))
        if reply is not None:
            return reply(answer)
        return Answer(Nothing() if answer is None else answer)

    async def _secret(self, operation: ReadSecret) -> Answer:
        """Have the vault write the value into a pipe, whose other end the instance gets."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            version = await self._vault.deliver_secret(
                operation.project, operation.name, operation.version, writing
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return Answer(version, b"", reading)

    async def identity_token(
        self, version: Version, invocation: str, chain: tuple[str, ...], audience: str
    ) -> Answer:
        """Return a token that says which function this is, and how it came to run."""
        if not audience.isprintable():
            raise InvalidInputError("The audience has characters that cannot be printed.")
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": f"function:{version.project}/{version.function}",
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_SECONDS,
            "jti": secrets.token_hex(16),
            "casemate": {
                "project": version.project,
                "function": version.function,
                "version": version.number,
                "invocation": invocation,
                "chain": list(chain),
            },
        }
        token = await self._vault.sign_token(claims)
        return Answer(SignedToken(token=token, expires_at=float(now + TOKEN_SECONDS)))
