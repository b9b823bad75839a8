"""Nothing that holds a secret is recorded or leaves; what cannot be looked through is withheld."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from casemate.facts import FactStream
from casemate.model.errors import UnavailableError
from casemate.model.facts import InvocationEnded, LogsWritten
from casemate.model.function import Logs
from casemate.model.invocation import ErrorRecord, InvocationRecord, LogLine, Outcome
from casemate.model.path import Finished
from casemate.recorder.folding import Folding
from casemate.seal import Redactor, Seal
from casemate.seal.redaction import WITHHELD
from support.core import MemoryStore, request, version

SECRET = b"hunter2-hunter2"
CLEAN = b"[redacted:s]"


class Vault:
    """Redacts one value in the projects that have it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fault: Exception | None = None

        self.known: dict[str, bool] = {}

    def known_secrets(self, project: str) -> bool | None:
        return self.known.get(project)

    async def has_secrets(self, project: str) -> bool:
        if self.fault is not None:
            raise self.fault
        self.known[project] = project == "t"
        return self.known[project]

    async def redact(self, project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        self.asked.append(project)
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        return tuple(text.replace(SECRET, CLEAN) for text in texts)


class Stage:
    """A redactor that knows that project t has a secret."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.vault = Vault()
        self.facts = FactStream()
        self.redactor = Redactor(self.store, self.vault, self.facts)

    def record(
        self,
        *lines: str,
        project: str = "t",
        error: str | None = None,
        kind: str = "ValueError",
        expected: bool = False,
    ) -> None:
        invocation = InvocationRecord(
            id="inv_1",
            project=project,
            function="f",
            version=1,
            trigger="invoke",
            outcome=Outcome.OK,
            status=200,
            started_at=1.0,
            queued_ms=0.0,
            run_ms=1.0,
            cold=False,
            request_bytes=0,
            response_bytes=0,
        )
        log = [
            LogLine(
                invocation="inv_1",
                project=project,
                function="f",
                version=1,
                at=1.0,
                level="info",
                text=line,
            )
            for line in lines
        ]
        failure = error and ErrorRecord(
            id="err_1",
            invocation="inv_1",
            project=project,
            function="f",
            version=1,
            outcome=Outcome.HANDLER_ERROR,
            at=1.0,
            type=kind,
            message=error,
            trace=f"trace {error}",
        )
        if expected:
            self.redactor.expect(invocation, failure or None, log, Logs())
        else:
            self.redactor.record(invocation, failure or None, log)


def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = Stage()
        await scene(stage)

    asyncio.run(run())


def test_a_secret_is_taken_out_of_logs_and_errors() -> None:
    async def scene(stage: Stage) -> None:
        text = SECRET.decode()
        stage.record("before", f"it is {text}!", error=f"bad {text}")
        await stage.redactor.flush()
        [(_, error, lines)] = stage.store.records
        assert [line.text for line in lines] == ["before", "it is [redacted:s]!"]
        assert error is not None
        assert (error.message, error.trace) == ("bad [redacted:s]", "trace bad [redacted:s]")

    play(scene)


def test_a_secret_over_several_lines_is_found() -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.fault = None
        joined = Redactor(stage.store, _Joined(), FactStream())
        stage.redactor = joined
        stage.record("a", "first", "second", "z")
        await joined.flush()
        [(_, _, lines)] = stage.store.records
        assert [line.text for line in lines] == ["a", "[redacted:s]", "z"]

    play(scene)


class _Joined(Vault):
    """Knows a secret of two lines."""

    async def redact(self, project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
        return tuple(text.replace(b"first\nsecond", CLEAN) for text in texts)


def test_a_project_without_secrets_is_recorded_at_once() -> None:
    async def scene(stage: Stage) -> None:
        stage.record("line", project="other")
        await stage.redactor.flush()
        stage.record("line", project="other")
        assert len(stage.store.records) == 2 and stage.vault.asked == []
        stage.vault.known = {"other": True}  # as after its first secret was set
        stage.record("line", project="other")
        assert len(stage.store.records) == 2
        await stage.redactor.flush()
        assert len(stage.store.records) == 3

    play(scene)


def test_what_was_not_looked_through_yet_is_withheld_should_this_process_end() -> None:
    async def scene(stage: Stage) -> None:
        text = SECRET.decode()
        stage.vault.known = {"other": False, "t": True}
        for project in ("other", "t", "unknown"):
            stage.record(text, error=text, project=project, expected=True)
        plain, *withheld = stage.store.expected
        assert plain[1].message == text and plain[2][0].text == text
        for _, error, lines in withheld:
            assert error.id == "err_1" and [line.text for line in lines] == [WITHHELD]
            assert text not in str(error) + str(lines)
        assert stage.store.records == [] and stage.vault.asked == []

    play(scene)


def test_what_the_vault_cannot_look_through_is_withheld() -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.fault = UnavailableError("gone")
        stage.record(SECRET.decode(), error=SECRET.decode())
        await stage.redactor.flush()
        [(_, error, lines)] = stage.store.records
        assert error is not None and [line.text for line in lines] == [WITHHELD]
        assert SECRET.decode() not in str(error) + str(lines)

    play(scene)


def test_a_flood_of_texts_is_withheld_rather_than_kept_waiting() -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(2100):
            stage.record(SECRET.decode())
        withheld = [lines for _, _, lines in stage.store.records]
        assert withheld and all(line.text == WITHHELD for lines in withheld for line in lines)
        await stage.redactor.flush()
        assert len(stage.store.records) == 2100

    play(scene)


def _finished(body: bytes) -> Finished:
    return Finished(
        outcome=Outcome.OK,
        request=request(),
        version=version(),
        head=b"{}",
        body=body,
        used_secret=True,
    )


def test_a_secret_does_not_leave_in_an_answer() -> None:
    async def scene(stage: Stage) -> None:
        seal = Seal(stage.redactor)
        finished = await seal.redact(_finished(b'"' + SECRET + b'"'))
        assert finished.body == b'"[redacted:s]"'
        assert seal.close(finished).body == b'"[redacted:s]"'

    play(scene)


@pytest.mark.parametrize("fault", [UnavailableError("gone"), RuntimeError("bug")])
def test_an_answer_that_cannot_be_looked_through_does_not_leave(fault: Exception) -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.fault = fault
        finished = await Seal(stage.redactor).redact(_finished(SECRET))
        assert (finished.outcome, finished.body) == (Outcome.INTERNAL_ERROR, b"")
        answer = Seal(stage.redactor).close(finished)
        assert answer.status == 500
        assert set(msgspec.json.decode(answer.body)) == {"type", "title", "status", "error_id"}

    play(scene)


# -- what fails on the way -----------------------------------------------------------------------


def test_the_name_of_an_exception_is_withheld_as_well() -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.fault = UnavailableError("gone")
        stage.record("line", error="e", kind=f"E_{SECRET.decode()}")
        await stage.redactor.flush()
        [(_, error, _)] = stage.store.records
        assert error is not None and SECRET.decode() not in error.type

    play(scene)


@pytest.mark.parametrize("fault", [RuntimeError("bug"), ValueError("bug"), IndexError("bug")])
def test_a_bug_on_the_way_loses_no_record(fault: Exception) -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.fault = fault
        stage.record(SECRET.decode(), error=SECRET.decode())
        await stage.redactor.flush()
        [(_, error, lines)] = stage.store.records
        assert SECRET.decode() not in str(error) + str(lines)

    play(scene)


def test_an_exception_s_name_is_looked_through() -> None:
    async def scene(stage: Stage) -> None:
        stage.record("line", error="e", kind=f"E_{SECRET.decode()}")
        await stage.redactor.flush()
        [(_, error, _)] = stage.store.records
        assert error is not None and error.type == "E_[redacted:s]"

    play(scene)


def test_a_redaction_under_way_is_waited_for() -> None:
    async def scene(stage: Stage) -> None:
        for number in range(5):
            stage.record(f"{number} {SECRET.decode()}")
        assert stage.store.records == []
        await stage.redactor.flush()
        texts = [line.text for _, _, lines in stage.store.records for line in lines]
        assert sorted(texts) == [f"{number} [redacted:s]" for number in range(5)]
        await stage.redactor.flush()

    play(scene)


def test_the_answer_of_no_invocation_is_left_alone() -> None:
    async def scene(stage: Stage) -> None:
        finished = Finished(outcome=Outcome.INVALID)
        assert await stage.redactor.redact(finished) is finished
        assert stage.vault.asked == []

    play(scene)


def test_lines_are_told_of_once_the_store_has_them_without_their_secrets() -> None:
    async def scene(stage: Stage) -> None:
        seen: list[tuple[LogsWritten, list[str]]] = []

        def look(fact: LogsWritten) -> None:
            _, _, lines = stage.store.records[-1]
            seen.append((fact, [line.text for line in lines]))

        stage.facts.listen(LogsWritten, look)
        stage.record(f"it is {SECRET.decode()}!")
        assert seen == []  # the vault is asked first
        await stage.redactor.flush()
        [(fact, texts)] = seen
        assert texts == ["it is [redacted:s]!"]
        assert (fact.project, fact.function, fact.version) == ("t", "f", 1)
        assert fact.invocation == "inv_1"
        stage.record()
        assert len(seen) == 1  # no line, nothing to read

    play(scene)


def test_the_end_of_an_invocation_is_told_with_its_outcome() -> None:
    async def scene(stage: Stage) -> None:
        ended: list[InvocationEnded] = []
        stage.facts.listen(InvocationEnded, ended.append)
        stage.record()
        stage.record("line", error="bad")
        await stage.redactor.flush()
        assert [fact.outcome for fact in ended] == ["ok", "ok"]
        assert {fact.invocation for fact in ended} == {"inv_1"}

    play(scene)


def test_ends_that_are_alike_are_counted_as_those_that_are_made_are_folded() -> None:
    async def scene(stage: Stage) -> None:
        counted, made = Folding(), Folding()
        told: list[InvocationEnded] = []

        def note(fact: InvocationEnded) -> None:
            if counted.passes(fact):
                told.append(fact)

        stage.facts.listen(InvocationEnded, note)
        stage.facts.count_with(counted.counts)
        for _ in range(5):
            stage.record()
        await stage.redactor.flush()
        assert [made.passes(told[0]) for _ in range(5)] == [True, *([False] * 4)]
        assert len(told) == 1
        assert list(counted.close_window()) == list(made.close_window()) == [(told[0], 4)]

    play(scene)


def test_nothing_is_made_where_nobody_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(stage: Stage) -> None:
        made: list[object] = []
        for name in ("LogsWritten", "InvocationEnded"):
            kind = type(name, (), {"__init__": lambda self, **_: made.append(self)})
            monkeypatch.setattr(f"casemate.seal.redaction.{name}", kind)
        stage.record("line")
        await stage.redactor.flush()
        assert len(stage.store.records) == 1
        assert made == []

    play(scene)


def written(*texts: str, project: str = "t") -> list[LogLine]:
    return [
        LogLine(
            invocation="inv_1",
            project=project,
            function="f",
            version=1,
            at=1.0,
            level="info",
            text=text,
        )
        for text in texts
    ]


def test_lines_of_what_runs_are_kept_in_order_and_without_their_secrets() -> None:
    async def scene(stage: Stage) -> None:
        order: list[str] = []
        stage.store.write = lambda lines, logs: order.extend(line.text for line in lines)  # type: ignore[method-assign]
        for number in range(5):
            stage.redactor.write(written(f"{number} {SECRET.decode()}"), Logs())
        stage.record("last", project="t")
        assert order == []
        await stage.redactor.flush()
        assert order == [f"{number} {CLEAN.decode()}" for number in range(5)]
        ((_, _, log),) = stage.store.records
        assert [line.text for line in log] == ["last"]
        assert not stage.redactor._writing

    play(scene)


def test_an_end_without_lines_waits_for_those_that_were_written_before() -> None:
    async def scene(stage: Stage) -> None:
        stage.redactor.write(written("first"), Logs())
        stage.record(project="t")
        assert stage.store.records == []
        await stage.redactor.flush()
        assert [line.text for lines in stage.store.written for line in lines] == ["first"]
        assert len(stage.store.records) == 1

    play(scene)


def test_lines_of_a_project_without_secrets_are_kept_and_told_of_at_once() -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.known["open"] = False
        with stage.facts.feed(LogsWritten) as feed:
            stage.redactor.write(written("plain", project="open"), Logs())
            assert [line.text for line in stage.store.written[0]] == ["plain"]
            (told,) = (await feed.take(1.0))[0]
        assert (told.invocation, told.project) == ("inv_1", "open")

    play(scene)


def test_lines_that_the_vault_cannot_look_through_are_withheld() -> None:
    async def scene(stage: Stage) -> None:
        stage.vault.fault = UnavailableError("gone")
        stage.redactor.write(written("secret", "another"), Logs())
        await stage.redactor.flush()
        assert [line.text for line in stage.store.written[0]] == [WITHHELD]

    play(scene)
