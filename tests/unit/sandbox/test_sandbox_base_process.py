"""What a base zygote's socket tells of it, also once it was let go of."""

from __future__ import annotations

import socket

from casemate.sandbox.base_process import BaseProcess


def test_whoever_closed_its_socket_it_has_hung_up() -> None:
    base = BaseProcess.__new__(BaseProcess)
    base.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    assert not base.hung_up()
    theirs.close()
    assert base.hung_up()
    # Dropped before the end of a zygote of it was read: the node ended by this once.
    base.sock.close()
    assert base.hung_up()
