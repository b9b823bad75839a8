"""The records against a plain in-memory reference, in any order of calls and restarts."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from records_samples import KEY, SESSION, Filled, invocation, invocations, line, lines, told

from casemate.model.invocation import InvocationRecord
from casemate.recorder.protocol import Take
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.opening import DATABASE
from casemate.recorder.records.rows import Left

PROJECTS = st.sampled_from(["p", "q"])
FUNCTIONS = st.sampled_from(["f", "g"])
NUMBERS = st.integers(0, 6)


class RecordsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="casemate-records-"))
        self.path, self.key = self.folder / "r", KEY
        self.runner = asyncio.Runner()
        self.records = RecordsDatabase.open(self.path, self.key)
        self.filled = Filled(self.records)
        self.invocations: list[InvocationRecord] = []
        self.lines: list[tuple[str, str]] = []
        self.sent: list[Left] = []

    def teardown(self) -> None:
        self.records.close()
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(project=PROJECTS, function=FUNCTIONS, count=st.integers(0, 3))
    def record(self, project: str, function: str, count: int) -> None:
        number = len(self.invocations) + 1
        record = invocation(f"i{number}", project=project, function=function)
        texts = [f"line {number}-{n}" for n in range(count)]
        one = Left(record, None, tuple(line(text, function=function) for text in texts))
        assert self.runner.run(self.filled.tell(one)) == 0
        self.sent.append(one)
        self.invocations.append(record)
        self.lines += [(function, text) for text in texts]

    @rule(back=st.integers(1, 5))
    def send_again(self, back: int) -> None:
        again = self.sent[-back:]
        take = Take(1, SESSION, self.filled.next - len(again), tuple(map(told, again)))
        assert self.runner.run(self.records.keep([take])) == 0

    @rule(project=st.none() | PROJECTS, function=st.none() | FUNCTIONS, limit=NUMBERS)
    def read_records(self, project: str | None, function: str | None, limit: int) -> None:
        wanted = [
            r
            for r in reversed(self.invocations)
            if project in (None, r.project) and function in (None, r.function)
        ]
        found = self.runner.run(
            invocations(self.records, project=project, function=function, limit=limit)
        )
        assert found == wanted[:limit]
        kept = self.runner.run(lines(self.records, function=function))
        assert [entry.text for entry in kept] == [
            text for of, text in self.lines if function in (None, of)
        ]
        sequences = [entry.sequence for entry in kept]
        assert sequences == sorted(set(sequences))

    @rule(text=st.sampled_from(["line 1", "-0", "e 2-1", "none", "INE"]))
    def search(self, text: str) -> None:
        found = self.runner.run(lines(self.records, search=text))
        assert [one.text for one in found] == [t for _, t in self.lines if text.lower() in t]

    @rule()
    def rekey(self) -> None:
        self.key = bytes(b ^ 0xFF for b in self.key)
        self.runner.run(self.records.rekey(self.key))

    def _open(self, folder: Path) -> None:
        self.records.close()
        self.records = RecordsDatabase.open(folder, self.key, expected=True)
        self.filled.records = self.records
        self.path = folder

    @rule()
    def continue_from_a_copy(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.folder)) / "r"
        folder.mkdir()
        descriptor = os.open(folder / DATABASE, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            self.runner.run(self.records.copy(self.path, descriptor))
        finally:
            os.close(descriptor)
        self._open(folder)

    @rule()
    def restart(self) -> None:
        self._open(self.path)


TestRecordsMachine = RecordsMachine.TestCase
TestRecordsMachine.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
