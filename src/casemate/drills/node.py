"""The node that is attacked: its interface with a token and without, and its own records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from casemate.model.denial import Denial
from casemate.model.errors import NotFoundError
from casemate.model.invocation import ErrorRecord, InvocationRecord
from casemate.operations.declaration import Operation
from casemate.operations.records import ListDenials, ShowError, ShowInvocation

WIDER = "wider"
"""A function that wants more with each deployment."""
OPENED = "opened"
"""A function that anybody may call with the second deployment; it holds nothing."""
RECORD_SECONDS = 5.0
"""How long one waits for a record; it is told within milliseconds, and kept in groups."""
_PAUSE_SECONDS = 0.01
_MOST_PAUSE_SECONDS = 0.1
_DENIALS = 100
_SAME_SECONDS = 3.0
"""What clocks of one machine may seem to differ by: answers tell the time to the second."""
_SPARE_SECONDS = 1.0
_DATE_SECONDS = 2.0

T = TypeVar("T")


class Answer(Protocol):
    """What an HTTP client returns."""

    @property
    def status_code(self) -> int:
        """Return the status."""
        ...

    @property
    def text(self) -> str:
        """Return the body."""
        ...

    @property
    def headers(self) -> Any:
        """Return the headers, by names without case."""
        ...

    def json(self) -> Any:
        """Return the body, decoded. Raises ValueError."""
        ...


class Node(Protocol):
    """The node, for somebody who may deploy on it and read its records."""

    def call(self, operation: Operation[T]) -> T:
        """Have it do an operation. Raises CasemateError."""
        ...

    def exchange(self, method: str, path: str, **rest: Any) -> Answer:
        """Ask it with the own token."""
        ...

    def as_stranger(self, method: str, path: str, **rest: Any) -> Answer:
        """Ask it without one."""
        ...

    def now(self) -> float:
        """Return what its clock says, to the second. Raises CasemateError."""
        ...

    def send_raw(self, data: bytes) -> None:
        """Send bytes over a connection of their own; what comes of it is not looked at."""
        ...

    def put_secret(self, project: str, name: str, value: bytes) -> None:
        """Set a secret. Raises CasemateError."""
        ...

    def deploy(self, poisoned: bool = False) -> None:
        """Deploy the project that is attacked; `poisoned` with another version of `careless`."""
        ...

    def deploy_wider(self, *, approve: bool) -> None:
        """Deploy functions, and then versions that want to be granted more and called by more.

        One that is refused for want of an approval is no error.
        """
        ...

    def deploy_attacker(self, name: str) -> None:
        """Deploy one more function of it with the attacker's code."""
        ...


def until(find: Callable[[], T], seconds: float = RECORD_SECONDS) -> T:
    """Return what `find` finds, once it does; what it found last after so long."""
    deadline, pause = time.monotonic() + seconds, _PAUSE_SECONDS
    while not (found := find()) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, _MOST_PAUSE_SECONDS)
    return found


class Began:
    """When something began, by the node's clock: not ours, and it may be set while it goes on."""

    def __init__(self, node: Node, told: tuple[float, float] | None = None) -> None:
        """It begins now, or began when another process of this machine has `told` it.

        Raises CasemateError.
        """
        self._node = node
        if told is None:
            clock = time.monotonic()
            at, spare = self._now()
            told = clock, at - spare
        self.told = told
        """By the clock here that nobody sets, and the earliest by the node's, in seconds."""

    def _now(self) -> tuple[float, float]:
        """Return the node's time, and by how much it may be earlier."""
        ours, theirs = time.time(), self._node.now()
        if abs(theirs - ours) <= _SAME_SECONDS:
            return ours, _SPARE_SECONDS
        return theirs, _SPARE_SECONDS + _DATE_SECONDS

    @property
    def since(self) -> float:
        """Return the earliest time that what was recorded since then may have, whatever was done
        to the clock. Raises CasemateError.
        """
        clock, earliest = self.told
        now, spare = self._now()
        return min(earliest, now - (time.monotonic() - clock) - spare)


class Records:
    """What the node keeps of an attack."""

    def __init__(self, node: Node, project: str) -> None:
        """Ask `node` about `project`."""
        self._node = node
        self._project = project

    def _kept(self, operation: Operation[T]) -> T | None:
        def find() -> T | None:
            try:
                return self._node.call(operation)
            except NotFoundError:
                return None

        return until(find)

    def ended(self, invocation: str) -> InvocationRecord | None:
        """Return the record of an invocation once it has ended; None after a while."""
        return self._kept(ShowInvocation(id=invocation))

    def error(self, id: str) -> ErrorRecord | None:
        """Return what is known of an error; None after a while."""
        return self._kept(ShowError(id=id))

    def denial(
        self, kind: str, *, function: str = "", invocation: str = "", since: float = 0.0
    ) -> Denial | None:
        """Return a denial of a kind that is at least as new; None after a while.

        It names the invocation, or none where the node could not tell which one it was.
        """

        def find() -> Denial | None:
            wanted = ListDenials(limit=_DENIALS)
            if function:
                wanted = ListDenials(project=self._project, function=function, limit=_DENIALS)
            for each in self._node.call(wanted).denials:
                if each.at < since:
                    continue
                if each.kind == kind and (not invocation or each.invocation in (invocation, "")):
                    return each
            return None

        return until(find)
