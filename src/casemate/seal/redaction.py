"""Takes known secret values out of every text before it is recorded or leaves.

The values are known to the vault alone, so it is the vault that looks for them. What it cannot be
asked about is withheld whole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence

import msgspec

from casemate.facts import FactStream
from casemate.model.facts import InvocationEnded, InvocationMeasured, LogsWritten
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine
from casemate.model.path import Finished
from casemate.model.usage import GuardSampled
from casemate.recorder.records.interface import Records
from casemate.vault.interface import Vault

WITHHELD = "[withheld: the vault could not be asked to redact this]"
_MAX_WAITING = 2_000
_log = logging.getLogger(__name__)


class Redactor:
    """Records what invocations leave behind, without the secrets of their projects."""

    def __init__(self, records: Records, vault: Vault, facts: FactStream) -> None:
        """Record into `records` what `vault` has looked through, and tell `facts` that it is."""
        self._records = records
        self._facts = facts
        self._vault = vault
        self._waiting: set[asyncio.Task[None]] = set()
        self._writing: dict[str, asyncio.Task[None]] = {}
        """Of running invocations, the lines that are looked through: what comes later waits."""

    def record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs = Logs(),  # noqa: B008 - frozen
    ) -> None:
        """Record, at once where there is nothing to look for; the recorder masks as `logs` say."""
        before = self._writing.get(invocation.id)
        quiet = not (log or error) or self._vault.known_secrets(invocation.project) is False
        if quiet and before is None:
            self._keep(invocation, error, log, logs)
            return
        if len(self._waiting) >= _MAX_WAITING:
            error, log = _withhold(error, log)
            self._keep(invocation, error, log, logs)
            return
        self._begin(self._record(invocation, error, log, logs, before))

    def sample(self, sampled: GuardSampled) -> None:
        """Record what the sink guard took of one call."""
        self._records.use(sampled)

    def expect(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs,
    ) -> None:
        """Have it on record although this process ends before `record` has looked through it.

        Then what may hold a secret is withheld.
        """
        if (log or error) and self._vault.known_secrets(invocation.project) is not False:
            error, log = _withhold(error, log)
        self._records.expect(invocation, error, log, logs)

    def begin(self, invocation: InvocationRecord, logs: Logs, seconds: float) -> None:
        """Have an invocation that begins on record although this process ends while it runs."""
        self._records.begin(invocation, logs, seconds)

    def record_expected(self, invocation: InvocationRecord, cpu_us: int, peak: int) -> bool:
        """Record an invocation without texts that is expected, now that is known what it used.

        False where `record` is to be called instead.
        """
        if invocation.id in self._writing:
            return False
        if not self._records.record_expected(invocation, cpu_us, peak):
            return False
        self._tell_end(invocation)
        return True

    def _begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return task

    def write(self, lines: Sequence[LogLine], logs: Logs) -> None:
        """Record lines of an invocation that still runs, in their order."""
        first = lines[0]
        before = self._writing.get(first.invocation)
        if before is None and self._vault.known_secrets(first.project) is False:
            self._keep_lines(lines, logs)
            return
        if len(self._waiting) >= _MAX_WAITING:
            self._keep_lines(_withhold(None, lines)[1], logs)
            return
        task = self._begin(self._write(lines, logs, before))
        self._writing[first.invocation] = task

        def done(ended: asyncio.Task[None]) -> None:
            if self._writing.get(first.invocation) is ended:
                del self._writing[first.invocation]

        task.add_done_callback(done)

    async def _write(
        self, lines: Sequence[LogLine], logs: Logs, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait((before,))
        first = lines[0]
        try:
            if await self._vault.has_secrets(first.project):
                text = "\n".join(line.text for line in lines).encode()
                (clean,) = await self._vault.redact(first.project, [text])
                lines = _split(clean.decode(errors="replace"), lines)
        except Exception as failure:  # noqa: BLE001 - a fault must neither lose nor leak a line
            _log.error("lines of %s are withheld: %s", first.invocation, failure)
            lines = _withhold(None, lines)[1]
        self._keep_lines(lines, logs)

    def _keep_lines(self, lines: Sequence[LogLine], logs: Logs) -> None:
        self._records.write(lines, logs)
        self._tell(lines[0])

    async def _record(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs,
        before: asyncio.Task[None] | None,
    ) -> None:
        if before is not None:
            await asyncio.wait((before,))
        # In one piece: a value that was printed over several lines is found as well.
        lines = "\n".join(line.text for line in log)
        texts = [lines.encode()]
        if error is not None:
            texts += [error.message.encode(), error.trace.encode(), error.type.encode()]
        try:
            if not (log or error) or not await self._vault.has_secrets(invocation.project):
                self._keep(invocation, error, log, logs)
                return
            clean = [
                text.decode(errors="replace")
                for text in await self._vault.redact(invocation.project, texts)
            ]
        except Exception as failure:  # noqa: BLE001 - a fault must neither lose nor leak a record
            _log.error("texts of %s are withheld: %s", invocation.id, failure)
            error, log = _withhold(error, log)
        else:
            if error is not None:
                error = msgspec.structs.replace(
                    error, message=clean[1], trace=clean[2], type=clean[3]
                )
            log = _split(clean[0], log)
        self._keep(invocation, error, log, logs)

    def _keep(
        self,
        invocation: InvocationRecord,
        error: ErrorRecord | None,
        log: Sequence[LogLine],
        logs: Logs,
    ) -> None:
        self._records.record(invocation, error, log, logs)
        if log:
            self._tell(log[0])
        self._tell_end(invocation)

    def _tell_end(self, invocation: InvocationRecord) -> None:
        facts = self._facts
        if facts.wanted(InvocationMeasured) and invocation.version:
            facts.happened(_measured(invocation))
        project, function, version = invocation.project, invocation.function, invocation.version
        outcome = invocation.outcome.value
        if facts.counted(InvocationEnded, project, function, version, outcome):
            return  # as nearly all are: one of a second stands for those like it
        if facts.wanted(InvocationEnded):
            facts.happened(
                InvocationEnded(
                    at=time.time(),
                    project=project,
                    function=function,
                    version=version,
                    invocation=invocation.id,
                    outcome=outcome,
                )
            )

    def _tell(self, line: LogLine) -> None:
        if self._facts.wanted(LogsWritten):
            self._facts.happened(
                LogsWritten(
                    at=time.time(),
                    project=line.project,
                    function=line.function,
                    version=line.version,
                    invocation=line.invocation,
                )
            )

    async def redact(self, finished: Finished) -> Finished:
        """Return an invocation's end without secrets in its answer."""
        raw = finished.request.raw if finished.request is not None else finished.raw
        if raw is None:
            return finished
        head, body = await self._vault.redact(raw.project, (finished.head, finished.body))
        return msgspec.structs.replace(finished, head=head, body=body)

    async def flush(self) -> None:
        """Return once everything recorded before this call has been told to the recorder."""
        if self._waiting:
            await asyncio.wait(tuple(self._waiting))


def _measured(invocation: InvocationRecord) -> InvocationMeasured:
    return InvocationMeasured(
        at=invocation.started_at,
        project=invocation.project,
        function=invocation.function,
        version=invocation.version,
        invocation=invocation.id,
        outcome=invocation.outcome.value,
        trigger=invocation.trigger,
        run_ms=invocation.run_ms,
        request_bytes=invocation.request_bytes,
        response_bytes=invocation.response_bytes,
    )


def _split(text: str, log: Sequence[LogLine]) -> Sequence[LogLine]:
    """Give the redacted text back to its lines; what a value spanned became one line."""
    if not log:
        return ()
    texts = text.split("\n")
    if len(texts) == len(log):
        return [
            line if line.text == clean else msgspec.structs.replace(line, text=clean)
            for line, clean in zip(log, texts, strict=True)
        ]
    first = log[0]
    return [
        msgspec.structs.replace(log[min(index, len(log) - 1)], text=clean)
        for index, clean in enumerate(texts)
    ] or [first]


def _withhold(
    error: ErrorRecord | None, log: Sequence[LogLine]
) -> tuple[ErrorRecord | None, Sequence[LogLine]]:
    if error is not None:
        error = msgspec.structs.replace(error, type="Withheld", message=WITHHELD, trace="")
    return error, [msgspec.structs.replace(line, text=WITHHELD) for line in log[:1]]
