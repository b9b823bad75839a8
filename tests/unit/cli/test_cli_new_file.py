"""What a command was to write is whole, or not there, and then may be written again."""

from __future__ import annotations

import ast
import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from casemate import cli
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.new_file import new_file, write_new

FULL = OSError(errno.ENOSPC, "No space left on device")


class Full:
    """A disk on which the second half of each file finds no room."""

    def __init__(self, descriptor: int, mode: str, *, closefd: bool = True) -> None:
        self._file = open(descriptor, mode, closefd=closefd)  # noqa: SIM115 - stands for it

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


_KILLED = """
import os, pathlib, signal, sys
from casemate.cli.new_file import new_file
with new_file(pathlib.Path(sys.argv[1])) as target:
    target.write(b"half")
    target.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_nothing_that_is_in_the_way_of_the_next(tmp_path: Path) -> None:
    """Before: half of a download had its name, and the same command was refused for it."""
    file = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not file.exists() and len(list(tmp_path.iterdir())) == 1
    write_new(file, b"content", "--output")
    assert file.read_bytes() == b"content" and list(tmp_path.iterdir()) == [file]


def test_what_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name in ("out", "link"):
        with pytest.raises(CommandError, match="cannot be written: File exists"):
            write_new(tmp_path / name, b"content", "--to")
    assert (tmp_path / "out").read_bytes() == b"mine"
    assert not (tmp_path / "nothing").exists()


def test_a_minus_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="`-` is none"):
        write_new(Path("-"), b"content", "--output")
    assert not list(tmp_path.iterdir())


_OVER = {"write_bytes", "write_text"}
_IN_A_FOLDER_OF_ITS_OWN = {"drill_node.py"}
"""Writes into a copy that it has made, and removes."""


def test_no_command_writes_over_a_file_in_place() -> None:
    """Before: a full disk took what a person had in the file that `--output` names."""
    found = [
        f"{path.name}:{node.lineno}"
        for path in sorted(Path(cli.__file__).parent.rglob("*.py"))
        if path.name not in _IN_A_FOLDER_OF_ITS_OWN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _writes_over(node)
    ]
    assert not found, "use casemate.kernel.placing.write_whole"


def _writes_over(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if name == "open" or (isinstance(call.func, ast.Name) and call.func.id == "open"):
        return any(
            isinstance(each, ast.Constant) and isinstance(each.value, str) and "w" in each.value
            for each in (*call.args[-1:], *(k.value for k in call.keywords if k.arg == "mode"))
        )
    return name in _OVER
