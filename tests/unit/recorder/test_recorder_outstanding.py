"""What a gateway has answered and not told is there after its end, each once; nothing else is."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.recorder import outstanding
from casemate.recorder.outstanding import (
    MAX_BODY,
    MOST_SLOTS,
    NO_NUMBER,
    SIZE,
    SLOT,
    SLOTS,
    Outstanding,
    read,
)
from casemate.recorder.protocol import LEFT, Told
from support.outstanding import OtherGateway, new_memory

SESSION = b"12345678"


@pytest.fixture
def file() -> Iterator[int]:
    made = new_memory()
    yield made
    os.close(made)


@pytest.fixture
def memory(file: int) -> Iterator[Outstanding]:
    made = Outstanding(os.dup(file), SESSION)
    yield made
    made.close()


def told(text: str) -> Told:
    return Told(LEFT, text.encode())


def found(file: int) -> list[tuple[int, bytes]]:
    return sorted((each.number, each.told.fact) for each in read(file))


def test_it_is_there_until_it_is_acknowledged(file: int, memory: Outstanding) -> None:
    first, second = memory.put(told("a")), memory.put(told("b"), 7)
    assert found(file) == [(-1, b"a"), (7, b"b")]
    assert memory.number(first, told("whole a"), 8)
    assert found(file) == [(7, b"b"), (8, b"whole a")]
    memory.free(second)
    assert found(file) == [(8, b"whole a")]
    memory.free(first)
    assert found(file) == []


def test_what_is_larger_goes_on_in_other_slots(file: int, memory: Outstanding) -> None:
    most = MAX_BODY * MOST_SLOTS - 16
    sizes = (MAX_BODY - 16, MAX_BODY, 2 * MAX_BODY, 10_000, most)
    slots = [memory.put(told("x" * size), size) for size in sizes]
    assert [(number, len(fact)) for number, fact in found(file)] == [(n, n) for n in sizes]
    assert memory.number(slots[3], told("small"), 1)
    assert memory.number(slots[0], told("y" * 5000), 2)
    assert (2, b"y" * 5000) in found(file) and (1, b"small") in found(file)
    for slot in slots:
        memory.free(slot)
    assert found(file) == []
    # All that they had is free again.
    assert sorted(memory._free) == list(range(1, memory._next))


def test_what_is_too_large_is_there_as_far_as_it_was_known(file: int, memory: Outstanding) -> None:
    huge = told("x" * MAX_BODY * MOST_SLOTS)
    assert memory.put(huge) == -1
    for short in (told("short"), told("s" * 3000)):
        slot = memory.put(short)
        assert not memory.number(slot, huge, 3)
        assert found(file) == [(3, short.fact)]
        memory.free(slot)


def test_it_is_bounded_and_takes_memory_as_it_needs_it(file: int, memory: Outstanding) -> None:
    assert os.fstat(file).st_blocks * 512 < 300 << 10
    slots = [memory.put(told("x")) for _ in range(SLOTS)]
    assert len(set(slots)) == SLOTS and min(slots) == 1 and memory.is_full
    assert memory.put(told("x")) == -1
    memory.free(slots[5])
    assert not memory.is_full and memory.put(told("y")) == slots[5]
    memory.free(slots[5])
    assert memory.put(told("y" * 3000)) == -1 and memory.put(told("z")) == slots[5]
    assert os.fstat(file).st_size == SIZE


def test_a_full_file_system_ends_nothing(
    file: int, memory: Outstanding, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    slots = [memory.put(told("x")) for _ in range(300)]
    assert slots.count(-1) == 300 - 256 and memory.is_full


def test_nothing_is_lost_but_the_slot_in_which_it_was_killed(
    file: int, memory: Outstanding
) -> None:
    memory.put(told("there"), 1)
    slot = memory.put(told("before"), 2)
    was = os.pread(file, 4 * SLOT, 0)
    memory.number(slot, told("after it"), 3)
    now = os.pread(file, 4 * SLOT, 0)
    half = new_memory()
    at = slot * SLOT
    for cut in range(0, 48, 5):
        os.pwrite(half, was[:at] + now[at : at + cut] + was[at + cut :], 0)
        seen = sorted(each.told.fact for each in read(half))
        assert b"there" in seen and set(seen) <= {b"there", b"before", b"after it"}
    os.close(half)


def test_nothing_of_what_stands_there_is_believed() -> None:
    reading, writing = os.pipe()
    assert list(read(reading)) == [] and outstanding.session_of(reading) is None
    os.close(reading)
    os.close(writing)
    noise = random.Random(3)
    for size in (0, 5, SLOT - 1, SLOT, 40 * SLOT + 3):
        other = os.memfd_create("noise")
        os.write(other, noise.randbytes(size))
        assert list(read(other)) == [] and outstanding.session_of(other) is None
        os.truncate(other, SIZE)
        assert list(read(other)) == []
        os.close(other)
    # A right checksum of what is no record.
    other, body = new_memory(), b"\xc1" * 20
    os.pwrite(other, outstanding._head(1, body, 0) + body, SLOT)
    assert list(read(other)) == []
    os.close(other)


def test_slots_that_go_on_in_a_ring_end() -> None:
    """Each is read once, however many begin there: no more than there is."""
    other = new_memory()
    head = struct.Struct("=qIII")
    for slot in range(1, SLOTS + 1):
        begins = slot % 2
        number, length = (1, MAX_BODY * MOST_SLOTS) if begins else (-2, MAX_BODY)
        os.pwrite(other, head.pack(number, length, 0, 2 if begins else slot), slot * SLOT)
    began = time.process_time()
    assert list(read(other)) == []
    assert time.process_time() - began < 2.0
    os.close(other)


def test_it_takes_nothing_once_it_is_closed(memory: Outstanding) -> None:
    slot = memory.put(told("a"))
    memory.close()
    memory.close()
    assert memory.put(told("b")) == -1 and not memory.number(slot, told("c"), 1)
    memory.free(slot)


def test_it_is_left_once_the_gateway_is_gone(file: int) -> None:
    with OtherGateway(file, SESSION) as gateway:
        gateway.put(LEFT, b"a", 4)
        assert not outstanding.is_left(file)
        with pytest.raises(BlockingIOError):
            Outstanding(os.dup(file), SESSION)
    assert outstanding.is_left(file) and outstanding.session_of(file) == SESSION
    assert found(file) == [(4, b"a")]
    assert outstanding.journal_of(file) == b""
    outstanding.mark(file, b"0123456789abcdef")
    assert outstanding.journal_of(file) == b"0123456789abcdef" and found(file) == [(4, b"a")]
    outstanding.forget(file)
    assert found(file) == [] and not outstanding.is_memory(file)
    assert outstanding.journal_of(file) == b"" and NO_NUMBER == -1


def test_the_file_is_one_that_can_be_taken_over(tmp_path: Path) -> None:
    with (tmp_path / "short").open("wb+") as short, pytest.raises((OSError, ValueError)):
        Outstanding(os.dup(short.fileno()), SESSION)
