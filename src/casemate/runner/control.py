"""Messages between the supervisor and the processes it starts.

From the supervisor: JSON objects, one per packet of a SOCK_SEQPACKET socket, with descriptors.
To the supervisor: from the base zygote JSON, since only trusted code runs there; from a function
zygote a fixed 9-byte record and nothing else, since the supervisor parses no data of functions.
"""

from __future__ import annotations

import array
import json
import socket
import struct

EVENT = struct.Struct("!cIi")
"""kind, instance number, value."""
HELLO, IMPORTED, IMPORT_FAILED, FORKED, FORK_FAILED, EXITED = b"H", b"I", b"F", b"K", b"E", b"X"
FILTERED = b"L"
"""The filter is loaded. Brings the descriptor of its notifications, or none if it has no listener;
the only record that brings one, and the only one between HELLO and the import."""
EVENT_KINDS = frozenset((HELLO, FILTERED, IMPORTED, IMPORT_FAILED, FORKED, FORK_FAILED, EXITED))

MAX_MESSAGE_BYTES = 64 * 1024
MAX_DESCRIPTORS = 64
_DESCRIPTOR_BYTES = array.array("i").itemsize


def receive_packet(
    sock: socket.socket, size: int, *, most: int = MAX_DESCRIPTORS, asked: int = 0
) -> tuple[bytes, list[int], int]:
    """Return the next packet, its descriptors (closed on exec) and the flags of recvmsg(2).

    At most `most` of them; `asked` are more flags for it. `socket.recv_fds` does not pass its flags
    on before Python 3.14.
    """
    space = socket.CMSG_LEN(most * _DESCRIPTOR_BYTES)  # rounded up there is room for one more
    data, ancillary, flags, _address = sock.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC | asked)
    return data, descriptors_of(ancillary), flags


def descriptors_of(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors among what came beside the data, as of recvmsg(2)."""
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload[: len(payload) - len(payload) % _DESCRIPTOR_BYTES])
    return list(descriptors)


def receive(sock: socket.socket) -> tuple[dict[str, object] | None, list[int]]:
    """Return the next message and its descriptors; None when the peer is gone."""
    try:
        data, descriptors, _flags = receive_packet(sock, MAX_MESSAGE_BYTES)
    except ConnectionResetError:
        return None, []  # it went without reading what it was sent last
    if not data:
        return None, descriptors
    message = json.loads(data)
    if not isinstance(message, dict):
        raise TypeError("a control message is a JSON object")
    return message, descriptors


def send(
    sock: socket.socket, message: dict[str, object], descriptors: list[int] | None = None
) -> None:
    """Send one message with its descriptors."""
    payload = json.dumps(message).encode()
    if descriptors:
        rights = array.array("i", descriptors)
        sock.sendmsg([payload], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    else:
        sock.send(payload)


def send_event(
    sock: socket.socket,
    kind: bytes,
    instance: int = 0,
    value: int = 0,
    descriptor: int | None = None,
) -> None:
    """Send one fixed record to the supervisor."""
    record = EVENT.pack(kind, instance, value)
    if descriptor is None:
        sock.send(record)
    else:
        socket.send_fds(sock, [record], [descriptor])
