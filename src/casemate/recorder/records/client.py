"""The gateway's end of the records: told like facts, under the same numbers, and asked in pages."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from casemate.child.calls import result_of
from casemate.decoding import DECODING_ERRORS
from casemate.model.denial import Denial
from casemate.model.errors import ConflictError
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.model.usage import Beside, GuardSampled, Passed, Stored
from casemate.operations.declaration import Operation
from casemate.recorder import protocol
from casemate.recorder.begun import begun
from casemate.recorder.client import RecorderClient
from casemate.recorder.errors import NotRecordedError
from casemate.recorder.records.errors import RecordsError
from casemate.recorder.records.questions import QUESTIONS
from casemate.recorder.records.rows import Left
from casemate.recorder.records.text import escaped

T = TypeVar("T")
Record = Left | Denial | Beside | tuple[object, ...]
_BESIDE: Mapping[type[Beside], str] = {
    Passed: protocol.PASSED,
    Stored: protocol.STORED,
    GuardSampled: protocol.SAMPLED,
}

MAX_LINES_BYTES = 3 << 20
"""Of lines in one record, guessed; more are told as several, in order."""
_LINE_BYTES = 400
"""What a line counts beside its text."""
_CHARACTER_BYTES = 4
MAX_TEXT = 256 * 1024
"""Characters of one text that are told; of what is longer the recorder keeps far less."""
DENIALS_SHARE = 0.25
"""Beyond this part of the buffer denials are lost: who has no right can cause them, and what
invocations leave behind is to have room."""
LONG_SECONDS = 24 * 3600.0
"""How long checking, copying or encrypting all records may take."""
_USUAL = Logs()
_USED = struct.Struct(">BBQBQ")
"""Two numbers of eight bytes as MessagePack has them: the last of a record (`InvocationRow`)."""
_PAIR, _NUMBER = 0x92, 0xCF
_FIELDS = len(msgspec.structs.fields(InvocationRecord))
_PLAIN = bytes((0x91, 0xDC, 0, _FIELDS))
"""What begins with it is the record of an invocation alone, as `Ended` is encoded: an array of one
with an array of its fields. With `_COUNTED` in its place what it used comes after these."""
_COUNTED = bytes((0x91, 0xDC, 0, _FIELDS + 1))
_FEW_SPANS = 2
"""Spans of a call that are expected with it, such as that it waited as an event."""
_encode = msgspec.msgpack.Encoder().encode
_UNTOLD = (*DECODING_ERRORS, TypeError, ValueError, OverflowError)
"""What comes of a record that is not what its type says."""


class RecordsClient:
    """Satisfies `casemate.recorder.records.interface.Records`. In the loop's thread only."""

    def __init__(self, recorder: RecorderClient) -> None:
        """Tell and ask `recorder`."""
        self._recorder = recorder

    # -- what is recorded ------------------------------------------------------------------------

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
        logs: Logs = Logs(),  # noqa: B008 - frozen
    ) -> None:
        """Have what an invocation left behind recorded. Never raises."""
        if error is not None and (len(error.message) > MAX_TEXT or len(error.trace) > MAX_TEXT):
            error = msgspec.structs.replace(
                error, message=error.message[:MAX_TEXT], trace=error.trace[-MAX_TEXT:]
            )
        held = invocation.id
        if not log:
            self._tell(protocol.ENDED, _ended(invocation, error, (), logs), held=held)
            return
        *before, last = _parts(log)
        for part in before:
            self._tell(protocol.LEFT, Left(None, None, part, logs))
        self._tell(protocol.ENDED, _ended(invocation, error, last, logs), held=held)

    def expect(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs,
    ) -> None:
        """Have an invocation on record if the gateway ends before `record` is called for it."""
        # What it went through is not needed for its bill, and may be long.
        short = invocation
        if len(invocation.spans) > _FEW_SPANS:
            short = msgspec.structs.replace(invocation, spans=())
        try:
            body = _encoded(_ended(short, error, tuple(log), logs))
            if not self._recorder.expect(invocation.id, protocol.ENDED, body):
                body = _encoded(_ended(short, None, (), logs))
                self._recorder.expect(invocation.id, protocol.ENDED, body)
        except _UNTOLD:
            return  # `record` counts it

    def begin(self, invocation: InvocationRecord, logs: Logs, seconds: float) -> None:
        """Have an invocation on record if the gateway ends while it runs. Never raises."""
        with suppress(*_UNTOLD):
            ended = _encoded(_ended(invocation, None, (), logs))
            self._recorder.begin(invocation.id, begun(ended, seconds))

    def record_expected(self, invocation: InvocationRecord, cpu_us: int, peak: int) -> bool:
        """Have an expected invocation recorded as it is but for what it used.

        False where it has to be recorded anew.
        """
        if len(invocation.spans) > _FEW_SPANS:
            return False
        body = self._recorder.expected(invocation.id)
        if not body.startswith(_PLAIN):
            return False
        try:
            used = _USED.pack(_PAIR, _NUMBER, cpu_us, _NUMBER, peak)
        except struct.error:
            return False
        counted = _COUNTED + body[len(_PLAIN) :] + used
        self._recorder.record(protocol.ENDED, counted, held=invocation.id)
        return True

    def write(self, lines: Sequence[LogLine], logs: Logs = Logs()) -> None:  # noqa: B008 - frozen
        """Have lines of an invocation that still runs recorded. Never raises."""
        for part in _parts(lines):
            self._tell(protocol.LEFT, Left(None, None, part, logs))

    def deny(self, denial: Denial) -> None:
        """Have a denied attempt recorded. Never raises."""
        self._tell(protocol.DENIED, denial, share=DENIALS_SHARE)

    def use(self, used: Beside) -> None:
        """Have what is used beside records of invocations recorded. Never raises."""
        self._tell(_BESIDE[type(used)], used)

    def _tell(self, kind: str, told: Record, share: float = 1.0, held: str = "") -> None:
        try:
            body = _encoded(told)
        except _UNTOLD:
            self._recorder.lost += 1
            return
        if len(body) <= protocol.MAX_RECORD_BYTES:
            self._recorder.record(kind, body, share=share, held=held)
        else:
            self._recorder.lost += 1

    @property
    def lost_records(self) -> int:
        """Number of records that could not be kept since the start."""
        return self._recorder.lost

    async def flush(self) -> None:
        """Return once everything recorded before this call is durable. Raises NotRecordedError."""
        await self._recorder.durable()

    # -- what was recorded -----------------------------------------------------------------------

    async def read(self, operation: Operation[T]) -> T:
        """Answer a question about records. TypeError for any other, CasemateError."""
        try:
            question = QUESTIONS[type(operation)]
        except KeyError as error:
            raise TypeError(f"{type(operation).__name__} is not asked of the records.") from error
        wanted: Any = operation
        limit = getattr(operation, "limit", 1)
        found: list[Any] = []
        at: int | None = None
        while True:
            page = await self._page(wanted, at)
            kind: Any = list[question.row]  # type: ignore[name-defined]
            rows: list[Any] = result_of(page.rows, kind, "recorder", NotRecordedError)
            if page.at is not None and not rows:
                raise NotRecordedError(
                    "The recorder has answered with a page that has nothing, and says to go on.",
                    next_step="Start the node again; report it if that happens once more.",
                )
            found += rows
            at = page.at
            if at is None or len(found) >= limit:
                answer: T = question.answer(operation, found)
                return answer
            wanted = msgspec.structs.replace(wanted, limit=limit - len(found))

    async def _page(self, operation: Operation[Any], at: int | None) -> protocol.PageOfRecords:
        name, body = type(operation).__name__, _encode(operation)
        return await self._recorder.ask(
            protocol.PageOfRecords, lambda n: protocol.Ask(n, name, body, at)
        )

    # -- holds ------------------------------------------------------------------------------------

    async def hold(
        self,
        id: str,
        functions: Sequence[tuple[str, str]],
        *,
        since: float,
        until: float,
        expires_at: float,
    ) -> tuple[int, int]:
        """Keep records whatever retention says; return how many, and their bytes. CasemateError."""
        await self.flush()
        return await self._recorder.ask(
            tuple[int, int],
            lambda n: protocol.HoldRecords(n, id, tuple(functions), since, until, expires_at),
        )

    async def release(self, id: str) -> None:
        """End a hold. Raises CasemateError."""
        await self._recorder.ask(type(None), lambda n: protocol.ReleaseRecords(n, id))

    # -- the database ----------------------------------------------------------------------------

    async def rekey(self) -> None:
        """Have the records encrypted with the vault's newest key. Raises CasemateError."""
        await self._recorder.ask(type(None), protocol.RekeyRecords, seconds=LONG_SECONDS)

    async def snapshot(self, target: Path) -> None:
        """Have a consistent copy written to the new file `target`, durably.

        Raises ConflictError if it exists, CasemateError.
        """
        await self.flush()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(target, flags, 0o600)
        except FileExistsError as error:
            raise ConflictError(
                f"{target} is there already; a copy goes into a new file.",
                next_step="Give a name that is free.",
            ) from error
        except OSError as error:
            raise RecordsError(
                f"The records cannot be copied to {target}: {error.strerror}.",
                next_step="Make room on that file system and check its rights.",
            ) from error
        try:
            await self._recorder.ask(
                type(None), protocol.CopyRecords, descriptors=(descriptor,), seconds=LONG_SECONDS
            )
        except BaseException:
            os.unlink(target)  # noqa: PTH108 - a name in a folder of ours
            raise
        finally:
            os.close(descriptor)

    async def check(self, rate: int) -> list[str]:
        """Have all of the records read, `rate` bytes a second; return what is wrong with them."""
        await self.flush()
        return await self._recorder.ask(
            list[str], lambda n: protocol.CheckRecords(n, rate), seconds=LONG_SECONDS
        )

    # -- what was in the store before ------------------------------------------------------------

    async def count(self) -> int:
        """Return how many records were ever kept, deleted ones counted in. Raises CasemateError."""
        return await self._recorder.ask(int, protocol.CountRecords)

    async def begin_taking_over(self, highest: Mapping[str, int]) -> bool:
        """Leave room for what an older store has; False: it was taken over before."""
        return await self._recorder.ask(bool, lambda n: protocol.BeginTakingOver(n, dict(highest)))

    async def take_over(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Return once these rows of an older store are durable, each once."""
        told = tuple(rows)
        await self._recorder.ask(type(None), lambda n: protocol.TakeOver(n, table, told))

    async def end_taking_over(self) -> None:
        """Take over nothing any more."""
        await self._recorder.ask(type(None), protocol.EndTakingOver)


def _parts(log: Sequence[LogLine]) -> list[tuple[LogLine, ...]]:
    """Return lines in parts of bounded size."""
    parts: list[tuple[LogLine, ...]] = []
    part: list[LogLine] = []
    size = 0
    for each in log:
        line = each
        if len(line.text) > MAX_TEXT:
            line = msgspec.structs.replace(line, text=line.text[:MAX_TEXT])
        text = line.text
        more = len(text) * (1 if text.isascii() else _CHARACTER_BYTES) + _LINE_BYTES
        if part and size + more > MAX_LINES_BYTES:
            parts.append(tuple(part))
            part, size = [], 0
        part.append(line)
        size += more
    parts.append(tuple(part))
    return parts


def _ended(
    invocation: InvocationRecord, error: ErrorRecord | None, log: tuple[LogLine, ...], logs: Logs
) -> tuple[object, ...]:
    """Return what is encoded as an `Ended` is, without ends that say what is usual."""
    row = msgspec.structs.astuple(invocation)
    if error is None and not log and (logs is _USUAL or logs == _USUAL):
        return (row,)
    return (row, error, log, logs)


def _encoded(told: Record) -> bytes:
    """Return a record as it travels; what is not Unicode in it becomes escapes."""
    try:
        return _encode(told)
    except UnicodeEncodeError:
        return _encode(_escaped(msgspec.to_builtins(told)))


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return escaped(value)
        case list() | tuple():
            return [_escaped(each) for each in value]
        case dict():
            return {name: _escaped(each) for name, each in value.items()}
        case _:
            return value
