"""Valkey and Redis: streams by a consumer group, and changes of keys.

A stream's entries are acknowledged (XACK) once they are kept; those that another consumer of the
group has left for long are taken over (XAUTOCLAIM). Changes of keys are published, not kept: what
happens without a connection is never seen.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence

import msgspec

from casemate.model.trigger import OutsideTrigger, ValkeyTrigger
from casemate.sources.batches import Gathering, together
from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.interface import Received, Session
from casemate.sources.resp import CommandError, Oversized, RespConnection, size_of

_BLOCK_MILLISECONDS = 2000
_STALE_MILLISECONDS = 60_000
_CLAIM_SECONDS = 30.0
_LAG_SECONDS = 5.0
_COUNT = 50
_MAX_ID = 64
"""Bytes of an entry's id, which goes back with each acknowledgement."""
_PING_SECONDS = 10.0
_KEYSPACE = "__keyspace@"


class ValkeyConnector:
    """Brings the entries of a stream, or the changes of keys."""

    def __init__(self, trigger: OutsideTrigger) -> None:
        """Take a trigger with a stream or with keys. Raises SourceError for both or none."""
        if not isinstance(trigger, ValkeyTrigger) or bool(trigger.stream) == bool(trigger.keys):
            raise SourceError(
                "The trigger names both a stream and keys, or neither.",
                next_step="Set exactly one of stream and keys.",
            )
        self._trigger = trigger
        self._count = _COUNT
        self._claimed_at = 0.0
        self._looked_at = 0.0

    async def run(self, session: Session) -> None:
        """See `Connector.run`."""
        reader, writer = await session.connect(tls=self._trigger.tls)
        limits = session.limits
        connection = RespConnection(reader, writer, limits.message, limits.held_bytes)
        try:
            await self._log_in(connection, session)
            if self._trigger.stream:
                await self._follow_stream(connection, session)
            else:
                await self._follow_keys(connection, session)
        finally:
            connection.close()

    async def _log_in(self, connection: RespConnection, session: Session) -> None:
        seconds = session.limits.silence
        trigger = self._trigger
        if session.password:
            user = (trigger.user,) if trigger.user else ()
            await connection.ask("AUTH", *user, session.password, seconds=seconds)
        if trigger.database:
            await connection.ask("SELECT", trigger.database, seconds=seconds)
        await connection.ask("CLIENT", "SETNAME", f"casemate-{session.identity}", seconds=seconds)

    # -- streams -------------------------------------------------------------------------------

    async def _follow_stream(self, connection: RespConnection, session: Session) -> None:
        trigger, seconds = self._trigger, session.limits.silence
        try:
            await connection.ask(
                "XGROUP", "CREATE", trigger.stream, trigger.group, "0", "MKSTREAM", seconds=seconds
            )
        except CommandError as error:
            if error.code != "BUSYGROUP":
                raise
        session.connected()
        await self._take_up(connection, session)
        self._claimed_at = self._looked_at = 0.0
        while True:
            await self._claim(connection, session)
            await self._look(connection, session)
            await self._keep_all(connection, session, await self._read(connection, session, ">"))

    async def _take_up(self, connection: RespConnection, session: Session) -> None:
        """Bring what this consumer was given before and did not acknowledge."""
        after = "0"
        while after:
            entries = await self._read(connection, session, after)
            count = await self._keep(connection, session, entries)
            # Those that are left had no room in the reply: they come again, fewer at once.
            self._count = count if count < len(entries) else _COUNT
            after = entries[count - 1][0].decode("ascii", "replace") if entries else ""

    async def _keep_all(
        self, connection: RespConnection, session: Session, entries: list[tuple[bytes, object]]
    ) -> None:
        if await self._keep(connection, session, entries) < len(entries):
            await self._take_up(connection, session)

    async def _read(
        self, connection: RespConnection, session: Session, after: str
    ) -> list[tuple[bytes, object]]:
        trigger, limits = self._trigger, session.limits
        reply = await connection.ask(
            *("XREADGROUP", "GROUP", trigger.group, session.identity),
            *("COUNT", min(self._count, limits.unacknowledged), "BLOCK", _BLOCK_MILLISECONDS),
            *("STREAMS", trigger.stream, after),
            seconds=limits.silence + _BLOCK_MILLISECONDS / 1000,
        )
        if reply is None:
            return []
        if not isinstance(reply, list) or len(reply) != 1 or not isinstance(reply[0], list):
            raise SourceProtocolError("The reply to XREADGROUP is not one stream.")
        return _entries(reply[0][1] if len(reply[0]) == 2 else None)

    async def _claim(self, connection: RespConnection, session: Session) -> None:
        """Take over what others of the group were given long ago, now and then."""
        now = time.monotonic()
        if now - self._claimed_at < _CLAIM_SECONDS:
            return
        self._claimed_at = now
        trigger, after = self._trigger, "0-0"
        while True:
            reply = await connection.ask(
                *("XAUTOCLAIM", trigger.stream, trigger.group, session.identity),
                *(_STALE_MILLISECONDS, after, "COUNT", _COUNT),
                seconds=session.limits.silence,
            )
            if not isinstance(reply, list) or len(reply) < 2 or not isinstance(reply[0], bytes):
                raise SourceProtocolError("The reply to XAUTOCLAIM is not a cursor and entries.")
            await self._keep_all(connection, session, _entries(reply[1]))
            after = reply[0].decode("ascii", "replace")
            if after == "0-0":
                return

    async def _keep(
        self, connection: RespConnection, session: Session, entries: list[tuple[bytes, object]]
    ) -> int:
        """Hand entries over in batches, and acknowledge each batch once it is kept.

        Return how many entries, from the first, that was done with: one at least if there is any.
        """
        limits = session.limits
        entries = _with_fields(entries, limits.message)
        batch: list[Received] = []
        acknowledged: list[bytes] = []
        size = 0
        for position, (entry, fields) in enumerate(entries, start=1):
            acknowledged.append(entry)
            if fields is not None:  # deleted from the stream, but still pending
                event = self._event(session, entry, fields)
                if event is not None:
                    batch.append(event)
                    size += len(event.body)
            if position == len(entries) or size >= limits.batch_bytes:
                if batch:
                    await session.keep(batch)
                await connection.ask(
                    "XACK",
                    self._trigger.stream,
                    self._trigger.group,
                    *acknowledged,
                    seconds=limits.silence,
                )
                batch, acknowledged, size = [], [], 0
        return len(entries)

    def _event(self, session: Session, entry: bytes, fields: object) -> Received | None:
        total = size_of(fields)
        if total > session.limits.message or not _is_whole(fields):
            # Acknowledged, or it would come again for ever; it stays in the stream.
            session.refused(f"an entry has {total} bytes, expected {session.limits.message}")
            return None
        if not isinstance(fields, list) or len(fields) % 2:
            raise SourceProtocolError("An entry's fields are not names with values.")
        name = entry.decode("ascii", "replace")
        return Received(
            body=_as_json(fields),
            content_type="application/json",
            id=name,
            deduplication=name,
            time=_time_of(name),
            subject=self._trigger.stream,
            detail={
                "stream": self._trigger.stream,
                "group": self._trigger.group,
                "entry": name,
            },
        )

    async def _look(self, connection: RespConnection, session: Session) -> None:
        """Tell how much waits, now and then."""
        now = time.monotonic()
        if now - self._looked_at < _LAG_SECONDS:
            return
        self._looked_at = now
        try:
            reply = await connection.ask(
                "XINFO", "GROUPS", self._trigger.stream, seconds=session.limits.silence
            )
        except CommandError:  # no right to look: then nobody knows
            session.waiting(None)
            return
        session.waiting(_waiting(reply, self._trigger.group))

    # -- keys ----------------------------------------------------------------------------------

    async def _follow_keys(self, connection: RespConnection, session: Session) -> None:
        trigger, limits = self._trigger, session.limits
        await self._require_notifications(connection, session)
        prefix = f"{_KEYSPACE}{trigger.database}__:"
        await connection.ask("PSUBSCRIBE", prefix + trigger.keys, seconds=limits.silence)
        session.connected()
        gathered: Gathering[Received] = Gathering(
            limits.unacknowledged, limits.batch_bytes, limits.held_bytes
        )
        await _hand_over(connection, session, gathered, prefix)

    async def _require_notifications(self, connection: RespConnection, session: Session) -> None:
        """Refuse a server that tells no changes of keys, as far as it lets that be asked."""
        try:
            reply = await connection.ask(
                "CONFIG", "GET", "notify-keyspace-events", seconds=session.limits.silence
            )
        except CommandError:
            return
        value = reply[1] if isinstance(reply, list) and len(reply) == 2 else b""
        if isinstance(value, bytes) and b"K" not in value:
            raise SourceError(
                "The server does not tell changes of keys: notify-keyspace-events lacks K.",
                next_step="Set it on the server: CONFIG SET notify-keyspace-events KA",
            )


async def _hand_over(
    connection: RespConnection, session: Session, gathered: Gathering[Received], prefix: str
) -> None:
    """Hand over what is published until the connection ends; what finds no room is lost.

    The server would end a connection that is not read from, and lose all the same.
    """

    async def listen() -> None:
        while True:
            # Pings are answered, so silence for much longer is a lost connection.
            message = await connection.next(_PING_SECONDS + session.limits.silence)
            event = _change(message, prefix)
            if event is not None:
                gathered.put_or_lose(event, len(event.body))

    async def keep() -> None:
        while True:
            found = await gathered.batch(_PING_SECONDS)
            if found:
                await session.keep(found)
            else:
                connection.tell("PING")
            if lost := gathered.take_lost():
                session.refused("more changes of keys than there is room for", lost)

    await together(listen(), keep())


def _entries(reply: object) -> list[tuple[bytes, object]]:
    if not isinstance(reply, list):
        raise SourceProtocolError("A stream's entries are no list.")
    found: list[tuple[bytes, object]] = []
    for entry in reply:
        if entry is None:
            continue
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[0], bytes):
            raise SourceProtocolError("A stream's entry is not an id with fields.")
        if len(entry[0]) > _MAX_ID:
            raise SourceProtocolError(f"A stream's entry has an id of {len(entry[0])} bytes.")
        found.append((entry[0], entry[1]))
    return found


def _is_whole(fields: object) -> bool:
    """Tell whether nothing of an entry was read past."""
    held = fields if isinstance(fields, list) else (fields,)
    return not any(isinstance(each, Oversized) for each in held)


def _with_fields(entries: list[tuple[bytes, object]], most: int) -> list[tuple[bytes, object]]:
    """Return entries up to the first that is not too large, but had no room in the reply.

    The first of all had all the room that there is.
    """
    for at, (_, fields) in enumerate(entries[1:], start=1):
        if not _is_whole(fields) and size_of(fields) <= most:
            return entries[:at]
    return entries


def _text(value: object) -> object:
    """Return a value as text, or as base64 if it is none."""
    if not isinstance(value, bytes):
        raise SourceProtocolError("A field of an entry is neither text nor bytes.")
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(value).decode()}


def _as_json(fields: Sequence[object]) -> bytes:
    data: dict[str, object] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        if not isinstance(name, bytes):
            raise SourceProtocolError("A field's name of an entry is not text.")
        data[name.decode("utf-8", "replace")] = _text(value)
    return msgspec.json.encode(data)


def _time_of(entry: str) -> float | None:
    milliseconds = entry.partition("-")[0]
    usable = milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 16
    return int(milliseconds) / 1000 if usable else None


def _waiting(reply: object, group: str) -> int | None:
    """Return a group's entries that are not acknowledged, None if that is not known."""
    if not isinstance(reply, list):
        return None
    for found in reply:
        if not isinstance(found, list):
            continue
        facts = dict(zip(found[::2], found[1::2], strict=False))
        if facts.get(b"name") == group.encode():
            lag, pending = facts.get(b"lag"), facts.get(b"pending")
            if isinstance(lag, int) and isinstance(pending, int):
                return max(0, lag) + max(0, pending)
    return None


def _change(message: object, prefix: str) -> Received | None:
    """Return a published change of a key as an event; None for what is none."""
    if not isinstance(message, list) or len(message) != 4 or message[0] != b"pmessage":
        return None
    channel, event = message[2], message[3]
    if not isinstance(channel, bytes) or not isinstance(event, bytes):
        return None
    key = channel.removeprefix(prefix.encode()).decode("utf-8", "replace")
    name = event.decode("ascii", "replace")[:64]
    return Received(
        body=msgspec.json.encode({"key": key, "event": name}),
        content_type="application/json",
        time=time.time(),
        subject=key[:1024],
        detail={"key": key[:1024], "event": name},
    )
