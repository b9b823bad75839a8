"""What a snapshot is taken of: all memory that can be written, watched or known to be dropped.

Memory that the kernel may drop is found once for all instances of a zygote, and zeroed in each.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from casemate.kernel import remote_memory
from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.reasons import DiscardError, Reason
from support.restored import Restored

pytestmark = pytest.mark.timeout(60)
DROPPABLE = """
DROPPABLE = raw("mmap", 0, 4096, 3, 0x28, -1, 0)
"""
"""MAP_DROPPABLE, of Linux 6.11."""
PLANT = "ctypes.memset(DROPPABLE, 65, 4096) if DROPPABLE > 0 else None"


@pytest.fixture
def child() -> Iterator[Restored]:
    child = Restored(prepare=DROPPABLE)
    try:
        yield child
    finally:
        child.close()


def _droppable(child: Restored) -> int:
    place = child.call("result = DROPPABLE")
    if place <= 0:
        pytest.skip("this kernel has no memory that it may drop")
    return int(place)


class _Any(set[tuple[int, int]]):
    """As if all that is writable had been found in another instance."""

    def __contains__(self, _: object) -> bool:
        return True


def test_what_one_instance_has_is_known_of_the_others(child: Restored) -> None:
    child.ready()
    place = _droppable(child)
    known = child.held._shared.dropped
    assert any(start <= place < end for start, end in known)
    assert child.held.snapshot is not None and set(child.held.snapshot.dropped) == known


def test_of_known_ranges_the_kernel_is_not_asked(
    child: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at all memory of the process for that, which took a third of a snapshot's time."""

    def flags_of(_: ProcessFiles, start: int) -> tuple[bytes, ...]:
        raise OSError(f"asked about {start:x}")

    monkeypatch.setattr(ProcessFiles, "flags_of", flags_of)
    child.held._shared.dropped = _Any()
    child.ready()
    place = _droppable(child)
    child.ready()
    child.call(PLANT)
    child.ready()
    # Whatever is there, nothing of a call stays in it.
    assert bytes(remote_memory.read(child.pid, [(place, place + 4096)])) == bytes(4096)


def test_memory_that_was_not_told_of_at_first_has_it_not_used(
    child: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would watch it, and each later look would find the table as it was."""
    whole = ProcessFiles.maps
    told = []

    def maps(files: ProcessFiles) -> bytes:
        told.append(whole(files))
        if len(told) > 1:
            return told[-1]
        lines = told[-1].splitlines(keepends=True)
        return b"".join(one for one in lines if b"[stack]" not in one)

    monkeypatch.setattr(ProcessFiles, "maps", maps)
    with pytest.raises(DiscardError) as caught:
        child.ready()
    assert caught.value.reason is Reason.UNWATCHED
