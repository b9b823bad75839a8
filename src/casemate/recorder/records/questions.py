"""What can be asked of the records: operations that read, and what their answers are made of.

An answer travels in pages. Each question says how a page is found, and how the rows of all pages
become the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.invocation import ErrorRecord, ErrorSummary, InvocationRecord, LogLine
from casemate.model.usage import Usage
from casemate.operations.declaration import Operation
from casemate.operations.records import (
    Denials,
    Errors,
    Invocations,
    ListDenials,
    ListErrors,
    ListInvocations,
    ReadLogs,
    ShowError,
    ShowInvocation,
)
from casemate.operations.traces import FindTrace
from casemate.operations.usage import ReadUsage
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.records import denials, rows, usage
from casemate.recorder.records.denials import ListedDenial
from casemate.recorder.records.rows import Page
from casemate.sqlite.engine import Connection

T = TypeVar("T")


class Question(NamedTuple):
    """One kind of question."""

    kind: type[Operation[Any]]
    row: type[Any]
    find: Callable[[Connection, Any, int | None], Page]
    answer: Callable[[Any, list[Any]], Any]
    """Of the operation, and the rows of all pages."""


def _only(_operation: object, found: list[Any]) -> Any:
    return found[0]


def _in_order(operation: ReadLogs, found: list[LogLine]) -> tuple[LogLine, ...]:
    if operation.after:
        return tuple(found)  # as they came: whoever follows is to miss none
    lines = found[::-1]
    return tuple(sorted(lines, key=lambda one: one.at) if _are_of_several(lines) else lines)


def _newest_first(found: list[T], at: Callable[[T], float]) -> tuple[T, ...]:
    """Return rows in the order of time: those of other nodes come a second or two later."""
    ordered = sorted(found, key=at, reverse=True) if _are_of_several(found) else found
    return tuple(ordered)


def _are_of_several(found: list[Any]) -> bool:
    return len({one.node for one in found}) > 1


def _invocation(connection: Connection, operation: ShowInvocation, _at: int | None) -> Page:
    return Page([rows.invocation(connection, operation)], None)


def _error(connection: Connection, operation: ShowError, _at: int | None) -> Page:
    return Page([rows.error(connection, operation)], None)


def _denials(operation: ListDenials, found: list[ListedDenial]) -> Denials:
    listed = _newest_first(found, lambda one: one.at)
    # By their places, not by time: many alike are recorded after others that came later.
    before = found[-1].sequence if found and len(found) >= operation.limit else None
    return Denials(denials=tuple([one.denial for one in listed]), before=before)


_QUESTIONS = (
    Question(ShowInvocation, InvocationRecord, _invocation, _only),
    Question(ShowError, ErrorRecord, _error, _only),
    Question(
        ListInvocations,
        InvocationRecord,
        rows.invocations,
        lambda _, found: Invocations(invocations=_newest_first(found, lambda one: one.started_at)),
    ),
    Question(
        ListErrors,
        ErrorSummary,
        rows.errors,
        lambda _, found: Errors(errors=_newest_first(found, lambda one: one.at)),
    ),
    Question(ListDenials, ListedDenial, denials.denials, _denials),
    Question(ReadLogs, LogLine, rows.logs, _in_order),
    Question(ReadUsage, Usage, usage.usage, lambda _, found: tuple(found)),
    Question(FindTrace, InvocationRecord, rows.trace, lambda _, found: tuple(found)),
)
QUESTIONS: Mapping[type[Operation[Any]], Question] = {each.kind: each for each in _QUESTIONS}
NAMED: Mapping[str, Question] = {each.kind.__name__: each for each in _QUESTIONS}


def decode(name: str, body: bytes) -> Operation[Any]:
    """Return a question as it was asked. Raises RecorderInputError for what is none."""
    try:
        asked: Operation[Any] = msgspec.msgpack.decode(body, type=decodable(NAMED[name].kind))
    except (KeyError, *DECODING_ERRORS) as error:
        raise RecorderInputError(f"This is no question about records: {error}.") from error
    return asked


def page(connection: Connection, operation: Operation[Any], at: int | None) -> Page:
    """Return one page of what is asked for. Raises NotFoundError, InvalidInputError."""
    return QUESTIONS[type(operation)].find(connection, operation, at)
