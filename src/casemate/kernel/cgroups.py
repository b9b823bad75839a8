"""Control groups: the limits on memory, CPU and processes, and the sure death of an instance.

A zygote has one group with a row of slots below it. A slot holds one instance at a time. The
zygote itself is moved into a free slot *before* it forks, so an instance is born inside its
limits: moving a process costs a grace period of the kernel (some milliseconds when idle), being
born in a group costs nothing. Two drivers, chosen by what the host offers: `UnifiedDriver`
(cgroup v2) and `LegacyDriver` (v1 controllers, with the v2 hierarchy for `cgroup.kill` if there
is one). See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

CONTROLLERS = ("memory", "cpu", "pids")
_MOUNTS = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000
_WEIGHT, _LEGACY_SHARES = 100, 1024
"""Of one function; the kernel's defaults."""
_UNPOPULATED = "populated 0"
_NODE_GROUP = re.compile(r"casemate-([1-9][0-9]{0,6})")
"""The group of a node, named by the pid of its supervisor."""


class SlotLimits(NamedTuple):
    """Bytes of memory, cores, and processes (threads included) of one slot."""

    memory: int
    cpu: float
    processes: int


class NoControlGroupError(OSError):
    """No control group with the memory, cpu and pids controllers can be made."""


class Driver(Protocol):
    """One way of keeping groups. Names are relative (`z7/s0`). Raises OSError."""

    def create(self, name: str) -> None:
        """Make a group, and its parent where needed."""
        ...

    def bound(self, memory: int) -> None:
        """Set the bytes that all groups together may hold."""
        ...

    def limit(self, name: str, limits: SlotLimits) -> None:
        """Set a slot's limits."""
        ...

    def weigh(self, name: str, share: float) -> None:
        """Set the weight of a group against its siblings when the CPU is short: 1 is a whole."""
        ...

    def enter(self, name: str, pid: int) -> None:
        """Move a process into a group."""
        ...

    def kill(self, name: str) -> None:
        """Send SIGKILL to all in a slot."""
        ...

    def empty(self, name: str) -> bool:
        """Tell whether nothing lives in a slot."""
        ...

    def members(self, name: str) -> list[int]:
        """Return the processes in a slot."""
        ...

    def memory_used(self, name: str) -> int:
        """Return the bytes charged to a slot."""
        ...

    def memory_peak(self, name: str) -> int:
        """Return the most bytes that were charged to a slot, of all that were in it; 0: unknown."""
        ...

    def cpu_file(self, name: str) -> str:
        """Return the file that tells what a slot has used of the CPU; see `cpu_microseconds`."""
        ...

    def out_of_memory_kills(self, name: str) -> int:
        """Return how often the kernel killed in this slot for want of memory."""
        ...

    def remove(self, name: str) -> None:
        """Remove an empty group with its slots."""
        ...


def cpu_microseconds(text: bytes) -> int | None:
    """Return what a file of `Driver.cpu_file` says: of all that ever ran in the group, whether it
    lives or not; None where it says nothing of it."""
    for line in text.splitlines():
        name, _, value = line.partition(b" ")
        if name == b"usage_usec" and value.isdigit():
            return int(value)
    whole = text.strip()
    return int(whole) // 1000 if whole.isdigit() else None


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 65536).decode()
    finally:
        os.close(descriptor)


def _counter(text: str, key: str) -> int:
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return 0


def _remove_tree(path: str) -> None:
    if not os.path.isdir(path):
        return
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            _remove_tree(entry.path)
    os.rmdir(path)


def _kill_each(path: str) -> None:
    """Kill until the group is empty: for hosts without cgroup.kill (before Linux 5.14)."""
    for _ in range(1000):
        pids = [int(line) for line in _read(f"{path}/cgroup.procs").split()]
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class UnifiedDriver:
    """cgroup v2, in a subtree whose `subtree_control` has all of CONTROLLERS."""

    def __init__(self, root: Path) -> None:
        """Keep groups below `root`, which exists."""
        self._root = str(root)

    def create(self, name: str) -> None:
        """See Driver."""
        group, _, slot = name.partition("/")
        path = f"{self._root}/{group}"
        if not os.path.isdir(path):
            os.mkdir(path)
            _write(f"{path}/cgroup.subtree_control", " ".join(f"+{c}" for c in CONTROLLERS))
        if slot:
            os.mkdir(f"{path}/{slot}")

    def bound(self, memory: int) -> None:
        """See Driver."""
        _write(f"{self._root}/memory.max", str(memory))

    def limit(self, name: str, limits: SlotLimits) -> None:
        """See Driver. Swap is forbidden: what is swapped out would land on disk in clear."""
        path = f"{self._root}/{name}"
        _write(f"{path}/memory.max", str(limits.memory))
        with contextlib.suppress(FileNotFoundError):  # a kernel without swap accounting
            _write(f"{path}/memory.swap.max", "0")
        _write(f"{path}/pids.max", str(limits.processes))
        _write(f"{path}/cpu.max", f"{int(limits.cpu * _PERIOD_US)} {_PERIOD_US}")

    def weigh(self, name: str, share: float) -> None:
        """See Driver."""
        _write(f"{self._root}/{name}/cpu.weight", str(max(1, round(share * _WEIGHT))))

    def enter(self, name: str, pid: int) -> None:
        """See Driver."""
        _write(f"{self._root}/{name}/cgroup.procs", str(pid))

    def kill(self, name: str) -> None:
        """See Driver."""
        try:
            _write(f"{self._root}/{name}/cgroup.kill", "1")
        except FileNotFoundError:
            _kill_each(f"{self._root}/{name}")

    def empty(self, name: str) -> bool:
        """See Driver."""
        return _UNPOPULATED in _read(f"{self._root}/{name}/cgroup.events")

    def members(self, name: str) -> list[int]:
        """See Driver."""
        return [int(pid) for pid in _read(f"{self._root}/{name}/cgroup.procs").split()]

    def memory_used(self, name: str) -> int:
        """See Driver."""
        return int(_read(f"{self._root}/{name}/memory.current"))

    def memory_peak(self, name: str) -> int:
        """See Driver."""
        with contextlib.suppress(FileNotFoundError):  # before Linux 5.19
            return int(_read(f"{self._root}/{name}/memory.peak"))
        return 0

    def cpu_file(self, name: str) -> str:
        """See Driver."""
        return f"{self._root}/{name}/cpu.stat"

    def out_of_memory_kills(self, name: str) -> int:
        """See Driver."""
        return _counter(_read(f"{self._root}/{name}/memory.events"), "oom_kill")

    def remove(self, name: str) -> None:
        """See Driver."""
        _remove_tree(f"{self._root}/{name}")


class LegacyDriver:
    """cgroup v1 controllers, each its own hierarchy, plus an empty v2 one for `cgroup.kill`."""

    def __init__(self, roots: dict[str, Path], unified: Path | None) -> None:
        """Keep groups below each controller's root, and below `unified` if the host has one."""
        self._roots = {controller: str(path) for controller, path in roots.items()}
        self._memory = self._roots["memory"]
        self._unified = str(unified) if unified else None
        self._all = [*self._roots.values(), *([self._unified] if self._unified else [])]

    def create(self, name: str) -> None:
        """See Driver."""
        for root in self._all:
            os.makedirs(f"{root}/{name}", exist_ok=True)

    def bound(self, memory: int) -> None:
        """See Driver."""
        _write(f"{self._memory}/memory.limit_in_bytes", str(memory))

    def limit(self, name: str, limits: SlotLimits) -> None:
        """See Driver."""
        path = f"{self._memory}/{name}/memory"
        # The limit with swap may never be the smaller one: raise it first, set it last.
        with contextlib.suppress(OSError):
            _write(f"{path}.memsw.limit_in_bytes", "-1")
        _write(f"{path}.limit_in_bytes", str(limits.memory))
        with contextlib.suppress(FileNotFoundError):  # a kernel without swap accounting
            _write(f"{path}.memsw.limit_in_bytes", str(limits.memory))
        # Buffers of TCP are counted apart, and not before they have a limit. v2 charges them.
        with contextlib.suppress(OSError):
            _write(f"{path}.kmem.tcp.limit_in_bytes", str(limits.memory))
        _write(f"{self._roots['pids']}/{name}/pids.max", str(limits.processes))
        _write(f"{self._roots['cpu']}/{name}/cpu.cfs_period_us", str(_PERIOD_US))
        _write(f"{self._roots['cpu']}/{name}/cpu.cfs_quota_us", str(int(limits.cpu * _PERIOD_US)))

    def weigh(self, name: str, share: float) -> None:
        """See Driver."""
        shares = max(2, round(share * _LEGACY_SHARES))
        _write(f"{self._roots['cpu']}/{name}/cpu.shares", str(shares))

    def enter(self, name: str, pid: int) -> None:
        """See Driver."""
        for root in self._all:
            _write(f"{root}/{name}/cgroup.procs", str(pid))

    def kill(self, name: str) -> None:
        """See Driver."""
        if self._unified:
            try:
                _write(f"{self._unified}/{name}/cgroup.kill", "1")
            except FileNotFoundError:
                _kill_each(f"{self._memory}/{name}")
        else:
            _kill_each(f"{self._memory}/{name}")

    def empty(self, name: str) -> bool:
        """See Driver."""
        return not _read(f"{self._memory}/{name}/cgroup.procs")

    def members(self, name: str) -> list[int]:
        """See Driver."""
        return [int(pid) for pid in _read(f"{self._memory}/{name}/cgroup.procs").split()]

    def memory_used(self, name: str) -> int:
        """See Driver."""
        return int(_read(f"{self._memory}/{name}/memory.usage_in_bytes"))

    def memory_peak(self, name: str) -> int:
        """See Driver."""
        return int(_read(f"{self._memory}/{name}/memory.max_usage_in_bytes"))

    def cpu_file(self, name: str) -> str:
        """See Driver. Every v2 group counts it, with or without a controller."""
        if self._unified:
            return f"{self._unified}/{name}/cpu.stat"
        return f"{self._roots['cpu']}/{name}/cpuacct.usage"  # where they are mounted together

    def out_of_memory_kills(self, name: str) -> int:
        """See Driver."""
        return _counter(_read(f"{self._memory}/{name}/memory.oom_control"), "oom_kill")

    def remove(self, name: str) -> None:
        """See Driver."""
        for root in self._all:
            _remove_tree(f"{root}/{name}")


def _own_path(controller: str) -> str | None:
    """Return this process's group in a hierarchy ('' is v2), as /proc/self/cgroup names it."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or (not controller and not controllers):
            return path
    return None


def _unified_candidates() -> Iterator[Path]:
    own = _own_path("")
    if os.geteuid() == 0:
        yield _MOUNTS
    elif own is not None:
        yield _MOUNTS / own.lstrip("/")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holds_processes(path: str) -> bool:
    if _read(f"{path}/cgroup.procs"):
        return True
    folders = (entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    return any(map(_holds_processes, folders))


def _remove_stale(parent: Path) -> None:
    """Remove the groups of nodes that had no time to: of a dead pid, with nothing living in them.

    Both are asked for, because a pid says nothing of a node in another pid namespace.
    """
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(parent)):
            match = _NODE_GROUP.fullmatch(entry.name)
            if match is None or _lives(int(match[1])):
                continue
            with contextlib.suppress(OSError):  # another node may be removing it too
                if not _holds_processes(entry.path):
                    _remove_tree(entry.path)


def _open_unified(parent: Path, name: str) -> UnifiedDriver:
    """Make a subtree with all controllers below `parent`. Raises OSError or ValueError."""
    available = (parent / "cgroup.controllers").read_text().split()
    missing = [c for c in CONTROLLERS if c not in available]
    if missing:
        raise ValueError(f"{parent} offers no {', '.join(missing)} controller")
    if parent != _MOUNTS or (parent / "cgroup.type").exists():
        # Only the root of all groups may hold processes beside groups with controllers. In a
        # container the mount shows a group below it, which the file tells: the root has none.
        own = parent / "casemate-supervisor"
        own.mkdir(exist_ok=True)
        _write(str(own / "cgroup.procs"), str(os.getpid()))
    enabled = (parent / "cgroup.subtree_control").read_text().split()
    wanted = " ".join(f"+{c}" for c in CONTROLLERS if c not in enabled)
    if wanted:
        _write(str(parent / "cgroup.subtree_control"), wanted)
    _remove_stale(parent)
    root = parent / name
    root.mkdir()
    _write(str(root / "cgroup.subtree_control"), " ".join(f"+{c}" for c in CONTROLLERS))
    return UnifiedDriver(root)


def _open_legacy(name: str) -> LegacyDriver:
    roots: dict[str, Path] = {}
    for controller in CONTROLLERS:
        mount = _MOUNTS / controller
        if not (mount / "cgroup.procs").exists():
            raise ValueError(f"no {controller} controller is mounted at {mount}")
        roots[controller] = mount / name
    unified = _MOUNTS / "unified"
    kill_root = unified / name if (unified / "cgroup.procs").exists() else None
    for root in (*roots.values(), *([kill_root] if kill_root else [])):
        _remove_stale(root.parent)
        root.mkdir()
    return LegacyDriver(roots, kill_root)


def open_driver(name: str, parent: Path | None = None) -> Driver:
    """Return the driver this host can offer, its subtree made.

    `parent` is a v2 group delegated to us; without it root takes the top of the hierarchy, an
    ordinary user its own group. What killed nodes left there is removed. Raises
    NoControlGroupError that says what is missing.
    """
    reasons = []
    for candidate in [parent] if parent else _unified_candidates():
        try:
            return _open_unified(candidate, name)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    if parent is None:
        try:
            return _open_legacy(name)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    raise NoControlGroupError(
        "No control group with the memory, cpu and pids controllers can be made: "
        + "; ".join(reasons)
        + "."
    )
