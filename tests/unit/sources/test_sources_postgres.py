"""What a PostgreSQL server sends is checked; names become identifiers and nothing more."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.trigger import PostgresTrigger
from casemate.sources.errors import SourceError, SourceProtocolError
from casemate.sources.postgres import PostgresConnector, quoted
from casemate.sources.postgres_framing import MAX_ITERATIONS, Framing


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(1, 20))
def test_messages_pass_however_they_are_cut(bodies: list[bytes], size: int) -> None:
    stream = b"".join(message(b"D", body) for body in bodies)
    framing = Framing(100)
    for at in range(0, len(stream), size):
        framing.feed(stream[at : at + size])


@pytest.mark.parametrize(
    "data",
    [bytes(5), b"D\0\0\0\3", b"D\xff\xff\xff\xff", b"D\0\0\0\x65", message(b"Z", b"I") + bytes(9)],
)
def test_lengths_that_would_never_end_are_refused(data: bytes) -> None:
    with pytest.raises(SourceProtocolError):
        Framing(100).feed(data)


def challenge(iterations: object, more: str = "") -> bytes:
    said = f"r=nonce,s=c2FsdA==,i={iterations}{more}".encode()
    return message(b"R", (11).to_bytes(4, "big") + said)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_usual_proof_passes_however_it_is_cut(size: int) -> None:
    stream = message(b"R", (10).to_bytes(4, "big") + b"SCRAM-SHA-256\0\0") + challenge(4096)
    stream += message(b"R", (12).to_bytes(4, "big") + b"v=x") + message(b"R", bytes(4))
    framing = Framing(100)
    for at in range(0, len(stream), size):
        framing.feed(stream[at : at + size])


@pytest.mark.parametrize(
    "asked",
    [
        challenge(MAX_ITERATIONS + 1), challenge(2**31 - 1), challenge("9" * 40), challenge(""),
        challenge("x"), challenge(-1), challenge(4096, ",i=2147483647"),
        challenge(4096) + challenge(4096), challenge("1,i=2147483647"),
        message(b"R", (11).to_bytes(4, "big") + b"r=n,s=c2FsdA=="),
        message(b"R", (11).to_bytes(4, "big") + b"i=9" * 600),
        message(b"R", bytes(3000)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 1000])
def test_a_server_does_not_have_all_sources_compute(asked: bytes, size: int) -> None:
    framing = Framing()
    with pytest.raises(SourceProtocolError):
        for at in range(0, len(asked), size):
            framing.feed(asked[at : at + size])


def _message(kind: bytes, size: int) -> bytes:
    return kind + (size + 4).to_bytes(4, "big") + bytes(size)


def test_an_answer_is_bounded_and_the_next_one_counts_anew() -> None:
    framing = Framing(most_answer=10_000)
    for _ in range(50):
        for _ in range(5):
            framing.feed(_message(b"D", 1000))
        framing.feed(_message(b"A", 50_000))  # a notification is of no answer
        framing.feed(_message(b"Z", 1))
    with pytest.raises(SourceProtocolError, match="more than 10000 bytes"):
        for _ in range(10):
            framing.feed(_message(b"D", 1000))


@pytest.mark.parametrize(("kind", "size", "times"), [(b"S", 1000, 1000), (b"T", 40_000, 1)])
def test_what_lasts_as_long_as_a_connection_is_bounded(kind: bytes, size: int, times: int) -> None:
    framing = Framing()
    with pytest.raises(SourceProtocolError):
        for _ in range(times):
            framing.feed(_message(kind, size) + _message(b"Z", 1))


@pytest.mark.parametrize(
    ("name", "sql"),
    [("outbox", '"outbox"'), ("app.outbox", '"app"."outbox"'), ('a"b', '"a""b"')],
)
def test_names_are_quoted(name: str, sql: str) -> None:
    assert quoted(name) == sql


def test_neither_outbox_nor_channel_is_refused() -> None:
    with pytest.raises(SourceError):
        PostgresConnector(PostgresTrigger(name="t", host="h", port=1, database="d", outbox=""))


def test_a_process_that_is_stuck_is_ended_by_the_kernel() -> None:
    program = (
        "import asyncio, time\n"
        "from casemate.sources import process\n"
        "process.STUCK_SECONDS = 0.5\n"
        "async def work():\n"
        "    process.watch_over(asyncio.get_running_loop())\n"
        "    await asyncio.sleep(0.1)\n"
        "    print('alive', flush=True)\n"
        "    time.sleep(60)\n"
        "asyncio.run(work())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGALRM, b"alive\n")
