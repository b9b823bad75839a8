"""Checkpoints kept elsewhere, many in a file: found again, thinned, and what they prove."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

from casemate.journal import verify
from casemate.journal.checkpoint import Checkpoint, opened_checkpoint
from casemate.journal.kept import MAX_KEPT, notes_in, thinned
from casemate.journal.reader import Reader
from casemate.journal.writer import Writer
from support.journal import KEY, PRIVATE, write_journal


def note(size: int) -> str:
    return Checkpoint(KEY.name, size, bytes(32)).signed(KEY, PRIVATE.sign)


def test_notes_are_found_in_order() -> None:
    notes = [note(n) for n in range(5)]
    assert notes_in("".join(notes)) == notes
    assert notes_in(notes[3]) == [notes[3]]
    assert [opened_checkpoint(n, KEY).size for n in notes_in("".join(notes))] == [0, 1, 2, 3, 4]
    assert notes_in("") == notes_in("rubbish\n" * 9) == []
    two = notes[1] + notes[1].splitlines()[-1] + "\n"
    assert notes_in(two) == [two]


def test_what_a_kill_cut_is_passed_over() -> None:
    notes = [note(n) for n in range(3)]
    whole = "".join(notes)
    for cut in range(len(whole)):
        found = notes_in(whole[:cut])
        assert found == notes[: len(found)]
        # From the middle on the rest is found all the same.
        rest = notes_in(whole[cut:])
        left = [note for n, note in enumerate(notes) if cut <= sum(map(len, notes[:n]))]
        assert rest[len(rest) - len(left) :] == left and len(rest) <= len(left) + 1


def test_hostile_text_costs_what_it_is_long() -> None:
    for text in ("\u2014 \n" * 300_000, "\n" * 1_000_000, "a\nb\nc\n\n" * 200_000):
        assert notes_in(text) == []


def test_thinning_keeps_the_first_and_the_newest_and_some_of_all() -> None:
    notes: list[str] = []
    for n in range(5 * MAX_KEPT):
        notes = thinned([*notes, f"a\n{n}\nb\n"])
    assert len(notes) < MAX_KEPT
    numbers = [int(note.split("\n")[1]) for note in notes]
    assert numbers[0] == 0
    assert numbers == sorted(numbers)
    newest = MAX_KEPT // 8
    assert numbers[-newest:] == list(range(5 * MAX_KEPT - newest, 5 * MAX_KEPT))
    gaps = [b - a for a, b in pairwise(numbers)]
    assert max(gaps) <= 32


def test_notes_that_contradict_each_other_stay() -> None:
    sizes = [*range(3000), *range(1000, 1000 + MAX_KEPT)]
    notes: list[str] = []
    for size in sizes:
        notes = thinned([*notes, f"a\n{size}\nb\n\n\u2014 c\n"])
    kept = [int(note.split("\n")[1]) for note in notes]
    assert 2999 in kept and any(b < a for a, b in pairwise(kept))
    falling = [f"a\n{size}\nb\n" for size in range(3 * MAX_KEPT, 0, -1)]
    assert len(thinned(falling)) < MAX_KEPT


def test_a_rollback_that_went_on_is_found_by_what_was_kept_and_by_that_alone(
    tmp_path: Path,
) -> None:
    folder, before = tmp_path / "journal", tmp_path / "before"
    writer = write_journal(folder, [100])
    kept = [Reader(folder, KEY).note]
    writer.close()
    shutil.copytree(folder, before)
    writer = Writer(folder, KEY)
    for _ in range(4):
        writer.append([b"what is to be forgotten"])
        writer.checkpoint(PRIVATE.sign)
        kept.append(Reader(folder, KEY).note)
    writer.close()
    # All of the folder is put back, and the node goes on for longer than it had been.
    shutil.rmtree(folder)
    before.rename(folder)
    writer = Writer(folder, KEY)
    for _ in range(9):
        writer.append([b"what is told instead"])
        writer.checkpoint(PRIVATE.sign)
        kept.append(Reader(folder, KEY).note)
    writer.close()
    assert verify(folder, KEY).findings == ()
    last = [opened_checkpoint(kept[-1], KEY)]
    assert verify(folder, KEY, last).findings == ()
    every = [opened_checkpoint(each, KEY) for each in notes_in("".join(kept))]
    [found] = verify(folder, KEY, every).findings
    assert (found.kind, found.first, found.end) == ("rewritten", 100, 101)


def test_a_rollback_is_found_by_the_last_that_was_sent(tmp_path: Path) -> None:
    folder, before = tmp_path / "journal", tmp_path / "before"
    writer = write_journal(folder, [100])
    writer.close()
    shutil.copytree(folder, before)
    writer = Writer(folder, KEY)
    writer.append([b"what is to be forgotten"])
    writer.checkpoint(PRIVATE.sign)
    sent = opened_checkpoint(Reader(folder, KEY).note, KEY)
    writer.close()
    assert verify(before, KEY).findings == ()
    [found] = verify(before, KEY, [sent]).findings
    assert (found.kind, found.first, found.end) == ("rolled back", 100, 101)
