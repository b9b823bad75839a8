"""Messages between the supervisor and what it starts."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.runner import control

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


def test_a_message_arrives_with_its_descriptors(pair: Pair) -> None:
    reading, writing = os.pipe()
    control.send(pair[0], {"op": "x", "n": 1}, [writing])
    message, descriptors = control.receive(pair[1])
    assert message == {"op": "x", "n": 1}
    [passed] = descriptors
    os.write(passed, b"through")
    assert os.read(reading, 10) == b"through"
    for descriptor in (reading, writing, passed):
        os.close(descriptor)


def test_a_descriptor_that_arrives_is_not_inherited(pair: Pair) -> None:
    control.send(pair[0], {}, [pair[0].fileno()])
    [passed] = control.receive(pair[1])[1]
    try:
        assert not os.get_inheritable(passed)
    finally:
        os.close(passed)


def test_messages_are_kept_apart(pair: Pair) -> None:
    for number in range(3):
        control.send(pair[0], {"n": number})
    assert [control.receive(pair[1])[0] for _ in range(3)] == [{"n": n} for n in range(3)]


def test_the_end_is_none(pair: Pair) -> None:
    pair[0].close()
    assert control.receive(pair[1]) == (None, [])


def test_a_peer_that_goes_without_reading_is_the_end(pair: Pair) -> None:
    control.send(pair[1], {"op": "x"})
    pair[0].close()
    assert control.receive(pair[1]) == (None, [])


@pytest.mark.parametrize("data", [b"[]", b"1", b'"x"', b"null"])
def test_a_message_is_an_object(pair: Pair, data: bytes) -> None:
    pair[0].send(data)
    with pytest.raises(TypeError):
        control.receive(pair[1])


@pytest.mark.parametrize("data", [b"{", b"\xff", b"{}x"])
def test_what_is_no_json_is_refused(pair: Pair, data: bytes) -> None:
    pair[0].send(data)
    with pytest.raises(ValueError):
        control.receive(pair[1])


def test_an_event_has_nine_bytes_and_kinds_are_one_each(pair: Pair) -> None:
    assert control.EVENT.size == 9
    assert len(control.EVENT_KINDS) == 7 and all(len(kind) == 1 for kind in control.EVENT_KINDS)
    control.send_event(pair[0], control.EXITED, 7, -9)
    assert control.EVENT.unpack(pair[1].recv(100)) == (control.EXITED, 7, -9)


def test_descriptors_are_told_from_what_else_comes_beside_the_data() -> None:
    credentials = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, bytes(12))
    some = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=2i", 7, 8))
    cut = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", 9) + b"\0\0")
    other = (socket.IPPROTO_IP, socket.SCM_RIGHTS, struct.pack("=i", 10))
    assert control.descriptors_of([credentials, some, other, cut]) == [7, 8, 9]
    assert control.descriptors_of([]) == []


def test_they_are_taken_apart_in_one_place() -> None:
    source = Path(control.__file__).parents[1]
    compared = re.compile(r"==.*\bSCM_RIGHTS\b")
    found = {path.name for path in source.rglob("*.py") if compared.search(path.read_text())}
    assert found == {"control.py"}
