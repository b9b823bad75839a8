"""What is done once a use has been decided: each request's effect and its reply."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from casemate.capabilities import requests
from casemate.capabilities.labels import LabelledItem, LabelledObject, LabelledPage, kept
from casemate.data.interface import ProjectData
from casemate.model.deployment import Version
from casemate.model.errors import InvalidInputError
from casemate.vault.interface import Vault

TOKEN_SECONDS = 300


class Answer(msgspec.Struct, frozen=True):
    """The reply to one request. `descriptor`, if there is one, is the receiver's to close."""

    fields: Any
    body: bytes = b""
    descriptor: int | None = None


class Nothing(msgspec.Struct, frozen=True):
    """The fields of a reply that says no more than that it is done."""


class Upload(msgspec.Struct, frozen=True):
    """The id of an upload that was begun."""

    upload: str


class Size(msgspec.Struct, frozen=True):
    """The bytes an upload has."""

    size: int


class Sent(msgspec.Struct, frozen=True):
    """The id of a message."""

    id: str


class SignedToken(msgspec.Struct, frozen=True):
    """An identity token and its Unix time of expiry."""

    token: str
    expires_at: float


class Operations:
    """The effects of requests that need nothing of the invocation but its version."""

    def __init__(self, data: ProjectData, vault: Vault, issuer: str) -> None:
        """`issuer` is what identity tokens name as theirs: the node's address."""
        self._data = data
        self._vault = vault
        self._issuer = issuer
        self.by_type: dict[type, Callable[[str, Any, bytes], Awaitable[Answer]]] = {
            requests.GetObject: self._get_object,
            requests.HeadObject: self._head_object,
            requests.PutObject: self._put_object,
            requests.BeginObject: self._begin_object,
            requests.AddPart: self._add_part,
            requests.CommitObject: self._commit_object,
            requests.AbortObject: self._abort_object,
            requests.DeleteObject: self._delete_object,
            requests.ListObjects: self._list_objects,
            requests.GetItem: self._get_item,
            requests.PutItem: self._put_item,
            requests.DeleteItem: self._delete_item,
            requests.QueryItems: self._query_items,
            requests.SendMessage: self._send,
            requests.PublishMessage: self._publish,
            requests.GetSecret: self._secret,
        }

    def perform_at_once(self, project: str, request: requests.Request) -> Answer | None:
        """Return the answer if it takes no waiting, None if it does."""
        if type(request) is not requests.GetObject or request.revision is not None:
            return None
        found = self._data.get_recent_object(
            project, request.bucket, request.key, offset=request.offset, length=request.length
        )
        return None if found is None else Answer(LabelledObject.of(found[0]), found[1])

    # -- objects -------------------------------------------------------------------------------

    async def _get_object(self, project: str, r: requests.GetObject, _: bytes) -> Answer:
        info, content = await self._data.get_object(
            project, r.bucket, r.key, revision=r.revision, offset=r.offset, length=r.length
        )
        return Answer(LabelledObject.of(info), content)

    async def _head_object(self, project: str, r: requests.HeadObject, _: bytes) -> Answer:
        return Answer(await self._data.head_object(project, r.bucket, r.key, r.revision))

    async def _put_object(self, project: str, r: requests.PutObject, body: bytes) -> Answer:
        info = await self._data.put_object(
            project,
            r.bucket,
            r.key,
            body,
            content_type=r.content_type,
            metadata=r.metadata,
            if_revision=r.if_revision,
            labels=kept(r.labels),
        )
        return Answer(info)

    async def _begin_object(self, project: str, r: requests.BeginObject, _: bytes) -> Answer:
        upload = await self._data.begin_object(
            project, r.bucket, r.key, content_type=r.content_type, metadata=r.metadata
        )
        return Answer(Upload(upload))

    async def _add_part(self, project: str, r: requests.AddPart, body: bytes) -> Answer:
        return Answer(Size(await self._data.add_part(project, r.bucket, r.upload, body)))

    async def _commit_object(self, project: str, r: requests.CommitObject, _: bytes) -> Answer:
        return Answer(
            await self._data.commit_object(
                project,
                r.bucket,
                r.upload,
                if_revision=r.if_revision,
                labels=kept(r.labels),
            )
        )

    async def _abort_object(self, project: str, r: requests.AbortObject, _: bytes) -> Answer:
        await self._data.abort_object(project, r.bucket, r.upload)
        return Answer(Nothing())

    async def _delete_object(self, project: str, r: requests.DeleteObject, _: bytes) -> Answer:
        await self._data.delete_object(project, r.bucket, r.key, if_revision=r.if_revision)
        return Answer(Nothing())

    async def _list_objects(self, project: str, r: requests.ListObjects, _: bytes) -> Answer:
        return Answer(
            await self._data.list_objects(
                project,
                r.bucket,
                prefix=r.prefix,
                after=r.after,
                limit=r.limit,
                delimiter=r.delimiter,
            )
        )

    # -- items ---------------------------------------------------------------------------------

    async def _get_item(self, project: str, r: requests.GetItem, _: bytes) -> Answer:
        item = await self._data.get_item(project, r.table, r.key, r.sort)
        return Answer(Nothing(), msgspec.json.encode(LabelledItem.of(item)))

    async def _put_item(self, project: str, r: requests.PutItem, body: bytes) -> Answer:
        try:
            value = msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise InvalidInputError("An item is a JSON object.") from error
        item = await self._data.put_item(
            project, r.table, value, if_revision=r.if_revision, labels=kept(r.labels)
        )
        return Answer(LabelledItem({}, item.revision, item.modified_at))

    async def _delete_item(self, project: str, r: requests.DeleteItem, _: bytes) -> Answer:
        await self._data.delete_item(project, r.table, r.key, r.sort, if_revision=r.if_revision)
        return Answer(Nothing())

    async def _query_items(self, project: str, r: requests.QueryItems, _: bytes) -> Answer:
        page = await self._data.query_items(
            project,
            r.table,
            key=r.key,
            index=r.index,
            sort=r.sort,
            after=r.after,
            limit=r.limit,
            descending=r.descending,
        )
        return Answer(Nothing(), msgspec.json.encode(LabelledPage.of(page)))

    # -- messages ------------------------------------------------------------------------------

    async def _send(self, project: str, r: requests.SendMessage, body: bytes) -> Answer:
        identity = await self._data.send(
            project,
            "queue",
            r.queue,
            body,
            delay=r.delay,
            deduplication=r.deduplication,
            key=r.key,
            priority=r.priority,
            labels=kept(r.labels),
            attributes=r.attributes,
        )
        return Answer(Sent(identity))

    async def _publish(self, project: str, r: requests.PublishMessage, body: bytes) -> Answer:
        identity = await self._data.send(
            project,
            "topic",
            r.topic,
            body,
            deduplication=r.deduplication,
            labels=kept(r.labels),
            attributes=r.attributes,
        )
        return Answer(Sent(identity))

    # -- the vault -----------------------------------------------------------------------------

    async def _secret(self, project: str, r: requests.GetSecret, _: bytes) -> Answer:
        """Have the vault write the value into a pipe, whose other end the instance gets."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            version = await self._vault.deliver_secret(project, r.name, r.version, writing)
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
        return Answer(SignedToken(token, float(now + TOKEN_SECONDS)))
