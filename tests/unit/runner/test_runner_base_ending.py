"""When a base zygote ends."""

from __future__ import annotations

import socket

import pytest

from casemate.runner.base import _answer


def test_it_ends_quietly_if_its_supervisor_went_away_before_it_was_answered() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        ours.close()
        with pytest.raises(SystemExit) as ended:
            _answer(theirs, {"ev": "ready"}, [])
        assert ended.value.code == 0
