"""Sample records, and databases of them, for the tests of the recorder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from casemate.model.denial import Denial, DenialKind
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine, Outcome
from casemate.model.tracing import span_of, trace_of
from casemate.operations.records import ListInvocations, ReadLogs
from casemate.recorder import protocol
from casemate.recorder.protocol import Take, Told
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.opening import DATABASE
from casemate.recorder.records.rows import Left
from casemate.recorder.records.schema import migrate
from casemate.sqlite import engine

KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
SESSION = bytes(8)


def denial(**changes: object) -> Denial:
    values: dict[str, object] = {
        "at": 1000.0,
        "kind": DenialKind.CAPABILITY,
        "by": "function:demo/thumbs",
        "action": "bucket:write",
        "resource": "bucket:demo/uploads",
        "reason": "no grant covers it",
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "invocation": "i1",
    }
    return Denial(**{**values, **changes})  # type: ignore[arg-type]


def invocation(invocation_id: str = "i1", **changes: object) -> InvocationRecord:
    values: dict[str, object] = {
        "id": invocation_id,
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "trigger": "http",
        "outcome": Outcome.OK,
        "status": 200,
        "started_at": 1000.25,
        "queued_ms": 0.5,
        "run_ms": 1.5,
        "cold": True,
        "request_bytes": 10,
        "response_bytes": 20,
        "trace_id": trace_of(invocation_id),
        "span_id": span_of(invocation_id),
    }
    return InvocationRecord(**{**values, **changes})  # type: ignore[arg-type]


def failure(error_id: str = "e1", **changes: object) -> ErrorRecord:
    values: dict[str, object] = {
        "id": error_id,
        "invocation": "i1",
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "outcome": Outcome.HANDLER_ERROR,
        "at": 1001.0,
        "type": "ValueError",
        "message": "no",
        "trace": "Traceback …\nValueError: no",
    }
    return ErrorRecord(**{**values, **changes})  # type: ignore[arg-type]


def line(text: str = "hello", **changes: object) -> LogLine:
    values: dict[str, object] = {
        "invocation": "i1",
        "project": "demo",
        "function": "thumbs",
        "version": 3,
        "at": 1000.5,
        "level": "info",
        "text": text,
    }
    return LogLine(**{**values, **changes})  # type: ignore[arg-type]


def memory() -> engine.Connection:
    """Return a database in memory, as the SQL of records expects its connections to be."""
    connection = engine.driver.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def database() -> engine.Connection:
    """Return one with the tables."""
    connection = memory()
    migrate(connection)
    return connection


def opened(folder: Path, key: bytes = KEY) -> engine.Connection:
    """Return a connection beside those of an open database."""
    return engine.connect(folder / DATABASE, key)


def told(one: Left | Denial) -> Told:
    """Return a record as it travels."""
    kind = protocol.DENIED if isinstance(one, Denial) else protocol.LEFT
    return Told(kind, msgspec.msgpack.encode(one))


class Filled:
    """Tells a database records under ascending numbers, as one gateway does."""

    def __init__(self, records: RecordsDatabase, session: bytes = SESSION) -> None:
        self.records = records
        self.session = session
        self.next = 0

    async def tell(self, *left: Left | Denial) -> int:
        """Return how many of them cannot be kept."""
        lost = 0
        for start in range(0, len(left), protocol.MAX_FACTS):
            part = tuple(told(one) for one in left[start : start + protocol.MAX_FACTS])
            take = Take(1, self.session, self.next, part)
            self.next += len(part)
            lost += await self.records.keep([take])
        return lost

    async def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
        logs: Logs = Logs(),  # noqa: B008
    ) -> int:
        return await self.tell(Left(invocation, error, tuple(log), logs))


async def every(records: RecordsDatabase, operation: Any) -> list[Any]:
    """Return the rows of all pages of an answer."""
    found: list[Any] = []
    at: int | None = None
    wanted = operation
    while True:
        page = await records.page(wanted, at)
        found += [getattr(row, "denial", row) for row in page.rows]
        at = page.at
        if at is None or len(found) >= operation.limit:
            return found
        wanted = msgspec.structs.replace(operation, limit=operation.limit - len(found))


async def invocations(records: RecordsDatabase, **asked: object) -> list[InvocationRecord]:
    return await every(records, ListInvocations(**{"limit": 100_000, **asked}))  # type: ignore[arg-type]


async def lines(records: RecordsDatabase, **asked: object) -> list[LogLine]:
    """Return log lines in ascending order."""
    wanted = ReadLogs(**{"limit": 100_000, **asked})  # type: ignore[arg-type]
    found = await every(records, wanted)
    return found if wanted.after else found[::-1]
