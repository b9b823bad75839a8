"""What is counted of processes that are used again: bounded, and with what to change."""

from __future__ import annotations

from casemate.dispatch.tallies import Tallies, Tally
from casemate.restorer.reasons import TEXTS, Reason, change_for, text_of


def test_reasons_are_told_with_what_changes_them() -> None:
    tally = Tally()
    tally.restored = 9
    assert tally.discard(text_of(Reason.TMP, ""))
    assert tally.discard(text_of(Reason.CALL, "fork"))
    assert not tally.discard(text_of(Reason.CALL, "fork"))
    told = tally.told()
    assert (told.restored, told.discarded) == (9, 3)
    first, second = told.reasons
    assert first.count == 2 and first.reason.endswith("(fork)") and "programs" in first.change
    assert "/tmp" in second.change


def test_reasons_and_functions_are_bounded() -> None:
    tally = Tally()
    for number in range(1000):
        tally.discard(f"reason {number}")
    told = tally.told()
    assert told.discarded == 1000 and len(told.reasons) <= 65
    tallies = Tallies()
    for number in range(3000):
        tallies.of("p", str(number)).restored = 1
    assert tallies.told("p", "0").restored == 0
    assert tallies.told("p", "2999").restored == 1


def test_a_function_that_is_called_again_is_counted_on() -> None:
    tallies = Tallies()
    tallies.of("p", "f").restored += 1
    tallies.of("p", "f").restored += 1
    assert tallies.told("p", "f").restored == 2
    assert tallies.told("p", "g").restored == 0


def test_each_reason_is_told_by_its_text() -> None:
    for reason in Reason:
        assert reason in TEXTS
        assert change_for(text_of(reason, "x")) == change_for(text_of(reason, ""))
    assert change_for("something else") == ""


def test_nobody_is_told_to_mend_what_an_allocator_does() -> None:
    """Pillow gives back large memory of its import: it was told to do without programs."""
    for call in ("munmap", "brk", "mremap", "madvise"):
        assert "memory" in text_of(Reason.CALL, call) and call in text_of(Reason.CALL, call)
        assert "nothing to mend" in change_for(text_of(Reason.CALL, call))
    assert "programs" in change_for(text_of(Reason.CALL, "timer_create"))


def test_what_each_call_imports_is_told_by_its_packages() -> None:
    tally = Tally()
    tally.follow("d1")
    files = [*(f"anyio/{n}.py" for n in range(9)), "six.py", "h11/a.py", "h11/b.py"]
    files += ["fast.cpython-313-x86_64-linux-gnu.so", "\x1b[2J/a.py", "x" * 99 + "/a.py"]
    tally.imported_late("d1", files)
    told = tally.told()
    assert told.late_modules == 15
    assert told.late_packages == ("anyio", "h11", "six", "fast")
    tally.imported_late("d2", ["other/a.py"])  # of a call of before, or after
    assert tally.told() == told
    tally.follow("d1")
    assert tally.told() == told
    tally.follow("d2")
    assert (tally.told().late_modules, tally.told().late_packages) == (0, ())
