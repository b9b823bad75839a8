"""The stream of facts: who listens hears everything of its kind, and nobody holds it up."""

from __future__ import annotations

import asyncio
import gc

import pytest

from casemate.facts.stream import MAX_FEEDS, MAX_WAITING, FactStream, TooManyFeedsError
from casemate.model.facts import Fact, LogsWritten, SignedIn


def signed_in(by: str = "user:ada") -> SignedIn:
    return SignedIn(at=1.0, by=by, method="password")


def test_listeners_hear_their_type_and_no_other() -> None:
    stream, heard = FactStream(), list[Fact]()
    stream.listen(SignedIn, heard.append)
    stream.happened(signed_in())
    stream.happened(LogsWritten(at=2.0, project="p"))
    assert heard == [signed_in()]
    assert stream.wanted(SignedIn)
    assert not stream.wanted(LogsWritten)


def test_a_listener_that_raises_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    stream, heard = FactStream(), list[Fact]()

    def fail(_: SignedIn) -> None:
        raise RuntimeError("broken")

    stream.listen(SignedIn, fail)
    stream.listen(SignedIn, heard.append)
    stream.happened(signed_in())
    assert heard == [signed_in()]
    assert "a listener failed at SignedIn" in caplog.text


def test_a_feed_gives_what_came_and_says_what_gave_way() -> None:
    async def run() -> None:
        stream = FactStream()
        feed = stream.feed(SignedIn)
        assert await feed.take(0.01) == ([], 0)
        for number in range(MAX_WAITING + 3):
            stream.happened(signed_in(f"user:u{number}"))
        stream.happened(LogsWritten(at=2.0))
        found, missed = await feed.take(1)
        assert (len(found), missed) == (MAX_WAITING, 3)
        assert found[0].by == "user:u3"
        asyncio.get_running_loop().call_later(0.01, stream.happened, signed_in())
        assert await feed.take(5) == ([signed_in()], 0)
        feed.close()
        stream.happened(signed_in())
        assert await feed.take(0.01) == ([], 0)

    asyncio.run(run())


def test_a_slow_reader_cannot_hold_memory_and_is_told() -> None:
    async def run() -> None:
        stream = FactStream()
        feed = stream.feed(SignedIn)
        for number in range(50 * MAX_WAITING):
            stream.happened(signed_in(f"user:u{number}"))
        held = sum(isinstance(each, SignedIn) for each in gc.get_referents(feed._waiting))
        assert held == MAX_WAITING
        found, missed = await feed.take(1)
        assert (len(found), missed) == (MAX_WAITING, 49 * MAX_WAITING)
        assert found[-1].by == f"user:u{50 * MAX_WAITING - 1}"
        # What it was told is over with that: it hears all again.
        stream.happened(signed_in())
        assert await feed.take(1) == ([signed_in()], 0)

    asyncio.run(run())


def test_a_slow_reader_takes_nothing_from_the_others() -> None:
    async def run() -> None:
        stream = FactStream()
        slow, quick = stream.feed(SignedIn), stream.feed(SignedIn)
        heard = list[Fact]()
        stream.listen(SignedIn, heard.append)
        for number in range(3 * MAX_WAITING):
            stream.happened(signed_in(f"user:u{number}"))
            if number % 100 == 0:
                found, missed = await quick.take(1)
                assert found and not missed
        assert len(heard) == 3 * MAX_WAITING
        assert (await slow.take(1))[1] == 2 * MAX_WAITING

    asyncio.run(run())


def test_a_feed_holds_only_what_its_reader_wants() -> None:
    async def run() -> None:
        stream = FactStream()
        with stream.feed(SignedIn, only=lambda fact: fact.by == "user:eve") as feed:
            assert stream.wanted(SignedIn)
            assert not stream.wanted(LogsWritten)
            for name in ("ada", "eve", "bob"):
                stream.happened(signed_in(f"user:{name}"))
            assert await feed.take(1) == ([signed_in("user:eve")], 0)
        assert not stream.wanted(SignedIn)
        assert feed.ended

    asyncio.run(run())


def test_a_condition_that_raises_keeps_nobody_from_hearing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        stream = FactStream()
        broken = stream.feed(SignedIn, only=lambda fact: fact.nothing)
        sound = stream.feed(SignedIn)
        stream.happened(signed_in())
        assert await sound.take(1) == ([signed_in()], 0)
        assert await broken.take(0.01) == ([], 0)

    asyncio.run(run())
    assert "a listener failed at SignedIn" in caplog.text


def test_readers_learn_that_the_process_stops() -> None:
    async def run() -> None:
        stream, heard = FactStream(), list[Fact]()
        stream.listen(SignedIn, heard.append)
        feed = stream.feed(SignedIn)
        stream.happened(signed_in())
        waiting = asyncio.ensure_future(feed.take(60))
        await asyncio.sleep(0)
        assert await waiting == ([signed_in()], 0)
        waiting = asyncio.ensure_future(feed.take(60))
        await asyncio.sleep(0)
        stream.end_feeds()
        assert await asyncio.wait_for(waiting, 1) == ([], 0)
        assert feed.ended
        stream.happened(signed_in())
        assert await feed.take(60) == ([], 0)
        assert len(heard) == 2  # what listens goes on to the very end
        feed.close()

    asyncio.run(run())


def test_readers_are_bounded() -> None:
    async def run() -> None:
        stream = FactStream()
        feeds = [stream.feed(SignedIn) for _ in range(MAX_FEEDS)]
        with pytest.raises(TooManyFeedsError):
            stream.feed(SignedIn)
        feeds[0].close()
        feeds[0].close()
        stream.feed(SignedIn)

    asyncio.run(run())


def test_what_is_alike_is_counted_by_its_one_listener_and_made_for_others() -> None:
    stream, asked = FactStream(), []

    def counts(key: tuple[object, ...]) -> bool:
        asked.append(key)
        return True

    assert not stream.counted(SignedIn, "a"), "nobody counts"
    stream.count_with(counts)
    assert not stream.counted(SignedIn, "a"), "nobody listens"
    stream.listen(SignedIn, lambda _: None)
    assert stream.counted(SignedIn, "a")
    with stream.feed(SignedIn):
        assert not stream.counted(SignedIn, "a"), "somebody reads them one by one"
    assert stream.counted(SignedIn, "a")
    assert asked == [(SignedIn, "a")] * 2


def test_facts_of_a_type_are_heard_as_they_are_restated(caplog: pytest.LogCaptureFixture) -> None:
    stream, heard = FactStream(), list[Fact]()
    stream.listen(SignedIn, heard.append)
    stream.listen(LogsWritten, heard.append)
    stream.restate(SignedIn, lambda fact: signed_in(f"{fact.by}-too"))
    stream.happened(signed_in())
    stream.happened(LogsWritten(at=2.0))
    assert heard == [signed_in("user:ada-too"), LogsWritten(at=2.0)]

    def fail(_: SignedIn) -> SignedIn:
        raise RuntimeError("broken")

    stream.restate(SignedIn, fail)
    stream.restate(SignedIn, lambda fact: signed_in(f"{fact.by}-last"))
    stream.happened(signed_in())
    assert heard[2:] == [signed_in("user:ada-too-last")], "what one has said is kept"
    assert "SignedIn is told as it is" in caplog.text
