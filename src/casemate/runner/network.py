"""A function's network namespace: empty but for listeners that lead out by the egress proxy."""

from __future__ import annotations

import fcntl
import socket
import struct

PROXY_PORT = 3128
"""Local port at which functions with egress grants find an HTTP proxy."""
_LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_BUFFER_BYTES = 128 * 1024
"""Of each direction of a connection to the proxy, which the kernel doubles. It would let each grow
to 6 MB, of what TCP of the whole machine may have, and charge no function with the proxy's end."""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_INTERFACE = struct.Struct("16sh14x")
"""struct ifreq: name and flags (netdevice(7))."""


def open_listeners(ports: list[int]) -> list[socket.socket]:
    """Bring the loopback interface up and listen on the ports. Needs CAP_NET_ADMIN; OSError."""
    if not ports:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = _INTERFACE.pack(b"lo", 0)
        _, flags = _INTERFACE.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, _INTERFACE.pack(b"lo", flags | _IFF_UP))
    listeners = []
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((_LOOPBACK, port))
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)  # those accepted have it
        listener.listen(_BACKLOG)
        listeners.append(listener)
    return listeners


def proxy_environment(ports: list[int]) -> dict[str, str]:
    """Return the variables by which HTTP clients find the proxy, if there is one."""
    if PROXY_PORT not in ports:
        return {}
    address = f"http://{_LOOPBACK}:{PROXY_PORT}"
    names = ("http_proxy", "https_proxy", "all_proxy")
    return {spelled: address for name in names for spelled in (name, name.upper())}
