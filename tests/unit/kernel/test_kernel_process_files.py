"""What the kernel tells of a process is read within bounds, and only in the form that is known."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.kernel import process_files
from casemate.kernel.process_files import Mapping, ProcessFiles, open_process, parse_maps
from support.descriptors import descriptors_held

CODE = "import os, sys; os.dup2(0, 3); print(flush=True); sys.stdin.read()"
LINE = b"7f00-8f00 rw-p 00000000 fe:01 178039                     /usr/lib/x (deleted)\n"


@pytest.fixture
def child() -> Iterator[tuple[subprocess.Popen[bytes], ProcessFiles]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.read(1)
    with process:
        files = ProcessFiles(open_process(process.pid))
        yield process, files
        files.close()
        files.close()
        process.kill()


def test_a_living_process_is_told(child: tuple[subprocess.Popen[bytes], ProcessFiles]) -> None:
    process, files = child
    assert b"Threads:\t1" in files.status() and not any(b"VmRSS" in x for x in files.status())
    assert files.maps() == files.maps() and len(parse_maps(files.maps())) > 10
    assert files.descriptors() == 4
    assert files.children() == () and files.folder() == os.getcwd()
    assert b"flags:" in files.kept()[0] and len(files.kept()) == 4
    assert b"Max open files" in files.limits()
    os.kill(process.pid, 19)
    os.kill(process.pid, 18)


def test_what_status_says_is_told_again_until_it_says_something_else(
    child: tuple[subprocess.Popen[bytes], ProcessFiles],
) -> None:
    process, files = child

    def comes_to(state: bytes) -> tuple[bytes, ...]:
        deadline = time.monotonic() + 10
        while not any(line.startswith(b"State:\t" + state) for line in files.status()):
            assert time.monotonic() < deadline
        return files.status()

    was = comes_to(b"S")
    assert files.status() is was
    os.kill(process.pid, signal.SIGSTOP)
    assert comes_to(b"T") != was
    os.kill(process.pid, signal.SIGCONT)
    assert comes_to(b"S") == was


def test_accesses_to_new_memory_are_counted_whatever_a_process_calls_itself() -> None:
    code = """if True:
        import ctypes, mmap, os, sys
        os.dup2(0, 3)
        memory = mmap.mmap(-1, 1 << 20)
        ctypes.CDLL(None).prctl(15, b") R 1 2 (", 0, 0, 0)
        print(flush=True)
        for page in range(256):
            os.read(0, 1)
            memory[page << 12] = 1
            os.write(1, b"x")
    """
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin and process.stdout
        process.stdout.read(1)
        files = ProcessFiles(open_process(process.pid))
        counts = [files.faults()]
        for _ in range(20):
            process.stdin.write(b"x")
            process.stdout.read(1)
            counts.append(files.faults())
        assert all(len(one) == 4 for one in counts)
        assert all(int(a[0]) < int(b[0]) for a, b in itertools.pairwise(counts))
        time.sleep(0.01)
        assert files.faults() == counts[-1]
        process.kill()
        process.wait(20)
        with pytest.raises(OSError):
            files.faults()
        files.close()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Name:\tx\nvoluntary_ctxt_switches:\t5\n",
        b"Name:\tx\nvoluntary_ctxt_switches:\t\nnonvoluntary_ctxt_switches:\t1\n",
        b"Name:\tx\nvoluntary_ctxt_switches:\t5 x\nnonvoluntary_ctxt_switches:\t1\n",
        b"Name:\tx\nvoluntary_ctxt_switches:\t5\nThreads:\t2\nnonvoluntary_ctxt_switches:\t1\n",
    ],
)
def test_nothing_is_left_out_of_status_but_how_often_a_process_waited(text: bytes) -> None:
    assert process_files._but_for_waiting(text) is None


def test_all_but_how_often_a_process_waited_counts() -> None:
    text = b"A:\t1\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t1\nZ:\t\n"
    assert process_files._but_for_waiting(text) == (b"A:\t1", b"Z:\t\n")
    other = text.replace(b"5", b"67").replace(b"\t1\nZ", b"\t890\nZ")
    assert process_files._but_for_waiting(other) == process_files._but_for_waiting(text)


def test_one_that_has_ended_is_an_error(
    child: tuple[subprocess.Popen[bytes], ProcessFiles],
) -> None:
    process, files = child
    process.kill()
    process.wait(20)
    for ask in (files.maps, files.status, files.limits, files.descriptors, files.folder):
        with pytest.raises(OSError):
            ask()


def test_who_is_not_there_is_an_error() -> None:
    before = descriptors_held()
    with pytest.raises(OSError):
        open_process(2**22 + 5)
    assert descriptors_held() == before
    with pytest.raises(ValueError):
        ProcessFiles([1, 2, 3])


def test_a_line_is_read() -> None:
    device = os.makedev(0xFE, 1)
    assert parse_maps(LINE) == [Mapping(0x7F00, 0x8F00, True, False, device)]
    shared = LINE.replace(b"rw-p", b"r--s")
    assert parse_maps(LINE + shared)[1] == Mapping(0x7F00, 0x8F00, False, True, device)


@pytest.mark.parametrize(
    "table",
    [
        b"",
        b"\n",
        LINE[:-1],
        LINE + b"x",
        LINE.replace(b"rw-p", b"rw-q"),
        LINE.replace(b"7f00", b"7f0g"),
    ],
)
def test_another_form_is_refused(table: bytes) -> None:
    with pytest.raises(ValueError):
        parse_maps(table)


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_another_mapping(data: bytes) -> None:
    try:
        found = parse_maps(LINE + data)
    except ValueError:
        return
    assert len(found) == (LINE + data).count(b"\n")


def test_more_than_is_read_is_refused(
    child: tuple[subprocess.Popen[bytes], ProcessFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_files, "_MOST_MAPS", 100)
    with pytest.raises(OSError):
        child[1].maps()


def test_the_flags_of_a_mapping_are_found(
    child: tuple[subprocess.Popen[bytes], ProcessFiles],
) -> None:
    first = parse_maps(child[1].maps())[0].start
    assert b"rd" in child[1].flags_of(first)
    assert child[1].flags_of(4096) == ()
