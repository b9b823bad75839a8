"""What others of the gateway need of the records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from casemate.model.denial import Denial
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.model.usage import Beside
from casemate.operations.declaration import Operation

AnswerT = TypeVar("AnswerT")


class Records(Protocol):
    """What invocations leave behind. Nothing here changes what was recorded, or forgets it.

    An invocation is answered without waiting for what it leaves behind; `flush` waits for all.
    """

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None = None,
        log: Sequence[LogLine] = (),
        logs: Logs = Logs(),  # noqa: B008 - frozen
    ) -> None:
        """Queue what an invocation left behind; written with the next group commit.

        Texts of errors and lines are masked before they are written, as `logs` say.

        Never blocks. Records are not dropped silently: see `lost_records`.
        """
        ...

    def expect(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs,
    ) -> None:
        """Have an invocation on record although this process ends before `record` is called for it.

        To be called before it is answered, where something has still to be found out about it.
        """
        ...

    def begin(self, invocation: InvocationRecord, logs: Logs, seconds: float) -> None:
        """Have an invocation that begins on record although this process ends while it runs.

        It is one that crashed then, and has run for `seconds` at the most. `record` or `expect`
        puts what became of it in its place.
        """
        ...

    def record_expected(self, invocation: InvocationRecord, cpu_us: int, peak: int) -> bool:
        """Queue an expected invocation without spans, of which only is new what it used.

        False where `record` is to be called instead.
        """
        ...

    def write(self, lines: Sequence[LogLine], logs: Logs = Logs()) -> None:  # noqa: B008
        """Queue lines of an invocation that still runs, as `record` does; `lines` is not empty."""
        ...

    def deny(self, denial: Denial) -> None:
        """Queue the record of a denied attempt, as `record` does."""
        ...

    def use(self, used: Beside) -> None:
        """Queue what is used beside records of invocations, as `record` does."""
        ...

    @property
    def lost_records(self) -> int:
        """Number of records that could not be kept since the start (disk full, overload)."""
        ...

    async def flush(self) -> None:
        """Return once everything recorded before this call is durable. Raises NotRecordedError."""
        ...

    async def read(self, operation: Operation[AnswerT]) -> AnswerT:
        """Answer a question about records. TypeError for any other, CasemateError."""
        ...
