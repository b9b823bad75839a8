"""What a host has of what a node needs, one by one."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any

from casemate.kernel import linux, machines
from casemate.maintenance.finding import Finding, missing
from casemate.model.caps import Caps
from casemate.model.errors import CasemateError
from casemate.model.processes import SANDBOX_UID
from casemate.restorer.probe import restoring_problem
from casemate.sandbox.cgroups import open_driver
from casemate.supervisor.function_ids import function_ids
from casemate.supervisor.host import (
    NEEDED_FILES,
    host_memory,
    kept_memory,
    offered_interpreters,
    resting_memory,
)

SHARED_UID_HAZARDS = (
    "What then remains: a function with many descriptors in flight stops all others from being "
    "started, called or deployed, and pending signals, pipe memory and epoll watches of one "
    "function count against all."
)
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


def _architecture() -> Finding:
    detail = f"{platform.system()} {platform.release()} on {platform.machine()}"
    try:
        machine = machines.current()
    except machines.UnknownMachineError:
        known = " or ".join(machine.name for machine in machines.MACHINES)
        next_step = f"The system-call filter exists for Linux on {known} only."
        return Finding(name="platform", holds=False, detail=detail, next_step=next_step)
    if machine is not machines.X86_64:
        detail += ", where the filters were never run, only evaluated by tests"
    return Finding(name="platform", holds=True, detail=detail)


def _pythons() -> Finding:
    try:
        found = offered_interpreters(())
    except CasemateError as error:
        return missing("pythons", error)
    parts = [f"{i.version} (until {i.end_of_life:%Y-%m})" for i in found]
    return Finding(name="pythons", holds=True, detail=", ".join(parts))


def _bubblewrap() -> Finding:
    path = shutil.which("bwrap")
    if path is None:
        return Finding(
            name="bubblewrap",
            holds=False,
            detail="bwrap is not installed",
            next_step="Run: apt-get install bubblewrap",
        )
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return Finding(name="bubblewrap", holds=True, detail=shown.stdout.strip())


def _user_namespaces() -> Finding:
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        identity = {"user": SANDBOX_UID, "group": SANDBOX_UID, "extra_groups": []}
    try:
        tried = subprocess.run(
            # Itself, as the one program that is there for sure.
            ["bwrap", "--unshare-user", "--ro-bind", "/", "/", "bwrap", "--version"],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **identity,
        )
    except OSError as error:
        return missing("user namespaces", error)
    if tried.returncode == 0:
        return Finding(name="user namespaces", holds=True, detail="an ordinary user can make them")
    next_step = "Run: sysctl -w user.max_user_namespaces=65536 kernel.unprivileged_userns_clone=1"
    if _APPARMOR.exists() and _APPARMOR.read_text().strip() == "1":
        next_step = "Allow it for bwrap by an AppArmor profile; see docs/howto/run-a-node.md"
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
        next_step="" if abi else "Boot with lsm=landlock,... or serve with --accept-risk landlock.",
    )


def _cgroups() -> Finding:
    try:
        driver = open_driver(f"casemate-doctor-{os.getpid()}")
        driver.remove("")
    except (CasemateError, OSError) as error:
        return missing("cgroups", error)
    kind = type(driver).__name__.removesuffix("Driver").lower()
    return Finding(name="cgroups", holds=True, detail=f"memory, cpu and pids ({kind} hierarchy)")


def _function_ids(wanted: str | None) -> Finding:
    try:
        ids = function_ids(wanted)
    except CasemateError as error:
        found = missing("own user ids", error)
        detail = f"{found.detail} {SHARED_UID_HAZARDS}"
        return Finding(name=found.name, holds=False, detail=detail, next_step=found.next_step)
    last = ids.uid + ids.count - 1
    detail = f"each function zygote has one of {ids.uid} to {last}"
    return Finding(name="own user ids", holds=True, detail=detail)


def _open_files() -> Finding:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    enough = unlimited or hard >= NEEDED_FILES
    limit = "any number" if unlimited else str(hard)
    return Finding(
        name="open files",
        holds=enough,
        detail=f"a process may have {limit} open; a node needs {NEEDED_FILES}",
        next_step=""
        if enough
        else f"Run `ulimit -n {NEEDED_FILES}`, or set LimitNOFILE= in its unit.",
    )


def _memory() -> Finding:
    total = host_memory()
    caps = Caps.of_host(total)
    return Finding(
        name="memory",
        holds=True,
        detail=f"{total >> 20} MB; all functions together get {total - kept_memory(total) >> 20} "
        f"MB, an instance at most {caps.memory >> 20} MB and {caps.tmp >> 20} MB in /tmp, a "
        f"function at most {caps.concurrency} instances; at most {caps.warm} instances are kept "
        f"ready (limits.warm), and what is at rest holds at most {resting_memory(total) >> 20} MB",
    )


def _restoring() -> Finding:
    problem = restoring_problem()
    detail = problem or "the process of a call is restored for the next one"
    next_step = "Nothing needs to be done: each call has a fork of its own" if problem else ""
    return Finding(
        name="restoring", holds=not problem, detail=detail, next_step=next_step, required=False
    )


def probe_host(wanted_ids: str | None) -> list[Finding]:
    """Try each, in the order in which they build on each other; with the ids that are wanted."""
    first = [_architecture, _pythons, _bubblewrap, _user_namespaces, _landlock, _cgroups]
    findings = [probe() for probe in first]
    findings.append(_function_ids(wanted_ids))
    return [*findings, _open_files(), _memory(), _restoring()]
