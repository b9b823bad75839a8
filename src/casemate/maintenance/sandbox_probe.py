"""A function that tries what it must not be able to do, in a sandbox as in production."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from casemate.egress.interface import NoEgress
from casemate.kernel import linux, machines
from casemate.maintenance.finding import Finding, missing
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.function import FunctionSpec, Limits
from casemate.model.processes import SANDBOX_UID
from casemate.model.runtime import Runtime
from casemate.sandbox.cgroups import open_driver
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.frames import Output, Reply
from casemate.sandbox.identities import Identities
from casemate.sandbox.instance import Instance
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygotes import Zygotes
from casemate.supervisor.function_ids import function_ids
from casemate.supervisor.host import offered_interpreters
from casemate.supervisor.sandboxes import Sandboxes

_DIGEST = "0" * 64
_DEPENDENCY = "probed_ahead.py"
_PROBE = """
import ctypes, fcntl, os, socket
import probed_ahead

def _refused(call, *args):
    try:
        call(*args)
    except OSError:
        return True
    return False

def _lock(path):
    fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)

LOCKED = "@LOCKED@"

def _fork_is_bounded():
    children = []
    try:
        for _ in range(8):
            pid = os.fork()
            if pid == 0:
                os.read(reading, 1)
                os._exit(0)
            children.append(pid)
        return False
    except OSError:
        return True
    finally:
        os.close(writing)

reading = writing = -1

def handler(event, context):
    global reading, writing
    reading, writing = os.pipe()
    libc = ctypes.CDLL(None, use_errno=True)
    network = socket.socket()
    network.settimeout(0.2)
    return {
        "files": _refused(open, "/etc/passwd") and _refused(os.listdir, "/proc"),
        "read-only": _refused(open, "/function/code/x", "w"),
        "network": _refused(network.connect, ("127.0.0.1", 1)) and _refused(socket.socket, 1),
        "system calls": libc.syscall(@PTRACE@, 0, 0, 0, 0) == -1 and libc.unshare(0x10000000) == -1,
        "programs": _refused(os.execv, "/usr/bin/true", ["true"]),
        "own processes": os.getpid() == 1 and _fork_is_bounded(),
        "own inodes": not _refused(_lock, LOCKED),
        "own devices": not _refused(_lock, "/dev/null"),
        "private /tmp": os.listdir("/tmp") == [] and os.statvfs("/tmp").f_blocks < 1024,
    }
"""
_MEANINGS = {
    "files": "an instance sees no file of the host",
    "read-only": "an instance cannot change its own code",
    "network": "an instance has no network",
    "system calls": "ptrace and new namespaces are refused",
    "programs": "an instance starts no program",
    "own processes": "an instance sees and starts only its own, limited processes",
    "own inodes": "locks on files of the host meet nobody else's",
    "own devices": "locks on /dev/null and the like meet nobody else's",
    "private /tmp": "an instance has an empty /tmp of limited size",
}


_OPTIONAL = {"own devices": "only root makes devices: run the node as root, with CAP_MKNOD"}
"""Protections that not every host can have, with what brings them. A node starts without them."""
_LEFT = {"own devices": "functions can see each other's locks on /dev/null and the like"}


class _Probe:
    """The probe's bundle is where the supervisor finds it for as long as the probe runs."""

    async def acquire(self, digest: str) -> None:
        """Do nothing."""

    async def require_whole(self, digest: str) -> None:
        """Do nothing."""

    async def is_ours(self, version: Version) -> None:
        """Let it pass: nobody deployed it."""

    def release(self, digest: str) -> None:
        """Do nothing."""

    def size(self, digest: str) -> int:
        """Count nothing: it is called once."""
        return 0


async def _invoke_probe(gateway: socket.socket, minor: str) -> tuple[Reply, bool, str]:
    """Return what a function says of its sandbox, and whether its denied calls are heard of.

    And what keeps dependencies from being imported ahead; empty if they are.
    """
    loop = asyncio.get_running_loop()
    limits = Limits(memory=64 << 20, processes=4, tmp=1 << 20)
    spec = FunctionSpec(name="probe", handler="probe:handler", python=minor, limits=limits)
    version = Version(
        project="casemate",
        function="probe",
        number=1,
        digest=_DIGEST,
        spec=spec,
        created_at=time.time(),
        created_by="doctor",
    )
    probe = _Probe()
    client = SandboxClient(
        gateway,
        loop,
        zygotes=Zygotes(loop),
        bundles=probe,
        require=probe.is_ours,
        egress=NoEgress(),
        on_denied_call=lambda *_: None,
        on_filter_kill=lambda *_: None,
        dependencies=lambda _: "those of the probe",
    )
    zygote = await client.open(version)
    ready: asyncio.Future[Instance] = loop.create_future()

    def failed(_: Instance) -> None:
        ready.set_exception(CasemateError("the probe's instance did not become ready"))

    zygote.spawn(ready.set_result, failed)
    instance = await asyncio.wait_for(ready, 5)
    head = msgspec.json.encode(
        {"id": "doctor", "deadline": time.time() + 5, "http": False, "version": "1"}
    )
    reply = await asyncio.wait_for(instance.invoke(head, b"null", Output(65536)), 5)
    zygote.close()
    return reply, client.hears_denied_calls, await _import_ahead(client, version)


async def _import_ahead(client: SandboxClient, version: Version) -> str:
    """Return what keeps a zygote from importing dependencies before it is a function's."""
    wanted = client.ahead.wanted(version)
    if wanted is None:
        return "the probe has no dependencies"
    try:
        await client.ahead.prepare(wanted, seconds=5)
        zygote = await client.open(version)
    except (OSError, CasemateError) as error:
        return str(error)
    zygote.close()
    return "" if zygote.ahead is not None else "a bundle cannot be mounted from outside"


def _own_ids(wanted: str | None) -> Identities | None:
    """Return ids for the probe; None where functions would share one, which was told before."""
    try:
        return Identities(function_ids(wanted))
    except CasemateError:
        return None


@contextlib.contextmanager
def _sandboxes(runtime: Runtime, cgroups: bool, ids: str | None) -> Iterator[socket.socket]:
    uid = SANDBOX_UID if os.geteuid() == 0 else None
    staging = Staging(uid, uid, f"doctor-{os.getpid()}")
    locked = Path(runtime.prefix) / "lib" / f"python{runtime.minor}" / "os.py"
    _write_probe(Path(staging.bundles), locked)
    sandboxes = Sandboxes(
        runtimes={runtime.minor: runtime},
        staging=staging,
        cgroups=open_driver(f"casemate-doctor-{os.getpid()}") if cgroups else None,
        landlock=linux.landlock_abi() > 0,
        identities=_own_ids(ids),
        shared_files=True,
        report=lambda _: None,
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=sandboxes.run, args=(theirs,), daemon=True)
    try:
        thread.start()
        with locked.open("rb") as file, open(os.devnull, "rb") as device:  # noqa: PTH123
            # The probe tries to get the same locks.
            for one in (file, device):
                with contextlib.suppress(BlockingIOError):  # somebody else has the lock: as good
                    fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield ours
    finally:
        ours.close()
        thread.join(5)
        theirs.close()
        sandboxes.close()
        staging.close()


def _write_probe(bundles: Path, locked: Path) -> None:
    code = bundles / _DIGEST / "code"
    code.mkdir(parents=True)
    (code.parent / "deps").mkdir()
    ptrace = str(machines.current().calls["ptrace"])
    probe = _PROBE.replace("@LOCKED@", str(locked)).replace("@PTRACE@", ptrace)
    (code / "probe.py").write_text(probe)
    dependency = code.parent / "deps" / _DEPENDENCY
    dependency.write_text("")
    # Whatever the umask is: functions are others.
    for path in (bundles, code.parent, code, code / "probe.py", dependency.parent, dependency):
        path.chmod(0o755)


def try_sandbox(cgroups: bool, ids: str | None) -> list[Finding]:
    """Run a function that tries what it must not be able to do, in a sandbox as in production."""
    try:
        interpreter = offered_interpreters(())[-1]
        runtime = Runtime(
            minor=interpreter.minor,
            executable=str(interpreter.path),
            prefix=str(interpreter.prefix),
        )
        with _sandboxes(runtime, cgroups, ids) as gateway:
            reply, hears, problem = asyncio.run(_invoke_probe(gateway, runtime.minor))
    except (CasemateError, OSError, TimeoutError) as error:
        return [missing("sandbox", error)]
    if reply.message or not reply.body:
        detail = f"{reply.outcome}: {reply.type}: {reply.message}"
        return [Finding(name="sandbox", holds=False, detail=detail)]
    tried: dict[str, bool] = msgspec.json.decode(reply.body, type=dict[str, bool])
    return [
        Finding(
            name=name,
            holds=tried.get(name, False),
            detail=meaning if tried.get(name, False) else _LEFT.get(name, meaning),
            next_step="" if tried.get(name, False) else _OPTIONAL.get(name, ""),
            required=name not in _OPTIONAL,
        )
        for name, meaning in _MEANINGS.items()
    ] + [_records(hears), _ahead(problem)]


def _ahead(problem: str) -> Finding:
    """Tell whether dependencies can be imported ahead; without it first calls import them."""
    return Finding(
        name="dependencies ahead",
        holds=not problem,
        detail=f"each function imports its dependencies by itself: {problem}"
        if problem
        else "dependencies are imported ahead of first calls",
        next_step="Use Linux 5.11 or newer." if problem else "",
        required=False,
    )


def _records(hears: bool) -> Finding:
    """Tell whether system calls that a filter refuses are recorded; they are refused either way."""
    return Finding(
        name="denied calls",
        holds=hears,
        detail="system calls that are refused are recorded"
        if hears
        else "system calls are refused, but not recorded",
        next_step=""
        if hears
        else "Run the node outside anything that has a listener on its system calls (a container's "
        "supervisor, for example), on Linux 5.7 or later.",
    )
