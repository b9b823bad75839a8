"""What a gateway has answered and not told is there after its end, each once; nothing else is."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from casemate.child.frames import FrameError
from casemate.recorder import outstanding
from casemate.recorder.left_over import LeftOver
from casemate.recorder.outstanding import MAX_BODY, SIZE, SLOT, SLOTS, Outstanding, read
from casemate.recorder.protocol import LEFT, Told

SESSION = b"12345678"


@pytest.fixture
def memory() -> Iterator[Outstanding]:
    made = Outstanding()
    yield made
    made.close()


def told(text: str) -> Told:
    return Told(LEFT, text.encode())


def found(memory: Outstanding) -> list[tuple[int, bytes]]:
    return sorted((each.number, each.told.fact) for each in read(memory.descriptor))


def test_it_is_there_until_it_is_acknowledged(memory: Outstanding) -> None:
    first, second = memory.put(told("a")), memory.put(told("b"), 7)
    assert found(memory) == [(-1, b"a"), (7, b"b")]
    assert memory.number(first, told("whole a"), 8)
    assert found(memory) == [(7, b"b"), (8, b"whole a")]
    memory.free(second)
    assert found(memory) == [(8, b"whole a")]
    memory.free(first)
    assert found(memory) == []


def test_what_is_too_large_is_there_as_far_as_it_was_known(memory: Outstanding) -> None:
    assert memory.put(told("x" * MAX_BODY)) == -1
    slot = memory.put(told("short"))
    assert not memory.number(slot, told("x" * MAX_BODY), 3)
    assert found(memory) == [(3, b"short")]


def test_it_is_bounded(memory: Outstanding, monkeypatch: pytest.MonkeyPatch) -> None:
    slots = [memory.put(told("x")) for _ in range(SLOTS)]
    assert min(slots) == 0 and memory.put(told("x")) == -1
    memory.free(slots[5])
    assert memory.put(told("y")) == slots[5]
    assert os.fstat(memory.descriptor).st_size == SIZE


def test_nothing_is_lost_but_the_slot_in_which_it_was_killed() -> None:
    memory = Outstanding()
    memory.put(told("there"), 1)
    slot = memory.put(told("before"), 2)
    was = os.pread(memory.descriptor, SIZE, 0)
    memory.number(slot, told("after it"), 3)
    now = os.pread(memory.descriptor, SIZE, 0)
    at = slot * SLOT
    for cut in range(64):
        half = was[:at] + now[at : at + cut] + was[at + cut :]
        seen = sorted(each.told.fact for each in outstanding._slots(half))
        assert b"there" in seen and set(seen) <= {b"there", b"before", b"after it"}
    memory.close()


def test_nothing_of_what_it_was_passed_is_believed() -> None:
    reading, writing = os.pipe()
    assert read(reading) == []
    os.close(reading)
    os.close(writing)
    noise = random.Random(3)
    for size in (0, 5, SLOT - 1, SLOT, 40 * SLOT + 3):
        file = os.memfd_create("noise")
        os.write(file, noise.randbytes(size))
        assert read(file) == []
        os.close(file)
    # A right checksum of what is no record.
    file, body = os.memfd_create("wrong"), b"\xc1" * 20
    os.write(file, (outstanding._head(1, body) + body).ljust(SLOT, b"\0"))
    assert read(file) == []
    os.close(file)


def test_it_takes_nothing_once_it_is_closed(memory: Outstanding) -> None:
    slot = memory.put(told("a"))
    memory.close()
    memory.close()
    assert memory.put(told("b")) == -1 and not memory.number(slot, told("c"), 1)
    memory.free(slot)


GATEWAY = """
import socket, sys, time
from casemate.recorder.outstanding import Outstanding
from casemate.recorder.protocol import LEFT, Told
memory = Outstanding()
memory.put(Told(LEFT, b"kept"), 4)
memory.put(Told(LEFT, b"sent"), 5)
memory.put(Told(LEFT, b"untold"))
memory.free(memory.put(Told(LEFT, b"acknowledged"), 3))
end = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(end, [b"x"], [memory.descriptor, memory.life])
time.sleep(60)
"""


def test_what_a_killed_gateway_had_not_told_is_taken_once_it_is_gone() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-c", GATEWAY, str(theirs.fileno()), pass_fds=(theirs.fileno(),)
        )
        theirs.close()
        ours.setblocking(True)
        _, descriptors, *_ = await asyncio.to_thread(socket.recv_fds, ours, 1, 2)
        left = LeftOver()
        assert not await left.is_gateway_gone()
        left.hold(SESSION, descriptors)
        assert not await left.is_gateway_gone()  # it lives, and would tell all of it again
        gateway.send_signal(signal.SIGKILL)
        await gateway.wait()
        assert await left.is_gateway_gone()
        kept, sent, others = left.takes()
        assert [(each.session, each.first) for each in (kept, sent)] == [(SESSION, 4), (SESSION, 5)]
        assert [each.fact for each in (*kept.facts, *sent.facts, *others.facts)] == [
            *(b"kept", b"sent", b"untold")
        ]
        assert others.session != SESSION
        left.close()
        ours.close()

    asyncio.run(main())


def test_a_message_without_its_descriptors_ends_the_connection() -> None:
    left = LeftOver()
    one, other = os.pipe()
    os.close(other)
    with pytest.raises(FrameError):
        left.hold(SESSION, [one])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(one)
