"""What happens in a project, carried to the inboxes of the functions that are subscribed to it.

It is kept in the transaction of the change itself: nothing is lost, and nothing is told that did
not happen. Where nobody is subscribed it costs a look into a dictionary.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from casemate.data import messages, queues
from casemate.data.attributes import Scalar
from casemate.data.limits import MAX_MESSAGE_KEY_BYTES
from casemate.data.messages import text_of
from casemate.data.registry import INBOX, QUEUE, TOPIC, Registry, Resource, find, require_kind
from casemate.data.routes import Route, Routes
from casemate.data.terms import now as now_of
from casemate.data.terms import terms_of
from casemate.data.work import Work
from casemate.decoding import DECODING_ERRORS, is_slow_to_read
from casemate.model.data import ObjectInfo
from casemate.model.errors import CasemateError
from casemate.model.event import Event
from casemate.model.messages import NewMessage
from casemate.model.trigger import BucketTrigger, TableTrigger, TopicTrigger, TriggerKind
from casemate.sqlite.engine import Connection

_DRAINED_AT_ONCE = 1000
_WAITING = (
    f"SELECT {messages.COLUMNS}, visible_at FROM message "  # noqa: S608 - a constant
    "WHERE queue = ? ORDER BY id LIMIT ?"
)
_ABSENT = object()
_WHOLE = float(1 << 63)


class Fanout:
    """What a change needs to know to tell of itself. Belongs to one state of the registry."""

    def __init__(self, project: str, registry: Registry, routes: Routes) -> None:
        """Tell by `routes`."""
        self.project = project
        self.routes = routes
        self._registry = registry

    def send(self, work: Work, kind: str, name: str, new: Sequence[NewMessage]) -> tuple[str, ...]:
        """Keep messages in a queue, topic or inbox; return their ids.

        Raises NotFoundError if there is none of that name, LimitError.
        """
        require_kind(kind, (QUEUE, TOPIC, INBOX))
        resource = find(self._registry, self.project, kind, name)
        if kind == TOPIC and name in self.routes.topics:
            return self._publish(work, resource, new)
        return queues.keep(work, resource, new)

    def send_each(
        self, work: Work, resource: Resource, sends: Sequence[Sequence[NewMessage]]
    ) -> Sequence[tuple[str, ...] | CasemateError]:
        """Keep what several send; return the ids of each, or what is wrong with it alone.

        Raises as `send`, and then nothing may be kept.
        """
        if resource.kind == TOPIC and resource.name in self.routes.topics:
            return [self._publish(work, resource, new) for new in sends]
        return queues.keep_each(work, resource, sends)

    # Topics

    def _publish(self, work: Work, topic: Resource, new: Sequence[NewMessage]) -> tuple[str, ...]:
        if self.drain(work, topic):
            # What came before goes first.
            return queues.keep(work, topic, new)
        now, ids = now_of(work.connection), []
        spec = queues.spec_of(topic)
        for one in new:
            queues.require_size(topic, spec, one)
            number = queues.first_of(work.connection, topic, one.deduplication, now)
            if number is None:
                number = secrets.randbits(63)
                queues.remember(work.connection, topic, one.deduplication, number, now)
                self._tell_topic(work, topic, text_of(number), one, now)
            ids.append(text_of(number))
        return tuple(ids)

    def drain(self, work: Work, topic: Resource) -> bool:
        """Hand on what a topic kept while nobody was subscribed; return True if more is left."""
        connection, now = work.connection, now_of(work.connection)
        number = _count(connection, topic)
        if not number:
            return False
        terms = terms_of(connection)
        rows = connection.execute(
            terms.within(_WAITING, "body", "id"), (topic.id, _DRAINED_AT_ONCE)
        ).fetchall()
        for row in rows:
            old, visible_at = messages.message(terms, topic, row), row[13]
            new = NewMessage(
                body=old.body,
                delay=max(0.0, visible_at - now),
                key=old.key,
                priority=old.priority,
                expires_at=old.expires_at,
                labels=old.labels,
                attributes=old.attributes,
                trace=old.trace,
            )
            self._tell_topic(work, topic, old.id, new, old.sent_at)
        connection.executemany("DELETE FROM message WHERE id = ?", [(row[0],) for row in rows])
        messages.count_down(connection, topic.id, len(rows))
        return len(rows) < number

    def waiting_topics(self, connection: Connection) -> list[Resource]:
        """Return the topics that hold messages although somebody is subscribed by now."""
        names = ((TOPIC, name) for name in self.routes.topics)
        topics = [self._registry[name] for name in names if name in self._registry]
        return [topic for topic in topics if _count(connection, topic)]

    def _tell_topic(
        self, work: Work, topic: Resource, identity: str, new: NewMessage, at: float
    ) -> None:
        routes = self.routes.topics[topic.name]
        value = _decoded(new.body) if any(route.trigger.filter for route in routes) else None
        for route in routes:
            if fits(route.trigger, value):
                event = Event(
                    id=identity,
                    source=f"/projects/{self.project}/topics/{topic.name}",
                    type="casemate.topic.message",
                    time=at,
                    kind=TriggerKind.TOPIC,
                    trigger=route.trigger.name,
                    data=msgspec.Raw(new.body),
                    detail={"topic": topic.name, "attributes": new.attributes},
                    trace=new.trace,
                )
                key = _key("topic", topic.name, new.key) if new.key else ""
                self._tell(work, route, event, new, key)

    # Buckets

    def object_changed(
        self, work: Work, bucket: str, event: str, info: ObjectInfo, now: float
    ) -> None:
        """Tell of an object that was `created` or `deleted`."""
        identity = ""
        for route in self.routes.buckets.get(bucket, ()):
            if not watches(route.trigger, event, info.key):
                continue
            identity = identity or secrets.token_hex(16)
            detail = {
                "bucket": bucket,
                "key": info.key,
                "revision": info.revision,
                "size": info.size,
                "content_type": info.content_type,
                "sha256": info.sha256,
            }
            told = Event(
                id=identity,
                source=f"/projects/{self.project}/buckets/{bucket}",
                type=f"casemate.bucket.{event}",
                time=now,
                kind=TriggerKind.BUCKET,
                trigger=route.trigger.name,
                subject=info.key,
                data=msgspec.Raw(msgspec.json.encode(detail)),
                detail=detail,
                trace=work.trace,
            )
            self._tell(work, route, told, NewMessage(body=b"", labels=info.labels))

    # Tables

    def item_changed(
        self,
        work: Work,
        table: str,
        event: str,
        place: tuple[Scalar, Scalar],
        *,
        old: bytes | None,
        new: bytes | None,
        revision: int,
        labels: bytes,
        now: float,
    ) -> None:
        """Tell of an item that was `inserted`, `updated`, `deleted` or `expired`."""
        routes: Iterable[Route[TableTrigger]] = self.routes.tables.get(table, ())
        identity = ""
        for route in routes:
            if event not in route.trigger.events:
                continue
            identity = identity or secrets.token_hex(16)
            images = {"old": _raw(old), "new": _raw(new)}
            keys = self._keys(table, place)
            key, sort = place[0], place[1] if len(keys) > 1 else None
            told = Event(
                id=identity,
                source=f"/projects/{self.project}/tables/{table}",
                type=f"casemate.table.{event}",
                time=now,
                kind=TriggerKind.TABLE,
                trigger=route.trigger.name,
                subject=str(key),
                data=msgspec.Raw(msgspec.json.encode(images)),
                detail={
                    "table": table,
                    "key": key,
                    "sort": sort,
                    "keys": keys,
                    "revision": revision,
                    **images,
                },
                trace=work.trace,
            )
            # The stored key: 1 and 1.0 are one.
            order = _key("table", table, *map(_exact, place))
            self._tell(work, route, told, NewMessage(body=b"", labels=labels), order)

    def _keys(self, table: str, place: tuple[Scalar, Scalar]) -> dict[str, Scalar]:
        """Return the key attributes of an item by their names."""
        spec = self._registry["table", table].spec
        names = (getattr(spec, "key", ""), getattr(spec, "sort", None))
        return {name: value for name, value in zip(names, place, strict=True) if name is not None}

    def _tell(
        self, work: Work, route: Route[Any], event: Event, new: NewMessage, key: str = ""
    ) -> None:
        now = now_of(work.connection)
        expires_at = now + new.delay + route.max_age
        if new.expires_at is not None:
            expires_at = min(expires_at, new.expires_at)
        message = NewMessage(
            body=msgspec.json.encode(event),
            delay=new.delay,
            key=key,
            priority=new.priority,
            expires_at=expires_at,
            labels=new.labels,
        )
        if work.gathered is None:
            messages.insert(work, route.inbox, message, now)
            messages.count(work, route.inbox, 1)
        else:
            work.gathered.setdefault(route.inbox.id, (route.inbox, []))[1].append(message)


@contextmanager
def gathering(work: Work) -> Iterator[None]:
    """Tell each inbox at the end of the block, by few statements, of what happens in it.

    Raises LimitError if one has no room.
    """
    gathered: dict[int, tuple[Resource, list[NewMessage]]] = {}
    work.gathered = gathered
    try:
        yield
    finally:
        work.gathered = None
    now = now_of(work.connection)
    for inbox, new in gathered.values():
        messages.insert_many(work, inbox, new, now)
        messages.count(work, inbox, len(new))


def _count(connection: Connection, topic: Resource) -> int:
    row = connection.execute("SELECT number FROM resource WHERE id = ?", (topic.id,)).fetchone()
    return int(row[0])


def watches(trigger: BucketTrigger, event: str, key: str) -> bool:
    """Tell whether a trigger is for that change of an object."""
    return (
        event in trigger.events and key.startswith(trigger.prefix) and key.endswith(trigger.suffix)
    )


def fits(trigger: TopicTrigger, value: object) -> bool:
    """Tell whether a message has what a trigger's filter asks for; what is absent has no value."""
    return all(
        any(_same(_attribute(value, path), wanted) for wanted in values)
        for path, values in trigger.filter.items()
    )


def _decoded(body: bytes) -> object:
    if is_slow_to_read(body):
        return _ABSENT
    try:
        return msgspec.json.decode(body)
    except DECODING_ERRORS:
        # JSON all the same, such as 1e999: it has no attributes that a filter could ask for.
        return _ABSENT


def _attribute(value: object, path: str) -> object:
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _same(found: object, wanted: object) -> bool:
    # JSON tells true from 1, and does not tell 1 from 1.0.
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _raw(value: bytes | None) -> msgspec.Raw:
    return msgspec.Raw(b"null" if value is None else value)


def _exact(value: Scalar) -> Scalar:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE
    return int(value) if whole else value


def _key(*parts: Scalar) -> str:
    """Return an ordering key made of parts, hashed if it is too long."""
    text = msgspec.json.encode(parts).decode()
    if len(text.encode()) > MAX_MESSAGE_KEY_BYTES:
        text = hashlib.sha256(text.encode()).hexdigest()
    return text
