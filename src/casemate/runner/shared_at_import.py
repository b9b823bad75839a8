"""What a module opened while it was imported, which all instances forked from it would share.

A fork copies memory but not what a descriptor leads to: an offset, a queue of bytes, a set of
events. Whatever can be opened anew is, in each instance before its handler runs, and in one that is
restored before each of its calls (`ByCall`), as setting memory back does not set that back either.
Anything else is an error of the import. Memory that is mapped to be shared is looked for from
outside, since a process without /proc cannot see its own (`sandbox/shared_memory.py`).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import gc
import io
import os
import select
import socket
import stat
import sys
from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

from ..kernel import flagging, linux

_O_PATH = 0o10000000
_ROOTS = ("/function", "/tmp", "/usr", "/lib", "/lib64")  # noqa: S108
_MOST_ENTRIES = 500_000
"""Files that are looked at to find the path of one that is open."""
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
)
"""Options that clients set before they connect."""
_MENDING = (
    'Open it in the handler, on first use, or set trust = "low" to import the module in every '
    "instance."
)
_LAST = 0xFFFFFFFF
"""The highest number of a descriptor that can be told, which none has."""
_NOT_OPEN = select.POLLNVAL << 48
_close_range = linux.prepared("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)
_DEVICES = {
    os.makedev(1, 3): "/dev/null",
    os.makedev(1, 5): "/dev/zero",
    os.makedev(1, 8): "/dev/random",
    os.makedev(1, 9): "/dev/urandom",
}
"""Those without a state that there are in a sandbox."""


class Renewal(Protocol):
    """Opens something anew in the place of what the import has left open."""

    @property
    def descriptors(self) -> Collection[int]:
        """Return the numbers of what it opens."""

    @property
    def later(self) -> bool:
        """Whether it can still be done when this process has been locked down."""

    def __call__(self) -> None:
        """Do it. Raises OSError, SharedAtImportError."""


class SharedAtImportError(Exception):
    """The module opened something when it was imported that all instances would share."""


class ProcessAtImportError(Exception):
    """The module started a process when it was imported; all instances would share it.

    Start it in the handler, or set trust = "low" to import the module in every instance.
    """


def open_descriptors(most: int) -> set[int]:
    """Return the descriptors below `most` that are open.

    With no object for each that is not: a zygote would keep eight pages that they were on. poll(2)
    takes names of files (O_PATH) for closed: of what it says so of, the kernel is asked again.
    """
    asked = array("q", range(most))
    linux.poll_at_once(asked)
    return {one & _LAST for one in asked if not one & _NOT_OPEN or linux.is_open(one & _LAST)}


def require_no_child() -> None:
    """Raise ProcessAtImportError if this process has a child that lives."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            raise ProcessAtImportError((ProcessAtImportError.__doc__ or "").strip())


def renewals(descriptors: Iterable[int]) -> list[Renewal]:
    """Return what makes an instance's own of each descriptor that an import has left open.

    To be done in each instance before it is locked down. Raises SharedAtImportError for what
    cannot be made anew.
    """
    left = sorted(descriptors)
    if not left:
        return []
    found: list[Renewal] = []
    kinds = {descriptor: os.fstat(descriptor) for descriptor in left}
    if any(stat.S_ISSOCK(k.st_mode) or not stat.S_IFMT(k.st_mode) for k in kinds.values()):
        for loop in _event_loops():
            try:
                renewal = _LoopRenewal(loop)
            except AttributeError:
                continue  # of another make: what it has open is refused below
            if renewal.descriptors <= kinds.keys():
                found.append(renewal)
                for descriptor in renewal.descriptors:
                    del kinds[descriptor]
    output = os.fstat(1)
    for descriptor, status in kinds.items():
        if stat.S_ISCHR(status.st_mode) or fcntl.fcntl(descriptor, fcntl.F_GETFL) & _O_PATH:
            continue  # a device without a state, or a name of a file and no more
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            found.append(_FileRenewal(descriptor, status))
        elif stat.S_ISSOCK(status.st_mode):
            found.append(_SocketRenewal(descriptor))
        elif stat.S_ISFIFO(status.st_mode) and os.path.samestat(status, output):
            found.append(_OutputRenewal(descriptor))
        else:
            fifo = stat.S_ISFIFO(status.st_mode)
            raise _refusal(descriptor, "a pipe" if fifo else "an epoll, eventfd, timer or the like")
    return found


class ByCall:
    """What one that is restored has open during a call alone.

    What its import has left open is opened anew, and at the end all is closed that it does not
    keep, what its handler has left open as well, as it would be with the process: connections that
    are kept alive, an event loop that nobody closes. What cannot be closed shows to who restores.
    """

    def __init__(self, renewals: Collection[Renewal] = (), *, first: int = flagging.FIRST) -> None:
        """Take what opens each anew, all of which are open now, and the first that is closed."""
        self._renewals = tuple(renewals)
        self._first = first
        self._places = {
            descriptor: os.get_inheritable(descriptor)
            for renewal in renewals
            for descriptor in renewal.descriptors
        }

    def open(self) -> None:
        """Open what was left open. Raises OSError, SharedAtImportError."""
        if not self._renewals:
            return
        # Each number is taken before anything is opened, which would get that of another.
        placeholder = os.eventfd(0)
        for descriptor, inheritable in self._places.items():
            if descriptor != placeholder:
                os.dup2(placeholder, descriptor, inheritable)
        if placeholder not in self._places:
            os.close(placeholder)
        for renew in self._renewals:
            renew()

    def close(self) -> None:
        """Close all from the first on, by one call of the kernel."""
        _close_range(self._first, _LAST, 0)


NEVER_CLOSED = ByCall(first=_LAST)
"""Of one in which something stays open that cannot be opened anew, for which it is not restored."""


def by_call(opened: Iterable[int], renewals: Iterable[Renewal]) -> ByCall:
    """Return what opens all of these anew for each call; NEVER_CLOSED if that cannot be.

    To be asked of an instance that is locked down. `renewals` are what `renewals()` returned.
    """
    found = list(renewals)
    left = set(opened).difference(*(one.descriptors for one in found))
    try:
        found += map(_DeviceRenewal, sorted(left))
        return ByCall(found) if all(one.later for one in found) else NEVER_CLOSED
    except OSError:
        return NEVER_CLOSED


def _take_place(descriptor: int, new: int) -> None:
    """Put `new` in the place of a descriptor, with its flag of closing on exec."""
    os.dup2(new, descriptor, inheritable=os.get_inheritable(descriptor))
    os.close(new)


class _FileRenewal:
    """A file or folder that is only read: opened anew, at the place where the import left off."""

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptors = (descriptor,)
        self._flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if self._flags & os.O_ACCMODE != os.O_RDONLY:
            raise _refusal(descriptor, "a file that can be written")
        path = _path_of(status)
        if path is None:
            raise _refusal(descriptor, "a file without a name")
        self._path = path
        self._identity = (status.st_dev, status.st_ino)
        self._offset = 0 if stat.S_ISDIR(status.st_mode) else os.lseek(descriptor, 0, os.SEEK_CUR)

    def __call__(self) -> None:
        new = os.open(self._path, self._flags | os.O_CLOEXEC)
        status = os.fstat(new)
        if (status.st_dev, status.st_ino) != self._identity:
            raise SharedAtImportError(f"{self._path} is another file than the import has opened")
        if self._offset:
            os.lseek(new, self._offset, os.SEEK_SET)
        _take_place(*self.descriptors, new)

    @property
    def later(self) -> bool:
        """Whether it is still there: what the import put into /tmp is not."""
        try:
            new = os.open(self._path, self._flags | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            status = os.fstat(new)
        finally:
            os.close(new)
        return (status.st_dev, status.st_ino) == self._identity


class _DeviceRenewal:
    """A device without a state, by its name. Raises OSError for anything else."""

    later = True

    def __init__(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        name = _DEVICES.get(status.st_rdev) if stat.S_ISCHR(status.st_mode) else None
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if name is None or flags & _O_PATH:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self.descriptors = (descriptor,)
        self._name, self._flags = name, flags

    def __call__(self) -> None:
        _take_place(*self.descriptors, os.open(self._name, self._flags | os.O_CLOEXEC))


class _SocketRenewal:
    """A socket of the internet that leads nowhere yet: made anew, with the usual options."""

    later = True

    def __init__(self, descriptor: int) -> None:
        self.descriptors = (descriptor,)
        with _borrowed(descriptor) as sock:
            if sock.family not in (socket.AF_INET, socket.AF_INET6):
                raise _refusal(descriptor, "a pair of sockets")
            try:
                sock.getpeername()
            except OSError:
                pass
            else:
                raise _refusal(descriptor, "a connection")
            if sock.getsockname()[1]:
                raise _refusal(descriptor, "a socket with a port")
            self._kind = (sock.family, sock.type, sock.proto)
            self._options = []
            for level, option in _OPTIONS:
                try:
                    self._options.append((level, option, sock.getsockopt(level, option)))
                except OSError:
                    continue  # of another protocol
        self._flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)

    def __call__(self) -> None:
        made = socket.socket(*self._kind)
        for level, option, value in self._options:
            made.setsockopt(level, option, value)
        fcntl.fcntl(made.fileno(), fcntl.F_SETFL, self._flags)
        _take_place(*self.descriptors, made.detach())


class _OutputRenewal:
    """A copy of the output, as loggers make one: the instance's own output."""

    later = False
    """What one that is restored keeps cannot be had by another number."""

    def __init__(self, descriptor: int) -> None:
        self.descriptors = (descriptor,)

    def __call__(self) -> None:
        _take_place(*self.descriptors, os.dup(1))


class _LoopRenewal:
    """An event loop of asyncio: its epoll, and the pair of sockets that wakes it."""

    later = True

    def __init__(self, loop: Any) -> None:
        self._selector = loop._selector
        self._pair: tuple[socket.socket, socket.socket] = (loop._ssock, loop._csock)
        self.descriptors = {self._selector.fileno(), *(sock.fileno() for sock in self._pair)}

    def __call__(self) -> None:
        epoll: select.epoll = self._selector._selector
        made = select.epoll(flags=select.EPOLL_CLOEXEC)
        os.dup2(made.fileno(), epoll.fileno(), inheritable=False)
        made.close()
        for ours, new in zip(self._pair, socket.socketpair(), strict=True):
            new.setblocking(False)
            _take_place(ours.fileno(), new.detach())
        for key in self._selector.get_map().values():
            reads = select.EPOLLIN if key.events & 1 else 0
            writes = select.EPOLLOUT if key.events & 2 else 0
            epoll.register(key.fd, reads | writes)


def _event_loops() -> Iterator[Any]:
    """Yield the open event loops of asyncio that are written in Python."""
    module = sys.modules.get("asyncio.selector_events")
    if module is None:
        return
    for found in gc.get_objects():
        # Not isinstance, which asks an object of the function for its class.
        if issubclass(type(found), module.BaseSelectorEventLoop) and not found.is_closed():
            yield found


class _borrowed:  # noqa: N801
    """A descriptor as a socket that does not close it."""

    def __init__(self, descriptor: int) -> None:
        self._sock = socket.socket(fileno=descriptor)

    def __enter__(self) -> socket.socket:
        return self._sock

    def __exit__(self, *_: object) -> None:
        self._sock.detach()


def _path_of(status: os.stat_result) -> str | None:
    """Return a path of an open file, looking through all that there is; None if there is none."""
    looked = 0
    is_folder = stat.S_ISDIR(status.st_mode)
    todo = [root for root in _ROOTS if os.path.isdir(root)]
    for root in todo:
        if os.path.samestat(os.stat(root), status):
            return root
    todo.reverse()
    while todo:
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:
            continue
        looked += len(entries)
        if looked > _MOST_ENTRIES:
            return None
        for entry in entries:
            try:
                inner = entry.is_dir(follow_symlinks=False)
                # An overlay lists folders by other numbers than they have (Linux, overlayfs.rst).
                likely = inner if is_folder else entry.inode() == status.st_ino
                if likely and os.path.samestat(entry.stat(follow_symlinks=False), status):
                    return entry.path
                if inner:
                    todo.append(entry.path)
            except OSError:
                continue
    return None


def _refusal(descriptor: int, what: str) -> SharedAtImportError:
    """Return the error that names what is open, and where the module keeps it if that shows."""
    return SharedAtImportError(
        f"importing the module left {what} open{_described(descriptor)}, which all calls would "
        f"share. {_MENDING}"
    )


def _described(descriptor: int) -> str:
    kinds = (io.FileIO, socket.socket, select.epoll)
    for found in gc.get_objects():
        try:
            if not issubclass(type(found), kinds) or found.fileno() != descriptor:
                continue
        except (OSError, ValueError):
            continue
        name = getattr(found, "name", None)
        shown = f" {name!r}"[:200] if isinstance(name, str) else ""
        return f" ({type(found).__name__}{shown})"
    return f" (descriptor {descriptor})"
