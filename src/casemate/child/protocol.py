"""What the supervisor and a process of ours say to each other, over one SOCK_SEQPACKET socket.

First the process says that it is confined and what the kernel says of it, or why it does not
start. Only then is it passed connections, each by its descriptor: nothing that is not confined is
ever spoken to.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Annotated

import msgspec

from casemate.child.failure import Failure
from casemate.child.proof import Held
from casemate.runner.control import receive_packet

CONNECT = b"connect"
"""What goes with the descriptor of a new connection."""
MAX_REPORT = 64 * 1024
_MAX_CONNECT = 64
_MAX_DESCRIPTORS = 4

Descriptor = Annotated[int, msgspec.Meta(ge=0)]


class ChildConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every process of ours is started with. Nothing secret: `ps` shows it."""

    control: Descriptor
    """The connected SOCK_SEQPACKET socket to the supervisor."""
    heart: Descriptor | None = None
    """Descriptor to beat on; None: nobody watches."""
    uid: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """User and group to become; None to stay who it is."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process is confined and takes connections."""

    held: Held


class NotReady(msgspec.Struct, frozen=True, tag="not-ready"):
    """The process does not start."""

    failure: Failure


def pass_connection(control: socket.socket, descriptor: int, name: bytes = CONNECT) -> None:
    """Pass a connection to a process that is ready. Raises OSError.

    `name` says what the other end may ask for, where a process knows several kinds.
    """
    socket.send_fds(control, [name], [descriptor])


def take_connection(control: socket.socket) -> socket.socket | None:
    """Return the connection that the supervisor passes, None for what is none.

    Raises EOFError once the supervisor is gone, BlockingIOError where nothing has come.
    """
    taken = take_named_connection(control, frozenset({CONNECT}))
    return None if taken is None else taken[1]


def admit(
    control: socket.socket,
    names: frozenset[bytes],
    taken: Callable[[bytes, socket.socket], None],
    *,
    ended: Callable[[], None],
) -> None:
    """Take each connection of one of these kinds that the supervisor passes, from now on.

    `taken` gets its kind and the connection, `ended` is told once the supervisor is gone.
    """
    import asyncio  # which a process that takes one connection, or starts others, does without

    loop = asyncio.get_running_loop()
    control.setblocking(False)

    def accept() -> None:
        try:
            found = take_named_connection(control, names)
        except BlockingIOError:
            return
        except EOFError:
            loop.remove_reader(control.fileno())
            ended()
            return
        if found is not None:
            taken(*found)

    loop.add_reader(control.fileno(), accept)


def take_named_connection(
    control: socket.socket, names: frozenset[bytes]
) -> tuple[bytes, socket.socket] | None:
    """Return a connection of one of these kinds and its kind; see `take_connection`."""
    try:
        data, descriptors, _flags = receive_packet(control, _MAX_CONNECT, most=_MAX_DESCRIPTORS)
    except BlockingIOError:
        raise
    except OSError as error:
        raise EOFError from error
    if not data:
        raise EOFError
    if data in names and len(descriptors) == 1:
        try:
            return data, socket.socket(fileno=descriptors[0])
        except OSError:  # no socket at all
            pass
    for descriptor in descriptors:
        os.close(descriptor)
    return None
