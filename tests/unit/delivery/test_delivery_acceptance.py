"""The way in: nothing is acknowledged that is not kept, nothing is kept that is not admitted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from delivery_world import World, ended, play

from casemate.admission import Admission
from casemate.data import kept
from casemate.data.errors import DataBusyError, DataFullError, DataLockedError, LimitError
from casemate.delivery.acceptance import Acceptance
from casemate.delivery.keeping import Keeping
from casemate.delivery.wish import LATER, NOTHING, Wish
from casemate.facts import FactStream
from casemate.model.function import HttpTrigger, Limits
from casemate.model.grant import Grant, GrantKind
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Caller, Flow, RawInvocation, Sealed
from casemate.model.principal import Principal, PrincipalKind
from casemate.operations.invocations import BeginInvocation
from casemate.operations.leases import KeepMessages
from casemate.policy import CedarPolicy
from casemate.seal import Redactor, Seal
from support.core import INVOKER_TOKEN, OWNER_TOKEN, MemoryStore, TwoTokens, raw

KEYED = Wish(idempotency="k")
KEYED_LATER = Wish(later=True, idempotency="k")
ROUTES = (
    HttpTrigger(method="POST", path="/plain"),
    HttpTrigger(method="POST", path="/open", delivery_headers=True),
)
BEARER = f"Bearer {INVOKER_TOKEN}"


class Vault:
    def known_secrets(self, project: str) -> bool | None:
        return False


def fail(patched: pytest.MonkeyPatch, world: World, fault: Exception) -> None:
    """Have nothing kept in an inbox: `fault` is raised instead."""
    change = world.data.change

    async def fails(operation: Any) -> Any:
        if isinstance(operation, KeepMessages | BeginInvocation):
            raise fault
        return await change(operation)

    patched.setattr(world.data, "change", fails)


class Door:
    """An acceptance in front of a world's data, whose path counts what ran."""

    def __init__(self, world: World) -> None:
        self.world, self.store = world, MemoryStore()
        seal = Seal(Redactor(self.store, Vault(), FactStream()))  # type: ignore[arg-type]
        admission = Admission(world.catalogue, TwoTokens(), CedarPolicy(), self.store.deny)
        self.makers: dict[str, str] = {}
        self.trouble = ""
        self.keeping = Keeping(
            *(admission, seal, world.data, world.subscriptions.ensure, world.marks),
            lambda caller: self.makers.get(caller, caller),
            lambda: self.trouble,
        )
        self.acceptance = Acceptance(self.keeping, world.data, self._run)
        self.ran: list[RawInvocation] = []
        self.answer = ended(Outcome.OK, status=200, body=b'{"ran":1}')

    async def _run(self, given: RawInvocation) -> Sealed:
        self.ran.append(given)
        await asyncio.sleep(0.01)
        return self.answer

    async def take(self, wish: Wish, **changes: Any) -> HttpResponse:
        return await self.acceptance.take(raw(**{"credential": BEARER, **changes}), wish)

    async def kept(self) -> int:
        return (await self.world.data.queue_info("t", "inbox", "f")).waiting


Scene = Callable[[World, Door], Awaitable[None]]


@pytest.fixture
def at(tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def inside(world: World) -> None:
            await world.deploy({"name": "f", "limits": Limits()})
            await scene(world, Door(world))

        play(tmp_path, inside)

    return run


def headers(answer: HttpResponse) -> dict[bytes, bytes]:
    return dict(answer.headers)


def identity(answer: HttpResponse) -> str:
    found: str = msgspec.json.decode(answer.body)["id"]  # type: ignore[arg-type]
    return found


def test_what_is_accepted_is_kept_as_it_came(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        wish = Wish(later=True, preferred=True, delay=0.0, priority=3, key="k", max_age=60.0)
        answer = await door.take(wish, body=b'{"n":1}', qualifier="1")
        assert answer.status == 202
        assert headers(answer)[b"preference-applied"] == b"respond-async"
        (message,) = await world.data.lease("t", "inbox", "f", limit=5, lease=10.0)
        event = msgspec.json.decode(message.body)
        assert (event["id"], event["data"]) == (identity(answer), {"n": 1})
        assert (event["kind"], event["source"]) == ("invoke", "/projects/t/functions/f")
        assert message.invocation == identity(answer)
        assert (message.priority, message.key, message.qualifier) == (3, "k", "1")
        assert message.expires_at is not None
        assert door.ran == []

    at(scene)


def test_tokens_of_one_have_together_what_may_wait_for_one(
    at: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_CALLER_EVENTS", 3)

    async def scene(world: World, door: Door) -> None:
        door.makers = {"token:owner": "user:eve", "token:invoker": "user:eve"}
        tokens = [f"Bearer {OWNER_TOKEN}", f"Bearer {INVOKER_TOKEN}"]
        found = [(await door.take(LATER, credential=tokens[n % 2])).status for n in range(5)]
        assert found == [202, 202, 202, 429, 429]
        door.makers = {"token:owner": "user:ada"}
        assert (await door.take(LATER, credential=tokens[0])).status == 202

    at(scene)


@pytest.mark.parametrize("wish", [LATER, KEYED, KEYED_LATER])
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"credential": None}, 401),
        ({"credential": "Bearer wrong"}, 401),
        ({"body": b"{"}, 400),
        ({"content_type": "text/plain"}, 415),
        ({"function": "ghost"}, 404),
        ({"qualifier": "9"}, 404),
    ],
)
def test_what_is_refused_is_neither_kept_nor_claimed(
    at: Callable[[Scene], None], wish: Wish, changes: dict[str, Any], status: int
) -> None:
    async def scene(world: World, door: Door) -> None:
        assert (await door.take(wish, **changes)).status == status
        assert door.ran == [] and await door.kept() == 0
        assert (await door.take(KEYED)).status == 200, "the key is free"

    at(scene)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        *((LimitError(), 429), (DataFullError(), 507), (DataBusyError(), 503)),
        (DataLockedError(), 503),  # before: 500
    ],
)
@pytest.mark.parametrize("wish", [LATER, KEYED_LATER])
def test_what_cannot_be_kept_is_not_acknowledged(
    at: Callable[[Scene], None],
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    status: int,
    wish: Wish,
) -> None:
    async def scene(world: World, door: Door) -> None:
        with monkeypatch.context() as patched:
            fail(patched, world, fault)
            answer = await door.take(wish)
        assert answer.status == status
        assert headers(answer)[b"retry-after"] == b"5"
        assert b"error_id" in answer.body  # type: ignore[operator]
        again = await door.take(wish)
        assert again.status == 202
        assert await door.kept() == 1

    at(scene)


@pytest.mark.parametrize("wish", [Wish(later=True), Wish(later=False, idempotency="k")])
def test_nothing_is_accepted_while_nothing_can_be_recorded(
    at: Callable[[Scene], None], wish: Wish
) -> None:
    """Before: 202 for what is to run later, while calls that are waited for had 503."""

    async def scene(world: World, door: Door) -> None:
        door.trouble = "Nothing can be recorded now."
        answer = await door.take(wish)
        assert answer.status == 503
        assert headers(answer)[b"retry-after"]
        assert door.ran == []
        door.trouble = ""
        assert await world.data.lease("t", "inbox", "f", limit=5, lease=10.0) == ()
        assert (await door.take(wish)).status in (200, 202)

    at(scene)


def test_a_fault_of_ours_is_a_sealed_answer(
    at: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World, door: Door) -> None:
        fail(monkeypatch, world, RuntimeError("planted"))
        answer = await door.take(LATER)
        assert answer.status == 500 and b"planted" not in answer.body  # type: ignore[operator]

    at(scene)


def test_one_key_runs_once_however_many_ask_at_once(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        answers = await asyncio.gather(*(door.take(KEYED) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [409] * 7
        assert len(door.ran) == 1
        replayed = await door.take(KEYED)
        assert (replayed.status, replayed.body) == (200, b'{"ran":1}')
        assert headers(replayed)[b"idempotency-replayed"] == b"true"
        assert headers(replayed)[b"x-request-id"].decode() == door.ran[0].id
        assert (await door.take(KEYED, body=b"2")).status == 409

    at(scene)


def test_one_key_is_kept_once_however_many_send_it(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        answers = await asyncio.gather(*(door.take(KEYED_LATER) for _ in range(8)))
        accepted = {identity(answer) for answer in answers if answer.status == 202}
        assert {answer.status for answer in answers} <= {202, 409}
        assert len(accepted) == 1 and await door.kept() == 1
        assert identity(await door.take(KEYED_LATER)) in accepted

    at(scene)


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.UNAVAILABLE])
def test_a_refusal_leaves_the_key_free(at: Callable[[Scene], None], outcome: Outcome) -> None:
    async def scene(world: World, door: Door) -> None:
        good, door.answer = door.answer, ended(outcome, status=503)
        assert (await door.take(KEYED)).status == 503
        door.answer = good
        assert (await door.take(KEYED)).status == 200
        assert len(door.ran) == 2

    at(scene)


def test_a_failure_keeps_its_key_and_its_error(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        door.answer = ended(Outcome.TIMEOUT, status=504)
        await door.take(KEYED)
        replayed = await door.take(KEYED)
        assert replayed.status == 504 and len(door.ran) == 1
        assert msgspec.json.decode(replayed.body)["error_id"] == "err_1"  # type: ignore[arg-type]

    at(scene)


def test_an_answer_that_was_too_large_is_not_made_up(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        door.answer = ended(Outcome.OK, status=200, body=b'"' + b"x" * 300_000 + b'"')
        assert (await door.take(KEYED)).status == 200
        again = await door.take(KEYED)
        assert again.status == 409 and b"too large" in again.body  # type: ignore[operator]

    at(scene)


def test_a_narrowed_call_cannot_outlive_its_caller(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        ceiling = (Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",)),)
        principal = Principal(kind=PrincipalKind.FUNCTION, id="t/g")
        for ceilings, status in (((), 202), ((ceiling,), 400)):
            flow = Flow(root="inv_1", chain=("t/g",), deadline=9e9, ceilings=ceilings)
            caller = Caller(principal=principal, flow=flow)
            answer = await door.take(LATER, caller=caller, credential=None)
            assert answer.status == status
        assert await door.kept() == 1

    at(scene)


def test_a_call_without_a_wish_goes_straight_through(at: Callable[[Scene], None]) -> None:
    async def scene(world: World, door: Door) -> None:
        assert (await door.take(NOTHING, credential=None)).status == 200
        assert len(door.ran) == 1, "the path itself decides, and it was asked once"

    at(scene)


def test_a_caller_who_goes_away_while_its_event_is_kept_finds_it_with_its_key(
    at: Callable[[Scene], None],
) -> None:
    """Before, the claim was withdrawn while the event was being kept: it was kept twice."""

    async def scene(world: World, door: Door) -> None:
        await door.take(KEYED_LATER, body=b"0")
        for number in range(1, 60):
            body = b"%d" % number
            wish = Wish(later=True, idempotency=f"key-{number}")
            going = asyncio.ensure_future(door.take(wish, body=body))
            for _ in range(number % 12):
                await asyncio.sleep(0)
            going.cancel()
            answers = await asyncio.gather(*(door.take(wish, body=body) for _ in range(3)))
            assert {answer.status for answer in answers} == {202}
            assert len({identity(answer) for answer in answers}) == 1
        assert await door.kept() == 60

    at(scene)


def test_who_has_no_token_chooses_nothing_of_how_an_event_is_kept(tmp_path: Path) -> None:
    async def inside(world: World) -> None:
        spec = {"name": "f", "limits": Limits(), "public": True, "http": ROUTES, "contract": "{}"}
        await world.deploy(spec)
        door = Door(world)
        for wish in (
            Wish(later=True, delay=1_209_600.0),
            Wish(later=True, priority=9),
            Wish(later=True, max_age=5.0),
        ):
            assert (await door.take(wish, credential=None)).status == 401
            by_route = {"event": {"method": "POST", "route": "/plain"}, "trigger": "http"}
            assert (await door.take(wish, credential=None, **by_route)).status == 401
            by_route["event"] = {"method": "POST", "route": "/open"}
            assert (await door.take(wish, credential=None, **by_route)).status == 202
            assert (await door.take(wish)).status == 202
        assert (await door.take(LATER, credential=None)).status == 202
        assert await door.kept() == 7

    play(tmp_path, inside)


def test_what_is_kept_names_whom_it_is_kept_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inside(world: World) -> None:
        monkeypatch.setattr(kept, "MAX_ANONYMOUS_EVENTS", 2)
        await world.deploy({"name": "f", "limits": Limits(), "public": True})
        door = Door(world)
        answers = [(await door.take(LATER, credential=None)).status for _ in range(4)]
        assert answers == [202, 202, 429, 429]
        assert (await door.take(LATER)).status == 202

    play(tmp_path, inside)
