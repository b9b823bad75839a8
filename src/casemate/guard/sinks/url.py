"""Requests to addresses. By wrappers of clients, which see the URL, and audit events of sockets."""

from __future__ import annotations

from ..sink import Sink
from ..url import clients, connections

SINK = Sink(
    name=clients.NAME,
    summary="Addresses: data must not decide scheme, host, port, credentials, nor leave its part.",
    audit={
        "socket.bind": clients.on_bind,
        "socket.connect": clients.on_connect,
        "socket.sendto": clients.on_connect,
    },
    patches={**connections.patches(), **clients.PATCHES},
)
