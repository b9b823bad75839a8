"""Delivery on real data: leases, batches, retries, refusals, dead letters, starts and stops."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from delivery_world import OK, KeepersKnown, World, ended, play, sizes

from casemate.data.coordination import Alone
from casemate.data.errors import DataError, DataFullError
from casemate.data.interface import NewMessage
from casemate.delivery import attempt
from casemate.delivery.attempt import Attempts, give_back
from casemate.delivery.keepers import Keepers
from casemate.delivery.leased import Batch, read_message
from casemate.delivery.settling import Settler
from casemate.delivery.verdict import KEEPER_GONE
from casemate.model.function import Delivery, Destination, DestinationKind, Limits
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, Sealed
from casemate.model.principal import PrincipalKind
from casemate.model.trigger import QueueTrigger, ResultTrigger, ScheduleTrigger
from casemate.operations.inboxes import ResumeDelivery
from casemate.operations.leases import FindNextDue
from support.core import version

JOBS = QueueTrigger(name="queue-1", queue="jobs")
FAST = Delivery(attempts=3, backoff=0.02, backoff_most=0.1)
F: dict[str, Any] = {"name": "f", "delivery": FAST}
CONSUMER: dict[str, Any] = {**F, "triggers": (JOBS,)}
Scene = Callable[[World], Awaitable[None]]


@pytest.fixture
def on(tmp_path: Path) -> Callable[[Scene], None]:
    return lambda scene: play(tmp_path, scene)


def test_an_event_runs_once_as_its_own_trigger(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.delivery.start()
        await world.send({"n": 1}, invocation="inv_1", qualifier="1")
        await world.empty()
        (raw,) = world.ran
        assert (raw.id, raw.qualifier, raw.attempt, raw.batch) == ("inv_1", "1", 1, False)
        assert raw.caller is not None and raw.credential is None
        assert raw.caller.principal.kind is PrincipalKind.TRIGGER
        assert raw.caller.principal.id == "t/f/inbox"
        status = await world.data.invocation_status("t", "inv_1")
        assert (status.state.value, status.result) == ("succeeded", b'{"ok":true}')

    on(scene)


def test_what_somebody_had_kept_who_was_sent_away_since_becomes_a_dead_letter(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.keepers.gone |= {"token:gone": time.time() + 60, "token:before": time.time() - 60}
        for n, keeper in enumerate(("token:gone", "token:before", "user:ada", "")):
            await world.send(n, kept_by=keeper)
        world.delivery.start()
        await world.until(lambda: len(world.ran) == 3)
        await world.empty()
        assert sorted(world.values()) == [1, 2, 3]
        # No function is told who had its event kept.
        assert {event.kept_by for raw in world.ran for event in raw.events} == {""}
        assert [reason for reason, _ in await world.dead()] == [KEEPER_GONE]
        [denied] = world.denied
        assert (denied.by, denied.action) == ("token:gone", "function:invoke")
        assert KEEPER_GONE in denied.reason

    on(scene)


@pytest.mark.parametrize(
    ("kept", "gone"), [(-60.0, True), (-1.0, False), (2.0, False), (3600.0, True)]
)
def test_what_was_kept_before_the_clock_was_set_back_is_older_than_it_says(
    kept: float, gone: bool
) -> None:
    now = 1_800_000_000.0
    nothing, known = cast("Any", None), KeepersKnown()
    known.gone["token:gone"] = now - 30
    keepers = Keepers(known, nothing, nothing, nothing)
    assert keepers._is_sent_away("token:gone", now + kept, now) is gone
    assert not keepers._is_sent_away("token:good", now + kept, now)


class OtherClock(Alone):
    """The data's clock, which is not that of this machine."""

    def __init__(self) -> None:
        self._now = time.time

    def clock(self) -> float:
        return self._now()


@pytest.mark.parametrize("off", [86_400.0, -86_400.0])
def test_a_node_whose_clock_is_wrong_gives_up_nothing_and_tries_again_in_time(
    on: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    """Messages are kept by the clock of the data, and by that they are old, and due again."""

    async def scene(world: World) -> None:
        world.data.coordination = OtherClock()
        world.delivery = world._delivery()
        wrong = SimpleNamespace(time=lambda true=time.time: true() + off)
        monkeypatch.setattr(attempt, "time", wrong)
        monkeypatch.setattr("casemate.delivery.delivery.time", wrong, raising=False)
        await world.deploy({**F, "delivery": msgspec.structs.replace(FAST, max_age=3600.0)})
        answers = iter([ended(Outcome.HANDLER_ERROR), OK])
        world.answer = lambda raw: next(answers)
        world.delivery.start()
        await world.send(1)
        await world.until(lambda: len(world.ran) == 2)
        await world.empty()
        assert await world.dead() == []

    on(scene)


def test_nothing_is_too_old_by_a_clock_that_was_set_forward_of_late(
    on: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day ahead for two seconds, a node gave up all that was to be tried again meanwhile."""
    true, off = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: true() + off[0])

    async def scene(world: World) -> None:
        await world.deploy({**F, "delivery": msgspec.structs.replace(FAST, max_age=3600.0)})

        def answer(_raw: RawInvocation) -> Sealed:
            off[0] = 86_400.0
            return OK if len(world.ran) > 1 else ended(Outcome.HANDLER_ERROR)

        world.answer = answer
        world.delivery.start()
        await world.send(1)
        await world.until(lambda: len(world.ran) == 2)
        await world.empty()
        assert await world.dead() == []

    on(scene)


def test_what_waits_from_before_a_start_runs(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(CONSUMER)
        await world.send(1, 2)
        await world.queue(3)
        leased = await world.data.lease("t", "inbox", "f", limit=1, lease=3600.0)
        assert leased, "by a process that is gone"
        world.delivery.start()
        await world.until(lambda: len(world.ran) == 3)
        assert sorted(world.values()) == [1, 2, 3]

    on(scene)


def test_no_more_run_at_once_than_the_function_allows(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**CONSUMER, "limits": Limits(concurrency=3)})
        world.seconds = 0.01
        world.delivery.start()
        await world.send(*range(20))
        await world.queue(*range(20))
        await world.until(lambda: len(world.ran) == 40)
        assert world.most_at_once == 3
        assert Counter(world.values()) == Counter([*range(20), *range(20)])

    on(scene)


def test_a_great_many_run_once_each_and_leave_nothing_behind(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(CONSUMER)
        world.delivery.start()
        for _ in range(15):
            await asyncio.gather(
                *(world.send(n) for n in range(60)), *(world.queue(n) for n in range(40))
            )
        await world.until(lambda: len(world.ran) >= 1500)
        await world.empty()
        await world.empty("queue", "jobs")
        assert len(world.ran) == 1500
        await world.until(lambda: not world.delivery._lanes and not world.delivery._timers)

    on(scene)


def test_a_status_is_known_at_every_moment(on: Callable[[Scene], None]) -> None:
    """Also at the one in which the message goes and the end comes."""

    async def scene(world: World) -> None:
        await world.deploy(F)
        world.delivery.start()
        for n in range(150):
            await world.send(n, invocation=f"inv_{n}")
        for n in range(150):
            while (await world.data.invocation_status("t", f"inv_{n}")).finished_at is None:
                await asyncio.sleep(0)
        assert len(world.ran) == 150

    on(scene)


def test_nothing_is_asked_while_nothing_happens(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(CONSUMER)
        world.delivery.start()
        await world.send(1)
        await world.empty()
        await asyncio.sleep(0.1)
        before = world.data.leases
        await asyncio.sleep(0.5)
        assert world.data.leases == before
        assert world.delivery.running == 0
        assert not world.delivery._lanes and not world.delivery._timers

    on(scene)


def test_a_failure_is_tried_again_and_then_given_up(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.answer = lambda raw: ended(Outcome.HANDLER_ERROR)
        world.delivery.start()
        await world.send(1, invocation="inv_1")
        await world.empty()
        assert [raw.attempt for raw in world.ran] == [1, 2, 3]
        assert await world.dead() == [("handler-error", 3)]
        status = await world.data.invocation_status("t", "inv_1")
        assert (status.state.value, status.status) == ("failed", 500)
        assert (status.reason, status.error_id) == ("handler-error", "err_1")

    on(scene)


@pytest.mark.parametrize("outcome", [Outcome.INVALID, Outcome.DENIED, Outcome.NOT_FOUND])
def test_what_cannot_succeed_is_given_up_at_once(
    on: Callable[[Scene], None], outcome: Outcome
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        body = b'{"detail":"contract /amount maximum"}'
        world.answer = lambda raw: ended(outcome, status=400, body=body)
        world.delivery.start()
        await world.send(1)
        await world.empty()
        assert len(world.ran) == 1
        assert await world.dead() == [(f"{outcome.value}: contract /amount maximum", 1)]

    on(scene)


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.UNAVAILABLE])
def test_a_refusal_is_no_attempt(on: Callable[[Scene], None], outcome: Outcome) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**F, "delivery": msgspec.structs.replace(FAST, attempts=1)})
        left = [5]

        def answer(_: RawInvocation) -> Sealed:
            left[0] -= 1
            return ended(outcome, retry_after=1) if left[0] >= 0 else OK

        world.answer = answer
        world.delivery.start()
        await world.send(1)
        await world.empty()
        assert [raw.attempt for raw in world.ran] == [1] * 6
        assert await world.dead() == []

    on(scene)


def test_an_answer_that_says_that_the_server_failed_is_a_failure(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.answer = lambda raw: ended(Outcome.OK, status=503 if raw.attempt == 1 else 404)
        world.delivery.start()
        await world.send(1)
        await world.empty()
        assert [raw.attempt for raw in world.ran] == [1, 2]
        assert await world.dead() == []

    on(scene)


def test_attempts_that_took_the_process_with_them_count(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        await world.send(1)
        for _ in range(3):
            await world.data.lease("t", "inbox", "f", limit=1, lease=3600.0)
            await world.data.resume("t")
        world.delivery.start()
        await world.empty()
        assert world.ran == []
        assert await world.dead() == [("attempts used up", 4)]

    on(scene)


def test_the_end_of_a_run_whose_lease_was_taken_again_changes_nothing(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        await world.send(1)
        place = ("t", "inbox", "f")
        [first] = await world.data.lease(*place, limit=1, lease=60.0)
        taken = []

        async def run(_: RawInvocation) -> Sealed:
            # Meanwhile it was given back, and another got it, as the attempt of the same number.
            assert await world.data.settle(*place, [give_back(first)]) == 1
            taken.extend(await world.data.lease(*place, limit=1, lease=60.0))
            return OK

        settler = Settler(world.data, lambda _place: None)
        attempts = Attempts(run, settler, lambda: 0.5, lambda place, at: None, lambda *_: "")
        until = asyncio.get_running_loop().time() + 3600
        batch = Batch(
            place=place,
            trigger="",
            qualifier="",
            messages=[read_message(place, first, until, "", world.marks)],
            is_list=False,
        )
        assert await attempts.run(batch, version(**F), ()) is None
        await settler.close()
        [second] = taken
        assert (second.attempts, second.fence) == (first.attempts, first.fence + 1)
        assert (await world.data.queue_info(*place)).waiting == 1
        assert await world.data.extend(*place, [second.lease], lease=60.0) == 1

    on(scene)


def test_what_is_taken_back_while_an_event_waits_for_an_instance_counts(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        await world.send(1)
        place = ("t", "inbox", "f")
        [first] = await world.data.lease(*place, limit=1, lease=60.0)
        revoked: list[str] = []
        asked = 0

        async def run(raw: RawInvocation) -> Sealed:
            nonlocal asked
            asked += 1
            assert raw.still is not None and raw.still()
            revoked.append("gone")
            assert not raw.still()
            return msgspec.structs.replace(OK, outcome=Outcome.UNAVAILABLE)

        def refused(*_: object) -> str:
            return "".join(revoked)

        settler = Settler(world.data, lambda _place: None)
        attempts = Attempts(run, settler, lambda: 0.5, lambda place, at: None, refused)
        until = asyncio.get_running_loop().time() + 3600
        batch = Batch(
            place=place,
            trigger="",
            qualifier="",
            messages=[read_message(place, first, until, "", world.marks)],
            is_list=False,
        )
        assert await attempts.run(batch, version(**F), ()) is not None, "again, without that one"
        assert batch.messages == []
        assert await attempts.run(batch, version(**F), ()) is None
        await settler.close()
        assert asked == 1
        assert [reason for reason, _ in await world.dead()] == ["gone"]

    on(scene)


def test_what_is_no_event_is_a_dead_letter(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        bodies = (b"{}", b"1", b'{"id":1}', b'"x"')
        await world.data.send_many("t", "inbox", "f", [NewMessage(body=body) for body in bodies])
        world.delivery.start()
        await world.empty()
        assert world.ran == []
        assert await world.dead() == [("not an event", 1)] * 4

    on(scene)


# -- batches -------------------------------------------------------------------------------------

BATCHED: dict[str, Any] = {
    **F,
    "triggers": (QueueTrigger(name="queue-1", queue="jobs", batch=4, window=0.2),),
}


def test_a_batch_waits_for_company_and_no_longer(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(BATCHED)
        world.delivery.start()
        await world.queue(*range(6))
        began = asyncio.get_running_loop().time()
        await world.empty("queue", "jobs")
        assert sizes(world.ran) == [4, 2]
        assert all(raw.batch for raw in world.ran)
        assert 0.15 <= asyncio.get_running_loop().time() - began < 5.0
        await world.queue(7)
        await world.empty("queue", "jobs")
        assert sizes(world.ran) == [4, 2, 1]

    on(scene)


@pytest.mark.parametrize("form", ["own", "aws"])
def test_what_failed_of_a_batch_is_tried_again(on: Callable[[Scene], None], form: str) -> None:
    async def scene(world: World) -> None:
        await world.deploy(BATCHED)

        def answer(raw: RawInvocation) -> Sealed:
            bad = [e.id for e in raw.events if msgspec.json.decode(e.data) == 2]
            own = {"failed": bad}
            aws = {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}
            body = msgspec.json.encode(own if form == "own" else aws)
            return ended(Outcome.OK, status=200, body=body)

        world.answer = answer
        world.delivery.start()
        await world.queue(0, 1, 2, 3)
        await world.empty("queue", "jobs")
        assert Counter(world.values()) == {0: 1, 1: 1, 2: 3, 3: 1}
        assert await world.dead("queue", "jobs") == [("reported as failed", 3)]

    on(scene)


@pytest.mark.parametrize(
    "body",
    [
        b'{"failed":["nobody"]}',
        b'{"failed":"x"}',
        b'{"failed":[1]}',
        b'{"batchItemFailures":[{"x":"y"}]}',
        b'{"batchItemFailures":{}}',
    ],
)
def test_a_report_that_is_nonsense_is_no_success(on: Callable[[Scene], None], body: bytes) -> None:
    async def scene(world: World) -> None:
        await world.deploy(BATCHED)
        world.answer = lambda raw: ended(Outcome.OK, status=200, body=body)
        world.delivery.start()
        await world.queue(0, 1, 2, 3)
        await world.empty("queue", "jobs")
        reason = "the report of failed items cannot be understood"
        assert await world.dead("queue", "jobs") == [(reason, 3)] * 4

    on(scene)


def test_events_of_different_triggers_are_not_mixed(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        nightly = ScheduleTrigger(name="nightly", cron="0 3 * * *")
        await world.deploy({**BATCHED, "triggers": (nightly, *BATCHED["triggers"])})
        world.delivery.start()
        await world.send(1, trigger="nightly")
        await world.send(2)
        await world.queue(3, 4, 5, 6)
        await world.until(lambda: len(world.values()) == 6)
        assert sorted((raw.trigger, len(raw.events)) for raw in world.ran) == [
            ("invoke", 1),
            ("queue", 4),
            ("schedule", 1),
        ]

    on(scene)


def test_a_batch_is_no_larger_than_a_request_may_be(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        trigger = QueueTrigger(name="queue-1", queue="jobs", batch=100, window=0.1)
        await world.deploy({**F, "triggers": (trigger,), "limits": Limits(request=4096)})
        world.delivery.start()
        await world.queue(*("x" * 1000 for _ in range(8)))
        await world.empty("queue", "jobs")
        assert sum(sizes(world.ran)) == 8
        assert max(sizes(world.ran)) <= 4

    on(scene)


# -- order ---------------------------------------------------------------------------------------


def test_one_key_is_one_after_the_other_also_when_one_fails(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.seconds = 0.01

        def answer(raw: RawInvocation) -> Sealed:
            value = msgspec.json.decode(raw.events[0].data)
            return ended(Outcome.CRASHED) if value == 1 and raw.attempt == 1 else OK

        world.answer = answer
        world.delivery.start()
        await world.send(0, 1, 2, 3, key="k")
        await world.empty()
        assert world.values() == [0, 1, 1, 2, 3]
        assert world.most_at_once == 1

    on(scene)


# -- destinations --------------------------------------------------------------------------------

TOLD = Destination(kind=DestinationKind.QUEUE, name="told")
GONE = Destination(kind=DestinationKind.QUEUE, name="gone")


def test_ends_are_told_with_the_settlement(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        delivery = msgspec.structs.replace(FAST, on_success=(TOLD,))
        waits = ResultTrigger(name="result-1", function="f", on=("success",))
        await world.deploy({"name": "f", "delivery": delivery}, {"name": "g", "triggers": (waits,)})
        world.delivery.start()
        await world.send(1, invocation="inv_1")
        await world.until(lambda: len(world.ran) == 2)
        assert [(raw.function, raw.trigger) for raw in world.ran] == [
            ("f", "invoke"),
            ("g", "result"),
        ]
        raw = world.ran[1]
        assert raw.caller is not None and raw.caller.principal.id == "t/g/result-1"
        (event,) = raw.events
        assert event.type == "casemate.function.succeeded"
        assert msgspec.json.decode(event.data) == {"result": {"ok": True}}
        assert event.detail["invocation"] == "inv_1"
        (told,) = await world.data.receive("t", "queue", "told")
        assert msgspec.json.decode(told.body)["data"] == {"result": {"ok": True}}

    on(scene)


def test_a_destination_that_is_gone_does_not_undo_the_end(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**F, "delivery": msgspec.structs.replace(FAST, on_success=(GONE,))})
        world.delivery.start()
        await world.send(*range(5))
        await world.empty()
        assert sorted(world.values()) == [0, 1, 2, 3, 4]

    on(scene)


def test_functions_that_wait_for_each_other_come_to_a_stop(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(
            {"name": "f", "triggers": (ResultTrigger(name="r", function="g"),)},
            {"name": "g", "triggers": (ResultTrigger(name="r", function="f"),)},
        )
        world.delivery.start()
        await world.send(1)
        await world.until(lambda: len(world.ran) == 17)
        await asyncio.sleep(0.2)
        assert len(world.ran) == 17

    on(scene)


# -- changes, faults, the end --------------------------------------------------------------------


def test_the_events_of_a_function_that_is_gone_wait_for_it(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F, {"name": "g"})
        world.delivery.start()
        await world.deploy({"name": "g"})
        world.delivery.update()
        await world.send(1)
        await asyncio.sleep(0.1)
        assert world.ran == []
        await world.deploy(F, {"name": "g"})
        world.delivery.update()
        await world.empty()
        assert world.values() == [1]

    on(scene)


def test_a_new_consumer_takes_up_what_waits(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.delivery.start()
        await world.queue(1, 2)
        await asyncio.sleep(0.05)
        assert world.ran == []
        await world.deploy(CONSUMER)
        world.delivery.update()
        await world.empty("queue", "jobs")
        assert sorted(world.values()) == [1, 2]
        await world.deploy(F)
        world.delivery.update()
        await world.queue(3)
        await asyncio.sleep(0.05)
        assert len(world.ran) == 2

    on(scene)


def test_ends_that_find_no_room_are_written_later(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.data.faults = [DataFullError(), DataFullError()]
        world.delivery.start()
        await world.send(1)
        await world.empty()
        assert len(world.ran) == 1

    on(scene)


def test_a_fault_of_one_settlement_does_not_stop_the_next(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.data.faults = [DataError()]
        world.delivery.start()
        await world.send(1)
        await world.until(lambda: not world.data.faults)
        await world.send(2)
        await world.until(lambda: len(world.ran) == 2)

    on(scene)


def test_a_fault_of_the_path_is_not_the_end_of_delivery(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)

        def answer(raw: RawInvocation) -> Sealed:
            if msgspec.json.decode(raw.events[0].data) == "bad":
                raise RuntimeError("a fault of ours")
            return OK

        world.answer = answer
        world.delivery.start()
        await world.send("bad", "good", "good")
        await world.until(lambda: len(world.ran) == 3)
        assert world.delivery.running == 0 or await asyncio.sleep(0.1) is None

    on(scene)


def test_a_stop_keeps_what_ran_and_gives_back_the_rest(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**F, "limits": Limits(concurrency=2)})
        world.seconds = 0.2
        world.delivery.start()
        await world.send(*range(10))
        await world.until(lambda: world.running == 2)
        await world.delivery.stop(5.0)
        assert len(world.ran) == 2
        info = await world.data.queue_info("t", "inbox", "f")
        assert info.waiting == 8
        again = await world.data.lease("t", "inbox", "f", limit=100, lease=10.0)
        assert len(again) == 8
        assert {message.attempts for message in again} == {1}, "none has used an attempt"

    on(scene)


# -- quarantine ----------------------------------------------------------------------------------


def test_what_is_kept_for_a_function_in_quarantine_waits(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(CONSUMER)
        world.seconds = 0.02
        world.delivery.start()
        await world.send(*range(40))
        await world.queue(*range(40))
        await world.until(lambda: len(world.ran) > 3)
        world.quarantine("f")
        world.delivery.update()
        await world.until(lambda: world.running == 0)
        await asyncio.sleep(0.1)
        before, leases = len(world.ran), world.data.leases
        await world.send(*range(40, 50))
        await asyncio.sleep(0.2)
        assert len(world.ran) == before < 80 and world.data.leases == leases
        world.quarantine()
        world.delivery.update()
        await world.until(lambda: len(world.ran) >= 90)
        assert Counter(world.values()) == Counter([*range(50), *range(40)])
        assert all(raw.attempt == 1 for raw in world.ran)
        assert await world.dead() == [] and await world.dead("queue", "jobs") == []

    on(scene)


def test_a_start_in_quarantine_delivers_nothing(on: Callable[[Scene], None]) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        world.quarantine("f")
        await world.send(1)
        world.delivery.start()
        await asyncio.sleep(0.1)
        assert not world.ran and not world.data.leases
        world.quarantine()
        world.delivery.update()
        await world.until(lambda: len(world.ran) == 1)

    on(scene)


# -- what nobody else would look at ----------------------------------------------------------------


def _failing(world: World, kind: type[Any], times: int) -> None:
    """Have the next operations of a kind fail, as on a disk that has no room or does not answer."""
    for name in ("change", "read"):
        real = getattr(world.data, name)
        left = [times]

        async def call(operation: Any, real: Any = real, left: list[int] = left) -> Any:
            if isinstance(operation, kind) and left[0]:
                left[0] -= 1
                raise DataError("not now")
            return await real(operation)

        setattr(world.data, name, call)


def test_what_waits_from_before_runs_also_if_its_project_could_not_be_opened_at_the_start(
    on: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.delivery.resuming.FIRST_PAUSE", 0.01)

    async def scene(world: World) -> None:
        await world.deploy(F)
        await world.send(1)
        assert await world.data.lease("t", "inbox", "f", limit=1, lease=3600.0)
        _failing(world, ResumeDelivery, 3)
        world.delivery.start()
        await world.until(lambda: world.values() == [1])

    on(scene)


def test_a_stop_does_not_wait_for_a_project_that_cannot_be_opened(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy(F)
        _failing(world, ResumeDelivery, 1000)
        world.delivery.start()
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await world.delivery.stop(20.0)
        assert asyncio.get_running_loop().time() - began < 1.9, "the pause is 2 s"

    on(scene)


def test_what_was_leased_runs_also_if_it_cannot_be_told_when_the_next_is_due(
    on: Callable[[Scene], None],
) -> None:
    """Else it would wait for the end of its lease: 150 s."""

    async def scene(world: World) -> None:
        await world.deploy(F)
        world.delivery.start()
        _failing(world, FindNextDue, 1)
        await world.send(1)
        await world.until(lambda: world.values() == [1])

    on(scene)


def test_a_timer_of_a_lane_that_was_closed_wakes_the_one_after_it(
    on: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would: the event is leased, waits for an instance, and is the last one."""
    pauses = [1.0, 1.1]
    monkeypatch.setattr("casemate.delivery.attempt.refusal_pause", lambda *_: pauses.pop(0))

    async def scene(world: World) -> None:
        await world.deploy({**F, "limits": Limits(concurrency=2)})
        refused = ["a", "d"]

        def answer(raw: RawInvocation) -> Sealed:
            value = msgspec.json.decode(raw.events[0].data)
            if value in refused:
                refused.remove(value)
                return ended(Outcome.UNAVAILABLE)
            return OK

        world.answer, world.seconds = answer, 0.05
        world.delivery.start()
        # The one is refused, and waits; the other succeeds, and the third takes both along.
        await world.send("a", "b")
        await world.until(lambda: len(world.ran) == 2)
        world.seconds = 0.0
        await world.send("c")
        await world.until(lambda: len(world.ran) == 4 and not world.delivery._lanes)
        await world.send("d")
        await world.until(lambda: world.values()[-2:] == ["d", "d"])
        await world.empty()

    on(scene)


def test_a_node_that_takes_nothing_leases_nothing_and_goes_on_afterwards(
    on: Callable[[Scene], None],
) -> None:
    async def scene(world: World) -> None:
        await world.deploy({**CONSUMER, "limits": Limits(concurrency=1)})
        world.delivery.start()
        world.seconds = 0.05
        await world.send(*range(20))
        await world.until(lambda: world.running == 1)
        world.refusal = "The node is drained."
        world.delivery.rest()
        await world.until(lambda: world.running == 0)
        ran, leases = len(world.ran), world.data.leases
        assert 1 <= ran < 20, "what runs ends"
        await world.queue("later")
        await asyncio.sleep(0.3)
        assert (len(world.ran), world.data.leases) == (ran, leases)
        # What it had leased is another node's to take, at once.
        taken = await world.data.lease("t", "inbox", "f", limit=1, lease=0.1)
        assert len(taken) == 1
        world.seconds, world.refusal = 0.0, ""
        world.delivery.resume()
        await world.until(lambda: len(world.ran) == 21)

    on(scene)
