"""A function's network namespace: empty but for listeners that lead out by the egress proxy."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct

from ..kernel import linux

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
_REPLACED = 0x1 | 0x4 | 0x100 | 0x400
"""NLM_F_REQUEST, _ACK, _REPLACE and _CREATE."""
_OF_KERNEL, _LOCAL_TABLE, _LOCAL, _OF_HOST = 2, 255, 2, 254
_INTERFACE_NUMBER, _SOURCE, _METRICS = 4, 7, 8
_LOCK = 1
_LEARNED = 1 << 4 | 1 << 5 | 1 << 6 | 1 << 9
"""RTAX_RTT, _RTTVAR, _SSTHRESH and _REORDERING."""


def open_listeners(ports: list[int]) -> list[socket.socket]:
    """Bring the loopback interface up and listen on the ports. Needs CAP_NET_ADMIN; OSError."""
    if not ports:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = _INTERFACE.pack(b"lo", 0)
        _, flags = _INTERFACE.unpack(fcntl.ioctl(control, _SIOCGIFFLAGS, request))
        fcntl.ioctl(control, _SIOCSIFFLAGS, _INTERFACE.pack(b"lo", flags | _IFF_UP))
    _learn_nothing()
    listeners = []
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((_LOOPBACK, port))
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)  # those accepted have it
        listener.listen(_BACKLOG)
        listeners.append(listener)
    return listeners


def _learn_nothing() -> None:
    """Have TCP keep of no connection how quick it was: the next one, another call's, could ask.

    It keeps none that the route has (`ip route ... rtt lock 0`). Raises OSError.
    """
    address = socket.inet_aton(_LOOPBACK)
    request = linux.NETLINK_ROUTE.pack(
        socket.AF_INET, 32, 0, 0, _LOCAL_TABLE, _OF_KERNEL, _OF_HOST, _LOCAL, 0
    )
    number = struct.pack("=I", socket.if_nametoindex("lo"))
    request += linux.netlink_attribute(linux.RTA_DST, address) + linux.netlink_attribute(
        _SOURCE, address
    )
    request += linux.netlink_attribute(_INTERFACE_NUMBER, number)
    request += linux.netlink_attribute(
        _METRICS, linux.netlink_attribute(_LOCK, struct.pack("=I", _LEARNED))
    )
    head = linux.NETLINK_HEADER.pack(
        linux.NETLINK_HEADER.size + len(request), linux.RTM_NEWROUTE, _REPLACED, 1, 0
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as control:
        control.send(head + request)
        answer = control.recv(4096)
    _, kind, _, _, _ = linux.NETLINK_HEADER.unpack_from(answer)
    [error] = struct.unpack_from("=i", answer, linux.NETLINK_HEADER.size)
    if kind != linux.NLMSG_ERROR or error:
        raise OSError(-error or errno.EPROTO, "the route of the loopback interface cannot be set")


def proxy_environment(ports: list[int]) -> dict[str, str]:
    """Return the variables by which HTTP clients find the proxy, if there is one."""
    if PROXY_PORT not in ports:
        return {}
    address = f"http://{_LOOPBACK}:{PROXY_PORT}"
    names = ("http_proxy", "https_proxy", "all_proxy")
    return {spelled: address for name in names for spelled in (name, name.upper())}
