"""One way to the server and back for several statements, each prepared once it is used often.

By libpq's pipelines themselves (postgresql.org/docs/17/libpq-pipeline-mode.html): the client
library's cursors, plans and generators cost five times the processor time of what they send, and
that is most of what a node spends on a small transaction. Values come as `statements` leaves them.
"""

from __future__ import annotations

import select
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import adapt, pq
from psycopg.errors import error_from_result

from casemate.postgresql import driver
from casemate.postgresql.arrays import KINDS

PREPARED: Final = 512
"""Statements that the server keeps prepared for a connection."""
PREPARE_AT: Final = 4
"""The use of a statement that prepares it."""
_COUNTED: Final = 4096
"""Statements whose uses are counted; most are few words of the code, whoever is asked."""
_BINARY: Final = pq.Format.BINARY
_OK: Final = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK})
_CHANGED: Final = frozenset({"0A000", "26000"})
"""A prepared statement's answer would be of another form, or it is not there."""

Statement = tuple[bytes, Sequence[object]]
"""Text with numbered places, and their values."""
_Shape = tuple[bytes, tuple[int, ...]]
"""Text, and the types of its values."""


class UnreadableAnswerError(Exception):
    """The values of an answer are not of the types that it says, or these are never asked for."""


class Answer(NamedTuple):
    """What one statement was answered."""

    rows: list[tuple[Any, ...]]
    changed: int
    """How many rows it returned or changed; -1 for a statement that does neither."""
    done: str
    """What the server says was done, such as `COMMIT`."""


def _of_encoded(value: Any) -> bytes:
    return value.encoded  # type: ignore[no-any-return]


_TYPES: Final = frozenset(
    (
        *(16, 17, 18, 19, 20, 21, 23, 25, 26, 28),  # bool, bytea, char, name, int8, int2 ... xid
        *(700, 701, 705, 1042, 1043, 1700, 2278, 5069),  # float4 ... numeric, void, xid8
    )
)
"""Types of the values that statements here ask for. The server says which it answers with: loaders
of arrays, ranges, records and JSON make much of few bytes, and fail in ways of their own."""

_ENCODERS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    bool: (16, struct.Struct(">?").pack),
    int: (20, struct.Struct(">q").pack),
    float: (701, struct.Struct(">d").pack),
    str: (25, str.encode),
    bytes: (17, bytes),
    **{kind: (kind.oid, _of_encoded) for kind in KINDS.values()},
    **{kind.constant: (kind.constant.oid, _of_encoded) for kind in KINDS.values()},
}


class _Sent(NamedTuple):
    """A statement as it is sent, and which answers are its."""

    shape: _Shape
    content: list[bytes | None]
    name: bytes
    prepares: bool
    """Whether the server is told first to prepare it."""


class Exchanges:
    """Those of one connection. One thread at a time."""

    def __init__(self, connection: driver.Connection) -> None:
        """Send by `connection`, outside of the library's own pipelines."""
        self._connection = connection
        self._server = connection.pgconn
        self._reading = adapt.Transformer.from_context(connection)
        self._uses: OrderedDict[_Shape, int] = OrderedDict()
        self._names: OrderedDict[_Shape, bytes] = OrderedDict()
        self._gone: list[bytes] = []
        """Names that the server need not keep any more."""
        self._made = 0

    def send(self, words: Sequence[bytes], statements: Sequence[Statement]) -> list[Answer]:
        """Say words, then do statements, in order; return what each of the latter is answered.

        After what fails nothing is done. Raises the client library's errors, UnreadableAnswerError,
        and UnicodeEncodeError for a text that has no form, before anything is sent.
        """
        sent = [self._sent(word, ()) for word in words]
        sent += [self._sent(*statement) for statement in statements]
        gone = tuple(self._gone)
        server = self._server
        try:
            server.enter_pipeline_mode()
            for one in sent:
                self._say(one)
            for name in gone:
                server.send_query_params(b"DEALLOCATE " + name, None)
            server.pipeline_sync()
            results = self._received(sum(1 + one.prepares for one in sent) + len(gone))
            server.exit_pipeline_mode()
        except BaseException:
            # What comes later would be taken for the answer to the next question.
            server.finish()
            raise
        answered = self._learn(sent, gone, results)
        return [self._answer(result) for result in answered[len(words) :]]

    def _sent(self, text: bytes, values: Sequence[object]) -> _Sent:
        oids: list[int] = []
        content: list[bytes | None] = []
        for value in values:
            if value is None:
                oids.append(0)
                content.append(None)
            else:
                oid, encode = _ENCODERS[type(value)]
                oids.append(oid)
                content.append(encode(value))
        shape = text, tuple(oids)
        name = self._names.get(shape)
        if name is not None:
            self._names.move_to_end(shape)
            return _Sent(shape, content, name, False)
        uses = self._uses.get(shape, 0) + 1
        self._uses[shape] = uses
        self._uses.move_to_end(shape)
        if len(self._uses) > _COUNTED:
            self._uses.popitem(last=False)
        if uses < PREPARE_AT:
            return _Sent(shape, content, b"", False)
        self._made += 1
        return _Sent(shape, content, b"casemate_%d" % self._made, True)

    def _say(self, one: _Sent) -> None:
        text, oids = one.shape
        formats = [_BINARY] * len(oids)
        if one.prepares:
            self._server.send_prepare(one.name, text, oids)
        if one.name:
            self._server.send_query_prepared(one.name, one.content, formats, _BINARY)
        else:
            self._server.send_query_params(text, one.content, oids, formats, _BINARY)

    def _received(self, expected: int) -> list[pq.abc.PGresult]:
        """Send what is to be sent; return all results, up to the end of the pipeline."""
        server, waiting = self._server, _Waiting(self._connection)
        results: list[pq.abc.PGresult] = []
        ends = 0
        try:
            while server.flush():
                if waiting.until(select.POLLIN | select.POLLOUT) & ~select.POLLOUT:
                    server.consume_input()
            while True:
                while server.is_busy():
                    waiting.until(select.POLLIN)
                    server.consume_input()
                result = server.get_result()
                if result is None:
                    ends += 1
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    break
                else:
                    results.append(result)
                if server.status != pq.ConnStatus.OK or max(ends, len(results)) > expected:
                    raise psycopg.OperationalError("the server has ended the connection")
        except psycopg.OperationalError as error:
            for result in results:
                if result.status not in _OK:  # the reason that the server gave
                    raise error_from_result(result) from error
            raise
        if len(results) != expected:
            raise psycopg.OperationalError("the server has not answered each statement")
        return results

    def _learn(
        self, sent: Sequence[_Sent], gone: Sequence[bytes], results: Sequence[pq.abc.PGresult]
    ) -> list[pq.abc.PGresult]:
        """Know what is prepared by now; return what each was answered, or raise what failed."""
        following = iter(results)
        answers = []
        for one in sent:
            if one.prepares and next(following).status in _OK:
                self._keep(one)
            answers.append(next(following))
        if all(result.status in _OK for result in following):
            del self._gone[: len(gone)]
        for result in results:
            if result.status not in _OK:
                error = error_from_result(result)
                if error.sqlstate in _CHANGED:
                    self._names.clear()  # all are prepared anew, by other names
                raise error
        return answers

    def _keep(self, one: _Sent) -> None:
        self._uses.pop(one.shape, None)
        if one.shape in self._names:  # twice in one exchange
            self._gone.append(self._names[one.shape])
        self._names[one.shape] = one.name
        if len(self._names) > PREPARED:
            self._gone.append(self._names.popitem(last=False)[1])

    def _answer(self, result: pq.abc.PGresult) -> Answer:
        changed = -1 if result.command_tuples is None else result.command_tuples
        done = (result.command_status or b"").decode("ascii", "replace")
        if result.status == pq.ExecStatus.COMMAND_OK:
            return Answer([], changed, done)
        kinds = {result.ftype(column) for column in range(result.nfields)}
        if not kinds <= _TYPES:
            raise UnreadableAnswerError(f"type {min(kinds - _TYPES)}")
        try:
            self._reading.set_pgresult(result)
            return Answer(self._reading.load_rows(0, result.ntuples, tuple), changed, done)
        except (ValueError, ArithmeticError, struct.error) as error:
            raise UnreadableAnswerError(type(error).__name__) from error
        finally:
            self._reading.set_pgresult(None)


class _Waiting:
    """Waits for the server, as long and for as many bytes as one exchange may take."""

    def __init__(self, connection: driver.Connection) -> None:
        self._connection = connection
        self._longest = connection.answer_seconds or driver.ANSWER_SECONDS
        self._end = time.monotonic() + self._longest
        self._taken = 0
        self._poll = select.poll()

    def until(self, events: int) -> int:
        """Return which of the events there is. Raises the client library's error."""
        descriptor = self._connection.pgconn.socket
        self._poll.register(descriptor, events)
        left = self._end - time.monotonic()
        found = self._poll.poll(left * 1000) if left > 0 else []
        if not found:
            raise psycopg.OperationalError(f"the server has not answered for {self._longest:.0f} s")
        if found[0][1] & select.POLLIN:
            self._taken += driver.waiting_bytes(descriptor)
            if self._taken > driver.MAX_ANSWER:
                raise psycopg.OperationalError(
                    f"the server answers with more than {driver.MAX_ANSWER >> 20} MiB"
                )
        return found[0][1]
