"""Listening sockets: made, drained of connections that wait in them, closed."""

from __future__ import annotations

import asyncio
import socket

from casemate.model.errors import CasemateError

BACKLOG = 4096


class ListenError(CasemateError):
    """The server cannot listen there."""


async def open_listeners(host: str, port: int) -> list[socket.socket]:
    """Return bound, listening TCP sockets, one for each address of `host`.

    With port 0 only the first address is used. Raises ListenError, with no socket left open.
    """
    loop = asyncio.get_running_loop()
    listeners: list[socket.socket] = []
    try:
        infos = await loop.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _kind, _protocol, _name, address in infos[:1] if port == 0 else infos:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except (OSError, OverflowError) as error:
        for listener in listeners:
            listener.close()
        raise _refusal(host, port, error) from error
    return listeners


def listen_on(listener: socket.socket) -> None:
    """Listen on a bound TCP socket; again does no harm. Raises ListenError.

    Others can be bound to its address as well, until one of them listens.
    """
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _refusal(host, port, error) from error


def _refusal(host: str, port: int, error: Exception) -> ListenError:
    return ListenError(
        f"Cannot listen on {host} port {port}: {error}.",
        next_step="Choose another address or port, or stop what is using it.",
    )


def accept_one(listener: socket.socket) -> socket.socket:
    """Accept a connection, which does not block. Raises OSError, BlockingIOError if none waits."""
    while True:
        try:
            connection, _address = listener.accept()
        except ConnectionAbortedError:
            continue
        connection.setblocking(False)
        return connection


def accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Accept every connection whose handshake is complete, so that closing resets none."""
    accepted: list[socket.socket] = []
    while True:
        try:
            accepted.append(accept_one(listener))
        except OSError:  # none left (EAGAIN), or no descriptor for it
            return accepted
