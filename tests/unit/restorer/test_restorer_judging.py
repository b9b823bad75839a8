"""Which flagged calls pass. With a process that makes them: tests/security/test_restored_repair."""

from __future__ import annotations

import random
import struct

import pytest

from casemate.kernel.machines import X86_64
from casemate.kernel.tracing import General
from casemate.restorer.judging import Judge
from casemate.restorer.ranges import pages, without

PAGE = 4096
HEAP = 0x5000_0000_1234
OLD = (0x7000_0000_0000, 0x7000_0001_0000)
MAPPINGS = ((0x5000_0000_0000, 0x5000_0000_2000), OLD, (0x7000_0002_0000, 0x7000_0003_0000))
GAP = OLD[1]
END = 1 << 47
NOTHING = General(*([0] * 27))


def passes(name: str, *arguments: int, header: bytes | None = None) -> bool:
    given = dict(zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), arguments, strict=False))
    registers = NOTHING._replace(orig_rax=X86_64.calls[name], **given)

    def read(place: int, size: int) -> bytes:
        if header is None:
            raise OSError("nothing is there")
        return header[:size]

    return Judge(MAPPINGS, HEAP).passes(registers, read)


def test_a_range_is_new_if_it_touches_no_mapping() -> None:
    judge = Judge(MAPPINGS, HEAP)
    for start, size, new in (
        (0, PAGE, True),
        (GAP, PAGE, True),
        (GAP, 0x10000, True),
        (GAP, 0x10001, False),
        (GAP, 1, True),
        (GAP - PAGE, PAGE, False),
        (OLD[0] - PAGE, PAGE, True),
        (OLD[0] - PAGE, PAGE + 1, False),
        (OLD[0], 1, False),
        (OLD[0] - PAGE, 10 * 0x10000, False),
        (MAPPINGS[-1][1], PAGE, True),
        (END - PAGE, PAGE, True),
        (END - PAGE, PAGE + 1, False),
        (GAP + 1, PAGE, False),
        (GAP, 0, False),
        (GAP, (1 << 64) - PAGE, False),
        (GAP, 1 << 48, False),
        (END, PAGE, False),
        ((1 << 64) - PAGE, PAGE, False),
    ):
        assert judge.new(start, size) is new, (hex(start), hex(size))


@pytest.mark.parametrize("name", ["munmap", "mprotect", "madvise"])
def test_calls_about_new_memory_pass_and_about_old_do_not(name: str) -> None:
    assert passes(name, GAP, PAGE, 3)
    assert not passes(name, OLD[0], PAGE, 3)
    assert not passes(name, GAP - PAGE, 2 * PAGE, 3)


def test_mappings_are_private_and_overwrite_nothing() -> None:
    for flags in (0x22, 0x2, 0x4022, 0x20022, 0x8022, 0x802):
        assert passes("mmap", 0, PAGE, 3, flags)
        assert passes("mmap", OLD[0], PAGE, 3, flags)  # a hint: the kernel goes elsewhere
        for fixed in (0x10, 0x100000, 0x100010):
            assert passes("mmap", GAP, PAGE, 3, flags | fixed)
            assert not passes("mmap", OLD[0], PAGE, 3, flags | fixed)
            assert not passes("mmap", GAP, 0x11000, 3, flags | fixed)
    for flags in (0x21, 0x1, 0x3, 0x23, 0x20, 0x122, 0x2022, 0x40022, 0x62, 0x22 | 1 << 40):
        assert not passes("mmap", 0, PAGE, 3, flags)
    assert not passes("mmap", 0, PAGE, 0x01000003, 0x22)
    assert not passes("mmap", 0, 0, 3, 0x22)
    assert not passes("mmap", 0, 1 << 63, 3, 0x22)


def test_rights_and_advice_are_those_that_are_known() -> None:
    assert not passes("mprotect", GAP, PAGE, 0x01000000)
    assert not passes("mprotect", GAP, PAGE, 8)
    for advice in (0, 3, 4, 8, 14, 15, 4 | 1 << 32):
        assert passes("madvise", GAP, PAGE, advice)
    for advice in (9, 10, 11, 12, 13, 18, 19, 20, 21, 22, 25, 100, 102, 103):
        assert not passes("madvise", GAP, PAGE, advice)


def test_new_memory_is_moved_to_where_nothing_is() -> None:
    assert passes("mremap", GAP, PAGE, 2 * PAGE, 0)
    assert passes("mremap", GAP, PAGE, 2 * PAGE, 1)
    assert passes("mremap", GAP, PAGE, PAGE, 3, GAP + PAGE)
    assert not passes("mremap", GAP, PAGE, PAGE, 3, OLD[0])
    assert not passes("mremap", OLD[0], PAGE, PAGE, 1)
    assert not passes("mremap", GAP, 0, PAGE, 1)
    assert not passes("mremap", GAP, PAGE, 0, 1)
    for flags in (4, 5, 8, 1 << 33):
        assert not passes("mremap", GAP, PAGE, PAGE, flags)


def test_the_heap_is_asked_for_and_grows() -> None:
    assert passes("brk", 0) and passes("brk", HEAP) and passes("brk", HEAP + 1)
    assert not passes("brk", HEAP - 1) and not passes("brk", 1)
    judge = Judge(MAPPINGS, HEAP)
    for to, moved in ((0, False), (HEAP - 1, True)):
        judge.passes(NOTHING._replace(orig_rax=X86_64.calls["brk"], rdi=to), lambda *_: b"")
        assert judge.heap_moved is moved


def test_messages_without_control_pass_by_descriptors_that_are_not_kept() -> None:
    def header(control: int) -> bytes:
        return struct.pack("=7Q", 0, 0, 1, 1, 2, control, 0)

    assert passes("sendmsg", 4, 64, 0, header=header(0))
    assert not passes("sendmsg", 4, 64, 0, header=header(1))
    assert not passes("sendmsg", 4, 64, 0, header=header(1 << 63))
    assert not passes("sendmsg", 4, 64, 0, header=header(0)[:-1])
    assert not passes("sendmsg", 4, 64, 0)
    for kept in (0, 1, 2, 3, 3 | 1 << 32):
        assert not passes("sendmsg", kept, 64, 0, header=header(0))


def test_all_other_calls_are_flagged() -> None:
    judged = {"mmap", "munmap", "mprotect", "madvise", "mremap", "brk", "sendmsg"}
    for name in X86_64.calls:
        if name not in judged:
            assert not passes(name, GAP, PAGE, 4, header=bytes(56)), name


def test_ranges_are_taken_from_others() -> None:
    chance = random.Random(1)
    for _ in range(500):
        one = {chance.randrange(60) for _ in range(chance.randrange(40))}
        other = {chance.randrange(60) for _ in range(chance.randrange(40))}
        found = without(_ranges(one), _ranges(other))
        assert found == _ranges(one - other)
        assert pages((a * PAGE, b * PAGE) for a, b in found) == len(one - other)


def _ranges(numbers: set[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found
