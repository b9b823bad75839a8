"""`casemate doctor`: tries every protection on this host, one by one and then all together."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import platform
import resource
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from casemate.egress.interface import NoEgress
from casemate.model.caps import Caps
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError
from casemate.model.function import FunctionSpec, Limits
from casemate.model.processes import SANDBOX_UID
from casemate.model.runtime import Runtime
from casemate.runner import linux
from casemate.sandbox.cgroups import open_driver
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.identities import Identities
from casemate.sandbox.instance import Instance, Output, Reply
from casemate.sandbox.staging import Staging
from casemate.sandbox.zygotes import Zygotes
from casemate.supervisor.function_ids import function_ids
from casemate.supervisor.host import NEEDED_FILES, host_memory, kept_memory, offered_interpreters
from casemate.supervisor.sandboxes import Sandboxes

_DIGEST = "0" * 64
SHARED_UID_HAZARDS = (
    "What is left then: a function with many descriptors in flight keeps all others from being "
    "started, called or deployed, and pending signals, pipe memory and epoll watches of one "
    "function count against all."
)
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")

_PROBE = """
import ctypes, fcntl, os, socket

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
        "system calls": libc.syscall(101, 0, 0, 0, 0) == -1 and libc.unshare(0x10000000) == -1,
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


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One protection as it was found."""

    name: str
    holds: bool
    detail: str
    next_step: str = ""
    required: bool = True
    """False if a node starts without it; what is left open then is in SECURITY.md."""


def _architecture() -> Finding:
    machine = platform.machine()
    holds = platform.system() == "Linux" and machine == "x86_64"
    return Finding(
        name="platform",
        holds=holds,
        detail=f"{platform.system()} {platform.release()} on {machine}",
        next_step="" if holds else "the system-call filter is made for Linux on x86_64 only",
    )


def _pythons() -> Finding:
    try:
        found = offered_interpreters(())
    except CasemateError as error:
        return _missing("pythons", error)
    parts = [f"{i.version} (until {i.end_of_life:%Y-%m})" for i in found]
    return Finding(name="pythons", holds=True, detail=", ".join(parts))


def _missing(name: str, error: Exception) -> Finding:
    next_step = error.next_step if isinstance(error, CasemateError) else None
    message = error.message if isinstance(error, CasemateError) else str(error)
    return Finding(name=name, holds=False, detail=message, next_step=next_step or "")


def _bubblewrap() -> Finding:
    path = shutil.which("bwrap")
    if path is None:
        return Finding(
            name="bubblewrap",
            holds=False,
            detail="bwrap is not installed",
            next_step="apt-get install bubblewrap",
        )
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return Finding(name="bubblewrap", holds=True, detail=shown.stdout.strip())


def _user_namespaces() -> Finding:
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        identity = {"user": SANDBOX_UID, "group": SANDBOX_UID, "extra_groups": []}
    try:
        tried = subprocess.run(
            ["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **identity,
        )
    except OSError as error:
        return _missing("user namespaces", error)
    if tried.returncode == 0:
        return Finding(name="user namespaces", holds=True, detail="an ordinary user can make them")
    next_step = "sysctl -w user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1"
    if _APPARMOR.exists() and _APPARMOR.read_text().strip() == "1":
        next_step = "allow it for bwrap by an AppArmor profile; see docs/howto/run-a-node.md"
    return Finding(
        name="user namespaces", holds=False, detail=tried.stderr.strip()[:200], next_step=next_step
    )


def _landlock() -> Finding:
    abi = linux.landlock_abi()
    covers = ["files"] + (["network"] if abi >= 4 else []) + (["signals"] if abi >= 6 else [])
    return Finding(
        name="landlock",
        holds=abi > 0,
        detail=f"ABI {abi}: {', '.join(covers)}" if abi else "the kernel has none",
        next_step="" if abi else "boot with lsm=landlock,... or serve with --accept-risk landlock",
    )


def _cgroups() -> Finding:
    try:
        driver = open_driver(f"casemate-doctor-{os.getpid()}")
        driver.remove("")
    except (CasemateError, OSError) as error:
        return _missing("cgroups", error)
    kind = type(driver).__name__.removesuffix("Driver").lower()
    return Finding(name="cgroups", holds=True, detail=f"memory, cpu and pids ({kind} hierarchy)")


class _Probe:
    """The probe's bundle is where the supervisor finds it for as long as the probe runs."""

    async def acquire(self, digest: str) -> None:
        """Do nothing."""

    def release(self, digest: str) -> None:
        """Do nothing."""


async def _invoke_probe(gateway: socket.socket, minor: str) -> tuple[Reply, bool]:
    """Return what a function says of its sandbox, and whether its denied calls are heard of."""
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
    client = SandboxClient(
        gateway,
        loop,
        zygotes=Zygotes(loop),
        bundles=_Probe(),
        egress=NoEgress(),
        on_denied_call=lambda *_: None,
        on_filter_kill=lambda *_: None,
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
    return reply, client.hears_denied_calls


def _function_ids() -> Finding:
    try:
        ids = function_ids(None)
    except CasemateError as error:
        found = _missing("own user ids", error)
        detail = f"{found.detail} {SHARED_UID_HAZARDS}"
        return Finding(name=found.name, holds=False, detail=detail, next_step=found.next_step)
    last = ids.uid + ids.count - 1
    detail = f"each function zygote has one of {ids.uid} to {last}"
    return Finding(name="own user ids", holds=True, detail=detail)


def _own_ids() -> Identities | None:
    """Return ids for the probe; None where functions would share one, which was told before."""
    try:
        return Identities(function_ids(None))
    except CasemateError:
        return None


@contextlib.contextmanager
def _supervisor(runtime: Runtime, cgroups: bool) -> Iterator[socket.socket]:
    uid = SANDBOX_UID if os.geteuid() == 0 else None
    staging = Staging(uid, uid, f"doctor-{os.getpid()}")
    locked = Path(runtime.prefix) / "lib" / f"python{runtime.minor}" / "os.py"
    _write_probe(Path(staging.bundles), locked)
    supervisor = Sandboxes(
        runtimes={runtime.minor: runtime},
        staging=staging,
        cgroups=open_driver(f"casemate-doctor-{os.getpid()}") if cgroups else None,
        landlock=linux.landlock_abi() > 0,
        identities=_own_ids(),
        shared_files=True,
        report=lambda _: None,
    )
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    thread = threading.Thread(target=supervisor.run, args=(theirs,), daemon=True)
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
        supervisor.close()
        staging.close()


def _open_files() -> Finding:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = hard == resource.RLIM_INFINITY or hard >= NEEDED_FILES
    return Finding(
        name="open files",
        holds=enough,
        detail=f"{hard} for a process, needed are {NEEDED_FILES}",
        next_step="" if enough else f"ulimit -n {NEEDED_FILES}, or LimitNOFILE= in its unit",
    )


def _memory() -> Finding:
    total = host_memory()
    caps = Caps.of_host(total)
    return Finding(
        name="memory",
        holds=True,
        detail=f"{total >> 20} MB; all functions together get {total - kept_memory(total) >> 20} "
        f"MB, an instance at most {caps.memory >> 20} MB and {caps.tmp >> 20} MB in /tmp, a "
        f"function at most {caps.concurrency} instances",
    )


def _write_probe(bundles: Path, locked: Path) -> None:
    code = bundles / _DIGEST / "code"
    code.mkdir(parents=True)
    (code.parent / "deps").mkdir()
    (code / "probe.py").write_text(_PROBE.replace("@LOCKED@", str(locked)))
    # Whatever the umask is: functions are others.
    for path in (bundles, code.parent, code, code / "probe.py", code.parent / "deps"):
        path.chmod(0o755)


def _sandbox(cgroups: bool) -> list[Finding]:
    """Run a function that tries what it must not be able to do, in a sandbox as in production."""
    try:
        interpreter = offered_interpreters(())[-1]
        runtime = Runtime(
            minor=interpreter.minor,
            executable=str(interpreter.path),
            prefix=str(interpreter.prefix),
        )
        with _supervisor(runtime, cgroups) as gateway:
            reply, hears = asyncio.run(_invoke_probe(gateway, runtime.minor))
    except (CasemateError, OSError, TimeoutError) as error:
        return [_missing("sandbox", error)]
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
    ] + [_records(hears)]


def _records(hears: bool) -> Finding:
    """Tell whether system calls that a filter refuses are recorded; they are refused either way."""
    return Finding(
        name="denied calls",
        holds=hears,
        detail="system calls that are refused are recorded"
        if hears
        else "system calls are refused, and nobody hears of it",
        next_step=""
        if hears
        else "run the node outside of what has a listener on its system calls (a container's "
        "supervisor, for example), on Linux 5.7 or later",
    )


def examine() -> list[Finding]:
    """Try everything; one finding for each protection, in the order they build on each other."""
    steps: tuple[Callable[[], Finding], ...] = (
        _architecture,
        _pythons,
        _bubblewrap,
        _user_namespaces,
        _landlock,
        _cgroups,
        _function_ids,
        _open_files,
        _memory,
    )
    findings = [step() for step in steps]
    by_name = {finding.name: finding.holds for finding in findings}
    if by_name["bubblewrap"] and by_name["user namespaces"] and by_name["platform"]:
        findings += _sandbox(by_name["cgroups"])
    return findings
