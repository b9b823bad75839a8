"""The stream of facts: who listens hears everything of its kind, and nobody holds it up."""

from __future__ import annotations

import asyncio

import pytest

from casemate.model.fact_stream import MAX_FEEDS, MAX_WAITING, FactStream, TooManyFeedsError
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
