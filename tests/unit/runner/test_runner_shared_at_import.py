"""What an import leaves open: opened anew in its place, or refused by name."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import select
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.runner import shared_at_import
from casemate.runner.shared_at_import import (
    ProcessAtImportError,
    SharedAtImportError,
    open_descriptors,
    renewals,
    require_no_child,
)


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Look for files in the test's folder, and leave no descriptor."""
    monkeypatch.setattr(shared_at_import, "_ROOTS", (str(tmp_path), "/nonexistent"))
    before = open_descriptors(512)
    yield tmp_path
    for descriptor in open_descriptors(512) - before:
        os.close(descriptor)


def renew(*descriptors: int) -> None:
    for each in renewals(descriptors):
        each()


def shares_offset(one: int, other: int) -> bool:
    at = os.lseek(one, 0, os.SEEK_CUR)
    os.lseek(one, at + 1, os.SEEK_SET)
    return os.lseek(other, 0, os.SEEK_CUR) == at + 1


def test_no_object_is_made_of_each_descriptor_that_is_not_open() -> None:
    """A zygote kept the pages that they were on."""
    open_descriptors(200)
    tracemalloc.start()
    try:
        found = open_descriptors(200)
        assert {0, 1, 2} <= found
        # Besides the set, which also grows where others of this process have many open.
        assert tracemalloc.get_traced_memory()[1] < 12_000 + 2 * sys.getsizeof(found)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH])
def test_open_descriptors_are_those_that_can_be_duplicated(tmp_path: Path, flags: int) -> None:
    for _ in range(20):  # what other tests of this process left behind closes some meanwhile
        before = open_descriptors(256)
        descriptor = os.open(tmp_path, flags)
        opened = open_descriptors(256)
        os.close(descriptor)
        after = open_descriptors(256)
        listed = {n for n in range(256) if os.path.exists(f"/proc/self/fd/{n}")}
        if before == after == listed:
            break
        gc.collect()
    assert (opened, after, before) == (before | {descriptor}, before, listed)


@pytest.mark.parametrize("inheritable", [True, False])
def test_a_file_that_is_read_is_opened_at_the_same_place(tmp_path: Path, inheritable: bool) -> None:
    (tmp_path / "below").mkdir()
    path = tmp_path / "below" / "file"
    path.write_bytes(b"0123456789")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_inheritable(descriptor, inheritable)
    os.lseek(descriptor, 4, os.SEEK_SET)
    twin = os.dup(descriptor)
    assert shares_offset(twin, descriptor)
    renew(descriptor)
    assert os.read(descriptor, 100) == b"56789"
    assert not shares_offset(twin, descriptor)
    assert os.get_inheritable(descriptor) is inheritable
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK


def test_a_folder_is_opened_anew(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    renew(descriptor)
    assert os.path.samestat(os.fstat(descriptor), tmp_path.stat())


def test_a_file_that_was_replaced_is_not_taken_for_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1")
    descriptor = os.open(path, os.O_RDONLY)
    found = renewals([descriptor])
    (tmp_path / "other").write_bytes(b"2")
    (tmp_path / "other").rename(path)
    with pytest.raises(SharedAtImportError, match="another file"):
        found[0]()


def test_the_search_for_a_path_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_at_import, "_MOST_ENTRIES", 2)
    for number in range(3):
        (tmp_path / str(number)).touch()
    with (tmp_path / "0").open() as file, pytest.raises(SharedAtImportError, match="a name"):
        renewals([file.fileno()])


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_that_leads_nowhere_is_made_anew_with_its_options(kind: int) -> None:
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setblocking(False)
    twin = sock.dup()
    renew(sock.fileno())
    twin.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == kind
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET6
    assert not os.get_blocking(sock.fileno())
    sock.close()
    twin.close()


def test_devices_and_names_of_files_are_left_as_they_are(tmp_path: Path) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    name = os.open(tmp_path, os.O_PATH)
    assert renewals([null, name]) == []


def test_an_event_loop_gets_its_own_events() -> None:
    loop = asyncio.new_event_loop()
    fixed = {loop._selector.fileno(), loop._ssock.fileno(), loop._csock.fileno()}  # type: ignore[attr-defined]
    twins = {descriptor: os.dup(descriptor) for descriptor in fixed}
    renew(*fixed)
    assert fixed <= open_descriptors(512)
    for descriptor, twin in twins.items():
        old, new = os.fstat(twin), os.fstat(descriptor)
        # Descriptors of events have one inode all together.
        assert old.st_ino != new.st_ino or old.st_mode == new.st_mode == 0o600
    loop.call_later(0.01, loop.call_soon_threadsafe, loop.stop)
    loop.run_forever()
    # What comes to the one does not wake the other.
    loop.call_soon_threadsafe(lambda: None)
    other = select.epoll.fromfd(twins[loop._selector.fileno()])  # type: ignore[attr-defined]
    assert other.poll(0.05) == []
    loop.close()


def _opened(kind: str, folder: Path) -> list[int]:
    if kind == "written":
        return [os.open(folder / "x", os.O_WRONLY | os.O_CREAT)]
    if kind == "both":
        return [os.open(folder / "x", os.O_RDWR | os.O_CREAT)]
    if kind == "unlinked":
        (folder / "x").touch()
        found = os.open(folder / "x", os.O_RDONLY)
        (folder / "x").unlink()
        return [found]
    if kind == "memory":
        return [os.memfd_create("x")]
    if kind == "pipe":
        return list(os.pipe())
    if kind == "pair":
        return [sock.detach() for sock in socket.socketpair()]
    if kind == "eventfd":
        return [os.eventfd(0)]
    if kind == "epoll":
        with select.epoll() as made:
            return [os.dup(made.fileno())]
    server = socket.create_server(("127.0.0.1", 0))
    if kind == "listener":
        return [server.detach()]
    client = socket.create_connection(server.getsockname())
    with server:
        server.accept()[0].detach()
    return [client.detach()]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("written", "can be written"),
        ("both", "can be written"),
        ("unlinked", "without a name"),
        ("memory", "can be written"),
        ("pipe", "a pipe"),
        ("pair", "a pair of sockets"),
        ("eventfd", "eventfd"),
        ("epoll", "epoll"),
        ("listener", "with a port"),
        ("connection", "a connection"),
    ],
)
def test_what_cannot_be_made_anew_is_refused(tmp_path: Path, kind: str, told: str) -> None:
    descriptors = _opened(kind, tmp_path)
    with pytest.raises(SharedAtImportError, match=told) as raised:
        renewals(descriptors)
    assert 'trust = "low"' in str(raised.value)
    for descriptor in descriptors:
        os.fstat(descriptor)  # and left as it is


def test_the_error_names_the_file(tmp_path: Path) -> None:
    log = pytest.raises(SharedAtImportError, match=r"FileIO.*app\.log")
    with (tmp_path / "app.log").open("a") as file, log:
        renewals([file.fileno()])


def _judge_children() -> str:
    """Return what is wrong with how a process that had no child judges one; "" if nothing is."""
    require_no_child()
    pid = os.fork()
    if pid == 0:
        select.select([], [], [], 30)
        os._exit(0)
    try:
        require_no_child()
        return "a child that lives was not found"
    except ProcessAtImportError as error:
        if "started a process" not in str(error):
            return f"unclear: {error}"
    os.kill(pid, 9)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            require_no_child()
        except ProcessAtImportError:
            continue
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            return ""
        return "a dead child was not reaped"
    return "a dead child is still counted"


def test_children_that_live_are_found_and_dead_ones_reaped() -> None:
    # In a fork, which has no child yet: this process may have some, of other tests.
    ours, theirs = os.pipe()
    judge = os.fork()
    if judge == 0:
        try:
            wrong = _judge_children()
        except BaseException as error:
            wrong = repr(error)
        os.write(theirs, wrong.encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        assert pipe.read() == b""
    os.waitpid(judge, 0)


BY_CALL = """
import asyncio, os, socket, sys, tempfile
from casemate.runner import shared_at_import
from casemate.runner.shared_at_import import NEVER_CLOSED, by_call, open_descriptors, renewals

folder = sys.argv[1]
shared_at_import._ROOTS = (folder,)
first = max(open_descriptors(256)) + 1
for _ in range(first - len(open_descriptors(first))):
    os.open("/dev/null", 0)  # no hole below, in which what follows would be
before = open_descriptors(256)
assert before == set(range(first))
loop = asyncio.new_event_loop()
file = open(folder + "/file", "rb", buffering=0)
file.read(4)
free = socket.socket()
free.settimeout(3)
quiet = open("/dev/null", "w")
os.set_inheritable(file.fileno(), True)
opened = open_descriptors(256) - before
found = renewals(opened)
for one in found:
    one()
made = by_call(opened, found)
made = shared_at_import.ByCall([*made._renewals], first=first)
made.close()
assert open_descriptors(256) == before
for number in range(5):
    made.open()
    assert open_descriptors(256) == before | opened, (opened, open_descriptors(256) - before)
    assert file.read() == b"456789" and os.get_inheritable(file.fileno())
    assert not os.get_inheritable(free.fileno()) and free.fileno() in opened
    assert loop.run_until_complete(asyncio.sleep(0.001, number)) == number
    loop.call_soon_threadsafe(loop.stop)
    loop.run_forever()
    print("", file=quiet, flush=True)
    left = open(folder + "/file"), os.pipe(), asyncio.new_event_loop()
    made.close()
    assert open_descriptors(256) == before
pair = socket.socketpair()
assert by_call({pair[0].fileno()}, []) is NEVER_CLOSED
made = by_call((), ())
assert made is not NEVER_CLOSED
os.remove(folder + "/file")
kept = os.open(folder, 0)
[gone] = renewals([kept])
gone._path = folder + "/elsewhere"
assert by_call({kept}, [gone]) is NEVER_CLOSED
NEVER_CLOSED.close()
assert kept in open_descriptors(256)
print("done")
sys.stdout.flush()
os._exit(0)
"""


def test_what_an_import_left_open_is_opened_anew_for_each_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    done = subprocess.run(
        [sys.executable, "-c", BY_CALL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "done", done.stderr
