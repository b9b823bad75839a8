"""How the supervisor of a node is asked which version it is, and to hand over to another; and how
it is told where the vault's master key is by now.

Datagrams over an abstract socket that a node's data folder names. The kernel says who sent each
one: both ends listen to root and to their own user alone. The supervisor looks for one four times
a second, answers no more, and passes over so many of others, so that nobody can keep it from its
work; who asks goes on until there is room, so that others who fill it keep nobody out. Where
another user has taken the name, the socket is in the data folder, which nobody else enters.
"""

from __future__ import annotations

import errno
import hashlib
import os
import select
import socket
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.upgrade.errors import UpgradeError

STATE, HAND_OVER = b"state", b"hand over"
OPENED_BY = b"may be opened by "
"""Before the source of another master key, which the vault may have from now on."""
_MAX_BYTES = 4096
_CREDENTIALS = struct.Struct("iII")
_SECONDS = 5.0
_TRY_SECONDS = 1.0
_PASSED_OVER = 100
"""Datagrams of others in one look: more than the kernel queues for a socket, as a rule."""
_INSIDE = ".supervisor"
"""The socket in the data folder, of a node whose name somebody else has."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a supervisor says of itself."""

    version: str
    prefix: str
    """Its environment."""
    serving: bool
    handing_over: bool = False
    calls: int | None = None
    """That run or wait to, as its gateway said last; None: it does not say."""
    problem: str = ""
    """Why it does not hand over."""


Sender = str | bytes


def address_of(data: Path) -> str:
    """Return the name of the socket of the node with a data folder."""
    name = hashlib.sha256(os.path.realpath(data).encode()).hexdigest()[:32]
    return f"\0casemate-supervisor-{name}"


def _open() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return sock


def _receive(sock: socket.socket) -> tuple[bytes, Sender] | None:
    """Return the next datagram, and from where; None if it is of who may send none.

    Raises OSError if there is none.
    """
    space = socket.CMSG_SPACE(_CREDENTIALS.size)
    data, ancillary, flags, sender = sock.recvmsg(_MAX_BYTES, space)
    uids = [
        _CREDENTIALS.unpack(content[: _CREDENTIALS.size])[1]
        for level, kind, content in ancillary
        if level == socket.SOL_SOCKET
        and kind == socket.SCM_CREDENTIALS
        and len(content) >= _CREDENTIALS.size
    ]
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or not sender:
        return None
    if len(uids) != 1 or uids[0] not in (0, os.geteuid()):
        return None
    return data, sender


class Requests:
    """The supervisor's end."""

    def __init__(self, data: Path) -> None:
        """Take the node's name, or a place in its folder. Raises OSError if neither can be had."""
        self._sock = _open()
        self._file: Path | None = None
        try:
            self._bind(data)
        except OSError:
            self._sock.close()
            raise

    def _bind(self, data: Path) -> None:
        try:
            self._sock.bind(address_of(data))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
        folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with suppress(FileNotFoundError):
                os.unlink(_INSIDE, dir_fd=folder)
            # By a path that is short enough, however long the folder's is.
            self._sock.bind(f"/proc/self/fd/{folder}/{_INSIDE}")
            os.chmod(_INSIDE, 0o600, dir_fd=folder)
        finally:
            os.close(folder)
        self._file = data / _INSIDE

    def next(self) -> tuple[bytes, Sender] | None:
        """Return a request and who asks, if there is one; those of others are passed over."""
        for _ in range(_PASSED_OVER):
            try:
                received = _receive(self._sock)
            except OSError:
                return None
            if received is not None:
                return received
        return None

    def answer(self, sender: Sender, state: State) -> None:
        """Answer a request. Who has no room for it, or is gone, gets none."""
        try:
            self._sock.sendto(msgspec.json.encode(state), sender)
        except OSError:
            return

    def close(self) -> None:
        """Give the name back."""
        self._sock.close()
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()


def tell_source(data: Path, source: str) -> bool:
    """Tell the supervisor where the master key may be from now on; whether it has heard that."""
    try:
        return ask(data, OPENED_BY + source.encode()) is not None
    except UpgradeError:
        return False


def ask(data: Path, request: bytes = STATE, *, seconds: float = _SECONDS) -> State | None:
    """Ask the supervisor of a node; None if there is none that answers.

    Raises UpgradeError if what answers in its place is another user's.
    """
    deadline = time.monotonic() + seconds
    with _inside(data) as place:
        state = None if place is None else _ask(place, request, seconds)
    left = deadline - time.monotonic()
    return state if state is not None else _ask(address_of(data), request, max(left, 0.1))


@contextmanager
def _inside(data: Path) -> Iterator[str | None]:
    """Give the path of the socket in a data folder; None if there is none of root or ourselves."""
    try:
        place = os.open(data / _INSIDE, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        found = os.fstat(place)
        ours = stat.S_ISSOCK(found.st_mode) and found.st_uid in (0, os.geteuid())
        yield f"/proc/self/fd/{place}" if ours else None
    finally:
        os.close(place)


def _ask(place: str, request: bytes, seconds: float) -> State | None:
    with _open() as sock:
        sock.bind("")
        deadline = time.monotonic() + seconds
        try:
            sock.connect(place)
            sock.settimeout(seconds)  # others may have filled it: there is room in a moment
            sock.send(request)
        except OSError:
            return None
        sock.setblocking(False)
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([sock], [], [], min(left, _TRY_SECONDS))[0]:
                continue
            try:
                received = _receive(sock)
            except BlockingIOError:
                continue
            if received is None:
                raise UpgradeError("What answers for the node is not of its user, nor of root.")
            try:
                return msgspec.json.decode(received[0], type=decodable(State))
            except DECODING_ERRORS as error:
                raise UpgradeError("The node answers in another form.") from error
    return None
