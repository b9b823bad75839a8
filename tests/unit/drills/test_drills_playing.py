"""An attack that gets through, or of which nothing is on record, has failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from casemate.drills import cleaning, lease, leftovers, playing, running
from casemate.drills.catalogue import catalogue, chosen
from casemate.drills.detections import STEPS
from casemate.drills.drill import Drill, Way
from casemate.drills.node import until
from casemate.drills.playing import Player
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import DeployedFunction
from casemate.model.errors import CasemateError, ConflictError, NotFoundError
from casemate.model.grant import BucketSpec, QueueSpec, TableSpec
from casemate.model.invocation import InvocationRecord, Outcome
from casemate.model.playbook import PlaybookRun
from casemate.operations.budgets import ListBudgets
from casemate.operations.evidence import (
    EvidenceList,
    GatherEvidence,
    ListEvidence,
    ReleaseEvidence,
)
from casemate.operations.findings import (
    AlertSilences,
    FindingPage,
    ListAlertSilences,
    ListFindings,
    ListOnCall,
    OnCallShift,
    OnCallShifts,
    PagePeople,
)
from casemate.operations.functions import Functions, ListFunctions, RemoveFunction, SetAlias
from casemate.operations.incidents import (
    Incident,
    IncidentPage,
    IncidentState,
    IncidentSummary,
    ListIncidents,
    ResolveIncident,
    ShowIncident,
)
from casemate.operations.items import DropTable, ListTables, Tables
from casemate.operations.messages import DropQueue, DropTopic, ListQueues, Queues
from casemate.operations.objects import Buckets, DropBucket, ListBuckets
from casemate.operations.playbooks import (
    MAX_PAUSE,
    DismissPlaybookRun,
    ListPlaybookRuns,
    ListPlaybooks,
    PausePlaybooks,
    PlaybookList,
    PlaybookRuns,
    UndoPlaybookRun,
)
from casemate.operations.policies import ListPolicies
from casemate.operations.quarantine import ReleaseFunction
from casemate.operations.records import Denials, ListDenials, ShowError, ShowInvocation
from casemate.operations.restrictions import (
    LiftRestriction,
    ListRestrictions,
    Restrict,
    Restrictions,
)
from casemate.operations.rotations import PutRotation, RevertSecret, RotateSecret
from casemate.operations.routes import ListRouteClaims
from casemate.operations.secrets import DeleteSecret, ListProjectSecrets
from casemate.operations.tokens import (
    AddToken,
    CreatedToken,
    ListTokens,
    RevokeToken,
    Tokens,
    TokenView,
)
from casemate.operations.triggers import FireTrigger
from casemate.operations.users import ListUsers, Users


class Answer:
    def __init__(self, status: int = 200, body: object = None, **headers: str) -> None:
        self.status_code = status
        self.text = json.dumps(body)
        self.headers = {"x-request-id": "inv_1", **headers}

    def json(self) -> Any:
        return json.loads(self.text)


class FakeNode:
    """A node that answers as it is told to."""

    now = staticmethod(time.time)

    def __init__(self) -> None:
        self.answer: Callable[[Any], Answer] = lambda _: Answer()
        self.outcome: Outcome | None = Outcome.OK
        self.denials: tuple[Denial, ...] = ()
        self.error = False
        self.there: list[str] = []
        self.removed: list[str] = []
        self.deployed = 0
        self.tokens: list[TokenView] = []
        self.used: list[str] = []
        self.dropped: list[Any] = []
        self.closed: list[str] = []
        self.incidents: tuple[IncidentSummary, ...] = ()
        self.shown: dict[str, Incident] = {}
        self.stuck = False
        self.acts = True
        self.pauses: list[int] = []
        self.runs: tuple[PlaybookRun, ...] = ()
        self.contained = False
        self.frozen, self.freezes, self.stays = False, True, False

    def call(self, operation: Any) -> Any:
        match operation:
            case ShowInvocation():
                if self.outcome is None:
                    raise NotFoundError("none")
                return InvocationRecord(
                    id=operation.id,
                    project="p",
                    function="f",
                    version=1,
                    trigger="invoke",
                    outcome=self.outcome,
                    status=200,
                    started_at=0.0,
                    queued_ms=0.0,
                    run_ms=0.0,
                    cold=False,
                    request_bytes=0,
                    response_bytes=0,
                )
            case ListDenials():
                return Denials(denials=self.denials)
            case ShowError():
                if not self.error:
                    raise NotFoundError("none")
                return object()
            case ListFindings():
                return FindingPage(findings=(), more=False)
            case RemoveFunction():
                if self.stuck:
                    raise CasemateError("it is stuck")
                self.removed.append(operation.function)
                self.there = [one for one in self.there if one != operation.function]
                return None
            case ListFunctions():
                there = [deployed(one) for one in self.there]
                return Functions(functions=(*there, deployed("honest", project="shop")))
            case AddToken():
                token = a_token(operation.name, f"{len(self.tokens) + 100:016x}")
                self.tokens.append(token)
                return CreatedToken(token=token, text=f"cm_{token.id}_x")
            case ListTokens():
                return Tokens(tokens=tuple(self.tokens))
            case RevokeToken():
                if all(one.id != operation.id for one in self.tokens):
                    raise NotFoundError("no such token")
                self.tokens = [one for one in self.tokens if one.id != operation.id]
                return None
            case ListUsers():
                return Users(users=())
            case ListRestrictions():
                return Restrictions(restrictions=())
            case ListAlertSilences():
                return AlertSilences(silences=())
            case ListBuckets():
                return Buckets(buckets=(BucketSpec(name="files"),))
            case ListTables():
                return Tables(tables=(TableSpec(name="people", key="id"),))
            case ListQueues():
                return Queues(queues=(QueueSpec(name="jobs"),), topics=(QueueSpec(name="news"),))
            case ListEvidence():
                return EvidenceList(evidence=())
            case ListPolicies() | ListRouteClaims() | ListBudgets() | ListProjectSecrets():
                raise NotFoundError("There is nothing.")
            case PausePlaybooks():
                self.pauses.append(operation.seconds)
                return None
            case ListPlaybooks():
                return PlaybookList(acts=self.acts, playbooks=())
            case ListPlaybookRuns():
                return PlaybookRuns(runs=self.runs)
            case UndoPlaybookRun():
                self.contained = False
                return self.runs[0]
            case ReleaseFunction():
                raise ConflictError("it is in no quarantine")
            case Restrict():
                self.frozen = self.freezes
                return Restrict.declared.answer
            case LiftRestriction():
                self.frozen = self.frozen and self.stays
                return LiftRestriction.declared.answer
            case SetAlias():
                if self.frozen:
                    raise ConflictError("The aliases are frozen, by user:ada.")
                raise NotFoundError("There is no such version.")
            case DropBucket() | DropTable() | DropQueue() | DropTopic():
                self.dropped.append(operation)
                return None
            case DismissPlaybookRun() | ResolveIncident():
                self.closed.append(operation.id)
                self.incidents = tuple(i for i in self.incidents if i.id != operation.id)
                return None
            case ListIncidents():
                return IncidentPage(incidents=self.incidents, more=False)
            case ShowIncident():
                return self.shown[operation.id]
            case FireTrigger():
                raise CasemateError("there is no such trigger")
        raise AssertionError(operation)

    def exchange(self, method: str, path: str, **rest: Any) -> Answer:
        self.used += [path] if path == "/api/v1/whoami" else []
        return self.answer(rest.get("json"))

    as_stranger = exchange

    def deploy(self, poisoned: bool = False) -> None:
        self.deployed += 1
        self.there = ["attacker", "honest", "escaper-9f2c51aa"]

    def deploy_attacker(self, name: str) -> None:
        target = f"function:p/{name}"
        run = cast("PlaybookRun", UndoPlaybookRun.declared.answer)
        acts = (msgspec.structs.replace(run.acts[0], target=target),)
        self.runs = (msgspec.structs.replace(run, acts=acts),)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.drills.node.until.__defaults__", (0.05,))
    monkeypatch.setattr(cleaning, "LATE_SECONDS", 0.0)
    monkeypatch.setattr(running, "_FINDING_SECONDS", 0.0)
    monkeypatch.setattr(running, "AGAIN_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(lease, "_SEEN_SECONDS", 0.0)
    monkeypatch.setattr(lease, "_USE_SECONDS", 0.005)


EVERY = ["attacker", "escaper-9f2c51aa", "honest"]


def deployed(name: str, project: str = "casemate-drill") -> DeployedFunction:
    return DeployedFunction(project=project, name=name, versions=(), aliases=())


def a_token(name: str, id: str = "9f2c51aa03b1e7d4", **more: Any) -> TokenView:
    known: dict[str, Any] = {"roles": ("owner",), "created_at": 1e9, "created_by": "user:ada"}
    return TokenView(id=id, name=name, **(known | more))


def denial(kind: str, at: float | None = None, invocation: str = "inv_1") -> Denial:
    return Denial(
        at=time.time() if at is None else at,
        by="function:p/f",
        kind=DenialKind(kind),
        action="x",
        resource="y",
        reason="z",
        invocation=invocation,
    )


def one(prefix: str) -> Drill:
    return chosen([prefix])[0]


def test_a_call_that_works_has_failed() -> None:
    node = FakeNode()
    node.answer = lambda _: Answer(body={"result": 0})
    node.denials = (denial("system-call"),)
    played = Player(node, "p").play(one("call-mount-tmpfs"))
    assert not played.passed and not played.prevented
    assert "not refused" in played.problem


def test_a_call_that_is_refused_otherwise_than_it_must_has_failed() -> None:
    node = FakeNode()
    node.denials = (denial("system-call"),)
    for body in ({"errno": 14}, {"errnos": [1, 14]}, {"errnos": []}, {}, [1], "text"):
        node.answer = lambda _, body=body: Answer(body=body)  # type: ignore[misc]
        assert not Player(node, "p").play(one("call-mount-tmpfs")).passed, body
    node.answer = lambda _: Answer(body={"errno": 1})
    assert Player(node, "p").play(one("call-mount-tmpfs")).passed


@pytest.mark.parametrize(
    "other",
    [
        (),
        (denial("capability"),),
        (denial("system-call", at=1.0),),
        (denial("system-call", invocation="inv_2"),),
    ],
    ids=["none", "another-kind", "an-old-one", "of-another-call"],
)
def test_a_call_of_which_no_denial_tells_has_failed(other: tuple[Denial, ...]) -> None:
    node = FakeNode()
    node.answer = lambda _: Answer(body={"errno": 1})
    node.denials = other
    played = Player(node, "p").play(one("call-mount-tmpfs"))
    assert played.prevented and not played.detected and not played.passed


def test_an_event_that_is_handled_has_failed() -> None:
    node = FakeNode()
    node.denials = (denial("injection"),)
    played = Player(node, "p").play(one("event-http-sql"))
    assert not played.passed and "the invocation is ok" in played.problem
    node.outcome = None
    assert "not on record" in Player(node, "p").play(one("event-http-sql")).problem
    node.outcome = Outcome.BLOCKED
    assert Player(node, "p").play(one("event-http-sql")).passed


def test_what_cannot_be_played_has_failed() -> None:
    played = Player(FakeNode(), "p").play(one("event-queue-sql"))
    assert not played.passed and "could not be played" in played.problem


def test_a_request_that_is_answered_has_failed() -> None:
    node = FakeNode()
    node.denials = (denial("authentication", invocation=""),)
    assert not Player(node, "p").play(one("request-no-token")).passed
    node.answer = lambda _: Answer(401)
    assert Player(node, "p").play(one("request-no-token")).passed
    node.denials = ()
    assert not Player(node, "p").play(one("request-no-token")).passed


@pytest.mark.parametrize("where", ["body", "header"])
def test_an_answer_that_tells_has_failed(where: str) -> None:
    node = FakeNode()
    node.error = True
    body = {"error_id": "err_1", "detail": "Traceback" if where == "body" else ""}
    header = {"x-error": "/function/code"} if where == "header" else {}
    node.answer = lambda _: Answer(500, body, **header)
    played = Player(node, "p").play(one("error-raises"))
    assert not played.passed and "is told" in played.problem
    node.answer = lambda _: Answer(500, {"error_id": "err_1"})
    assert Player(node, "p").play(one("error-raises")).passed
    node.error = False
    assert not Player(node, "p").play(one("error-raises")).passed


def test_what_the_next_call_finds_has_failed() -> None:
    node = FakeNode()
    node.answer = lambda event: Answer(body={"there": True})
    assert "finds it" in Player(node, "p").play(one("residue-global")).problem
    node.answer = lambda event: Answer(body={"there": "plant" in event})
    assert Player(node, "p").play(one("residue-global")).passed
    node.answer = lambda event: Answer(body={"there": False})
    assert "nothing is proven" in Player(node, "p").play(one("residue-global")).problem


def test_a_run_removes_all_and_says_what_it_could_not() -> None:
    node = FakeNode()
    node.answer = lambda event: Answer(body={"ok": True})
    node.tokens = [a_token("drill", "a"), a_token("mine", "b"), a_token("drill-9f2c51aa-0", "c")]
    heard: list[int] = []
    held: list[str] = []

    def keep(lease: str, _began: object) -> None:
        held.append(lease)

    done = running.run(
        node, "http://node", chosen(["residue-g"]), lambda n, _: heard.append(n), keep
    )
    assert held == [f"{103:016x}", ""]
    assert heard == [1] and node.deployed == 1
    assert sorted(node.removed) == EVERY
    assert [each.name for each in node.tokens] == ["drill", "mine"]
    assert not done.left and not done.passed
    node.stuck = True
    held.clear()
    done = running.run(node, "http://node", (), lambda *_: None, keep)
    assert "attacker (it is stuck)" in done.left and not done.passed
    assert held == [f"{102:016x}"]  # whoever looks after a run tries again


def test_ctrl_c_in_the_middle_leaves_nothing_of_a_run() -> None:
    node = FakeNode()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running.run(node, "http://node", chosen(["residue-g"]), interrupted, lambda *_: None)
    assert sorted(node.removed) == EVERY


def test_honest_calls_that_are_lost_fail_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_CALL_SECONDS", 0.001)
    node = FakeNode()
    node.answer = lambda event: Answer(503, {})
    with running.HonestCalls(node) as honest:
        time.sleep(0.05)
    assert honest.made and honest.lost == honest.made


def test_a_run_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MAX_SECONDS", -1.0)
    done = running.run(FakeNode(), "http://node", catalogue(), lambda *_: None, lambda *_: None)
    assert len(done.failed) == len(catalogue())
    assert all("no time left" in each.problem for each in done.outcomes)


def test_there_is_no_way_without_a_player() -> None:
    player = Player(FakeNode(), "p")
    for way in Way:
        drill = next(each for each in catalogue() if each.way is way)
        assert player.play(drill).id == drill.id


def by_itself(node: FakeNode, stops: bool = True) -> Any:
    def answer(event: Any) -> Answer:
        node.contained = node.contained or (stops and event["attack"] == "call")
        return Answer(503 if node.contained else 200)

    node.answer = answer
    return Player(node, "p").play(one("contain-by-itself"))


def test_a_playbook_is_seen_to_act_and_to_be_undone() -> None:
    node = FakeNode()
    outcome = by_itself(node)
    assert outcome.passed and outcome.contained_seconds is not None
    assert outcome.restored_seconds is not None and outcome.evidence
    assert node.pauses == [0, MAX_PAUSE]  # playbooks leave the project alone again
    assert [name.startswith("escaper-") for name in node.removed] == [True]


def test_a_playbook_that_does_not_act_fails_the_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.drills.containing.CONTAINED_SECONDS", 0.05)
    node = FakeNode()
    assert by_itself(node, stops=False).problem == "No playbook stopped it."
    assert node.pauses == [0, MAX_PAUSE] and len(node.removed) == 1
    node = FakeNode()
    node.acts = False
    assert "--no-playbooks" in by_itself(node).problem and node.pauses == []


def test_frozen_aliases_are_seen_to_be_and_to_be_lifted() -> None:
    node = FakeNode()
    outcome = Player(node, "p").play(one("contain-freeze-alias"))
    assert outcome.passed and outcome.contained_seconds is not None
    assert outcome.restored_seconds is not None and not node.frozen
    node.freezes = False
    assert "moved all the same" in Player(node, "p").play(one("contain-freeze-alias")).problem
    node.freezes, node.stays = True, True
    assert "stay frozen" in Player(node, "p").play(one("contain-freeze-alias")).problem
    assert "before it was said" in Player(node, "p").play(one("contain-freeze-alias")).problem


class Holder(FakeNode):
    """A node with a function that holds a secret, and with incidents and people on call."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.works, self.lifts = True, True
        self.value, self.former = 0, 0
        self.kept: list[str] = []
        self.incidents = 1
        self.shifts: tuple[OnCallShift, ...] = ()
        self.pages = False
        self.answer = self._answer

    def _answer(self, event: Any) -> Answer:
        if event == {"do": "reach"}:
            return Answer(200, {"status": "403" if "host" in self.held else "502"})
        if event == {"do": "secret"}:
            denied = "secret" in self.held or not self.value
            return Answer(200, {"denied": True} if denied else {"digest": f"d{self.value}"})
        return Answer(403 if "address" in self.held else 404)

    def call(self, operation: Any) -> Any:
        match operation:
            case Restrict():
                if self.works:
                    self.held.add(operation.kind.value)
                return Restrict.declared.answer
            case LiftRestriction():
                if self.lifts:
                    self.held.clear()
                return LiftRestriction.declared.answer
            case ListDenials():
                one = Denial(
                    at=1.0,
                    by="anonymous:public",
                    remote_address="192.0.2.7",
                    kind=DenialKind.AUTHENTICATION,
                    action="function:invoke",
                    resource="function:p-blocked/nothing",
                    reason="r",
                )
                return Denials(denials=(one,))
            case PutRotation():
                return PutRotation.declared.answer
            case RotateSecret():
                if self.works or not self.value:
                    self.value, self.former = self.value + 1, self.value
                return RotateSecret.declared.answer
            case RevertSecret():
                if self.lifts:
                    self.value = self.former
                return RevertSecret.declared.answer
            case DeleteSecret():
                self.removed.append(operation.name)
                return None
            case ListIncidents():
                found = ListIncidents.declared.answer.incidents
                return IncidentPage(incidents=found * self.incidents, more=False)
            case GatherEvidence():
                if self.works:
                    self.kept.append(GatherEvidence.declared.answer.id)
                return GatherEvidence.declared.answer
            case ListEvidence():
                view = GatherEvidence.declared.answer
                return EvidenceList(evidence=(view,) * len(self.kept))
            case ReleaseEvidence():
                if self.lifts:
                    self.kept.clear()
                return None
            case ListOnCall():
                return OnCallShifts(shifts=self.shifts)
            case PagePeople():
                if not self.pages:
                    raise NotFoundError("nobody")
                return None
        return super().call(operation)


HELD = ("cut-egress", "block-address", "withhold-secrets", "rotate-secret", "seal-evidence")


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_back_is_seen_to_be_and_to_be_let_go(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.drills.node.RECORD_SECONDS", 0.05)
    for module in ("holding_back", "keeping_safe"):
        monkeypatch.setattr(
            f"casemate.drills.{module}.until", lambda find, seconds=0.05: until(find, 0.05)
        )
    outcome = Player(Holder(), "p").play(one(f"contain-{name}"))
    assert outcome.passed and outcome.contained_seconds is not None, outcome
    assert outcome.restored_seconds is not None
    node = Holder()
    node.works = False
    assert not Player(node, "p").play(one(f"contain-{name}")).passed
    node = Holder()
    node.lifts = False
    assert not Player(node, "p").play(one(f"contain-{name}")).passed
    if "secret" in name:
        assert node.removed == ["drill-key"]  # nothing of it is left, whatever came of it


def test_without_an_incident_there_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("casemate.drills.keeping_safe._FINDING_SECONDS", 0.02)
    node = Holder()
    node.incidents = 0
    assert "no incident" in Player(node, "p").play(one("contain-seal-evidence")).problem


def test_nobody_is_woken_and_one_of_each_rotation_is_on_call() -> None:
    now = time.time()
    node = Holder()
    assert Player(node, "p").play(one("contain-page")).passed
    ada = OnCallShift(rotation="r", person="ada", since=now - 9, until=now + 9_000)
    node.shifts = (ada, OnCallShift(rotation="r", person="b", since=now + 9_000, until=now + 1e5))
    assert Player(node, "p").play(one("contain-page")).passed
    node.shifts = (ada, ada)
    assert "Not exactly one" in Player(node, "p").play(one("contain-page")).problem
    node.shifts, node.pages = (ada,), True
    assert "to nobody is taken" in Player(node, "p").play(one("contain-page")).problem


def incident(id: str, opened_at: float, *projects: str, rules: tuple[str, ...] = ()) -> Incident:
    known = cast("Incident", ShowIncident.declared.answer)
    return msgspec.structs.replace(
        known,
        id=id,
        state=IncidentState.OPEN,
        opened_at=opened_at,
        projects=projects,
        rules=tuple(msgspec.structs.replace(known.rules[0], rule=each) for each in rules),
    )


def test_only_incidents_of_the_run_are_closed_at_its_end() -> None:
    node, began = FakeNode(), time.time()
    every = [
        incident("before", began - 60, "p"),
        incident("ours", began + 1, "p"),
        incident("of-others-too", began + 1, "p", "shop"),
        incident("of-what-it-knocked-at", began + 1, "p", leftovers.absent("p")),
        incident("of-nothing-else", began + 1, rules=("alerts-silenced",)),
        incident("of-something-else", began + 1, rules=("alerts-silenced", "passwords-sprayed")),
    ]
    node.incidents, node.shown = tuple(every), {each.id: each for each in every}
    left = cleaning.clean(node, "p", began, frozenset({"alerts-silenced"}))
    assert (left, node.closed) == ("", ["ours", "of-what-it-knocked-at", "of-nothing-else"])


def test_only_what_waits_because_of_the_run_is_dismissed() -> None:
    node, began = FakeNode(), time.time()
    run = cast("PlaybookRun", UndoPlaybookRun.declared.answer)

    def waits(id: str, at: float, project: str, rule: str) -> PlaybookRun:
        return msgspec.structs.replace(run, id=id, found_at=at, project=project, rule=rule)

    node.runs = (
        waits("run_before", began - 60, "p", "mount-tried"),
        waits("run_ours", began + 1, "p", "mount-tried"),
        waits("run_of_others", began + 1, "shop", "mount-tried"),
        waits("run_of_node", began + 1, "", "journal-denied"),
        waits("run_unplayed", began + 1, "", "passwords-sprayed"),
    )
    cleaning.clean(node, "p", began, frozenset({"journal-denied", "mount-tried"}))
    assert node.closed == ["run_ours", "run_of_node"]


def test_a_rule_that_finds_nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    name = chosen(["rule-policy-removed"])[0].play["steps"]
    monkeypatch.setitem(STEPS, name, (done.append, STEPS[name][1]))
    monkeypatch.setattr(playing, "FOUND_SECONDS", 0.0)
    monkeypatch.setattr(playing, "SOON_SECONDS", 0.0)
    player = Player(FakeNode(), "p")
    assert not player.play(one("rule-policy-removed")).passed
    assert "No rule" in player.play(one("rule-policy-changed")).problem
    assert len(done) == 1  # once for all rules


def test_an_attack_on_record_reaches_no_node() -> None:
    class Nowhere:
        now = staticmethod(time.time)

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    player = Player(cast("Any", Nowhere()), "p")
    assert player.play(one("rule-keys-rotated")).passed


def lease_of(node: FakeNode, **more: Any) -> TokenView:
    return a_token("drill-00c0ffee", f"{7:016x}", expires_at=2e9, **more)


def test_two_runs_at_once_are_refused_and_the_first_is_left_alone() -> None:
    node = FakeNode()
    node.tokens = [lease_of(node, last_used_at=1e9 - 1)]
    with pytest.raises(ConflictError, match="Another run has gone on since"):
        running.run(node, "http://node", (), lambda *_: None, lambda *_: None)
    assert node.tokens == [lease_of(node, last_used_at=1e9 - 1)]
    assert (node.deployed, node.removed) == (0, [])


def test_a_run_that_is_silent_counts_as_killed_and_is_cleaned_up_after() -> None:
    for more in (
        {"created_at": 1e9 - 151},
        {"created_at": 1e9 - 1, "expires_at": 1e9 - 0.5},
        # The clock was set back by a day since.
        {"created_at": 1e9 + 86_400, "expires_at": 1e9 + 87_300, "last_used_at": 1e9 + 86_405},
    ):
        node = FakeNode()
        node.there = ["escaper-00c0ffee"]
        silent = a_token("drill-00c0ffee", f"{7:016x}", **{"expires_at": 2e9, **more})
        node.tokens = [silent, a_token("drill-00c0ffee-1", f"{8:016x}")]
        running.run(node, "http://node", (), lambda *_: None, lambda *_: None)
        assert node.removed[0] == "escaper-00c0ffee" and node.tokens == []


def test_a_run_whose_place_was_taken_plays_and_removes_nothing_more() -> None:
    node = FakeNode()
    node.answer = lambda _: Answer(401)
    slow = [*chosen(["residue-g"])] * 3

    def told(*_: object) -> None:
        until(lambda: node.used, 1.0)
        time.sleep(0.02)

    done = running.run(node, "http://node", slow, told, lambda *_: None)
    assert "was revoked" in done.outcomes[-1].problem and "was revoked" in done.left
    assert node.removed == []


def test_only_what_has_the_marks_of_a_run_is_removed() -> None:
    names = ("drill-9f2c51aa", "drill-9f2c51aa-0", "drill-9f2c51aa-more")
    assert all(map(leftovers.is_marked, names))
    others = ("drill", "drill-1", "drill-friday", "drill-9f2c51aa-", "my-drill-9f2c51aa", "")
    assert not any(map(leftovers.is_marked, others))
