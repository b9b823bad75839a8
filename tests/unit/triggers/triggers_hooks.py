"""Senders of web hooks as they are, and the parts that a hook needs around it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import msgspec

from casemate.data.interface import InvocationState, InvocationStatus, NewMessage
from casemate.model.denial import Denial
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.event import Event
from casemate.model.function import FunctionSpec, Limits
from casemate.model.http import HttpHead, HttpRequest, HttpResponse
from casemate.model.trigger import AnyTrigger, RepositoryTrigger, S3Trigger
from casemate.operations.invocations import FindInvocation
from casemate.operations.leases import KeepMessages
from casemate.policy import CedarPolicy
from casemate.triggers.hooks import Hooks
from casemate.vault.interface import Mac
from casemate.vault.verifying import is_equal, is_hard_to_guess, is_signed

SECRET = b"a secret that the sender has, too"
Headers = dict[str, str]


class HookVault:
    """The vault's two questions, with its own comparison; it counts them."""

    def __init__(self) -> None:
        self.secrets = {("shop", "hook-key"): SECRET}
        self.asked: list[tuple[str, ...]] = []
        self.fault: CasemateError | None = None

    def _value(self, *asked: str) -> bytes:
        self.asked.append(asked)
        if self.fault is not None:
            raise self.fault
        if asked not in self.secrets:
            raise NotFoundError
        return self.secrets[asked]  # type: ignore[index]

    async def verify_hmac(
        self, project: str, secret: str, algorithm: Mac, message: bytes, signature: bytes
    ) -> bool:
        return is_signed(self._value(project, secret), algorithm, message, signature)

    async def verify_equal(self, project: str, secret: str, value: bytes) -> bool:
        return is_equal(self._value(project, secret), value)

    async def resists_guessing(self, project: str, secret: str) -> bool:
        return is_hard_to_guess(self._value(project, secret))


class HookData:
    """Inboxes that know what they were sent before."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, str, NewMessage]] = []
        self.known: dict[str, str] = {}
        self.forgotten: set[str] = set()
        """Invocations whose end is not remembered any more."""
        self.fault: CasemateError | None = None

    async def change(self, operation: KeepMessages) -> tuple[str, ...]:
        if self.fault is not None:
            raise self.fault
        project, kind, name = operation.project, operation.kind, operation.name
        ids = []
        for message in operation.messages:
            token = f"{project} {name} {message.deduplication}"
            if message.deduplication is None or token not in self.known:
                self.known[token] = f"{len(self.kept):016x}"
                self.kept.append((project, kind, name, message))
            ids.append(self.known[token])
        return tuple(ids)

    async def read(self, operation: FindInvocation) -> InvocationStatus:
        project, invocation = operation.project, operation.invocation
        for in_project, _, name, message in self.kept:
            if invocation in self.forgotten:
                raise NotFoundError
            if (in_project, message.invocation) == (project, invocation):
                return InvocationStatus(
                    id=invocation,
                    function=name,
                    state=InvocationState.QUEUED,
                    attempts=0,
                    accepted_at=0.0,
                )
        raise NotFoundError

    def events(self) -> list[Event]:
        return [msgspec.json.decode(kept[3].body, type=Event) for kept in self.kept]


def hook_version(*triggers: AnyTrigger, number: int = 1, **spec: Any) -> Version:
    return Version(
        project="shop",
        function="tell",
        number=number,
        digest="d",
        spec=FunctionSpec(name="tell", handler="a:h", triggers=triggers, **spec),
        created_at=0.0,
        created_by="token:x",
    )


def repository(provider: str, **changes: Any) -> RepositoryTrigger:
    values: dict[str, Any] = {"name": "code", "provider": provider, "secret": "hook-key"}
    return RepositoryTrigger(**{**values, **changes})


def storage(**changes: Any) -> S3Trigger:
    return S3Trigger(**{"name": "files", "secret": "hook-key", **changes})


class HookNode:
    """A node's hooks with what is around them."""

    def __init__(self, *triggers: AnyTrigger, **spec: Any) -> None:
        self.now = time.time()
        self.passed = 0.0
        self.vault, self.data, self.policy = HookVault(), HookData(), CedarPolicy()
        self.policy.activate(self.policy.prepare([]))
        self.denied: list[Denial] = []
        self.nowhere: list[bool] = []
        self.hooks = Hooks(
            self.vault,  # type: ignore[arg-type]
            self.data,  # type: ignore[arg-type]
            self.policy,
            self.denied.append,
            self._nowhere,
            clock=lambda: self.now,
            monotonic=lambda: self.passed,
        )
        self.hooks.replace([hook_version(*triggers, **spec)])

    async def send(
        self,
        headers: Headers,
        body: bytes,
        *,
        path: str = "/hooks/shop/tell/code",
        method: str = "POST",
        peer: str = "192.0.2.7",
    ) -> HttpResponse:
        pairs = tuple((n.lower().encode(), v.encode("latin-1")) for n, v in headers.items())
        return await self.hooks.handle(HttpRequest(HttpHead(method, path, "", pairs, peer), body))

    def _nowhere(self, request: HttpRequest, *, recorded: bool) -> HttpResponse:
        self.nowhere.append(recorded)
        return HttpResponse(401, (), b"nothing here")


def of_one(*triggers: AnyTrigger, limit: int | None = None) -> HookNode:
    """Return a node whose function takes `limit` bytes."""
    limits = Limits() if limit is None else Limits(request=limit)
    return HookNode(*triggers, limits=limits)


def mac(message: bytes, key: bytes = SECRET) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


PUSH: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    "after": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
    "repository": {
        "full_name": "example/shop",
        "html_url": "https://git.example.org/example/shop",
    },
    "sender": {"login": "ada"},
    "commits": [{"id": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", "message": "Fix the till"}],
}
GITLAB_PUSH: dict[str, Any] = {
    "object_kind": "push",
    "ref": "refs/heads/main",
    "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
    "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    "checkout_sha": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    "user_username": "ada",
    "project": {
        "path_with_namespace": "example/shop",
        "web_url": "https://gitlab.example.org/example/shop",
    },
}
GIT_PUSH: dict[str, Any] = {
    "event": "push",
    "repository": "ssh://git.example.org/shop.git",
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "a" * 40,
    "sender": "ada",
}


def github(
    payload: object, *, event: str = "push", delivery: str = "72d3162e", key: bytes = SECRET
) -> tuple[Headers, bytes]:
    body = json.dumps(payload).encode()
    headers = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={mac(body, key).hex()}",
        "Content-Type": "application/json",
    }
    return headers, body


def gitea(
    payload: object, *, event: str = "push", delivery: str = "f6266f16", key: bytes = SECRET
) -> tuple[Headers, bytes]:
    body = json.dumps(payload).encode()
    headers = {
        "X-Gitea-Event": event,
        "X-Gitea-Delivery": delivery,
        "X-Gitea-Signature": mac(body, key).hex(),
    }
    return headers, body


def gitlab(payload: object, *, delivery: str = "13792a34", key: bytes = SECRET):
    headers = {
        "X-Gitlab-Event": "Push Hook",
        "X-Gitlab-Token": key.decode(),
        "Idempotency-Key": delivery,
    }
    return headers, json.dumps(payload).encode()


def standard(payload: object, *, delivery: str = "msg_1", at: float, key: bytes = SECRET):
    """What GitLab sends with a signing token, and the hook of a plain repository."""
    body = json.dumps(payload).encode()
    stamp = str(int(at))
    signed = mac(f"{delivery}.{stamp}.".encode() + body, key)
    headers = {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    return headers, body


def record(key: str = "in/a+photo%2B1.jpg", **changes: Any) -> dict[str, Any]:
    """Return a record as MinIO sends it."""
    made: dict[str, Any] = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": "2026-11-25T10:00:00.000Z",
        "eventName": "s3:ObjectCreated:Put",
        "s3": {
            "bucket": {"name": "uploads"},
            "object": {
                "key": key,
                "size": 5,
                "eTag": "5d41402abc4b2a76b9719d911017c592",
                "contentType": "image/jpeg",
                "sequencer": "17A5D0C5D5C1A6E3",
            },
        },
    }
    return {**made, **changes}


def s3(*records: object, key: bytes = SECRET) -> tuple[Headers, bytes]:
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "uploads/a", "Records": list(records)}
    return {"Authorization": f"Bearer {key.decode()}"}, json.dumps(body).encode()
