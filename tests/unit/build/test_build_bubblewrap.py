"""Each test runs real code in the build sandbox that tries to get out."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from casemate.build import enter_script
from casemate.build.bubblewrap import Finished, Mount, find_bubblewrap, hand_over, run_step
from casemate.build.errors import BuildTimeoutError
from casemate.build.interpreters import Interpreter
from casemate.model.errors import ProtectionMissingError

pytestmark = pytest.mark.sandbox


def attempt(
    interpreter: Interpreter,
    code: str,
    *,
    mounts: tuple[Mount, ...] = (),
    network: bool = False,
    timeout: float = 20.0,
    stdin: bytes = b"",
) -> Finished:
    return run_step(
        interpreter,
        [str(interpreter.path), "-I", "-S", "-c", code],
        mounts=mounts,
        environment={"LANG": "C.UTF-8"},
        folder="/",
        network=network,
        timeout=timeout,
        stdin=stdin,
    )


def test_nothing_of_the_host_is_there(
    interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    (tmp_path / "file").write_text("secret")
    done = attempt(
        interpreter,
        "import json, os; print(json.dumps([sorted(os.listdir('/')), dict(os.environ), os.getcwd(),"
        f"[os.path.exists(p) for p in ({str(tmp_path)!r}, '/etc/passwd', '/etc/shadow', '/home',"
        "'/var', '/run', '/proc/self', '/sys/kernel', '/usr/bin/sh')], os.listdir('/tmp')]))",
    )
    assert done.status == 0, done.errors
    root, environ, folder, seen, temporary = json.loads(done.output)
    assert "API_TOKEN" not in environ
    assert set(environ) <= {"LANG", "PWD", "LC_CTYPE"}
    assert folder == "/"
    assert not any(seen)
    assert temporary == []
    assert not {"home", "var", "run", "proc", "sys", "boot", "srv"} & set(root)


def test_no_right_is_left(interpreter: Interpreter) -> None:
    done = attempt(
        interpreter,
        """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
data = (ctypes.c_uint32 * 6)()
libc.capget(header, data)
def fails(call):
    try:
        return call() not in (0, None)
    except OSError:
        return True
print(json.dumps({
    "capabilities": list(data), "no_new_privs": libc.prctl(39, 0, 0, 0, 0), "ids": os.getresuid(),
    "groups": os.getgroups(),
    "fails": [
        fails(lambda: os.setuid(0)), fails(lambda: os.setgroups([0])),
        fails(lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
        fails(lambda: os.mkdir("/evil")), fails(lambda: os.mknod("/tmp/null", 0o20666, 259)),
        fails(lambda: os.kill(os.getppid() + 100000, 0)), fails(lambda: os.chroot("/tmp")),
    ]}))
""",
    )
    assert done.status == 0, done.errors
    told = json.loads(done.output)
    assert told["capabilities"] == [0] * 6
    assert told["no_new_privs"] == 1
    assert all(told["fails"])
    if os.geteuid() == 0:
        assert told["ids"] == [65534] * 3
        assert told["groups"] == []
    else:
        assert told["ids"] == [os.getuid()] * 3


def test_no_network_without_asking(interpreter: Interpreter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = (
            "import socket, sys\ntry: socket.create_connection(('127.0.0.1', "
            f"{server.getsockname()[1]}), 2)\nexcept OSError: sys.exit(7)"
        )
        assert attempt(interpreter, code).status == 7
        assert attempt(interpreter, code, network=True).status == 0


def test_mounts_are_read_only_unless_asked(interpreter: Interpreter, tmp_path: Path) -> None:
    for name in ("fixed", "open"):
        (tmp_path / name).mkdir()
    hand_over(tmp_path / "open")
    mounts = (
        Mount(host=tmp_path / "fixed", inside="/deep/er/fixed"),
        Mount(host=tmp_path / "open", inside="/deep/open", writable=True),
    )
    code = (
        "import os\nopen('/deep/open/a', 'w').close()\n"
        "for p in ('/deep/er/fixed/a', '/deep/a', '/usr/lib/a', os.__file__):\n"
        "    try: open(p, 'a')\n    except OSError: continue\n    raise SystemExit(p)"
    )
    done = attempt(interpreter, code, mounts=mounts)
    assert done.status == 0, done.errors
    assert (tmp_path / "open/a").exists()
    assert not (tmp_path / "fixed/a").exists()


def test_paths_below_a_private_home_work(interpreter: Interpreter, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    (home / "project/file").write_text("content")
    home.chmod(0o700)
    done = attempt(
        interpreter,
        f"print(open({str(home)!r} + '/project/file').read())",
        mounts=(Mount(host=home / "project", inside=str(home / "project")),),
    )
    assert done.output == "content\n", done.errors


def test_what_a_step_starts_dies_with_it(interpreter: Interpreter, tmp_path: Path) -> None:
    hand_over(tmp_path)
    code = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    while True:\n"
        "        open('/w/alive', 'w').write(str(time.time())); time.sleep(0.02)\ntime.sleep({0})"
    )
    mounts = (Mount(host=tmp_path, inside="/w", writable=True),)
    with pytest.raises(BuildTimeoutError, match=r"longer than 0\.5 s"):
        attempt(interpreter, code.format(60), mounts=mounts, timeout=0.5)
    assert attempt(interpreter, code.format(0.2), mounts=mounts).status == 0
    time.sleep(0.1)
    before = (tmp_path / "alive").read_text()
    time.sleep(0.2)
    assert (tmp_path / "alive").read_text() == before


def test_a_step_starts_so_many_processes(interpreter: Interpreter) -> None:
    code = (
        "import os, time\nbegun = 0\ntry:\n    while begun < 6000:\n"
        "        if os.fork() == 0:\n            time.sleep(60)\n        begun += 1\n"
        "except BlockingIOError:\n    print(begun)\n"
    )
    done = attempt(interpreter, code, timeout=60.0)
    assert done.status == 0
    assert 0 < int(done.output) <= enter_script._PROCESSES


def test_output_is_bounded(interpreter: Interpreter) -> None:
    done = attempt(interpreter, "print('x' * 10_000_000)")
    assert len(done.output) == 4 * 1024 * 1024


def test_status_input_and_errors_come_back(interpreter: Interpreter) -> None:
    code = "import sys; sys.stderr.write(sys.stdin.read()); sys.exit(3)"
    done = attempt(interpreter, code, stdin=b"given")
    assert (done.status, done.errors) == (3, "given")


def test_the_environment_is_in_no_arguments(interpreter: Interpreter) -> None:
    """Arguments of a process can be read by every user of the host."""
    code = "import os, sys, time; sys.stdin.read(); time.sleep(0.3); print(os.environ['WORD'])"
    seen: list[bytes] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.append(path.read_bytes())
            time.sleep(0.05)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        done = run_step(
            interpreter,
            [str(interpreter.path), "-I", "-S", "-c", code],
            mounts=(),
            environment={"WORD": "hunter" + "3", "OTHER": "a b\nc"},
            folder="/",
            network=False,
            timeout=20.0,
        )
    finally:
        ended.set()
        watcher.join(5)
    assert done.output == "hunter3\n"
    assert any(b"os.environ['WORD']" in one for one in seen)
    assert not any(b"hunter3" in one for one in seen)


def test_without_bubblewrap_nothing_runs(
    interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.build.bubblewrap._TRUSTED_PATH", str(tmp_path))
    with pytest.raises(ProtectionMissingError, match="apt install bubblewrap"):
        find_bubblewrap()
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(ProtectionMissingError, match=r"No permissions.*user namespaces"):
        attempt(interpreter, "open('/tmp/evil', 'w')")


def test_a_command_that_cannot_be_started_is_told(interpreter: Interpreter) -> None:
    with pytest.raises(ProtectionMissingError, match=r"/missing.*chmod -R a\+rX"):
        run_step(
            interpreter,
            ["/missing"],
            mounts=(),
            environment={},
            folder="/",
            network=False,
            timeout=20,
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_the_entry_refuses_to_go_on_as_root() -> None:
    done = subprocess.run(
        [sys.executable, "-I", enter_script.__file__, "-", "10", "1000", "/", "/bin/true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == enter_script.REFUSED
    assert "still root" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root can change its id")
def test_the_entry_refuses_if_the_id_cannot_change() -> None:
    done = subprocess.run(
        [sys.executable, "-I", enter_script.__file__, "65533", "10", "1000", "/", "/bin/true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == enter_script.REFUSED
