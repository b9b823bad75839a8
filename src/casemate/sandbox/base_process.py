"""Starts a base zygote in bubblewrap and asks it for blank zygotes and detached mounts."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from casemate.child.memory import as_victim
from casemate.model.errors import ProtectionMissingError, UnavailableError
from casemate.model.runtime import Runtime
from casemate.runner import control
from casemate.sandbox.identities import Identities
from casemate.sandbox.libraries import visible_libraries
from casemate.sandbox.staging import Staging

SANDBOX_UID = 65534
"""The uid that functions see: that of an instance has no name in its own user namespace."""
START_SECONDS = 20.0
"""How long a base zygote may take until it is warm."""
_REPLY_SECONDS = 6.0
"""What is asked for takes microseconds, on busy cores longer; after that it hangs and is ended. The
first answer may take as long as the start: the zygotes of all layouts are warmed at the same time.
"""
_PING_SECONDS = 2.0
_HANG_SECONDS = 3.0
"""For an answer to a ping, for which nobody waits."""
_INFO_BYTES = 4096
BOOT = (
    "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '/casemate'); "
    "from casemate.runner.base import main; main(int(sys.argv[1]))"
)
"""What the interpreter in bubblewrap runs, by which processes of it are told from others."""


class BaseZygoteError(UnavailableError):
    """The base zygote could not do what it was asked."""


class BaseZygoteLostError(BaseZygoteError):
    """The base zygote is gone, or does not answer in its time: another one has to be started."""


def _command(runtime: Runtime, staging: Staging, descriptor: int) -> list[str]:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise ProtectionMissingError(
            "bubblewrap (bwrap) is not installed.", next_step="Run: apt-get install bubblewrap"
        )
    _, links = visible_libraries(runtime)
    command = [bubblewrap, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-net", "--unshare-cgroup-try", "--die-with-parent", "--new-session"]
    command += ["--clearenv", "--setenv", "LANG", "C.UTF-8", "--hostname", "function"]
    command += ["--cap-add", "ALL", "--ro-bind", "/usr", "/usr"]
    for path in ("/lib", "/lib64", "/bin"):
        if path in links or Path(path).is_symlink():
            command += ["--symlink", os.readlink(path), path]  # noqa: PTH115
        elif Path(path).is_dir():
            command += ["--ro-bind", path, path]
    if not runtime.executable.startswith("/usr/"):
        command += ["--ro-bind", staging.visible(runtime.prefix), runtime.prefix]
    for name, folder in staging.code.items():
        command += ["--ro-bind", staging.visible(folder), f"/casemate/casemate/{name}"]
    command += ["--ro-bind", staging.visible(staging.bundles), "/bundles"]
    if staging.devices is not None:
        command += ["--dev-bind", staging.devices, "/devices"]
    command += ["--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"]  # noqa: S108
    boot = [runtime.executable, "-I", "-S", "-B", "-c", BOOT, str(descriptor)]
    return [*command, *boot]


class BaseProcess:
    """A base zygote of one interpreter. Requests are synchronous and take microseconds.

    It starts by itself meanwhile: `finish` when `sock` is readable. Every one has a layout of
    memory and a seed of hashes of its own, which all that is forked from it shares.
    """

    _first = -1
    """A descriptor of bubblewrap's child, until that has started what it is for."""

    def __init__(self, runtime: Runtime, staging: Staging, identities: Identities | None) -> None:
        """Start it. Raises ProtectionMissingError."""
        self.runtime = runtime
        self.started_at = time.monotonic()
        self.landlock_abi = 0
        self.ready = False
        self.private_files = False
        """True if what functions see of the host has other inodes in each zygote."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(START_SECONDS)
        self.sock = ours
        self._quiet = 0.0
        """Seconds since it was asked whether it works, or since it said so."""
        self._asked = False
        with theirs:
            command = _command(runtime, staging, theirs.fileno())
            try:
                self.process = self._start(command, theirs.fileno(), staging, identities)
            except BaseException:
                ours.close()
                raise
        libraries, links = visible_libraries(runtime)
        try:
            control.send(ours, {"libraries": libraries, "links": links})
        except OSError as error:
            raise self._failed(error) from error

    def _start(
        self, command: list[str], descriptor: int, staging: Staging, identities: Identities | None
    ) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        if staging.uid is not None:
            options |= {"user": staging.uid, "group": staging.gid, "extra_groups": []}
        options |= {"env": {"PATH": "/usr/bin:/bin"}, "cwd": "/"}
        # Signals of the terminal are for the supervisor: Ctrl-C ends no running call.
        options |= {"start_new_session": True}
        bubblewrap, *rest = command
        if identities is None:
            own = ["--uid", str(SANDBOX_UID), "--gid", str(SANDBOX_UID)]
            with as_victim():
                return subprocess.Popen(
                    [bubblewrap, *own, *rest], pass_fds=(descriptor,), **options
                )
        own = ["--uid", "0", "--gid", "0"]
        info_read, info_write = os.pipe2(os.O_CLOEXEC)
        block_read, block_write = os.pipe2(os.O_CLOEXEC)
        own += ["--info-fd", str(info_write), "--userns-block-fd", str(block_read)]
        passed = (descriptor, info_write, block_read)
        try:
            with as_victim():
                process = subprocess.Popen([bubblewrap, *own, *rest], pass_fds=passed, **options)
            os.close(info_write)
            info_write = -1
            try:
                creator = (staging.uid, staging.gid)
                if staging.uid is None or staging.gid is None:
                    creator = (os.geteuid(), os.getegid())
                child = _child_of(info_read)
                self._first = os.pidfd_open(child)
                identities.map_into(child, creator)  # type: ignore[arg-type]
                os.write(block_write, b"1")
            except BaseException:
                self._end(process)
                raise
        finally:
            for end in (info_read, info_write, block_read, block_write):
                if end >= 0:
                    os.close(end)
        return process

    def _failed(self, error: Exception) -> ProtectionMissingError:
        self.close()
        return ProtectionMissingError(
            f"The sandbox for Python {self.runtime.minor} does not start: {error}",
            next_step="Run `casemate doctor`, which tries every protection by itself.",
        )

    def finish(self) -> None:
        """Wait until it is warm. Raises ProtectionMissingError."""
        try:
            message, _ = control.receive(self.sock)
            abi = message.get("landlock_abi") if message else None
            if message is None or not isinstance(abi, int):
                raise BaseZygoteError("bubblewrap or the interpreter ended before it was ready")
            self.landlock_abi = abi
            self.private_files = message.get("private_files") is True
            self.sock.settimeout(START_SECONDS)
            self.ready = True
            self._forget_first()
        except (OSError, BaseZygoteError) as error:
            raise self._failed(error) from error

    def _ask(
        self, message: dict[str, object], descriptors: list[int], expected: str, count: int
    ) -> tuple[dict[str, object], list[int]]:
        try:
            control.send(self.sock, message, descriptors)
            reply, received = control.receive(self.sock)
            if self._asked and reply is not None and reply.get("ev") == "pong":
                self._quiet, self._asked = 0.0, False
                reply, received = control.receive(self.sock)
            self.sock.settimeout(_REPLY_SECONDS)
        except OSError as error:
            # Whatever it says later would be the answer to another question.
            self.process.kill()
            raise self._lost(error) from error
        if reply is None or reply.get("ev") != expected or len(received) != count:
            for descriptor in received:
                os.close(descriptor)
            if reply is None:
                raise BaseZygoteLostError("the base zygote is gone")
            raise BaseZygoteError(str(reply.get("error")))
        return reply, received

    def _lost(self, error: OSError) -> BaseZygoteLostError:
        if not isinstance(error, TimeoutError):
            return BaseZygoteLostError(f"the base zygote does not answer: {error}")
        return BaseZygoteLostError(
            f"the base zygote has not answered within {self.sock.gettimeout():g} s.",
            next_step="Look what else runs: on a machine, or in a control group, that has too "
            "little processor time it takes longer. Then start again; CASEMATE_DEBUG=1 shows where "
            "it failed.",
        )

    def blank(self, sock: socket.socket, devices: str | None) -> None:
        """Fork a blank zygote that listens on `sock`; `devices` names the folder of its own."""
        self._ask({"op": "blank", "devices": devices}, [sock.fileno()], "blank", 0)

    def tmpfs(self, size: int, count: int) -> list[int]:
        """Return descriptors of new detached tmpfs mounts of `size` bytes."""
        inodes = max(256, size // 4096)
        message: dict[str, object] = {"op": "tmpfs", "size": size, "inodes": inodes}
        return self._ask(message | {"count": count}, [], "tmpfs", count)[1]

    def bundle(self, digest: str) -> int:
        """Return a descriptor of a detached read-only mount of a bundle."""
        return self._ask({"op": "bundle", "digest": digest}, [], "bundle", 1)[1][0]

    def dependencies(self, digest: str) -> int:
        """Return a descriptor of a detached read-only mount of a bundle's dependencies."""
        return self._ask({"op": "dependencies", "digest": digest}, [], "dependencies", 1)[1][0]

    def attach(self, process: int, bundle: int) -> None:
        """Mount a detached bundle in a zygote that has no right to do so, which a pidfd is of."""
        self._ask({"op": "attach"}, [process, bundle], "attach", 0)

    def lost(self, seconds: float = 0.0) -> bool:
        """Tell whether it has ended; wait so long for its end, which follows that of its socket."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def hung_up(self) -> bool:
        """Tell whether its socket is closed, on whichever side; never waits for its end."""
        if self.sock.fileno() < 0:
            return True  # it was let go of before what was forked from it was read
        poll = select.poll()
        poll.register(self.sock, 0)
        return any(event & select.POLLHUP for _, event in poll.poll(0))

    def hangs(self, elapsed: float) -> bool:
        """Return whether it did not answer for too long, `elapsed` seconds after the last call.

        Never waits: it is asked in one call, and a later one looks for the answer.
        """
        self._quiet += elapsed
        if not self._asked:
            if self._quiet >= _PING_SECONDS:
                with contextlib.suppress(OSError):  # gone: its end is seen elsewhere
                    control.send(self.sock, {"op": "ping"})
                self._quiet, self._asked = 0.0, True
            return False
        try:
            self.sock.setblocking(False)
            control.receive(self.sock)
            self._quiet, self._asked = 0.0, False
        except OSError:
            return self._quiet > _HANG_SECONDS
        finally:
            self.sock.settimeout(_REPLY_SECONDS)
        return False

    def close(self) -> None:
        """End it, and with it every zygote it made."""
        self.sock.close()
        self._end(self.process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        if self._first >= 0:
            # It may still wait for its parent by an eventfd that it holds itself: for ever. Whom
            # this may not signal has other ids by now, is past that, and ends with its parent.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            self._forget_first()
        process.wait()

    def _forget_first(self) -> None:
        if self._first >= 0:
            os.close(self._first)
            self._first = -1


def _child_of(info: int) -> int:
    """Return the pid that bubblewrap tells: its child, which waits for its maps. Raises."""
    told = b""
    while b"}" not in told and len(told) < _INFO_BYTES:
        data = os.read(info, _INFO_BYTES)
        if not data:
            break
        told += data
    try:
        return int(json.loads(told)["child-pid"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProtectionMissingError(
            "bubblewrap could not make a user namespace.",
            next_step="Run `casemate doctor`, which tries every protection by itself.",
        ) from error
