"""PostgreSQL: rows of an outbox table, or notifications of a channel.

Rows are locked, handed over, and deleted in the transaction that locked them, after they are kept:
other readers skip them, and they come again if the connection is lost in between. Notifications
without an outbox are not kept by the server: those of a time without a connection are never seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import asyncpg  # type: ignore[import-untyped]

from casemate.model.trigger import OutsideTrigger, PostgresTrigger
from casemate.sources.batches import Gathering
from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.interface import Received, Session
from casemate.sources.postgres_framing import refusals

_POLL_SECONDS = 1.0
_POLL_WOKEN_SECONDS = 5.0
"""With a channel that wakes the reader, how often it looks all the same."""
_LAG_SECONDS = 5.0
_COUNTED = 10_000
_ROWS = 50
_MAX_PASSED_OVER = 1000
_MAX_NOTIFICATION = 8000


def quoted(name: str) -> str:
    """Return `table` or `schema.table` as SQL names it."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


class PostgresConnector:
    """Brings the rows of an outbox, or the notifications of a channel."""

    def __init__(self, trigger: OutsideTrigger) -> None:
        """Take a trigger with an outbox, a channel, or both. Raises SourceError for neither."""
        if not isinstance(trigger, PostgresTrigger) or not (trigger.outbox or trigger.channel):
            raise SourceError(
                "The trigger names neither an outbox nor a channel.",
                next_step="Set outbox, channel, or both.",
            )
        self._trigger = trigger
        self._passed_over: list[int] = []
        """Rows that are too large. They stay in the table, for people to look at."""
        self._looked_at = 0.0

    async def run(self, session: Session) -> None:
        """See `Connector.run`."""
        with refusals() as refused:
            try:
                await self._run_told(session)
            except Exception:
                # What asyncpg makes of a connection that was closed for it tells nothing.
                if refused:
                    message, next_step = refused[0]
                    raise SourceProtocolError(message, next_step=next_step) from None
                raise

    async def _run_told(self, session: Session) -> None:
        try:
            await self._run(session)
        except asyncpg.PostgresConnectionError as error:
            raise SourceError(f"The connection broke ({type(error).__name__}).") from None
        except asyncpg.PostgresError as error:
            # Only what the server is known to say of itself: details can quote rows.
            state, kind = error.sqlstate, type(error).__name__
            raise SourceError(
                f"PostgreSQL answers with {kind} ({state}).",
                next_step="See the server's log; the guide tells what rights the user needs.",
            ) from None
        except asyncpg.InterfaceError as error:
            raise SourceError(f"The connection broke ({type(error).__name__}).") from None

    async def _run(self, session: Session) -> None:
        trigger, limits = self._trigger, session.limits
        connection = await asyncpg.connect(
            host=trigger.host,
            port=trigger.port,
            user=trigger.user or "casemate",
            password=session.password,
            database=trigger.database,
            ssl=session.tls if trigger.tls else False,
            timeout=limits.connect_time,
            command_timeout=limits.silence,
            # Prepared statements that outlive a transaction do not get through PgBouncer.
            statement_cache_size=0,
            server_settings={"application_name": f"casemate-{session.identity}"[:63]},
        )
        try:
            if trigger.outbox:
                await self._follow_outbox(connection, session)
            else:
                await self._follow_channel(connection, session)
        finally:
            connection.terminate()

    # -- the outbox ----------------------------------------------------------------------------

    async def _follow_outbox(self, connection: asyncpg.Connection, session: Session) -> None:
        woken = asyncio.Event()
        connection.add_termination_listener(lambda *_: woken.set())
        poll = _POLL_SECONDS
        if self._trigger.channel:
            await connection.add_listener(self._trigger.channel, lambda *_: woken.set())
            poll = _POLL_WOKEN_SECONDS
        # Fails here, before anything is said to work, without the right to do it.
        await connection.execute(
            f"SELECT 1 FROM {quoted(self._trigger.outbox)} LIMIT 0"  # noqa: S608
        )
        session.connected()
        while True:
            woken.clear()
            if await self._take(connection, session):
                continue
            await self._look(connection, session)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(poll):
                    await woken.wait()

    async def _take(self, connection: asyncpg.Connection, session: Session) -> bool:
        """Take one batch of rows through; tell whether there may be more."""
        limits, table = session.limits, quoted(self._trigger.outbox)
        # Whatever is raised ends the connection, and with it the transaction.
        transaction = connection.transaction()
        await transaction.start()
        rows = await connection.fetch(
            f"""SELECT id, topic, extract(epoch FROM created_at)::float8 AS created,
                octet_length(payload::text) AS size,
                CASE WHEN octet_length(payload::text) <= $1 THEN payload::text END AS payload
            FROM {table} WHERE id <> ALL($2::bigint[]) ORDER BY id LIMIT $3
            FOR UPDATE SKIP LOCKED""",  # noqa: S608 - a quoted identifier
            limits.message,
            self._passed_over,
            min(_ROWS, limits.unacknowledged),
        )
        taken: list[int] = []
        events: list[Received] = []
        size = 0
        for row in rows:
            if row["size"] is not None and row["size"] > limits.message:
                self._pass_over(session, row["id"], row["size"])
                continue
            size += row["size"] or 0
            if events and size > limits.batch_bytes:
                break
            taken.append(row["id"])
            events.append(self._event(row))
        if not events:
            await transaction.rollback()
            return bool(rows)
        if not await session.offer(events):
            # No locks are held while waiting for room.
            await transaction.rollback()
            await session.pause()
            return True
        await connection.execute(
            f"DELETE FROM {table} WHERE id = ANY($1::bigint[])",  # noqa: S608
            taken,
        )
        await transaction.commit()
        return True

    def _pass_over(self, session: Session, row: int, size: int) -> None:
        if len(self._passed_over) >= _MAX_PASSED_OVER:
            raise SourceError(
                f"{_MAX_PASSED_OVER} rows of the outbox are too large.",
                next_step="Delete them, or write smaller ones.",
            )
        self._passed_over.append(row)
        session.refused(f"a row has {size} bytes, expected {session.limits.message}; it stays")

    def _event(self, row: asyncpg.Record) -> Received:
        topic = str(row["topic"] or "")[:1024]
        name, created = str(row["id"]), row["created"]
        return Received(
            body=(row["payload"] or "null").encode(),
            content_type="application/json",
            id=name,
            deduplication=f"{name} {created}",
            time=created,
            subject=topic,
            detail={"table": self._trigger.outbox, "id": row["id"], "topic": topic},
        )

    async def _look(self, connection: asyncpg.Connection, session: Session) -> None:
        """Tell how much waits, now and then."""
        now = time.monotonic()
        if now - self._looked_at < _LAG_SECONDS:
            return
        self._looked_at = now
        count = await connection.fetchval(
            f"SELECT count(*) FROM (SELECT 1 FROM {quoted(self._trigger.outbox)}"  # noqa: S608
            f" LIMIT {_COUNTED}) AS waiting"
        )
        session.waiting(int(count))

    # -- a channel -----------------------------------------------------------------------------

    async def _follow_channel(self, connection: asyncpg.Connection, session: Session) -> None:
        limits = session.limits
        gathered: Gathering[Received] = Gathering(
            limits.unacknowledged, limits.batch_bytes, limits.held_bytes
        )

        def notified(_: object, process: int, channel: str, payload: object) -> None:
            event = self._notification(process, channel, str(payload))
            gathered.put_or_lose(event, len(event.body))

        await connection.add_listener(self._trigger.channel, notified)
        session.connected()
        while True:
            events = await gathered.batch(_POLL_WOKEN_SECONDS)
            if events:
                await session.keep(events)
            else:
                await connection.execute("SELECT 1")
            if lost := gathered.take_lost():
                session.refused("more notifications than there is room for", lost)

    def _notification(self, process: int, channel: str, payload: str) -> Received:
        return Received(
            body=payload.encode("utf-8", "replace")[: _MAX_NOTIFICATION * 4],
            time=time.time(),
            subject=channel[:1024],
            detail={"channel": channel[:1024], "process": process},
        )
