"""Every kind of source against its real server: nothing that the server keeps is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import Iterator

import pytest

from casemate.sources.config import SourceLimits
from support.outside_servers import running
from support.source_cases import CASES, Case
from support.sources import Harness, sources

_places = (f"place{number}" for number in itertools.count())
LIMITS = SourceLimits(first_pause=0.05, longest_pause=0.3, full_pause=0.05, full_longest=0.2)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.kind.name)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Case]:
    kind = request.param
    with running(kind.kind, tmp_path_factory.mktemp("server")) as server:
        yield kind(server)


@pytest.fixture
def place(case: Case) -> str:
    found = next(_places)
    asyncio.run(case.prepare(found))
    return found


def secrets(case: Case) -> dict[str, str]:
    return {"pw": case.server.password, "wrong": "not-the-password"}


def numbers(case: Case, harness: Harness) -> list[int]:
    return [case.number(received) for received in harness.inbox.kept]


async def nothing_left(case: Case, place: str) -> None:
    for _ in range(100):
        left = await case.left(place)
        if not left:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{left} messages are left")


def test_what_comes_is_kept_once_and_acknowledged(case: Case, place: str) -> None:
    async def run() -> None:
        async with sources(secrets(case), LIMITS) as harness:
            harness.follow(case.trigger(place))
            await harness.connected()
            await case.publish(place, range(250))
            await harness.until(lambda: len(harness.inbox.kept) >= 250)
            await nothing_left(case, place)
            assert numbers(case, harness) == list(range(250))  # in order, too
            assert harness.status.events == 250

    asyncio.run(run())


def test_what_came_while_nobody_was_there_comes_afterwards(case: Case, place: str) -> None:
    async def run() -> None:
        async with sources(secrets(case), LIMITS) as harness:
            harness.follow(case.trigger(place))
            await harness.connected()
            harness.follow()
            await harness.until(lambda: harness.client.statuses() == ())
            await asyncio.sleep(0.2)
            await case.publish(place, range(30))
            harness.follow(case.trigger(place))
            await harness.until(lambda: len(harness.inbox.kept) >= 30)
            await nothing_left(case, place)
            assert sorted(set(numbers(case, harness))) == list(range(30))

    asyncio.run(run())


def test_without_room_nothing_more_is_read(case: Case, place: str) -> None:
    async def run() -> None:
        limits = SourceLimits(unacknowledged=20, full_pause=0.05, full_longest=0.1)
        async with sources(secrets(case), limits) as harness:
            harness.follow(case.trigger(place))
            await harness.connected()
            harness.inbox.full = True
            await case.publish(place, range(150))
            await harness.until(lambda: harness.inbox.offered > 40)
            await harness.until(lambda: "no room" in harness.status.error)
            assert harness.inbox.kept == []
            assert len(harness.inbox.seen) <= 20
            harness.inbox.full = False
            await harness.until(lambda: len(harness.inbox.kept) >= 150)
            await nothing_left(case, place)
            assert numbers(case, harness) == list(range(150))
            assert harness.inbox.refusals == []

    asyncio.run(run())


def test_kills_of_the_process_lose_nothing(case: Case, place: str) -> None:
    """What was handed over and not acknowledged comes again, told apart by the same id."""

    async def run() -> None:
        async with sources(secrets(case), LIMITS) as harness:
            harness.follow(case.trigger(place))
            await harness.connected()
            harness.inbox.slow = 0.05
            sending = asyncio.ensure_future(case.publish(place, range(300)))
            for _ in range(3):
                before = len(harness.inbox.kept)
                await harness.until(lambda: len(harness.inbox.kept) > before)  # noqa: B023
                pid = harness.starter.pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await harness.until(lambda: harness.starter.pid != pid)  # noqa: B023
            await sending
            await harness.until(lambda: len(set(numbers(case, harness))) == 300, 60)
            if case.returns_at_once:
                await nothing_left(case, place)
            assert harness.status.losses >= 1
            by_number: dict[int, set[str]] = {}
            for received in harness.inbox.kept:
                by_number.setdefault(case.number(received), set()).add(received.deduplication)
            assert all(len(unique) == 1 for unique in by_number.values())

    asyncio.run(run())


def test_a_server_that_is_killed_is_connected_to_again(case: Case, place: str) -> None:
    async def run() -> None:
        async with sources(secrets(case), LIMITS) as harness:
            harness.follow(case.trigger(place))
            await harness.connected()
            await case.publish(place, range(10))
            await harness.until(lambda: len(harness.inbox.kept) >= 10)
            await nothing_left(case, place)
            await asyncio.to_thread(case.server.stop, signal.SIGKILL)
            await harness.until(lambda: not harness.status.connected)
            assert harness.status.error and harness.status.losses >= 1
            assert any(not change.connected for change in harness.inbox.changes)
            await asyncio.to_thread(case.server.start)
            await harness.connected()
            await case.publish(place, range(10, 20))
            await harness.until(lambda: set(range(20)) <= set(numbers(case, harness)))

    asyncio.run(run())


def test_what_is_too_large_is_given_up_and_the_rest_goes_on(case: Case, place: str) -> None:
    async def run() -> None:
        limits = SourceLimits(message=20_000)
        async with sources(secrets(case), limits) as harness:
            harness.follow(case.trigger(place))
            await harness.connected()
            await case.publish(place, [1])
            await case.send(place, json.dumps({"n": 2, "pad": "x" * 60_000}).encode())
            await case.publish(place, [3])
            await harness.until(lambda: len(harness.inbox.kept) >= 2)
            assert numbers(case, harness) == [1, 3]
            if case.keeps_too_large:
                await harness.until(lambda: harness.inbox.refusals)
                reason, denied, count = harness.inbox.refusals[0]
                assert "expected 20000" in reason and "xxx" not in reason
                assert (denied, count, harness.status.refused) == (False, 1, 1)
            await asyncio.sleep(0.5)  # and it does not come again
            assert len(harness.inbox.refusals) <= 1

    asyncio.run(run())


def test_a_wrong_password_is_told_and_tried_ever_more_seldom(case: Case, place: str) -> None:
    if case.kind.name == "mqtt":
        pytest.skip("this broker lets anybody in")

    async def run() -> None:
        limits = SourceLimits(first_pause=0.1, longest_pause=5)
        async with sources(secrets(case), limits) as harness:
            harness.follow(case.trigger(place, password="wrong"))
            await harness.until(lambda: harness.status.error)
            await asyncio.sleep(0.4)
            assert not harness.status.connected
            assert "not-the-password" not in harness.status.error
            harness.follow(case.trigger(place))  # mended
            await harness.connected()

    asyncio.run(run())


def test_a_missing_secret_is_told(case: Case, place: str) -> None:
    async def run() -> None:
        async with sources({}, LIMITS) as harness:
            harness.follow(case.trigger(place))
            await harness.until(lambda: "no secret" in harness.status.error)
            assert not harness.status.connected

    asyncio.run(run())


def test_an_address_that_is_not_allowed_is_not_connected_to(case: Case, place: str) -> None:
    async def run() -> None:
        async with sources(secrets(case), LIMITS) as harness:
            harness.follow(case.trigger(place, private=False, exception=""))
            await harness.until(lambda: harness.inbox.refusals)
            assert harness.inbox.refusals[0][:2] == ("loopback address 127.0.0.1", True)
            assert not harness.status.connected
            await harness.until(lambda: harness.status.error)  # told after the refusal
            assert "does not cover" in harness.status.error

    asyncio.run(run())


def test_a_server_without_the_place_is_told_of(case: Case, place: str) -> None:
    """The queue, stream or table that is not there: an error for people, and no end of it."""
    if case.kind.name in ("valkey", "mqtt"):
        pytest.skip("it makes the place itself")

    async def run() -> None:
        async with sources(secrets(case), LIMITS) as harness:
            harness.follow(case.trigger("nowhere"))
            await harness.until(lambda: harness.status.error)
            assert not harness.status.connected
            harness.follow(case.trigger(place))
            await harness.connected()

    asyncio.run(run())
