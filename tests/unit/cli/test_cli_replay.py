"""`casemate replay`: what is of an incident, what events show, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from casemate.cli import operation_command
from casemate.cli.commands import replay
from casemate.cli.errors import CommandError, DeniedError, MissingError
from casemate.cli.incident_events import Event, Events, events_of
from casemate.cli.incident_replay import Replayer, guarded_job, replayed
from casemate.cli.incident_verdict import (
    Again,
    Row,
    Shown,
    Verdict,
    compared,
    judged,
    overall,
    verdict_of,
)
from casemate.cli.names import FunctionName
from casemate.cli.version_bundle import bundle_of
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.function import ErrorException, FunctionSpec, GuardException
from casemate.model.invocation import Outcome
from casemate.model.recording import Content, Recording, RecordingSummary
from casemate.operations.findings import ShowFinding
from casemate.operations.functions import ShowFunction
from casemate.operations.incidents import ShowIncident
from casemate.operations.journal import JournalEntry, JournalPage, ListJournal
from casemate.operations.recordings import ListRecordings, RecordingList, ShowRecording
from casemate.operations.records import Denials, ListDenials
from casemate.runner.answer_hash import answer_hash
from support.monitor import found, incident

NAME = FunctionName("shop", "report")
AT = incident().opened_at
SPEC = FunctionSpec(name="report", handler="app:handler")
HOSTILE = "\x1b[2J\u202eevil"


def summary(id: str = "inv_1", outcome: Outcome = Outcome.BLOCKED, **more: Any) -> RecordingSummary:
    fields: dict[str, Any] = {
        "id": id, "project": "shop", "function": "report", "version": 3, "trigger": "invoke",
        "outcome": outcome, "at": AT, "expires_at": AT + 9e9, "size": 1,
    }  # fmt: skip
    return RecordingSummary(**{**fields, **more})


def denial(
    invocation: str = "inv_1", kind: DenialKind = DenialKind.INJECTION, **more: Any
) -> Denial:
    fields: dict[str, Any] = {
        "at": AT, "by": "user:ada", "project": "shop", "function": "report", "version": 3,
        "invocation": invocation, "kind": kind, "action": "guard:sql", "resource": "app.py:5",
        "reason": "x",
    }  # fmt: skip
    return Denial(**{**fields, **more})


def recording(one: RecordingSummary, **content: Any) -> Recording:
    return Recording(summary=one, content=Content(**{"event": b"{}", "reply": b"1", **content}))


def event(outcome: Outcome = Outcome.BLOCKED, *kinds: DenialKind) -> Event:
    return Event(
        recording=summary(outcome=outcome), denials=tuple(denial(kind=kind) for kind in kinds)
    )


BLOCK = ({"sink": "sql", "place": "app.py:5", "mode": "block"},)
REPORT = ({"sink": "sql", "place": "app.py:5", "mode": "report"},)
INJECTION, CAPABILITY = DenialKind.INJECTION, DenialKind.CAPABILITY


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        (event(Outcome.BLOCKED, INJECTION), Again("blocked", blocked=BLOCK), Shown.AGAIN),
        (event(Outcome.BLOCKED, INJECTION), Again("ok", blocked=REPORT), Shown.AGAIN),
        (event(Outcome.OK, INJECTION), Again("blocked"), Shown.AGAIN),
        (event(Outcome.BLOCKED, INJECTION), Again("ok"), Shown.GONE),
        (event(Outcome.BLOCKED, INJECTION), Again("handler-error", type="ValueError"), Shown.GONE),
        # What stopped short of the place shows nothing.
        (event(Outcome.BLOCKED), Again("handler-error", missing=("table.get",)), Shown.UNKNOWN),
        (event(Outcome.BLOCKED), Again("ok", outside=("the network",)), Shown.UNKNOWN),
        (event(Outcome.BLOCKED), Again("not-loaded", type="ImportError"), Shown.UNKNOWN),
        (event(Outcome.BLOCKED), Again("not-read"), Shown.UNKNOWN),
        (event(Outcome.BLOCKED), Again("handler-error", type="MemoryError"), Shown.UNKNOWN),
        (event(Outcome.BLOCKED), "a timeout", Shown.UNKNOWN),
        (event(Outcome.BLOCKED), "the end of the process (137)", Shown.UNKNOWN),
        # Yet what did it all the same before that is enough.
        (event(Outcome.BLOCKED), Again("blocked", blocked=BLOCK, missing=("x",)), Shown.AGAIN),
        (event(Outcome.OK, CAPABILITY), Again("ok", denied=("secret.get",)), Shown.AGAIN),
        (event(Outcome.OK, CAPABILITY), Again("ok"), Shown.GONE),
        (event(Outcome.OK, DenialKind.SYSTEM_CALL), Again("ok"), Shown.UNKNOWN),
        (event(Outcome.EXPOSED), Again("exposed"), Shown.AGAIN),
        (event(Outcome.EXPOSED), Again("ok"), Shown.GONE),
        (event(Outcome.TIMEOUT), "a timeout", Shown.AGAIN),
        (event(Outcome.CRASHED), "the end of the process (139)", Shown.AGAIN),
        (event(Outcome.CRASHED), "a timeout", Shown.UNKNOWN),
        (event(Outcome.OK), Again("ok"), Shown.UNKNOWN),
    ],
)
def test_what_an_event_shows(before: Event, now: Again | str, shown: Shown) -> None:
    assert judged(before, now)[0] is shown


@pytest.mark.parametrize(
    ("now", "shown"),
    [
        (Again("ok", answer="same"), Shown.SAME),
        (Again("ok", answer="other"), Shown.DIFFERENT),
        (Again("ok", answer="other", secrets=True), Shown.UNKNOWN),
        (Again("ok", answer="same", missing=("table.get",)), Shown.UNKNOWN),
        (Again("ok", answer="same", outside=("a program",)), Shown.UNKNOWN),
        (Again("ok", answer="same", blocked=REPORT), Shown.DIFFERENT),
        (Again("blocked", blocked=BLOCK), Shown.DIFFERENT),
        (Again("handler-error"), Shown.DIFFERENT),
        (Again("not-loaded"), Shown.DIFFERENT),
        (Again("not-read"), Shown.UNKNOWN),
        ("a timeout", Shown.DIFFERENT),
    ],
)
def test_what_a_benign_event_shows(now: Again | str, shown: Shown) -> None:
    assert compared(recording(summary(outcome=Outcome.OK)), "same", now)[0] is shown


def test_an_answer_that_was_cut_is_not_compared() -> None:
    cut = recording(summary(outcome=Outcome.OK, cut=True))
    assert compared(cut, "same", Again("ok", answer="other"))[0] is Shown.UNKNOWN


def row(shown: Shown, *, benign: bool = False, raised: bool = False) -> Row:
    return Row(
        invocation="inv_1", at=AT, version=1, benign=benign, then="", now="", shown=shown,
        raised=raised,
    )  # fmt: skip


GONE, SAME = row(Shown.GONE), row(Shown.SAME, benign=True)
RAISED = row(Shown.GONE, raised=True)
OTHER = row(Shown.DIFFERENT, benign=True)


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([GONE, SAME], Verdict.CLOSED),
        ([GONE], Verdict.CLOSED),
        ([GONE, OTHER], Verdict.CLOSED),
        ([GONE, row(Shown.AGAIN)], Verdict.OPEN),
        ([row(Shown.UNKNOWN), row(Shown.AGAIN)], Verdict.OPEN),
        ([GONE, row(Shown.UNKNOWN)], Verdict.NOT_SHOWN),
        ([], Verdict.NOT_SHOWN),
        ([SAME], Verdict.NOT_SHOWN),
        # A version that always fails closes nothing.
        ([RAISED], Verdict.NOT_SHOWN),
        ([RAISED, OTHER], Verdict.NOT_SHOWN),
        ([RAISED, SAME], Verdict.CLOSED),
    ],
)
def test_what_all_events_show(rows: list[Row], verdict: Verdict) -> None:
    assert verdict_of(rows)[0] is verdict


def test_what_was_denied_in_a_call_that_nobody_knows_is_not_closed() -> None:
    verdict, why = verdict_of([GONE, SAME], ["egress:connect"])
    assert verdict is Verdict.NOT_SHOWN and "egress:connect" in why
    assert verdict_of([row(Shown.AGAIN)], ["egress:connect"])[0] is Verdict.OPEN
    egress = denial("", DenialKind.EGRESS, action="egress:connect")
    node = Node(ListDenials=Denials(denials=(egress, denial("", DenialKind.CONTRACT))))
    assert gathered(node).of_no_call == ("egress:connect",)


def test_the_gravest_holds_of_all() -> None:
    closed, shown, opened = (
        replay._not_shown(NAME, ""), replay._not_shown(NAME, ""), replay._not_shown(NAME, "")
    )  # fmt: skip
    for each, verdict in ((closed, Verdict.CLOSED), (opened, Verdict.OPEN)):
        object.__setattr__(each, "verdict", verdict)
    assert overall([]) is Verdict.NOT_SHOWN
    assert overall([closed]) is Verdict.CLOSED
    assert overall([closed, shown]) is Verdict.NOT_SHOWN
    assert overall([closed, shown, opened]) is Verdict.OPEN


class Node:
    """Answers by the type of an operation; an exception is raised, a function asked."""

    url = "http://node"

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "ShowIncident": incident(things=("function:shop/report",)),
            "ShowFinding": found(project="shop"),
            "ListJournal": JournalPage(entries=(), before=None),
            "ListDenials": Denials(denials=()),
            "ListRecordings": RecordingList(recordings=()),
            **answers,
        }
        self.asked: list[Any] = []

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, operation: Any) -> Any:
        self.asked.append(operation)
        answer = self.answers[type(operation).__name__]
        if isinstance(answer, Exception):
            raise answer
        return answer(operation) if callable(answer) else answer


def gathered(node: Node) -> Events:
    return events_of(node, incident(), NAME, None)  # type: ignore[arg-type]


def test_events_are_those_that_findings_name_and_those_alike_in_between() -> None:
    entry = JournalEntry(index=1, id="boot-1", event={"metadata": {"correlation_uid": "inv_named"}})
    other = JournalEntry(index=2, id="boot-2", event={"metadata": {"correlation_uid": "inv_no"}})
    node = Node(
        ListJournal=JournalPage(entries=(entry, other), before=None),
        ListDenials=Denials(
            denials=(
                denial("inv_denied"),
                denial("inv_gone"),
                denial("inv_late", at=AT + 9e6),
                denial("inv_early", at=AT - 9e6),
                denial("inv_caller", DenialKind.CONTRACT),
                denial(""),
            )
        ),
        ListRecordings=RecordingList(
            recordings=(
                summary("inv_named", Outcome.HANDLER_ERROR, at=AT + 1),
                summary("inv_denied"),
                summary("inv_blocked", at=AT - 1),
                summary("inv_no", Outcome.HANDLER_ERROR),
                summary("inv_late", at=AT + 9e6),
                summary("inv_ok", Outcome.OK),
                summary("inv_other", Outcome.OK, project="mail"),
            )
        ),
    )
    events = gathered(node)
    assert [one.recording.id for one in events.events] == ["inv_named", "inv_denied", "inv_blocked"]
    assert events.events[1].then == "blocked; guard:sql app.py:5"
    assert [one.id for one in events.benign] == ["inv_ok"], "of another project: none of it"
    assert events.not_recorded == ("inv_gone",) and events.notes == ()
    assert events.of_no_call == ("guard:sql",)


def test_what_is_not_to_be_seen_or_had_is_said() -> None:
    assert "not yours" in gathered(Node(ListJournal=DeniedError("no"))).notes[0]
    assert "not yours" in gathered(Node(ShowFinding=DeniedError("no"))).notes[0]
    assert "forgotten" in gathered(Node(ShowFinding=MissingError("no"))).notes[0]
    many = JournalPage(entries=(), before=7)
    assert "only the newest entries" in gathered(Node(ListJournal=many)).notes[0]
    with pytest.raises(DeniedError):
        gathered(Node(ListRecordings=DeniedError("no")))


def test_nothing_is_fetched_of_a_function_without_an_event() -> None:
    class Never:
        def benign(self, _summary: object) -> Row:
            raise AssertionError("what callers sent was looked at")

    events = Events(benign=(summary(outcome=Outcome.OK),))
    done = replayed("shop/report", 3, events, Never(), lambda _: None)  # type: ignore[arg-type]
    assert done.verdict is Verdict.NOT_SHOWN and done.why == "nothing of it is recorded"


class Built:
    digest = "d" * 64

    class manifest:
        function = SPEC


def again(fetched: Any, until: float = 9e9) -> Row:
    def fetch(_id: str) -> Any:
        if isinstance(fetched, Exception):
            raise fetched
        return fetched

    return Replayer(Built(), fetch, until).event(event())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fetched", "why"),
    [
        (MissingError("there is none any more"), "none any more"),
        (recording(summary(project="mail")), "another recording"),
        (recording(summary("inv_2")), "another recording"),
        (recording(summary(trigger="queue")), "cannot be handed over"),
        (recording(summary(), event=b""), "too large to be recorded"),
        (recording(summary(), event=b"{"), "not recorded in its present form"),
    ],
)
def test_what_cannot_be_done_again_shows_nothing(fetched: Any, why: str) -> None:
    done = again(fetched)
    assert done.shown is Shown.UNKNOWN and why in done.now


def test_all_of_it_is_bounded_in_time() -> None:
    done = again(recording(summary()), until=0.0)
    assert done.shown is Shown.UNKNOWN and "no time left" in done.now


def test_a_benign_answer_that_changes_each_time_is_not_compared(monkeypatch: Any) -> None:
    answers = iter([Again("ok", answer="a"), Again("ok", answer="b"), Again("ok", answer="c")])
    monkeypatch.setattr("casemate.cli.incident_replay.run_job", lambda *_, **__: next(answers))
    one = summary(outcome=Outcome.OK)
    replayer = Replayer(Built(), lambda _: recording(one), 9e9)  # type: ignore[arg-type]
    assert replayer.benign(one).shown is Shown.UNKNOWN
    same = iter([Again("ok", answer=answer_hash(b"1"))])
    monkeypatch.setattr("casemate.cli.incident_replay.run_job", lambda *_, **__: next(same))
    assert replayer.benign(one).shown is Shown.SAME


def test_the_job_has_the_exceptions_of_the_version() -> None:
    spec = FunctionSpec(
        name="f",
        handler="app:handler",
        environment={"A": "b"},
        guard=(GuardException(sink="sql", location="*", reason="x"),),
        errors=(
            ErrorException(place="invoke", what="path", reason="x"),
            ErrorException(place="/r", what="trace", reason="x"),
        ),
    )
    job = guarded_job(spec, recording(summary()))
    assert job["guard"] == [["sql", "*", "report"]] and job["open"] == ["path"]
    assert job["environment"]["A"] == "b" and job["environment"]["CASEMATE_PROJECT"] == "shop"


def version(number: int = 3, digest: str = "d" * 64) -> Version:
    return Version(
        project="shop", function="report", number=number, digest=digest, spec=SPEC,
        created_at=1.0, created_by="k",
    )  # fmt: skip


@pytest.mark.parametrize("digest", ["../../etc", "D" * 64, "", "d" * 64 + "\n"])
def test_a_digest_that_is_none_is_no_path(tmp_path: Path, digest: str) -> None:
    with pytest.raises(CommandError, match="no digest"):
        bundle_of(NAME, version(digest=digest), tmp_path)


def test_code_of_another_project_or_function_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context): ...\n")
    (tmp_path / ".casemate" / "bundles" / ("d" * 64)).mkdir(parents=True)
    for text in ("[project]\nname = 'mail'\n[function.report]\nhandler = 'app:handler'\n",
                 "[project]\nname = 'shop'\n[function.f]\nhandler = 'app:handler'\n"):  # fmt: skip
        (tmp_path / "casemate.toml").write_text(text)
        with pytest.raises(CommandError, match=r"not here: The project at .* has no shop/report"):
            bundle_of(NAME, version(), tmp_path)
    with pytest.raises(CommandError, match="not here: There is no file"):
        bundle_of(NAME, version(), tmp_path / "none")


DEPLOYED = DeployedFunction(
    project="shop",
    name="report",
    versions=(version(2), version(3)),
    aliases=(
        Alias(
            project="shop", function="report", name=LIVE,
            targets=(AliasTarget(version=3, weight=100),), changed_at=1.0,
        ),
    ),
)  # fmt: skip


FINE = Again("ok")


@pytest.fixture
def asked(cli: Any, monkeypatch: Any) -> Any:
    """Runs the command against a node of answers, with events that come to what is given."""

    def run(*words: str, now: Again | str = FINE, **answers: Any) -> Any:
        node = Node(**{"ShowFunction": DEPLOYED, **answers})
        monkeypatch.setattr(operation_command, "connect", lambda: node)
        monkeypatch.setattr(replay, "connect", lambda: node)
        monkeypatch.setattr(replay, "bundle_of", lambda *_: Built())
        monkeypatch.setattr("casemate.cli.incident_replay.run_job", lambda *_, **__: now)
        done = cli("replay", "inc_9f2c51aa03b1e7d4", *words)
        done.node = node
        return done

    return run


RECORDED: dict[str, Any] = {
    "ListRecordings": RecordingList(recordings=(summary(),)),
    "ListDenials": Denials(denials=(denial(),)),
    "ShowRecording": recording(summary(), event=b'{"card":"4242"}'),
}


def test_the_exit_code_says_it(asked: Any) -> None:
    closed = asked(**RECORDED)
    assert closed.code == 0 and "inc_9f2c51aa03b1e7d4: closed" in closed.out
    assert "shop/report@3: closed" in closed.out and "4242" not in closed.out + closed.err
    opened = asked(now=Again("blocked", blocked=BLOCK), **RECORDED)
    assert opened.code == 1 and "blocked: sql at app.py:5" in opened.out
    nothing = asked()
    assert nothing.code == 2 and "nothing of it is recorded" in nothing.out
    assert not any(isinstance(one, ShowRecording) for one in nothing.node.asked)
    broken = asked("--version", "2", "--json", now="a timeout", **RECORDED)
    assert broken.code == 2 and '"version": 2' in broken.out and "ended by a timeout" in broken.out


def test_a_benign_event_that_is_answered_in_another_way_is_1(asked: Any) -> None:
    each = {"inv_1": summary(), "inv_2": summary("inv_2", Outcome.OK)}
    answers = RECORDED | {
        "ListRecordings": RecordingList(recordings=tuple(each.values())),
        "ShowRecording": lambda asked_for: recording(each[asked_for.id]),
    }
    done = asked(now=Again("ok", answer="other"), **answers)
    assert done.code == 1 and "report@3: closed" in done.out and "in another way" in done.out
    assert asked(now=Again("ok", answer=answer_hash(b"1")), **answers).code == 0
    broken = asked(now=Again("handler-error", type="KeyError"), **answers)
    assert broken.code == 1 and "report@3: not shown" in broken.out
    assert "no benign recording" not in broken.err


def test_hostile_names_are_shown_and_not_obeyed(asked: Any) -> None:
    done = asked(
        now=Again("blocked", blocked=({"sink": HOSTILE, "place": HOSTILE},)),
        **{**RECORDED, "ListDenials": Denials(denials=(denial(resource=HOSTILE),))},
        ShowIncident=incident(
            things=("function:shop/report", f"function:shop/{HOSTILE}", "function:../x/y")
        ),
    )
    assert done.code == 1 and "not the name of a function" in done.err
    assert "\x1b" not in done.out + done.err and "\u202e" not in done.out + done.err
    assert not any(
        isinstance(one, ListRecordings | ListDenials | ShowFunction | ListJournal)
        and (one.project, one.function) != ("shop", "report")
        for one in done.node.asked
    )


def test_what_is_not_one_s_own_is_refused(asked: Any) -> None:
    assert asked(ShowIncident=DeniedError("no")).code == 4
    assert asked(ListRecordings=DeniedError("no")).code == 4
    assert asked(ShowIncident=MissingError("none")).code == 3
    assert asked("--version", "9").code == 3
    assert asked("--version", "0").code == 2
    assert asked("--function", "mail/send").code == 2
    several = incident(things=("function:shop/report", "function:shop/f"))
    assert asked("--version", "3", ShowIncident=several).code == 2
    assert asked(ShowIncident=incident(things=("198.51.100.7",))).code == 2


def test_a_function_that_is_gone_is_not_shown(asked: Any) -> None:
    done = asked(ShowFunction=MissingError("There is no shop/report."))
    assert done.code == 2 and "There is no shop/report" in done.out


def test_only_the_incident_of_the_project_is_asked_for(asked: Any) -> None:
    done = asked("--project", "shop", **RECORDED)
    assert done.code == 0
    [shown] = [one for one in done.node.asked if isinstance(one, ShowIncident)]
    assert shown.project == "shop"
    assert {one.project for one in done.node.asked if isinstance(one, ShowFinding)} == {"shop"}
