"""An event is looked at once, when it is kept; again whenever anything that decides has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from delivery_world import OK, World, play

from casemate.admission import Admission, admit
from casemate.data.interface import Message, NewMessage
from casemate.delivery import leased as reading
from casemate.delivery.acceptance import Acceptance
from casemate.delivery.admitted import MARK_BYTES, AdmissionMarks
from casemate.delivery.keeping import Keeping
from casemate.delivery.lane import Lane
from casemate.delivery.leased import Batch, Known, Leased, invocation_of, read_message
from casemate.delivery.wish import LATER
from casemate.facts import FactStream
from casemate.invocation import parse as parsing
from casemate.model.account import PolicyFile
from casemate.model.event import Event
from casemate.model.function import Delivery, HttpTrigger, Limits
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Caller, RawInvocation, RefusedError, Sealed
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.tracing import TraceContext
from casemate.model.trigger import TriggerKind
from casemate.operations.messages import PublishMessage, SendMessage
from casemate.policy import CedarPolicy
from casemate.seal import Redactor, Seal
from support.core import INVOKER_TOKEN, MemoryStore, TwoTokens, deployed, raw, version

A, B = "a" * 64, "b" * 64
SMALL = '{"type":"object","properties":{"n":{"maximum":9}}}'
HOSTILE = b'{"__proto__":1}'
ONCE = {"json": 1, "contract": 1, "content": 1}
TRACE = TraceContext("1" * 32, "2" * 16, state="a=b")
AGAIN = {"json": 2, "contract": 2, "content": 3}
"""An event has its data and its attributes looked through."""
BEARER = f"Bearer {INVOKER_TOKEN}"


class Vault:
    def known_secrets(self, project: str) -> bool | None:
        return False


class Stages:
    """The first two stages as they are; what is admitted has run. Counts what is looked at."""

    def __init__(self, world: World, patched: pytest.MonkeyPatch) -> None:
        self.world, self.store, self.policy = world, MemoryStore(), CedarPolicy()
        self.looked = {"json": 0, "contract": 0, "content": 0}
        self.refused: list[str] = []
        self.count(patched, parsing, "_check_json", "json")
        self.count(patched, admit, "reason_to_refuse", "content")
        self.count(patched, world.catalogue, "violation", "contract")
        self.admission = Admission(world.catalogue, TwoTokens(), self.policy, self.store.deny)
        seal = Seal(Redactor(self.store, Vault(), FactStream()))  # type: ignore[arg-type]
        ensure = world.subscriptions.ensure
        self.keeping = Keeping(self.admission, seal, world.data, ensure, world.marks, str, str)
        self.acceptance = Acceptance(self.keeping, world.data, world._run)
        world.answer = self.answer

    def count(self, patched: pytest.MonkeyPatch, where: Any, name: str, what: str) -> None:
        before = getattr(where, name)

        def counted(*arguments: Any) -> Any:
            self.looked[what] += 1
            return before(*arguments)

        patched.setattr(where, name, counted)

    def answer(self, given: RawInvocation) -> Sealed:
        try:
            self.admission.admit(parsing.parse(given))
        except RefusedError as refusal:
            self.refused.append(refusal.message)
            body = msgspec.json.encode({"detail": refusal.message})
            return Sealed(outcome=refusal.outcome, response=HttpResponse(400, (), body))
        return OK

    async def keep(self, body: bytes = b'{"n":1}', **changes: Any) -> int:
        given = raw(**{"credential": BEARER, "body": body, **changes})
        return (await self.acceptance.take(given, LATER)).status

    async def begin(self) -> None:
        """Deliver, until nothing waits."""
        self.world.delivery.start()
        await self.world.empty()

    def live(self, *versions: Any, **aliases: Any) -> None:
        self.world.catalogue.replace([deployed(*versions, **aliases)])
        self.world.delivery.update()


Scene = Callable[[World, Stages], Awaitable[None]]


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def run(scene: Scene, **spec: Any) -> None:
        async def inside(world: World) -> None:
            await world.deploy({"name": "f", "limits": Limits(), **spec})
            await scene(world, Stages(world, monkeypatch))

        play(tmp_path, inside)

    return run


async def leased_mark(world: World) -> tuple[bytes, bytes]:
    """Return body and mark of the one message, which is given back."""
    (message,) = await world.data.lease("t", "inbox", "f", limit=5, lease=0.01)
    return message.body, message.admitted


def event(data: bytes = HOSTILE, **changes: Any) -> bytes:
    values: dict[str, Any] = {"id": "e", "source": "/s", "type": "t", "time": 1.0}
    values |= {"kind": TriggerKind.INVOKE, "data": msgspec.Raw(data)}
    return msgspec.json.encode(Event(**{**values, **changes}))


async def plant(world: World, body: bytes, mark: bytes, **changes: Any) -> None:
    message = NewMessage(body=body, admitted=mark, **changes)
    await world.data.send_many("t", "inbox", "f", [message])


def test_what_was_looked_at_is_not_looked_at_again(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        assert await path.keep() == 202
        once = dict(path.looked)
        assert once == ONCE
        await path.begin()
        assert path.looked == once
        assert len(world.ran) == 1 and path.refused == []

    at(scene, contract=SMALL)


def test_a_request_to_a_route_is_looked_at_once_too(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        sent = {"method": "POST", "route": "/r", "headers": {}, "body": "x"}
        assert await path.keep(trigger="http", event=sent) == 202
        once = dict(path.looked)
        await path.begin()
        assert path.looked == once and len(world.ran) == 1

    at(scene, http=(HttpTrigger(method="POST", path="/r", asynchronous=True),))


def test_an_event_that_fails_is_not_looked_at_with_each_attempt(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        failing = iter((Outcome.HANDLER_ERROR, Outcome.TIMEOUT))

        def answer(given: RawInvocation) -> Sealed:
            path.answer(given)
            outcome = next(failing, Outcome.OK)
            status = 200 if outcome is Outcome.OK else 500
            return Sealed(outcome=outcome, response=HttpResponse(status, (), b"{}"))

        world.answer = answer
        assert await path.keep() == 202
        once = dict(path.looked)
        await path.begin()
        assert len(world.ran) == 3 and path.looked == once

    at(scene, delivery=Delivery(backoff=0.01, backoff_most=0.01))


# -- the newest decision reaches what is kept ------------------------------------------------------


def test_the_contract_of_a_newer_version_reaches_kept_events(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        assert await path.keep(b'{"n":10}') == 202
        path.live(version(1, limits=Limits()), version(2, digest=B, contract=SMALL))
        await path.begin()
        assert await world.dead() == [("invalid: The event breaks its contract: /n: maximum.", 1)]

    at(scene)


def test_a_version_that_shares_the_calls_looks_for_itself(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        assert await path.keep(b'{"n":10}') == 202
        both = (version(1), version(2, digest=B, contract=SMALL))
        path.live(*both, live={1: 0, 2: 100})
        await path.begin()
        assert [reason for reason, _ in await world.dead()] == [
            "invalid: The event breaks its contract: /n: maximum."
        ]

    at(scene)


def test_a_version_that_was_removed_is_not_found(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        assert await path.keep(qualifier="1") == 202
        path.live(version(2, digest=B))
        await path.begin()
        ((reason, _),) = await world.dead()
        assert "the event was kept for was removed" in reason

    at(scene)


def test_a_policy_that_came_later_reaches_kept_events(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        assert await path.keep() == 202
        text = 'forbid (principal, action == Casemate::Action::"function:invoke", resource);'
        path.policy.replace([PolicyFile(name="no", text=text, changed_at=1.0, changed_by="k")])
        await path.begin()
        ((reason, _),) = await world.dead()
        assert reason.startswith("denied")

    at(scene)


def test_a_smaller_limit_reaches_kept_events(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        body = b'{"n":"' + b"x" * 2000 + b'"}'
        assert await path.keep(body) == 202
        # the very same bundle, as if nothing else could tell
        path.live(version(1, limits=Limits(request=1000)))
        await path.begin()
        ((reason, _),) = await world.dead()
        assert "expected at most 1000" in reason

    at(scene)


def test_an_older_version_that_is_live_again_looks_for_itself(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        both = (version(1, contract=SMALL), version(2, digest=B))
        path.live(*both)
        assert await path.keep(b'{"n":10}') == 202
        path.live(*both, live={1: 100})
        await path.begin()
        ((reason, _),) = await world.dead()
        assert "breaks its contract" in reason

    at(scene)


def test_another_process_looks_for_itself(at: Callable[..., None]) -> None:
    """As after an upgrade: what newer code refuses is refused of what an older one kept."""

    async def scene(world: World, path: Stages) -> None:
        assert await path.keep() == 202
        once = dict(path.looked)
        world.marks = AdmissionMarks()
        world.delivery = world._delivery()
        await path.begin()
        assert path.looked == AGAIN and once == ONCE
        assert len(world.ran) == 1

    at(scene)


# -- nobody else makes a mark ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "forge",
    [
        lambda body, mark: b"",
        lambda body, mark: bytes(MARK_BYTES),
        lambda body, mark: bytes.fromhex(A) + bytes(32),
        lambda body, mark: mark,
        lambda body, mark: mark[:-1],
        lambda body, mark: mark[:-1] + bytes([mark[-1] ^ 1]),
        lambda body, mark: AdmissionMarks().make("t", "f", A, body),
    ],
)
def test_a_mark_that_was_made_up_proves_nothing(
    at: Callable[..., None], forge: Callable[[bytes, bytes], bytes]
) -> None:
    async def scene(world: World, path: Stages) -> None:
        assert await path.keep() == 202
        _, mark = await leased_mark(world)
        body = event()
        await plant(world, body, forge(body, mark))
        await path.begin()
        assert path.refused == ["The event is refused: a key would change an object's prototype."]
        assert len(await world.dead()) == 1

    at(scene)


def test_a_mark_is_for_one_place_and_one_bundle() -> None:
    marks, body = AdmissionMarks(), event(b"1")
    mark = marks.make("t", "f", A, body)
    assert len(mark) == MARK_BYTES
    assert marks.digest("t", "f", mark, body) == A
    for place in (("t", "g"), ("u", "f"), ("t/f", ""), ("", "t/f"), ("tf", "")):
        assert marks.digest(*place, mark, body) == ""
    assert marks.digest("t", "f", mark, body + b" ") == ""
    assert marks.digest("t", "f", bytes.fromhex(B) + mark[32:], body) == ""
    assert marks.digest("t", "f", mark + b"\0", body) == ""
    assert AdmissionMarks().digest("t", "f", mark, body) == ""


@pytest.mark.parametrize("digest", ["", "x" * 64, "A" * 64, "a" * 62, "a" * 66, " " + "a" * 63])
def test_without_a_proper_digest_there_is_no_mark(digest: str) -> None:
    assert AdmissionMarks().make("t", "f", digest, b"1") == b""


def test_a_bundle_without_a_digest_is_never_taken_for_another(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        path.live(version(1, digest=""))
        await plant(world, event(), b"")
        await path.begin()
        assert len(await world.dead()) == 1 and len(path.refused) == 1

    at(scene)


def test_a_batch_is_looked_at_unless_all_of_it_was(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        good, bad = event(b"1"), event()
        mark = world.marks.make("t", "f", A, good)
        await plant(world, good, mark)
        await plant(world, bad, b"")
        messages = await world.data.lease("t", "inbox", "f", limit=5, lease=60.0)
        place = ("t", "inbox", "f")
        leased = [read_message(place, one, 1e9, "", world.marks) for one in messages]
        assert [one.admitted_under for one in leased] == [A, ""]
        batch = Batch(place, "", "", leased, is_list=True)
        assert invocation_of(batch, version(), 1.0).admitted_under == ""
        batch.messages = leased[:1]
        assert invocation_of(batch, version(), 1.0).admitted_under == A

    at(scene)


@pytest.mark.parametrize("kind", [k for k in PrincipalKind if k is not PrincipalKind.TRIGGER])
def test_only_what_the_host_brings_is_ever_believed(kind: PrincipalKind) -> None:
    events = (msgspec.json.decode(event(b"1"), type=Event),)
    claimed = Caller(principal=Principal(kind=kind, id="t/f/inbox"), admitted_under=A)
    assert raw(events=events, caller=claimed).admitted_under == ""
    trigger = Principal(kind=PrincipalKind.TRIGGER, id="t/f/inbox")
    told = Caller(principal=trigger, admitted_under=A)
    assert raw(events=events, caller=told).admitted_under == A
    assert raw(caller=told).admitted_under == "", "there is nothing that was kept"
    assert raw(events=events).admitted_under == ""


def test_senders_have_no_word_for_it() -> None:
    for operation in (SendMessage, PublishMessage):
        assert "admitted" not in operation.__struct_fields__


def test_a_letter_that_is_sent_again_is_looked_at_again(at: Callable[..., None]) -> None:
    async def scene(world: World, path: Stages) -> None:
        world.answer = lambda _: Sealed(outcome=Outcome.INVALID, response=HttpResponse(400, ()))
        assert await path.keep() == 202
        once = dict(path.looked)
        await path.begin()
        assert len(await world.dead()) == 1
        world.answer = path.answer
        await world.data.redrive("t", "inbox", "f", None)
        await world.until(lambda: len(world.ran) == 2)
        assert path.looked == AGAIN and once == ONCE

    at(scene)


@pytest.mark.parametrize("changes", [{}, {"body": b""}, {"trace": TRACE}, {"body": b'"\xc3\xa9"'}])
def test_what_is_known_of_an_event_is_what_is_read_of_it(
    at: Callable[..., None], changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World, path: Stages) -> None:
        path.keeping.hand_to(world.delivery)
        world.delivery.start()
        await world.until(lambda: world.delivery._resuming.is_done("t"))
        taken: list[tuple[Leased, Leased]] = []
        add = Lane.add

        def noted(lane: Lane, leased: Leased, *rest: Any) -> None:
            message = leased.message
            taken.append((leased, read_message(leased.place, message, 1.0, "", world.marks)))
            add(lane, leased, *rest)

        monkeypatch.setattr(Lane, "add", noted)
        read: list[object] = []
        monkeypatch.setattr(reading, "_decode", _noting(reading._decode, read))
        assert await path.keep(**changes) == 202
        await world.empty()
        ((known, found),) = taken
        assert known.event == found.event and known.admitted_under == found.admitted_under != ""
        assert len(read) == 1, "by this test alone"
        assert path.looked["json"] <= 1 and path.refused == []

    at(scene)


def _noting(act: Callable[..., Any], noted: list[object]) -> Callable[..., Any]:
    def noting(*arguments: Any) -> Any:
        noted.append(arguments)
        return act(*arguments)

    return noting


def test_what_is_not_what_is_known_is_read() -> None:
    marks = AdmissionMarks()
    message = Message(id="1" * 16, body=event(b"1"), sent_at=1.0, attempts=1, fence=1)
    known = Known(event(b"2"), msgspec.json.decode(event(b"2"), type=Event), "d")
    place = ("t", "inbox", "f")
    for given in ([known], [None], [], [known, known]):
        (leased,) = reading.read_known(place, [message], given, 1.0, marks)
        assert leased.event is not None and bytes(leased.event.data) == b"1"
        assert leased.admitted_under == ""
