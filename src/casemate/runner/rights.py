"""What a zygote gives up before it imports a handler, in the order that the kernel asks for.

Trusted code alone has run until then. What leads out of the sandbox goes to the gateway here.
"""

from __future__ import annotations

import os
import resource
import socket
from typing import Any

from ..kernel import linux
from . import control, wire
from .filters import ZygoteFilters

_PENDING_SIGNALS = 128
"""Of one instance. The kernel also counts those of all instances together, in the user namespace
above them."""


def give_up_first() -> None:
    """Give up what no zygote needs, whosever it becomes. A blank one does while nobody waits.

    Emptying the bounding set needs CAP_SETPCAP, so it comes before the capabilities go.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, 8 << 20))
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (_PENDING_SIGNALS, _PENDING_SIGNALS))
    linux.set_no_new_privileges()
    linux.drop_bounding_capabilities()


def give_up_rights(assignment: dict[str, Any], filters: ZygoteFilters) -> int | None:
    """Drop every capability and load the filter. Mounts, and `give_up_first`, come before.

    Returns the descriptor by which the filter tells of calls that it denies; None where the
    kernel gives none (`ZygoteFilters.install`).
    """
    # The order matters. A change of id needs CAP_SETUID, so it comes before the capabilities go.
    # With it the kernel sets anew whether a process is dumpable (commit_creds), so that comes after
    # it. Without CAP_SYS_ADMIN a filter needs no_new_privs.
    # Of a node that may have fewer open than when the function was deployed it gets those.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = min(assignment["open_files"], most) if most >= 0 else assignment["open_files"]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if assignment["identity"]:
        linux.become(assignment["identity"])
    linux.drop_capabilities(bounding=False)
    linux.set_not_dumpable()
    calls = assignment["calls"]
    notify = filters.install(
        restorable=assignment["restorable"], asked=calls["asked"], refused=calls["refused"]
    )
    return None if notify < 0 else notify


def hand_over(
    control_socket: socket.socket,
    report: socket.socket,
    listeners: list[socket.socket],
    notify: int | None,
) -> None:
    """Send the descriptors that lead out of the sandbox to the gateway, and keep none.

    Comes before the handler's module: what is sent here was made by trusted code alone. The
    supervisor gets the notifications' as well: as long as it is open anywhere, nobody else can
    have one, and what the filter denies waits instead of being refused otherwise.
    """
    control.send_event(control_socket, control.FILTERED, descriptor=notify)
    descriptors = [listener.detach() for listener in listeners]
    descriptors += [notify] if notify is not None else []
    told = b"true" if notify is not None else b"false"
    head = b'{"listeners":%d,"notifies":%b}' % (len(listeners), told)
    frame = wire.pack(wire.DESCRIPTORS, head)
    if descriptors:
        socket.send_fds(report, [frame], descriptors)
    else:
        report.sendall(frame)
    for descriptor in descriptors:
        os.close(descriptor)
