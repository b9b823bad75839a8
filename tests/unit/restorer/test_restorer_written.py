"""What a call wrote is found by its faults: without any there is nothing to look for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from casemate.kernel import remote_memory
from casemate.kernel.pagemap import Scanner, SpanScan
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer import restoring
from casemate.restorer.reasons import DiscardError, Reason
from support.restored import Restored

pytestmark = pytest.mark.timeout(60)
ROOM = """
import mmap
ROOM = mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
PLACE = ctypes.addressof(ctypes.c_char.from_buffer(ROOM))
ROOM[: 64 << 12] = b"was" * ((64 << 12) // 3) + b"w"
"""
"""Pages of which 64 have a content, and others were never there."""
WARM = 30


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Restored]:
    # By chance: none, but for the first ones.
    monkeypatch.setattr(restoring, "_CLOSELY_ONE_IN", 1 << 30)
    child = Restored(prepare=ROOM, tmp=True)
    try:
        child.ready()
        for _ in range(WARM):
            child.call("result = 1")
            child.ready()
        yield child
    finally:
        child.close()


@pytest.fixture
def looks(child: Restored, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each look at memory: at all at once, or at each range where it was remapped."""
    looks: list[int] = []

    for scan in (SpanScan, Scanner):
        written = scan.written

        def counted(*asked: Any, written: Any = written) -> Any:
            looks.append(1)
            return written(*asked)

        monkeypatch.setattr(scan, "written", counted)
    return looks


def page(child: Restored, number: int) -> bytes:
    start = int(child.call("result = PLACE")) + (number << 12)
    child.ready()
    return bytes(remote_memory.read(child.pid, [(start, start + 4096)]))


def test_where_nothing_new_was_written_nothing_is_looked_for(
    child: Restored, looks: list[int]
) -> None:
    unseen = 0
    for _ in range(40):
        looks.clear()
        child.call("result = 1")
        child.ready()
        unseen += not looks
    # All are protected again from time to time, and Python does something by itself.
    assert unseen > 20
    assert child.differences() == []


@pytest.mark.parametrize("number", [3, 63, 64, 200])
@pytest.mark.parametrize(
    "write",
    [
        "ctypes.memset(PLACE + ({n} << 12), 65, 4096)",
        # By the kernel.
        """if True:
            ends = socket.socketpair()
            ends[0].send(b"A" * 4096)
            ends[1].recv_into(memoryview(ROOM)[{n} << 12 : ({n} + 1) << 12])
            for end in ends: end.close()
        """,
        "raw('getrandom', PLACE + ({n} << 12), 4096, 0)",
        # First read, which has it be there.
        "result = ROOM[{n} << 12]; ROOM[{n} << 12] = 66",
    ],
)
def test_a_page_that_no_call_wrote_before_is_set_back(
    child: Restored, looks: list[int], number: int, write: str
) -> None:
    was = page(child, number)
    looks.clear()
    child.call(write.format(n=number))
    child.ready()
    assert looks
    assert page(child, number) == was
    assert child.differences() == []


def test_what_is_written_to_set_times_back_is_looked_for(
    child: Restored, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written from outside: a fault of who writes, and not of the process."""
    counts = child.held._files.faults()
    child.held._written._faults = counts
    monkeypatch.setattr(ProcessFiles, "faults", lambda _: counts)
    child.call("os.close(os.open('/tmp/x', os.O_CREAT)); os.unlink('/tmp/x')")
    looks.clear()
    child.ready()
    assert looks
    assert child.differences() == []


def test_a_page_that_was_written_without_a_fault_is_told(
    child: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be, as far as is known: then what is not seen must not stay either."""
    counts = child.held._files.faults()
    child.held._written._faults = counts
    monkeypatch.setattr(ProcessFiles, "faults", lambda _: counts)
    monkeypatch.setattr(restoring, "_CLOSELY_ONE_IN", 1)
    child.call("result = 1")
    child.ready()
    child.call("ctypes.memset(PLACE, 65, 4096)")
    with pytest.raises(DiscardError) as caught:
        child.ready()
    assert caught.value.reason is Reason.UNWATCHED


def test_who_cannot_be_asked_for_its_faults_is_not_used_again(
    child: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: ProcessFiles) -> tuple[bytes, ...]:
        raise OSError("no faults")

    child.call("result = 1")
    monkeypatch.setattr(ProcessFiles, "faults", fails)
    with pytest.raises(DiscardError) as caught:
        child.ready()
    assert caught.value.reason is Reason.KERNEL
