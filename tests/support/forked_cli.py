"""Runs command lines, each in a process forked from one that has imported the command line.

Most of what a command costs is to import it again, and tests run hundreds. Nothing else is shared:
each has arguments, environment, folder and descriptors of its own, and ends by itself.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import io
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_FDS = 3
_LENGTH = struct.Struct("!I")
_NUMBER = struct.Struct("!i")


class _Forker:
    """The process that forks, for the processes of one test run: started when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def connected(self) -> socket.socket:
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            assert self._folder is not None
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(f"{self._folder.name}/forker")
            return connection

    def _start(self) -> None:
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="forker-")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), f"{self._folder.name}/forker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.read(1) == b".", "the process that forks did not start"

    def close(self) -> None:
        process, folder = self._process, self._folder
        self._process = self._folder = None
        if process is not None:
            process.communicate()  # closing its standard input ends it
        if folder is not None:
            folder.cleanup()


_FORKER = _Forker()
atexit.register(_FORKER.close)


def run(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    cwd: Path | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end, as `subprocess.run` with captured text would."""
    done = run_bytes(arguments, env=env, stdin=stdin.encode(), cwd=cwd, timeout=timeout)
    texts = (io.TextIOWrapper(io.BytesIO(one)).read() for one in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def run_bytes(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command line to its end; what it writes comes back as it is."""
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        _FORKER.connected() as connection,
    ):
        given.write(stdin)
        given.seek(0)
        asked = {
            "arguments": list(arguments),
            "env": dict(os.environ if env is None else env),
            "cwd": str(cwd or Path.cwd()),
        }
        content = json.dumps(asked).encode()
        descriptors = [given.fileno(), out.fileno(), err.fileno()]
        socket.send_fds(connection, [_LENGTH.pack(len(content))], descriptors)
        connection.sendall(content)
        pid = _NUMBER.unpack(_exactly(connection, _NUMBER.size))[0]
        connection.settimeout(timeout)
        try:
            code = _NUMBER.unpack(_exactly(connection, _NUMBER.size))[0]
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(["casemate", *arguments], code, out.read(), err.read())


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise RuntimeError("the process that forks command lines has gone")
        data += part
    return data


# -- the process that forks ---------------------------------------------------------------------


def _serve(place: str) -> None:
    """Fork for each connection, until the process that started this one is gone."""
    _import_all()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place)
    listener.listen(64)
    os.write(1, b".")
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], 1.0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if sys.stdin in ready:
            # Who is killed removes nothing.
            shutil.rmtree(Path(place).parent, ignore_errors=True)
            return
        if listener not in ready:
            continue
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _answer(connection)
        connection.close()


def _import_all() -> None:
    """Import what commands do, also when they run: two are run that do not come far."""
    from casemate.cli.main import run

    nowhere = {"CASEMATE_URL": "http://127.0.0.1:1", "CASEMATE_KEY": f"cm_{'a' * 16}_{'a' * 43}"}
    before = dict(os.environ)
    os.environ.update(nowhere)
    with (
        Path(os.devnull).open("w") as hidden,
        contextlib.redirect_stdout(hidden),
        contextlib.redirect_stderr(hidden),
    ):
        run(["whoami"])
        run(["deploy", "--manifest", "/nowhere/casemate.toml"])
    os.environ.clear()
    os.environ.update(before)
    # What is collected in a child would be copied first.
    gc.collect()
    gc.freeze()


def _answer(connection: socket.socket) -> None:
    """Read what is asked, run it in a child, and say how that ended."""
    head, ancillary, _, _ = connection.recvmsg(_LENGTH.size, socket.CMSG_SPACE(_FDS * 4))
    descriptors = array.array("i", ancillary[0][2])
    asked = json.loads(_exactly(connection, _LENGTH.unpack(head)[0]))
    pid = os.fork()
    if pid == 0:
        connection.close()
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        _become(asked["arguments"], asked["env"], asked["cwd"])
    connection.sendall(_NUMBER.pack(pid))
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # who asked waits no longer
        connection.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def _become(arguments: list[str], env: dict[str, str], cwd: str) -> None:
    """Be the command line, to its end."""
    from casemate.cli.main import main

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["casemate", *arguments]
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode, encoding="utf-8", closefd=False)
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    try:
        main()
    except SystemExit as ended:
        # To take the interpreter apart takes longer than most commands do.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 0)


if __name__ == "__main__":
    _serve(sys.argv[1])
