"""Which process of a node is which, and what those of each kind have spent and hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bench.processes import ProcessId, pss, spent

_MODULE, _BOUND = b"casemate.", b"casemate.child.bound"
_PROGRAM = b"casemate.child.program"
SANDBOXES, SUPERVISOR = "sandboxes", "supervisor"
LOAD = "load"
"""What calls, on the same cores."""

RoleOf = Callable[[bytes], str]
"""Takes a command line, as in /proc/PID/cmdline."""
ByRole = dict[str, float]


def role_of(command: bytes) -> str:
    """Return which process of a node has this command line, as in /proc/PID/cmdline."""
    words = command.split(b"\0")
    if b"serve" in words:
        return SUPERVISOR
    if b"-m" in words[:-1]:
        rest = words[words.index(b"-m") + 1 :]
        before = {_BOUND: 2, _PROGRAM: 1}.get(rest[0], 0)
        module = rest[before] if len(rest) > before else b""
        if module.startswith(_MODULE):
            return module.removeprefix(_MODULE).partition(b".")[0].decode()
    return SANDBOXES


def processor_seconds(processes: Iterable[ProcessId], role: RoleOf = role_of) -> ByRole:
    """Return the seconds on a processor by role, those of ended children included.

    Children that the supervisor has waited for were sandboxes, and are counted as such.
    """
    total: defaultdict[str, float] = defaultdict(float)
    for identity in processes:
        try:
            of = role(Path(f"/proc/{identity.pid}/cmdline").read_bytes())
            stat = Path(f"/proc/{identity.pid}/stat").read_text("utf-8", "replace")
        except OSError:
            continue
        own, whole = spent(stat, children=False), spent(stat, children=True)
        total[of] += own
        total[SANDBOXES if of == SUPERVISOR else of] += whole - own
    return total


def memory(processes: Iterable[ProcessId], role: RoleOf = role_of) -> ByRole:
    """Return the bytes (proportional set size) by role. Raises MemoryUnreadableError."""
    total: defaultdict[str, float] = defaultdict(float)
    for identity in processes:
        try:
            of = role(Path(f"/proc/{identity.pid}/cmdline").read_bytes())
        except OSError:
            continue
        total[of] += pss((identity,))
    return total


def microseconds(before: Mapping[str, float], after: Mapping[str, float], calls: int) -> ByRole:
    """Return what was spent between two readings by call, in microseconds by role."""
    return {
        role: 1e6 * max(0.0, seconds - before.get(role, 0.0)) / calls
        for role, seconds in after.items()
    }


def told(parts: Mapping[str, float], unit: str, by: float = 1.0) -> str:
    """Return a sum and its parts, the largest first; parts below half a unit are left out."""
    ordered = sorted(((of / by, role) for role, of in parts.items()), reverse=True)
    said = ", ".join(f"{role} {of:,.0f}" for of, role in ordered if round(of))
    return f"{sum(parts.values()) / by:,.0f} {unit} ({said})"
