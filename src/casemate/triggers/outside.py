"""Events of servers outside: from what a connector received to the function's inbox.

What is told to be kept is durable. The same message that comes again is kept once, for as long
as inboxes remember and as far as its source has something to tell it by.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import math
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from casemate.data.coordination import ALONE, SOURCES, Coordination, Watcher
from casemate.data.interface import NewMessage, ProjectData
from casemate.decoding import DECODING_ERRORS, is_slow_to_read
from casemate.model.denial import DenialKind, denied_at
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.event import MAX_CLOCK_AHEAD, Event
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact, FunctionPlace
from casemate.model.function import Delivery
from casemate.model.principal import Action, Principal, PrincipalKind
from casemate.model.trigger import (
    INBOX,
    MqttTrigger,
    NatsTrigger,
    OutsideTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
    kind_of,
)
from casemate.operations.leases import KeepMessages
from casemate.sources import Received, SourceKey, SourcesClient, SourceStatus
from casemate.vault.interface import Vault

_log = logging.getLogger(__name__)


def source_of(trigger: OutsideTrigger) -> str:
    """Return the URI reference of what a trigger reads, without anybody's name in it."""
    server = f"{trigger.__struct_config__.tag}://{trigger.server}"
    match trigger:
        case ValkeyTrigger():
            return f"{server}/{trigger.database}/{trigger.stream or trigger.keys}"
        case PostgresTrigger():
            return f"{server}/{trigger.database}/{trigger.outbox or trigger.channel}"
        case RabbitmqTrigger():
            return f"{server}/{trigger.vhost.strip('/')}/{trigger.queue}"
        case MqttTrigger():
            return f"{server}/{trigger.topic}"
        case NatsTrigger():
            return f"{server}/{trigger.stream or trigger.subject}"
    return server


def is_json(content_type: str) -> bool:
    """Tell whether a sender that says this of a message, or nothing, means JSON."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("", "application/json", "text/json") or media_type.endswith("+json")


def data_of(body: bytes, content_type: str) -> bytes:
    """Return a message's data as JSON: its body if it is JSON, else an object that holds it.

    `{"data_base64": ..., "content_type": ...}` is what a body becomes that is said to be something
    else, or is not the JSON that it is said to be.
    """
    if not body:
        return b"null"
    if is_json(content_type) and not is_slow_to_read(body):
        try:
            msgspec.json.decode(body)
        except (ValueError, *DECODING_ERRORS):
            pass
        else:
            return body
    return msgspec.json.encode(
        {"data_base64": base64.b64encode(body).decode(), "content_type": content_type}
    )


def event_of(trigger: OutsideTrigger, received: Received, now: float) -> Event:
    """Return a message as an event. One from the future happened when it came."""
    kind = kind_of(trigger)  # type: ignore[arg-type]  # every outside trigger is one of AnyTrigger
    detail: dict[str, object] = dict(received.detail)
    at = received.time
    if at is None or not math.isfinite(at) or not 0.0 <= at <= now + MAX_CLOCK_AHEAD:
        if at is not None and math.isfinite(at):
            detail["claimed_time"] = at
        at = now
    if received.content_type:
        detail["content_type"] = received.content_type
    return Event(
        id=received.id or f"evt_{secrets.token_hex(12)}",
        source=source_of(trigger),
        type=f"casemate.{kind.value}.message",
        time=at,
        kind=kind,
        trigger=trigger.name,
        subject=received.subject,
        data=msgspec.Raw(data_of(received.body, received.content_type)),
        detail=detail,
    )


def deduplication_of(trigger: OutsideTrigger, received: Received) -> str | None:
    """Return what tells a message from others, None if its source has nothing.

    The content is part of it: senders choose ids, and what differs must never be taken for the
    same.
    """
    if not received.deduplication:
        return None
    digest = hashlib.sha256()
    for part in (source_of(trigger), trigger.name, received.deduplication):
        digest.update(len(part).to_bytes(4, "big") + part.encode("utf-8", "replace"))
    digest.update(received.body)
    return f"outside {digest.hexdigest()}"


class _Wanted(msgspec.Struct, frozen=True):
    trigger: OutsideTrigger
    delivery: Delivery
    version: int


class OutsideTriggers:
    """All sources of a node: implements `Receiver`, and has the sources process serve it."""

    def __init__(
        self,
        data: ProjectData,
        vault: Vault,
        happened: Callable[[Fact], None],
        starter: socket.socket,
        loop: asyncio.AbstractEventLoop,
        *,
        coordination: Coordination = ALONE,
    ) -> None:
        """Keep events in `data`. Nothing happens before `replace`.

        `coordination` is that of the data: of each project one node reads the sources.
        """
        self._data = data
        self._happened = happened
        self._began = time.time()
        self._coordination = coordination
        coordination.watch(Watcher(changed=self._read_what_is_led))
        self._declared: dict[SourceKey, _Wanted] = {}
        self._wanted: dict[SourceKey, _Wanted] = {}
        """Those that this node reads."""

        async def deliver(project: str, secret: str, descriptor: int) -> object:
            return await vault.deliver_secret(project, secret, None, descriptor)

        self._client = SourcesClient(starter, loop, deliver=deliver, receiver=self)

    def replace(self, live: Iterable[Version]) -> None:
        """Take over the outside triggers of these versions, one for each function.

        Their inboxes must be there (`Subscribe`); until then events wait outside.
        """
        wanted = {
            SourceKey(version.project, version.function, trigger.name): _Wanted(
                trigger, version.spec.delivery, version.number
            )
            for version in live
            for trigger in version.spec.triggers
            if isinstance(trigger, OutsideTrigger)
        }
        self._declared = wanted
        self._coordination.seek(SOURCES, {key.project for key in wanted})
        self._read_what_is_led()

    def _read_what_is_led(self) -> None:
        led = {p: self._leads(p) for p in {key.project for key in self._declared}}
        self._wanted = {key: each for key, each in self._declared.items() if led[key.project]}
        self._client.replace({key: each.trigger for key, each in self._wanted.items()})

    def _leads(self, project: str) -> bool:
        return self._coordination.leads(SOURCES, project)

    def renew(self, project: str, secret: str) -> None:
        """Connect anew where a project signs in with a secret: it has another value."""
        wanted = {key: each.trigger for key, each in self._wanted.items()}
        left = {
            key: trigger
            for key, trigger in wanted.items()
            if not (key.project == project and trigger.password == secret)
        }
        if len(left) < len(wanted):
            self._client.replace(left)
            self._client.replace(wanted)

    @property
    def running(self) -> bool:
        """Tell whether the sources process is there, if one is needed."""
        return self._client.running

    @property
    def starts(self) -> int:
        """How many sources processes there were."""
        return self._client.starts

    def statuses(self) -> tuple[SourceStatus, ...]:
        """Return how every source is, by project, function and trigger."""
        others = [
            SourceStatus(
                project=key.project,
                function=key.function,
                trigger=key.trigger,
                kind=str(each.trigger.__struct_config__.tag),
                server=each.trigger.server,
                connected=False,
                since=self._began,
                error="Another node reads it, or none does yet.",
            )
            for key, each in self._declared.items()
            if key not in self._wanted
        ]
        own = self._client.statuses()
        return tuple(sorted((*own, *others), key=lambda s: (s.project, s.function, s.trigger)))

    async def close(self) -> None:
        """End the sources process. To be called before the data is closed."""
        await self._client.close()

    # -- what the process brings ---------------------------------------------------------------

    async def keep(self, key: SourceKey, events: Sequence[Received]) -> bool:
        """See `Receiver.keep`."""
        wanted = self._wanted.get(key)
        if wanted is None or not self._leads(key.project):
            return False
        now = time.time()
        try:
            messages = tuple(
                NewMessage(
                    body=msgspec.json.encode(event_of(wanted.trigger, received, now)),
                    deduplication=deduplication_of(wanted.trigger, received),
                    expires_at=now + wanted.delivery.max_age,
                )
                for received in events
            )
            await self._data.change(
                KeepMessages(project=key.project, kind=INBOX, name=key.function, messages=messages)
            )
        except CasemateError as error:
            # No room, a full disk: the server outside keeps them until there is.
            _log.warning("events for %s/%s wait outside: %s", key.project, key.function, error)
            return False
        except Exception as error:  # noqa: BLE001 - one source never ends the others
            # Not the message: it could hold what was received.
            kind = type(error).__name__
            _log.error("events for %s/%s cannot be kept: %s", key.project, key.function, kind)
            return False
        return True

    def refused(self, key: SourceKey, reason: str, *, denied: bool, count: int) -> None:
        """See `Receiver.refused`."""
        wanted = self._wanted.get(key)
        principal = Principal(
            kind=PrincipalKind.TRIGGER, id=f"{key.project}/{key.function}/{key.trigger}"
        )
        server = f"{wanted.trigger.host}:{wanted.trigger.port}" if wanted is not None else ""
        version = wanted.version if wanted is not None else 0
        self._happened(
            denied_at(
                FunctionPlace(key.project, key.function, version, invocation=""),
                at=time.time(),
                kind=DenialKind.EGRESS if denied else DenialKind.REQUEST,
                by=Actor(principal.text, NOT_BY_NETWORK),
                action=(Action.EGRESS_CONNECT if denied else Action.FUNCTION_INVOKE).value,
                reason=reason,
                resource=f"host:{server}" if denied else "",
                count=count,
            )
        )

    def changed(self, status: SourceStatus) -> None:
        """See `Receiver.changed`."""
        name = f"{status.project}/{status.function} {status.trigger}"
        if status.connected:
            _log.info("source %s is connected to %s", name, status.server)
        else:
            _log.warning("source %s has no connection to %s: %s", name, status.server, status.error)
