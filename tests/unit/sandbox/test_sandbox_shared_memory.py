"""Mappings that forks share, read from the kernel's table of a process."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.sandbox import shared_memory
from casemate.sandbox.shared_memory import shared_mappings

CHILD = """
import ctypes, mmap, os, sys
folder = sys.argv[1]
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
def map_file(path, protection, flags, how):
    descriptor = os.open(path, flags, 0o600)
    if flags & os.O_RDWR:
        os.ftruncate(descriptor, 8192)
    libc.mmap(None, ctypes.c_size_t(8192), protection, how, descriptor, ctypes.c_long(0))
    os.close(descriptor)
exec(sys.argv[2])
print("made", flush=True)
sys.stdin.read()
"""


def told(folder: Path, code: str, tmpfs: int | None = None) -> str:
    """Return what is found in a process that has run `code`."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "made\n"
    try:
        return shared_mappings(child.pid, folder.stat().st_dev if tmpfs is None else tmpfs)
    finally:
        child.stdin.close()
        child.wait()
        child.stdout.close()


PRIVATE = "kept = mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"
READ = "map_file(sys.executable, 1, os.O_RDONLY, 1)"


@pytest.mark.parametrize("code", ["", PRIVATE, READ])
def test_what_a_fork_copies_or_cannot_write_is_no_sharing(tmp_path: Path, code: str) -> None:
    assert told(tmp_path, code, tmpfs=0) == ""


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("kept = mmap.mmap(-1, 8192)", "zero"),
        ("kept = mmap.mmap(-1, 8192, prot=mmap.PROT_READ)", "zero"),
        ("libc.mmap(None, 8192, 0, 0x21, -1, ctypes.c_long(0))", "zero"),
        ("map_file(folder + '/x', 3, os.O_RDWR | os.O_CREAT, 1)", "x"),
        ("map_file(folder + '/x', 1, os.O_RDWR | os.O_CREAT, 1)", "x"),
        ("map_file(folder + '/x', 3, os.O_RDWR | os.O_CREAT, 3)", "x"),
    ],
)
def test_shared_memory_is_told_with_its_size_and_name(tmp_path: Path, code: str, name: str) -> None:
    found = told(tmp_path, code)
    assert found.startswith("8192 bytes of shared memory (mmap of ")
    assert name in found


def test_a_name_that_the_function_chose_stays_on_one_line_and_short(tmp_path: Path) -> None:
    code = (
        "name = 'evil\\n00-ff rw-s ' + 'x' * 200\n"
        "descriptor = os.memfd_create(name[:240])\n"
        "os.ftruncate(descriptor, 8192)\n"
        "libc.mmap(None, ctypes.c_size_t(8192), 3, 1, descriptor, ctypes.c_long(0))"
    )
    found = told(tmp_path, code)
    assert "evil" in found and "\n" not in found and len(found) < 200


def test_a_process_that_is_gone_cannot_be_examined() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with pytest.raises(OSError):
        shared_mappings(child.pid, 0)


def test_a_table_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "_MOST_BYTES", 100)
    with pytest.raises(OSError, match="too many"):
        shared_mappings(os.getpid(), 0)


def test_this_process_shares_what_it_has_mapped() -> None:
    with mmap.mmap(-1, 4096):
        assert shared_mappings(os.getpid(), 0)
