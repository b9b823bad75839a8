"""Starts a base zygote in bubblewrap and asks it for blank zygotes and detached mounts."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from casemate.child.memory import as_victim
from casemate.model.errors import ProtectionMissingError, UnavailableError
from casemate.model.runtime import Runtime
from casemate.runner import control
from casemate.sandbox.staging import Staging

SANDBOX_UID = 65534
"""The uid that functions see; on the host it is the unprivileged uid the supervisor chose."""
_START_SECONDS = 20.0
_REPLY_SECONDS = 3.0
"""What is asked for takes microseconds; one that takes longer hangs and is ended."""
_PING_SECONDS = 2.0
_BOOT = (
    "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '/casemate'); "
    "from runner.base import main; main(int(sys.argv[1]))"
)


class BaseZygoteError(UnavailableError):
    """The base zygote could not do what it was asked."""


def _existing(*paths: str) -> list[str]:
    return [p for p in paths if Path(p).is_dir() and not Path(p).is_symlink()]


def visible_libraries(runtime: Runtime) -> tuple[list[str], dict[str, str]]:
    """Return the folders of the host that functions can read, and the links beside them."""
    libraries = _existing("/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
    prefix = str(Path(runtime.prefix) / "lib")
    if not prefix.startswith("/usr/lib") and prefix not in libraries:
        libraries.append(prefix)
    links = {}
    for name in ("/lib", "/lib64"):
        if Path(name).is_symlink():
            links[name] = os.readlink(name)  # noqa: PTH115
        elif Path(name).is_dir():
            libraries.append(name)
    return libraries, links


def _command(runtime: Runtime, staging: Staging, descriptor: int) -> list[str]:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        raise ProtectionMissingError(
            "bubblewrap (bwrap) is not installed.", next_step="apt-get install bubblewrap"
        )
    _, links = visible_libraries(runtime)
    command = [bubblewrap, "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-net", "--unshare-cgroup-try", "--die-with-parent", "--new-session"]
    command += ["--uid", str(SANDBOX_UID), "--gid", str(SANDBOX_UID), "--cap-add", "ALL"]
    command += ["--clearenv", "--setenv", "LANG", "C.UTF-8", "--hostname", "function"]
    command += ["--ro-bind", "/usr", "/usr"]
    for path in ("/lib", "/lib64", "/bin"):
        if path in links or Path(path).is_symlink():
            command += ["--symlink", os.readlink(path), path]  # noqa: PTH115
        elif Path(path).is_dir():
            command += ["--ro-bind", path, path]
    if not runtime.executable.startswith("/usr/"):
        command += ["--ro-bind", staging.visible(runtime.prefix), runtime.prefix]
    command += ["--ro-bind", staging.visible(staging.runner), "/casemate/runner"]
    command += ["--ro-bind", staging.visible(staging.bundles), "/bundles"]
    command += ["--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/"]  # noqa: S108
    command += ["--", runtime.executable, "-I", "-S", "-B", "-c", _BOOT, str(descriptor)]
    return command


class BaseProcess:
    """The base zygote of one interpreter. Requests are synchronous and take microseconds."""

    def __init__(self, runtime: Runtime, staging: Staging) -> None:
        """Start it and wait until it is warm. Raises ProtectionMissingError."""
        self.runtime = runtime
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_START_SECONDS)
        with theirs:
            identity: dict[str, Any] = {}
            if staging.uid is not None:
                identity = {"user": staging.uid, "group": staging.gid, "extra_groups": []}
            with as_victim():
                self.process = subprocess.Popen(
                    _command(runtime, staging, theirs.fileno()),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    env={"PATH": "/usr/bin:/bin"},
                    cwd="/",
                    # Signals of the terminal are for the supervisor: Ctrl-C ends no running call.
                    start_new_session=True,
                    **identity,
                )
        self.sock = ours
        self._quiet = 0.0
        """Seconds since it was asked whether it works, or since it said so."""
        self._asked = False
        libraries, links = visible_libraries(runtime)
        try:
            control.send(ours, {"libraries": libraries, "links": links})
            self.landlock_abi = self._landlock_abi()
            ours.settimeout(_REPLY_SECONDS)
        except (OSError, BaseZygoteError) as error:
            self.close()
            raise ProtectionMissingError(
                f"The sandbox for Python {runtime.minor} does not start: {error}",
                next_step="run `casemate doctor`, which tries every protection by itself",
            ) from error

    def _landlock_abi(self) -> int:
        message, _ = control.receive(self.sock)
        abi = message.get("landlock_abi") if message else None
        if not isinstance(abi, int):
            raise BaseZygoteError("bubblewrap or the interpreter ended before it was ready")
        return abi

    def _ask(
        self, message: dict[str, object], descriptors: list[int], expected: str, count: int
    ) -> tuple[dict[str, object], list[int]]:
        try:
            control.send(self.sock, message, descriptors)
            reply, received = control.receive(self.sock)
            if self._asked and reply is not None and reply.get("ev") == "pong":
                self._quiet, self._asked = 0.0, False
                reply, received = control.receive(self.sock)
        except OSError as error:
            # Whatever it says later would be the answer to another question.
            self.process.kill()
            raise BaseZygoteError(f"the base zygote does not answer: {error}") from error
        if reply is None or reply.get("ev") != expected or len(received) != count:
            for descriptor in received:
                os.close(descriptor)
            raise BaseZygoteError(str(reply.get("error") if reply else "the base zygote is gone"))
        return reply, received

    def blank(self, sock: socket.socket) -> None:
        """Fork a blank zygote that listens on `sock`."""
        self._ask({"op": "blank"}, [sock.fileno()], "blank", 0)

    def tmpfs(self, size: int, count: int) -> list[int]:
        """Return descriptors of new detached tmpfs mounts of `size` bytes."""
        inodes = max(256, size // 4096)
        message: dict[str, object] = {"op": "tmpfs", "size": size, "inodes": inodes}
        return self._ask(message | {"count": count}, [], "tmpfs", count)[1]

    def bundle(self, digest: str) -> int:
        """Return a descriptor of a detached read-only mount of a bundle."""
        return self._ask({"op": "bundle", "digest": digest}, [], "bundle", 1)[1][0]

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
            return self._quiet > _REPLY_SECONDS
        finally:
            self.sock.settimeout(_REPLY_SECONDS)
        return False

    def close(self) -> None:
        """End it, and with it every zygote it made."""
        self.sock.close()
        self.process.kill()
        self.process.wait()
