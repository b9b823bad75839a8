"""One source: its pauses, its states, and what it tells of errors."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from casemate.model.trigger import ValkeyTrigger
from casemate.sources import protocol
from casemate.sources.config import SourceLimits
from casemate.sources.errors import SourceError
from casemate.sources.interface import Received, Session
from casemate.sources.source import Source, why
from support.waiting import until

TRIGGER = ValkeyTrigger(name="t", host="example.org", port=6379, stream="s", password="pw")
LIMITS = SourceLimits(first_pause=0.01, longest_pause=0.02, full_pause=0.01, full_longest=0.02)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SourceError("Ours.", next_step="do"), "Ours. Next: do"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError(), "in time"),
        (EOFError(), "closed the connection"),
        (ValueError("content of a message"), "ValueError"),
    ],
)
def test_errors_of_others_are_told_without_their_content(error: Exception, text: str) -> None:
    assert text in why(error)
    assert "content of a message" not in why(error)


@pytest.mark.parametrize(
    ("password", "repeated"),
    [
        (
            "swordfish-4711",
            "ERR unknown command 'AUTH', with args beginning with: 'swordfish-4711'",
        ),
        ("swordfish-4711", "ERR unknown command 'AUTH', with args beginning with: 'u' 'swordfi"),
        ('sw"ord\\fish', 'cannot parse {"user":"u","pass":"sw\\"ord\\\\fish"}'),
        ("swörd-fish", "refused: sw\ufffd\ufffdrd-fish"),
        ("a1", "wrong: a1"),
    ],
)
def test_a_server_that_repeats_the_password_is_not_repeated(password: str, repeated: str) -> None:
    """Redis does so where it knows no AUTH."""
    told = why(SourceError(repeated), password)
    assert repeated not in told and "it is left out" in told
    assert why(SourceError("NOPERM of the server."), password) == "NOPERM of the server."


def test_what_steers_a_terminal_is_not_told() -> None:
    assert why(SourceError("ERR \x1b]0;x\x07\x9b31m\r\n")) == "ERR ?]0;x??31m??"


def test_what_is_told_of_a_server_is_held_against_the_password_it_was_given() -> None:
    async def work(session: Session) -> None:
        raise SourceError(f"ERR {session.password}")

    async def run() -> list[tuple[bool, str]]:
        fake = Fake(work)
        fake.source.begin()
        await until(lambda: fake.states())
        fake.source.stop()
        return fake.states()

    assert "first" not in str(asyncio.run(run()))


class Fake:
    """A source whose connector does what a test says, and what it tells the gateway."""

    def __init__(self, work: Callable[[Session], Awaitable[None]]) -> None:
        self.reports: list[protocol.Report] = []
        self.outcomes: list[protocol.Outcome] = []
        self.passwords = ["first", "second", "third"]

        class Connector:
            async def run(self, session: Session) -> None:
                await work(session)

        self.source = Source(
            protocol.Start(1, "f-1", TRIGGER),
            lambda _: Connector(),
            limits=LIMITS,
            tls=ssl.create_default_context(),
            send=self.send,
        )

    def send(self, report: protocol.Report) -> None:
        self.reports.append(report)
        if isinstance(report, protocol.Ask):
            self.source.give(self.passwords.pop(0) if self.passwords else "last", "")
        if isinstance(report, protocol.Handed) and self.outcomes:
            outcome = self.outcomes.pop(0)
            asyncio.get_running_loop().call_soon(self.source.answered, report.batch, outcome)

    def states(self) -> list[tuple[bool, str]]:
        return [(r.connected, r.error) for r in self.reports if isinstance(r, protocol.State)]


def test_each_connection_asks_for_the_password_as_it_is_now() -> None:
    async def run() -> None:
        seen: list[str] = []

        async def work(session: Session) -> None:
            seen.append(session.password)
            session.connected()
            raise ConnectionResetError(104, "Connection reset by peer")

        fake = Fake(work)
        fake.source.begin()
        await until(lambda: len(seen) == 3)
        fake.source.stop()
        assert seen == ["first", "second", "third"]
        assert fake.states()[:2] == [
            (True, ""),
            (False, "The connection failed: Connection reset by peer."),
        ]

    asyncio.run(run())


def test_keep_tries_again_until_there_is_room() -> None:
    async def run() -> None:
        done = asyncio.Event()

        async def work(session: Session) -> None:
            session.connected()
            await session.keep([Received(body=b"1")])
            done.set()
            await asyncio.sleep(60)

        fake = Fake(work)
        full, kept = protocol.Outcome.FULL, protocol.Outcome.KEPT
        fake.outcomes = [full, full, kept]
        fake.source.begin()
        await asyncio.wait_for(done.wait(), 10)
        fake.source.stop()
        handed = [r for r in fake.reports if isinstance(r, protocol.Handed)]
        assert [h.batch for h in handed] == [1, 2, 3]
        assert [error for _, error in fake.states()][-2:] == [
            "There is no room for more events; the function does not keep up.",
            "",
        ]

    asyncio.run(run())


def test_an_answer_to_another_batch_keeps_nothing() -> None:
    async def run() -> None:
        kept = asyncio.Event()

        async def work(session: Session) -> None:
            await session.keep([Received(body=b"1")])
            kept.set()

        fake = Fake(work)
        fake.source.begin()
        await until(lambda: any(isinstance(r, protocol.Handed) for r in fake.reports))
        fake.source.answered(77, protocol.Outcome.KEPT)
        await asyncio.sleep(0.05)
        assert not kept.is_set()
        fake.source.answered(1, protocol.Outcome.KEPT)
        await asyncio.wait_for(kept.wait(), 10)
        fake.source.stop()

    asyncio.run(run())


def test_a_problem_with_the_password_is_told_and_nothing_is_connected_to() -> None:
    async def run() -> None:
        worked = []

        async def work(session: Session) -> None:
            worked.append(1)

        fake = Fake(work)
        fake.send = lambda report: (  # type: ignore[method-assign]
            fake.reports.append(report),
            fake.source.give("", "There is no secret.")
            if isinstance(report, protocol.Ask)
            else None,
        )
        fake.source._send = fake.send  # type: ignore[assignment]
        fake.source.begin()
        await until(fake.states)
        fake.source.stop()
        assert fake.states()[0] == (False, "There is no secret.")
        assert not worked

    asyncio.run(run())
