"""The listening sockets of one zygote's network namespace.

They come from a process that a function may have had its hands on: each descriptor is looked at
before it is used.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

from casemate.egress.errors import ListenerError
from casemate.model.loopback import is_loopback

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def take_listener(descriptor: int, port: int) -> socket.socket:
    """Return a descriptor as a socket that listens on a loopback port.

    The descriptor is then the socket's. Raises ListenerError for anything else; the descriptor is
    closed.
    """
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.close(descriptor)
        raise ListenerError(f"The descriptor for port {port} is not a socket.") from error
    try:
        _check(sock, port)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise ListenerError(f"The descriptor for port {port} cannot be examined.") from error
    except ListenerError:
        sock.close()
        raise
    return sock


def _check(sock: socket.socket, port: int) -> None:
    is_tcp = (
        sock.family in _FAMILIES
        and sock.type == socket.SOCK_STREAM
        and sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == socket.IPPROTO_TCP
    )
    if not is_tcp or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ListenerError(f"The descriptor for port {port} is no listening TCP socket.")
    host, bound = sock.getsockname()[:2]
    if bound != port or not is_loopback(host):
        raise ListenerError(f"The socket for port {port} listens elsewhere.")


def take_listeners(ports: Sequence[int], descriptors: Sequence[int]) -> dict[int, socket.socket]:
    """Return the sockets by port, all or none. Raises ListenerError; every descriptor is closed."""
    taken: dict[int, socket.socket] = {}
    left = list(descriptors)
    try:
        if len(ports) != len(descriptors):
            raise ListenerError(f"{len(ports)} ports came with {len(descriptors)} descriptors.")
        identities = set()
        for port, descriptor in zip(ports, descriptors, strict=True):
            left.remove(descriptor)
            sock = take_listener(descriptor, port)
            if port in taken:
                sock.close()
                raise ListenerError(f"Port {port} is there twice.")
            taken[port] = sock
            identities.add(os.fstat(sock.fileno()).st_ino)
        if len(identities) != len(taken):
            raise ListenerError("One socket came for two ports.")
    except BaseException:
        for descriptor in left:
            os.close(descriptor)
        for sock in taken.values():
            sock.close()
        raise
    return taken
