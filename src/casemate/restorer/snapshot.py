"""What an instance was when it was ready, and a copy of it that never runs.

The copy (the twin) is a fork that is left in its first stop: its memory is shared with the
instance's until one of them is written, and its descriptors lead to the same open files. So the
memory of an instance is not copied, only that of pages which calls have written.
"""

from __future__ import annotations

import errno
import functools
import os
from typing import NamedTuple

from casemate.kernel import machines, remote_memory, tracing, userfault
from casemate.kernel.pagemap import Scanner, TooManyPagesError, UnwatchedError
from casemate.kernel.process_files import (
    KEPT,
    Mapping,
    ProcessFiles,
    lines_of,
    memory_device,
    parse_maps,
)
from casemate.restorer.judging import Judge
from casemate.restorer.ranges import Range, without
from casemate.restorer.reasons import DiscardError, Reason
from casemate.restorer.tracee import HELD_OPTIONS, Tracee

STOP_SECONDS = 0.25
_FILTERS = b"Seccomp_filters"
_HANDLED = (b"SigIgn", b"SigCgt")


class Tmp(NamedTuple):
    """What is compared of a /tmp: its root, and how much of it is left."""

    root: tuple[int, ...]
    free: tuple[int, ...]
    times: tuple[int, ...]
    """Of the last access and of the last change of its content, then of its inode."""

    @classmethod
    def of(cls, descriptor: int) -> Tmp:
        """Look at a tmpfs by a descriptor of its root. Raises OSError."""
        root, room = os.fstat(descriptor), os.fstatvfs(descriptor)
        who = (root.st_mode, root.st_uid, root.st_gid, root.st_nlink, root.st_size)
        when = (root.st_atime_ns, root.st_mtime_ns, root.st_ctime_ns)
        return cls(who, (room.f_bfree, room.f_ffree, room.f_blocks, room.f_files), when)

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it but its root: no file, with or without a name."""
        _blocks, free, _all_blocks, files = self.free
        return files - free == 1

    @property
    def lasting(self) -> tuple[int, ...]:
        """All but the times, which are renewed: files that were removed again leave them."""
        return (*self.root, *self.free)


class State(NamedTuple):
    """What the kernel tells of a waiting instance, all of which is compared."""

    maps: bytes
    status: tuple[bytes, ...]
    limits: bytes
    descriptors: int
    kept: tuple[bytes, ...]
    children: tuple[int, ...]
    folder: str
    tmp: Tmp | None

    @classmethod
    def of(cls, files: ProcessFiles, tmp: int | None) -> State:
        """Ask the kernel. Raises OSError."""
        return cls(
            files.maps(),
            files.status(),
            files.limits(),
            files.descriptors(),
            files.kept(),
            files.children(),
            files.folder(),
            None if tmp is None else Tmp.of(tmp),
        )


class Snapshot(NamedTuple):
    """What an instance is set back to."""

    twin: int
    general: tracing.General
    home: bytes
    """The same registers, as the kernel has them."""
    extended: bytes
    state: State
    ranges: tuple[tuple[int, int], ...]
    """Of memory that is written, all of it watched."""
    dropped: tuple[tuple[int, int], ...]
    """Of memory that the kernel may drop at any time and lets nobody watch: it is zeroed."""
    mappings: tuple[tuple[int, int], ...]
    """All of them, in order."""
    lines: frozenset[bytes]
    """Of the table of mappings."""
    heap: int
    """Its end, to the byte."""
    judge: Judge


def take(
    tracee: Tracee,
    files: ProcessFiles,
    uffd: int,
    tmp: int | None,
    filters: int,
    given: tuple[bytes, ...],
    known: set[Range],
) -> Snapshot:
    """Take the snapshot of an instance that stands at home, where it stays.

    `filters` is how many of system calls it has to have, `given` what the kernel told of the
    descriptors that it keeps before it ran code of a function's; `known` is what memory that the
    kernel may drop others of its zygote have, and is added to. Raises DiscardError.
    """
    try:
        home = tracee.home
        if home is None:
            raise DiscardError(Reason.NOT_WAITING)
        general, extended = tracing.General.of(home), tracing.extended(tracee.pid)
        tracing.set_options(tracee.pid, HELD_OPTIONS)
        if files.children():
            raise DiscardError(Reason.PROCESSES)
        twin = _clone(tracee, general)
        heap = tracee.make(general, machines.X86_64.calls["brk"], 0)
        tracee.return_home(general)
        if tracee.home != home:
            raise DiscardError(Reason.REGISTERS)
        ranges, dropped = _watch(files, uffd, tmp, known)
        state = State.of(files, tmp)
        _require_all_watched(state.maps, (*ranges, *dropped))
        _require(state, twin, filters)
        _same_files(tracee.pid, twin)
        # What else they led to could have a content, of which nothing is compared afterwards.
        if state.kept != given:
            raise DiscardError(Reason.FILES)
        # From here on every page that is written shows; one that is not watched fails the scan.
        scanner = Scanner(files.pagemap)
        for start, end in ranges:
            if scanner.written(start, end, 0):
                raise DiscardError(Reason.UNWATCHED)
    except UnwatchedError as error:
        raise DiscardError(Reason.UNWATCHED, error.errno or 0) from error
    except TooManyPagesError as error:
        raise DiscardError(Reason.UNWATCHED) from error
    except ProcessLookupError as error:
        raise DiscardError(Reason.GONE) from error
    except (OSError, ValueError) as error:
        raise DiscardError(Reason.KERNEL, getattr(error, "errno", 0) or 0) from error
    mappings = tuple((one.start, one.end) for one in _mappings(state.maps))
    return Snapshot(
        twin=twin,
        general=general,
        home=home,
        extended=extended,
        state=state,
        ranges=ranges,
        dropped=dropped,
        mappings=mappings,
        lines=_lines(state.maps),
        heap=heap,
        judge=Judge(mappings, heap, handled=_handled(state.status)),
    )


def _require_all_watched(table: bytes, watched: tuple[Range, ...]) -> None:
    """Raise DiscardError for memory of the table that is compared with and that nobody watches.

    What was watched is of a table that was read before.
    """
    writable = ((one.start, one.end) for one in _mappings(table) if one.writable)
    if without(writable, sorted(watched)):
        raise DiscardError(Reason.UNWATCHED)


def _require(state: State, twin: int, filters: int) -> None:
    if state.descriptors != len(KEPT):
        raise DiscardError(Reason.DESCRIPTORS)
    # What is in a file is not compared, only how much there is in all.
    if state.tmp is not None and not state.tmp.empty:
        raise DiscardError(Reason.TMP)
    if state.children != (twin,) or b"Threads:\t1" not in state.status:
        raise DiscardError(Reason.PROCESSES)
    if _FILTERS + b":\t%d" % filters not in state.status:
        raise DiscardError(Reason.FILTERS)


def _handled(status: tuple[bytes, ...]) -> int:
    """Return the signals that are handled or ignored: all of them, if that is not told."""
    handled, told = 0, 0
    for line in status:
        name, _, mask = line.partition(b":\t")
        if name in _HANDLED:
            handled |= int(mask, 16)
            told += 1
    return handled if told == len(_HANDLED) else -1


def _same_files(pid: int, twin: int) -> None:
    for descriptor in KEPT:
        if not remote_memory.same_file(pid, twin, descriptor):
            raise DiscardError(Reason.FILES, descriptor)


def _clone(tracee: Tracee, general: tracing.General) -> int:
    """Have a stopped process fork, and leave the fork in its first stop. Raises DiscardError.

    It signals nobody when it ends, and so is no child that the process would wait for by chance.
    """
    tracee.leave_home()
    place = general.rip - len(tracing.SYSCALL_INSTRUCTION)
    code = remote_memory.read(tracee.pid, [(place, general.rip)])
    if code != tracing.SYSCALL_INSTRUCTION:
        raise DiscardError(Reason.NOT_WAITING)
    clone = machines.X86_64.calls["clone"]
    asked = general._replace(
        rip=place, rax=clone, orig_rax=tracing.NO_CALL, rdi=0, rsi=0, rdx=0, r10=0, r8=0
    )
    tracing.set_general(tracee.pid, asked)
    twin = tracee.fork_by(STOP_SECONDS)
    done = tracing.general(tracee.pid)
    if done.rip != general.rip or done.orig_rax != clone or done.rax >= 1 << 63:
        raise DiscardError(Reason.KERNEL)
    return twin


@functools.lru_cache(maxsize=2)
def _mappings(table: bytes) -> tuple[Mapping, ...]:
    """Take a table apart once: it is looked at twice, and of a zygote's instances mostly alike."""
    return tuple(parse_maps(table))


@functools.lru_cache(maxsize=2)
def _lines(table: bytes) -> frozenset[bytes]:
    return frozenset(lines_of(table))


def _watch(
    files: ProcessFiles, uffd: int, tmp: int | None, known: set[Range]
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Watch all memory that can be written; return its ranges, and those that are zeroed.

    What is mapped from a file to be shared stays, if nobody can write that file: it is neither
    memory nor in /tmp, and all other files that an instance sees are on read-only mounts.
    """
    changing = {memory_device(), *(() if tmp is None else (os.fstat(tmp).st_dev,))}
    watched: list[tuple[int, int]] = []
    dropped: list[tuple[int, int]] = []
    for mapping in _mappings(files.maps()):
        if mapping.shared and (mapping.writable or mapping.device in changing):
            raise DiscardError(Reason.SHARED_MEMORY)
        if not mapping.writable:
            continue
        try:
            userfault.watch(uffd, mapping.start, mapping.end)
        except OSError as error:
            place = mapping.start, mapping.end
            # The kernel looks at all memory to tell, which takes milliseconds. Of what is zeroed
            # nothing is left, so that it is as well if another one has something else there.
            if error.errno != errno.EINVAL or (
                place not in known and not _may_be_dropped(files, mapping.start)
            ):
                raise DiscardError(Reason.UNWATCHED, error.errno or 0) from error
            known.add(place)
            dropped.append(place)
            continue
        if watched and watched[-1][1] == mapping.start:
            watched[-1] = (watched[-1][0], mapping.end)
        else:
            watched.append((mapping.start, mapping.end))
    for start, end in watched:
        userfault.protect(uffd, start, end)
    return tuple(watched), tuple(dropped)


def _may_be_dropped(files: ProcessFiles, start: int) -> bool:
    """Tell whether a mapping is one for getrandom(2) in the process itself (MAP_DROPPABLE).

    The kernel takes its pages away when memory is short, so that zeros there are always right.
    """
    return b"dp" in files.flags_of(start)
