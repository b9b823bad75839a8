"""Calls that ran when their gateway was killed are on record, with what they may have used."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Iterator

import msgspec
import pytest
from records_samples import invocation

from casemate.model.function import Logs
from casemate.recorder import begun, protocol
from casemate.recorder.left_over import LeftOver
from casemate.recorder.outstanding import Outstanding, mark
from casemate.recorder.protocol import BEGUN, ENDED, Take, Told
from casemate.recorder.records.client import RecordsClient
from casemate.recorder.records.rows import Ended
from support.outstanding import new_memory

SESSION = b"12345678"
JOURNAL = "a key"


class Gateway:
    """Takes the place of `RecorderClient`: what is noted, and what is in its place."""

    def __init__(self) -> None:
        self.noted: dict[str, bytes] = {}

    def begin(self, id: str, body: bytes) -> None:
        self.noted[id] = body


@pytest.fixture
def memory() -> Iterator[int]:
    made = new_memory()
    yield made
    os.close(made)


def noted(seconds: float = 30.0, logs: Logs = Logs()) -> bytes:  # noqa: B008 - frozen
    gateway = Gateway()
    client = RecordsClient(gateway)  # type: ignore[arg-type]
    client.begin(invocation("i1", run_ms=0.0), logs, seconds)
    return gateway.noted["i1"]


def since(body: bytes) -> float:
    return msgspec.msgpack.decode(body, type=begun.Begun).since


@pytest.mark.parametrize(
    ("passed", "ran"), [(2.5, 2.5), (3600.0, 30.0), (0.0, 0.001), (-5.0, 0.001)]
)
def test_it_ran_until_it_was_found_or_as_long_as_it_may(passed: float, ran: float) -> None:
    body = noted(logs=Logs(keep=60.0))
    told = begun.as_ended(Told(BEGUN, body), since(body) + passed)
    ended = msgspec.msgpack.decode(told.fact, type=Ended)
    assert told.kind == ENDED and ended.logs.keep == 60.0
    assert ended.invocation.id == "i1" and ended.invocation.run_ms == pytest.approx(ran * 1000)
    assert ended.invocation.cpu_us == pytest.approx(ran * 1e6, abs=1)


def test_all_else_is_told_as_it_is() -> None:
    told = Told(ENDED, b"x")
    assert begun.as_ended(told, 1.0) is told


def test_what_ended_stands_in_the_place_of_what_began(
    memory: int, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[Take] = []

    async def keep(takes: list[Take]) -> None:
        kept.extend(takes)

    gateway = Outstanding(os.dup(memory), SESSION)
    slot = gateway.put(Told(BEGUN, noted()))
    gateway.put(Told(BEGUN, noted()))
    gateway.put(Told(BEGUN, b"no such thing"))
    gateway.put(Told(BEGUN, b"\x93\xcb" + bytes(8) + b"\xcb" + bytes(8) + b"\x91" * 10_000))
    assert gateway.number(slot, Told(ENDED, b"ended"), 0)
    mark(memory, LeftOver((), JOURNAL, keep)._journal.encode())
    gateway.close()
    with caplog.at_level(logging.ERROR):
        asyncio.run(LeftOver([os.dup(memory)], JOURNAL, keep).keep_last())
    found = [told for take in kept for told in take.facts]
    assert [told.kind for told in found] == [ENDED, ENDED]
    assert Told(ENDED, b"ended") in found, "what had ended is told as it is, and once"
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("since", [0.0, -math.inf, math.inf, math.nan, -1e308])
@pytest.mark.parametrize("seconds", [math.inf, -math.inf, math.nan, 1e308, 1e15, -5.0])
def test_a_time_that_no_call_has_keeps_no_recorder_from_starting(
    memory: int, since: float, seconds: float
) -> None:
    """What a gateway that was broken into has left is read again whenever one starts."""
    kept: list[Take] = []

    async def keep(takes: list[Take]) -> None:
        kept.extend(takes)

    good = msgspec.msgpack.decode(noted(), type=begun.Begun)
    gateway = Outstanding(os.dup(memory), SESSION)
    bad = begun.Begun(since, seconds, good.ended)
    gateway.put(Told(BEGUN, msgspec.msgpack.encode(bad)))
    gateway.put(Told(BEGUN, noted()))
    gateway.put(Told(BEGUN, msgspec.msgpack.encode(begun.Begun(since, 5.0, good.ended))))
    mark(memory, LeftOver((), JOURNAL, keep)._journal.encode())
    gateway.close()
    asyncio.run(LeftOver([os.dup(memory)], JOURNAL, keep).keep_last())
    found = [told for take in kept for told in take.facts]
    assert [told.kind for told in found] == [ENDED, ENDED]


def test_no_gateway_tells_it() -> None:
    """It is nobody's to send: for how long a call ran is for the recorder to find out."""
    assert BEGUN not in protocol.RECORD_KINDS
