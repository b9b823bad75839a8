"""A clock that is set while messages wait: each is due after as long as before, once."""

from __future__ import annotations

import pytest
from data_support import Clock, Data, end_of

from casemate.data import (
    Fate,
    InvocationState,
    InvocationStatus,
    Message,
    NewMessage,
    Subscription,
)
from casemate.model.errors import NotFoundError
from casemate.model.function import Delivery

DAY = 86_400.0


@pytest.fixture(autouse=True)
def own_clock(engine: str) -> None:
    if engine != "sqlite":
        pytest.skip("the clock of the server decides there")


@pytest.fixture
def jobs(clock: Clock, data: Data) -> Data:
    return data


def send(data: Data, *bodies: bytes, **fields: object) -> None:
    data.send_many("p", "queue", "rest", [NewMessage(body=b, **fields) for b in bodies])  # type: ignore[arg-type]


def leased(data: Data) -> tuple[Message, ...]:
    return data.lease("p", "queue", "rest", limit=9, lease=60.0)


def bodies(found: tuple[Message, ...]) -> list[bytes]:
    return [message.body for message in found]


@pytest.mark.parametrize("seconds", [3600.0, DAY, -3600.0])
def test_what_is_leased_is_nobody_elses_meanwhile(jobs: Data, clock: Clock, seconds: float) -> None:
    """Set forward, it was handed out again while it ran, and the next of its key beside it."""
    send(jobs, b'"first"', key="k")
    [first] = leased(jobs)
    clock.step(seconds)
    send(jobs, b'"second"', key="k")
    assert leased(jobs) == ()
    clock.pass_(59.0)
    assert leased(jobs) == ()
    clock.pass_(1.5)
    [again] = leased(jobs)
    assert (again.body, again.attempts) == (b'"first"', 2)
    done = end_of(again, Fate.DONE)
    assert jobs.settle("p", "queue", "rest", [end_of(first, Fate.DONE)]) == 0
    assert jobs.settle("p", "queue", "rest", [done]) == 1
    assert bodies(leased(jobs)) == [b'"second"']


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, -2 * DAY])
def test_a_delay_is_as_long_as_it_was(jobs: Data, clock: Clock, seconds: float) -> None:
    send(jobs, b'"later"', delay=5.0)
    clock.step(seconds)
    assert leased(jobs) == ()
    clock.pass_(4.5)
    assert leased(jobs) == ()
    clock.pass_(1.0)
    assert bodies(leased(jobs)) == [b'"later"']


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_so_is_the_pause_before_another_attempt(jobs: Data, clock: Clock, seconds: float) -> None:
    send(jobs, b'"again"')
    [one] = leased(jobs)
    retry = end_of(one, Fate.RETRY, again_at=clock.now + 5.0)
    assert jobs.settle("p", "queue", "rest", [retry]) == 1
    clock.step(seconds)
    assert leased(jobs) == ()
    clock.pass_(5.5)
    assert bodies(leased(jobs)) == [b'"again"']


@pytest.mark.parametrize("steps", [(3600.0,), (-3600.0,), (3600.0, -2 * DAY), (-5.0, 5.0)])
def test_so_is_the_delay_of_what_waits_for_another_of_its_key(
    jobs: Data, clock: Clock, steps: tuple[float, ...]
) -> None:
    send(jobs, b'"first"', key="k")
    send(jobs, b'"later"', key="k", delay=7.0)
    send(jobs, b'"last"', key="k")
    [first] = leased(jobs)
    for seconds in steps:
        clock.step(seconds)
        assert leased(jobs) == ()
    assert jobs.settle("p", "queue", "rest", [end_of(first, Fate.DONE)]) == 1
    assert leased(jobs) == ()
    clock.pass_(6.5)
    assert leased(jobs) == ()
    clock.pass_(1.0)
    [later] = leased(jobs)
    assert later.body == b'"later"'
    assert jobs.settle("p", "queue", "rest", [end_of(later, Fate.DONE)]) == 1
    assert bodies(leased(jobs)) == [b'"last"']


def test_a_clock_that_is_set_and_set_back_moves_nothing(jobs: Data, clock: Clock) -> None:
    send(jobs, b'"later"', delay=5.0)
    for seconds in (3600.0, -3600.0, -DAY, DAY, 0.5):
        clock.step(seconds)
        assert leased(jobs) == ()
    clock.pass_(5.5)
    assert bodies(leased(jobs)) == [b'"later"']


def test_a_change_that_fails_first_leaves_the_step_to_the_next(jobs: Data, clock: Clock) -> None:
    send(jobs, b'"later"', delay=5.0)
    clock.step(-3600.0)
    with pytest.raises(Exception, match="no queue"):
        jobs.send_many("p", "queue", "nowhere", [NewMessage(body=b"1")])
    clock.pass_(5.5)
    assert bodies(leased(jobs)) == [b'"later"']


def close(data: Data) -> None:
    """Close the project, as is done with one that nobody uses for a while."""

    async def let_go() -> None:
        await data.port._projects.let_go("p")

    data.run(let_go())


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, -2 * DAY])
def test_a_delay_is_as_long_while_the_project_is_closed(
    jobs: Data, clock: Clock, seconds: float
) -> None:
    send(jobs, b'"later"', delay=5.0)
    close(jobs)
    clock.step(seconds)
    assert leased(jobs) == ()
    close(jobs)
    clock.pass_(5.5)
    assert bodies(leased(jobs)) == [b'"later"']


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_so_it_is_in_one_that_was_not_opened_before(
    jobs: Data, clock: Clock, seconds: float
) -> None:
    send(jobs, b'"later"', delay=5.0)
    jobs.reopen()
    clock.step(seconds)
    assert leased(jobs) == ()
    clock.pass_(5.5)
    assert bodies(leased(jobs)) == [b'"later"']


def test_what_is_opened_while_the_clock_is_wrong_deletes_nothing_for_good(
    jobs: Data, clock: Clock
) -> None:
    jobs.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    jobs.send_many("p", "inbox", "f", [NewMessage(body=b"{}", invocation="i1")])
    [message] = jobs.lease("p", "inbox", "f", limit=1, lease=60.0)
    jobs.settle("p", "inbox", "f", [end_of(message, Fate.DEAD, reason="r")])
    close(jobs)
    clock.step(200 * DAY)
    assert leased(jobs) == ()  # which opens it
    jobs.sweep()
    clock.step(-200 * DAY)
    assert len(jobs.dead_letters("p", "inbox", "f")) == 1


def test_the_sweep_deletes_nothing_for_good_by_a_clock_that_is_set_right_again(
    jobs: Data, clock: Clock
) -> None:
    """Set forward for a minute, it took all dead letters with it, and what was asked for by id."""
    jobs.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    for identity, fate in (("i1", Fate.DEAD), ("i2", Fate.DONE)):
        jobs.send_many("p", "inbox", "f", [NewMessage(body=b"{}", invocation=identity)])
        [message] = jobs.lease("p", "inbox", "f", limit=1, lease=60.0)
        jobs.settle("p", "inbox", "f", [end_of(message, fate, reason="r")])
    clock.step(200 * DAY)
    clock.pass_(60.0)
    jobs.sweep()
    clock.step(-200 * DAY)
    jobs.sweep()
    assert len(jobs.dead_letters("p", "inbox", "f")) == 1
    assert jobs.invocation_status("p", "i2").attempts == 1
    clock.step(200 * DAY)
    jobs.sweep()
    clock.pass_(200 * DAY)
    jobs.sweep()
    assert jobs.dead_letters("p", "inbox", "f") == ()


def claimed(data: Data, identity: str) -> str | None:
    first = data.begin_invocation("p", "f", "key", "one", identity)
    return None if first is None else first.id


def finish(data: Data, clock: Clock, identity: str) -> None:
    at, state = clock.now, InvocationState.SUCCEEDED
    ended = InvocationStatus(
        id=identity, function="f", state=state, attempts=1, accepted_at=at, finished_at=at
    )
    data.finish_invocation("p", ended)


@pytest.mark.parametrize("off", [-2 * DAY, -3650 * DAY, 3650 * DAY])
def test_what_ended_while_the_clock_was_wrong_is_kept_once_it_is_right(
    jobs: Data, clock: Clock, off: float
) -> None:
    """Set right again, its key was free: who asked again under it had it done twice."""
    jobs.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    assert claimed(jobs, "i1") is None
    clock.step(off)
    finish(jobs, clock, "i1")
    assert claimed(jobs, "i2") == "i1"
    clock.step(-off)
    clock.pass_(490.0)
    jobs.sweep()
    assert claimed(jobs, "i3") == "i1"
    assert jobs.invocation_status("p", "i1").attempts == 1
    clock.pass_(20.0)
    jobs.sweep()
    assert claimed(jobs, "i4") is None


def test_of_a_clock_that_was_wrong_when_it_was_started_the_rest_stays(
    jobs: Data, clock: Clock
) -> None:
    """What was kept before is over when it would have been, and what was kept then later."""
    jobs.subscribe("p", [Subscription(function="f", delivery=Delivery(keep_results=500.0))])
    assert claimed(jobs, "i1") is None
    finish(jobs, clock, "i1")
    clock.step(-3650 * DAY)
    jobs.reopen()
    assert jobs.begin_invocation("p", "f", "other", "one", "i2") is None
    finish(jobs, clock, "i2")
    clock.step(3650 * DAY)
    clock.pass_(490.0)
    jobs.begin_invocation("p", "f", "any", "one", "i3")
    assert jobs.invocation_status("p", "i2").attempts == 1
    clock.pass_(20.0)
    with pytest.raises(NotFoundError):
        jobs.invocation_status("p", "i2")
    assert claimed(jobs, "i4") is None
