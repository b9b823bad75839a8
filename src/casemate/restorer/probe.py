"""Whether this host lets instances be restored, tried and not told by its version."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from casemate.kernel import tracing, userfault
from casemate.kernel.pagemap import PAGE, Scanner

_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
_NOBODY_TRACES = "3"


def restoring_problem() -> str:
    """Say why instances cannot be restored here; empty if they can be."""
    try:
        tracing.require_known_machine()
    except OSError as error:
        return str(error)
    if os.geteuid() != 0:
        return "the node runs as an ordinary user, who cannot trace what it starts under other ids"
    return _untraceable() or _unnoted() or _untold()


def _untraceable() -> str:
    try:
        scope = _YAMA.read_text().strip()
    except FileNotFoundError:
        return ""  # a kernel without Yama
    except OSError as error:
        return f"the kernel does not say who may trace: {error}"
    if scope == _NOBODY_TRACES:
        return "this kernel lets nobody trace (kernel.yama.ptrace_scope is 3)"
    return ""


def _unnoted() -> str:
    try:
        noted = _writes_are_noted()
    except OSError as error:
        return f"the kernel does not note which pages are written (Linux 6.7 does): {error}"
    return "" if noted else "the kernel does not note which pages are written"


def _untold() -> str:
    if not Path("/proc/self/fd").stat().st_size:
        return "the kernel does not count open files (Linux 6.2 does)"
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return "the kernel does not tell the children of a process (CONFIG_PROC_CHILDREN)"
    return ""


def _writes_are_noted() -> bool:
    """Try it with two pages, of which one is written."""
    # Unmapped with the last reference: it is not to be closed while its address is in use.
    area = mmap.mmap(-1, 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    uffd = userfault.create()
    try:
        pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            userfault.watch(uffd, start, start + 2 * PAGE)
            userfault.protect(uffd, start, start + 2 * PAGE)
            scanner = Scanner(pagemap)
            before = scanner.written(start, start + 2 * PAGE, 2)
            area[PAGE] = 1
            after = scanner.written(start, start + 2 * PAGE, 2)
        finally:
            os.close(pagemap)
    finally:
        os.close(uffd)
    return not before and after == [(start + PAGE, start + 2 * PAGE)]
