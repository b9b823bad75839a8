"""Small parts of the HTTP server: limits, peers, problems, response heads."""

from __future__ import annotations

import resource

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.addresses import address_group
from casemate.model.errors import InvalidInputError
from casemate.model.http import HttpResponse
from casemate.triggers.http_server import HttpLimits, InvalidResponseError, server_problem
from casemate.triggers.http_server.peers import (
    ConnectionCounter,
    is_local,
    peer_address,
)
from casemate.triggers.http_server.response_head import encode_head


@pytest.mark.parametrize(
    ("name", "value"),
    [("header_bytes", 0), ("connections", -1), ("write_seconds", 0), ("linger_seconds", -1)],
)
def test_a_limit_cannot_be_switched_off(name: str, value: int) -> None:
    with pytest.raises(InvalidInputError, match=name):
        HttpLimits(**{name: value})


def test_not_a_number_is_no_limit() -> None:
    with pytest.raises(InvalidInputError, match="write_seconds"):
        HttpLimits(write_seconds=float("nan"))


def test_connections_leave_descriptors_for_the_rest() -> None:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert HttpLimits(connections=10**9).connection_cap() <= soft * 3 // 4
    assert HttpLimits(connections=1).connection_cap() == 1


def test_deadlines_are_looked_at_often_enough() -> None:
    assert HttpLimits().sweep_seconds() == 0.5
    assert HttpLimits(header_seconds=0.1).sweep_seconds() == 0.025


@pytest.mark.parametrize(
    ("peername", "address", "group"),
    [
        (("1.2.3.4", 5), "1.2.3.4", "1.2.3.4"),
        (("::ffff:1.2.3.4", 5, 0, 0), "1.2.3.4", "1.2.3.4"),
        (("2001:db8:0:1:2::3", 5, 0, 0), "2001:db8:0:1:2::3", "2001:db8:0:1::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::1", "fe80::/64"),
        ("/run/socket", "", ""),
        ("", "", ""),
        (None, "", ""),
        ((), "", ""),
    ],
)
def test_peers_are_grouped_by_network(peername: object, address: str, group: str) -> None:
    assert peer_address(peername) == address
    assert address_group(address) == group


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("", True), ("10.0.0.1", False)],
)
def test_loopback(address: str, local: bool) -> None:
    assert is_local(address) is local


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["1.1.1.1", "2.2.2.2", "2001::1"]))))
def test_counts_never_drift(steps: list[tuple[bool, str]]) -> None:
    counter = ConnectionCounter(HttpLimits(connections=5, connections_per_peer=3), lambda _: False)
    held: list[str] = []
    for arrives, address in steps:
        if arrives:
            status = counter.admit(address)
            full = 503 if len(held) >= 5 else 429 if held.count(address) >= 3 else 0
            assert status == full
            if status == 0:
                held.append(address)
        elif address in held:
            held.remove(address)
            counter.release(address)
        assert counter.open == len(held)
    for address in held:
        counter.release(address)
    assert counter.open == 0
    assert counter._groups == {}


def test_problems_are_rfc_9457() -> None:
    response = server_problem(503, "Full.", "abc")
    assert isinstance(response.body, bytes)
    assert msgspec.json.decode(response.body) == {
        "type": "urn:casemate:problem:unavailable",
        "title": "Unavailable",
        "status": 503,
        "detail": "Full.",
        "error_id": "abc",
    }
    assert dict(response.headers)[b"content-type"] == b"application/problem+json"
    assert dict(response.headers)[b"retry-after"] == b"1"
    assert b"error_id" not in server_problem(400, "x").body  # type: ignore[operator]
    assert b'"title":"Error"' in server_problem(599, "x").body  # type: ignore[operator]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.binary(max_size=8), st.sampled_from([b"connection", b"date", b"x"])),
            st.one_of(st.binary(max_size=12), st.sampled_from([b"close", b"x, connection"])),
        ),
        max_size=4,
    )
)
def test_a_response_head_is_one_head_or_refused(fields: list[tuple[bytes, bytes]]) -> None:
    try:
        head = encode_head(HttpResponse(200, tuple(fields)), b"date: d\r\n", b"")
    except InvalidResponseError:
        return
    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")
    assert len(lines) <= 3 + len(fields)
    assert all(b"\n" not in line and b"\r" not in line and b"\0" not in line for line in lines)
    names = [line.split(b":", 1)[0].lower() for line in lines[1:]]
    assert names.count(b"date") == 1
    assert b"connection" not in names
