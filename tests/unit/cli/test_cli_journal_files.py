"""Files of checkpoints: as they were kept, many in one, what is none of them. Rows of entries."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.commands.journal import _notes_of, _row
from casemate.cli.errors import CommandError
from casemate.journal.checkpoint import Checkpoint
from casemate.journal.kept import MAX_KEPT, MAX_KEPT_BYTES
from casemate.operations.journal import JournalEntry
from support.journal import KEY, PRIVATE


def note(size: int) -> str:
    return Checkpoint(KEY.name, size, bytes(32)).signed(KEY, PRIVATE.sign)


def test_a_folder_that_is_not_there_is_no_finding(cli, tmp_path: Path) -> None:
    line = ("journal", "verify", "--key", KEY.text, "--data")
    result = cli(*line, str(tmp_path / "nowhere"))
    assert (result.code, result.out) == (2, "")
    assert "nowhere is not a folder." in result.err
    assert cli(*line, str(tmp_path)).code == 1


def test_all_checkpoints_of_all_files_are_taken(tmp_path: Path) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    one.write_text(note(1))
    many.write_text("".join(note(n) for n in range(2, 30)) + note(30)[:-9])
    assert _notes_of([one, many]) == tuple(note(n) for n in range(1, 30))
    assert _notes_of([]) == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a diary\n" * 99,
        b"\xff\xfe\x00",
        note(1)[:-1].encode(),
        b"\n" * (MAX_KEPT_BYTES + 1),
        note(1).encode() * (MAX_KEPT_BYTES // 150),
    ],
    ids=["empty", "text", "binary", "cut", "blank", "large"],
)
def test_what_is_no_such_file_is_named(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "kept"
    file.write_bytes(data)
    began = time.process_time()
    with pytest.raises(CommandError, match="kept"):
        _notes_of([file])
    assert time.process_time() - began < 2
    with pytest.raises(CommandError, match="cannot be read"):
        _notes_of([tmp_path])


def test_more_than_a_node_takes_is_said(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("".join(note(1) for _ in range(MAX_KEPT // 2 + 1)))
    with pytest.raises(CommandError, match="expected at most"):
        _notes_of([file, file])


@pytest.mark.parametrize(
    ("own", "on"),
    [
        ({"operation": "addUser", "what": "name=eve"}, "addUser"),
        (
            {"operation": "deployFunctions", "what": "function:shop/f", "unfinished": True},
            "deployFunctions (unfinished) function:shop/f",
        ),
    ],
)
def test_what_was_cut_short_is_told_with_what_it_was_done_to(own: dict[str, Any], on: str) -> None:
    event = {"time": 1_000, "unmapped": own}
    assert _row(JournalEntry(index=1, id="a-1", event=event))[-1] == on
