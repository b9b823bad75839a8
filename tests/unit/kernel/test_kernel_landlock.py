"""The Landlock ruleset: what each ABI handles, and what a restricted process can do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.kernel import landlock, linux

EXECUTE, WRITE, READ, READ_DIR = 1, 2, 4, 8
MAKE_CHAR, MAKE_BLOCK, REFER, TRUNCATE, IOCTL = 1 << 6, 1 << 11, 1 << 13, 1 << 14, 1 << 15


@pytest.mark.parametrize(
    ("abi", "handled"),
    [(1, 0x1FFF), (2, 0x3FFF), (3, 0x7FFF), (4, 0x7FFF), (5, 0xFFFF), (6, 0xFFFF), (9, 0xFFFF)],
)
def test_every_right_that_the_abi_knows_is_handled(abi: int, handled: int) -> None:
    assert landlock.handled_files(abi) == handled


@pytest.mark.parametrize("abi", range(1, 10))
def test_the_ruleset_of_each_abi(abi: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, ...]] = []
    allowed: list[tuple[int, int]] = []

    def create(*given: int) -> int:
        made.append(given)
        return 99

    monkeypatch.setattr(linux, "landlock_create", create)
    monkeypatch.setattr(
        linux, "landlock_allow", lambda _r, fd, access: allowed.append((fd, access))
    )
    restriction = landlock.Restriction(abi)
    try:
        assert restriction.prepare(42) == 99
        handled = landlock.handled_files(abi)
        assert made == [(handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0, abi)]
        [(root, read), (devices, use), (tmp, private)] = allowed
        assert os.path.samestat(os.fstat(root), os.stat("/"))
        assert os.path.samestat(os.fstat(devices), os.stat("/dev"))
        assert (read, use, tmp) == (READ | READ_DIR, READ | WRITE, 42)
        assert private == handled & ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK | IOCTL)
        assert all(rights & ~handled == 0 for _, rights in allowed)
    finally:
        os.close(restriction._root)
        os.close(restriction._devices)


@pytest.mark.parametrize(("abi", "size"), [(1, 8), (3, 8), (4, 16), (5, 16), (6, 24), (7, 24)])
def test_the_kernel_is_given_the_size_it_knows(
    abi: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def syscall(*args: object) -> int:
        asked.append(args)
        return 5

    monkeypatch.setattr(linux, "_syscall", syscall)
    assert linux.landlock_create(0x1FFF, 3, 3, abi) == 5
    [(name, attributes, given, flags)] = asked
    assert (name, given, flags) == ("landlock_create_ruleset", size, 0)
    assert isinstance(attributes, bytes) and len(attributes) == size


CHILD = """
import errno, json, os, socket, sys
sys.path.insert(0, "src")
from casemate.kernel import landlock, linux
own, other = sys.argv[1:]
linux.set_no_new_privileges()
tmp = os.open(own, os.O_PATH)
abi = linux.landlock_abi()
landlock.Restriction(abi).apply(tmp)
def tried(call, *args):
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
def write(path):
    with open(path, "w") as stream:
        stream.write("x")
def connect():
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 1))
print(json.dumps({
    "abi": abi,
    "read": tried(open, other + "/there"),
    "list": tried(os.listdir, other),
    "write": tried(write, other + "/new"),
    "append": tried(open, other + "/there", "a"),
    "remove": tried(os.unlink, other + "/there"),
    "make": tried(os.mkdir, other + "/d"),
    "own write": tried(write, own + "/new"),
    "own make": tried(os.mkdir, own + "/d"),
    "own remove": tried(os.unlink, own + "/new"),
    "move out": tried(os.rename, own + "/d", other + "/d"),
    "null": tried(write, "/dev/null"),
    "execute": tried(os.execv, sys.executable, ["x"]),
    "connect": tried(connect),
    "signal": tried(os.kill, os.getppid(), 0),
}))
"""


def test_a_restricted_process_reads_and_writes_its_own_tmp(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "there").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(own), str(other)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    abi = tried.pop("abi")
    if abi == 0:
        pytest.skip("this kernel has no Landlock")
    assert tried.pop("move out") in ("EXDEV", "EACCES")
    assert tried == {
        "read": "ok",
        "list": "ok",
        "write": "EACCES",
        "append": "EACCES",
        "remove": "EACCES",
        "make": "EACCES",
        "own write": "ok",
        "own make": "ok",
        "own remove": "ok",
        "null": "ok",
        "execute": "EACCES",
        "connect": "EACCES" if abi >= 4 else "ECONNREFUSED",
        "signal": "EPERM" if abi >= 6 else "ok",
    }
    assert (other / "there").read_text() == "x"


PORTS = """
import errno, json, os, socket, sys
sys.path.insert(0, "src")
from casemate.kernel import landlock, linux
listener = socket.create_server(("127.0.0.1", 0))
other = socket.create_server(("127.0.0.1", 0))
linux.set_no_new_privileges()
tmp = os.open(sys.argv[1], os.O_PATH)
abi = linux.landlock_abi()
landlock.Restriction(abi, [listener.getsockname()[1]]).apply(tmp)
def tried(call, *args):
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
print(json.dumps({
    "abi": abi,
    "granted": tried(socket.create_connection, listener.getsockname()),
    "other": tried(socket.create_connection, other.getsockname()),
    "bind": tried(socket.socket().bind, ("127.0.0.1", 0)),
}))
"""


def test_a_restricted_process_connects_to_its_own_ports_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PORTS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    tried = json.loads(done.stdout)
    if tried.pop("abi") < 4:
        pytest.skip("Landlock of this kernel knows no ports")
    assert tried == {"granted": "ok", "other": "EACCES", "bind": "EACCES"}


@pytest.mark.parametrize("abi", [1, 3, 4, 6])
def test_ports_are_allowed_where_the_kernel_handles_them(
    abi: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[tuple[int, int, int]] = []
    monkeypatch.setattr(linux, "landlock_create", lambda *_: 99)
    monkeypatch.setattr(linux, "landlock_allow", lambda *_: None)
    monkeypatch.setattr(linux, "landlock_allow_port", lambda *given: allowed.append(given))
    restriction = landlock.Restriction(abi, [3128, 15432])
    try:
        restriction.prepare(42)
    finally:
        restriction.close()
    assert allowed == ([(99, 3128, 2), (99, 15432, 2)] if abi >= 4 else [])
