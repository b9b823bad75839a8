"""What a command was to write is whole, or not there, and then may be written again."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from casemate.cli.errors import CommandError
from casemate.cli.new_file import new_file, write_new

FULL = OSError(errno.ENOSPC, "No space left on device")


class Full:
    """A disk on which the second half of each file finds no room."""

    def __init__(self, descriptor: int, mode: str) -> None:
        self._file = open(descriptor, mode)  # noqa: SIM115 - closed as the file it stands for

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        self._file.write(data[: len(data) // 2])
        raise FULL


def test_a_disk_that_is_full_leaves_no_half_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: half of an object stayed as if it were all, and was in the way of the next try."""
    file = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("casemate.cli.new_file.os.fdopen", Full)
        with pytest.raises(CommandError, match="cannot be written: No space left") as caught:
            write_new(file, b"content", "--output")
    assert "--output" in str(caught.value.next_step)
    assert not file.exists()
    write_new(file, b"content", "--output")
    assert file.read_bytes() == b"content" and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("failure", [FULL, KeyboardInterrupt()])
def test_what_fails_within_the_block_leaves_no_file(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)), new_file(tmp_path / "out") as target:
        target.write(b"half")
        raise failure
    assert not (tmp_path / "out").exists()


def test_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("out", "link"):
        with pytest.raises(CommandError, match="cannot be written: File exists"):
            write_new(tmp_path / name, b"content", "--to")
    assert (tmp_path / "out").read_bytes() == b"mine"
    assert not (tmp_path / "nothing").exists()
