"""The first process of a function's pid namespace: what it holds, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.runner import first_process

IN_NAMESPACE = """
import os, sys, time
from casemate.kernel import linux
from casemate.runner import first_process
program = first_process.write_program(sys.argv[1]) if sys.argv[1] else None
linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID)
first = os.fork()
if first:
    print("first", first, flush=True)
    os.waitpid(first, 0)
    print("ended", flush=True)
    os._exit(0)
child = os.fork()
if child:
    first_process.wait(child, program)
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
os.read(0, 1)
os._exit(0)
"""
X86_64 = os.uname().machine == "x86_64"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        each.kill()
        each.wait()


def _start(path: str) -> tuple[subprocess.Popen[bytes], int]:
    command = [sys.executable, "-c", IN_NAMESPACE, path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.readline().split()
    if not said:
        process.wait()
        pytest.skip("no user namespaces here")
    return process, int(said[1])


def _wait_for(path: Path, holds: bytes) -> bytes:
    end = time.monotonic() + 10
    while holds not in (found := path.read_bytes()):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("programmed", [pytest.param(True, id="program"), False])
def test_it_ends_with_the_zygote_and_all_else_with_it(
    tmp_path: Path, start: list[subprocess.Popen[bytes]], programmed: bool
) -> None:
    process, first = _start(str(tmp_path / "first") if programmed else "")
    start.append(process)
    if programmed and X86_64:
        _wait_for(Path(f"/proc/{first}/cmdline"), b"first process")
    end = time.monotonic() + 10
    while not (below := [c for z in _children(first) for c in _children(z)]):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b"x")
    process.stdin.close()
    assert process.stdout.readline() == b"ended\n"
    assert not Path(f"/proc/{below[0]}").exists()


@pytest.mark.skipif(not X86_64, reason="there is a program for x86-64 alone")
def test_it_has_no_right_and_hardly_any_memory(
    tmp_path: Path, start: list[subprocess.Popen[bytes]]
) -> None:
    process, first = _start(str(tmp_path / "first"))
    start.append(process)
    _wait_for(Path(f"/proc/{first}/cmdline"), b"first process")
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{first}/status").read_text().splitlines()
    )
    sets = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert {int(status[name], 16) for name in sets} == {0}
    assert status["NoNewPrivs"].strip() == "1"
    if os.geteuid() == 0:
        mapped = Path(f"/proc/{first}/maps").read_text()
        assert not [line for line in mapped.splitlines() if line.split()[1][1:3] == "wx"]
        rollup = Path(f"/proc/{first}/smaps_rollup").read_text()
        held = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        assert int(held.split()[1]) <= 32  # kB
    # What it is sent from within changes nothing.
    for child in _children(first):
        os.kill(child, signal.SIGCHLD)
    assert process.poll() is None


def test_where_there_is_no_program_there_is_no_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_process.program("aarch64") is None
    monkeypatch.setattr(first_process, "program", lambda _machine: None)
    assert first_process.write_program(str(tmp_path / "first")) is None
    monkeypatch.setattr(first_process, "program", lambda _machine: b"x")
    assert first_process.write_program(str(tmp_path / "no" / "first")) is None
