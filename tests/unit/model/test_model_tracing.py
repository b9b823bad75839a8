"""What callers say of traces is taken strictly or not at all; what we say is always valid."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.http import HttpHead
from casemate.model.tracing import (
    MAX_STATE,
    TRACE_PREFIX,
    TraceContext,
    begins_trace,
    handed_on,
    invocation_of,
    kept_context,
    read_context,
    span_of,
    trace_of,
)
from casemate.seal.ids import new_invocation_id

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[0-3]")


def head(*headers: tuple[bytes, bytes]) -> HttpHead:
    return HttpHead("POST", "/", "", headers, "192.0.2.1")


def test_a_valid_parent_is_taken() -> None:
    assert read_context(PARENT) == TraceContext(TRACE, SPAN, "01")
    assert read_context(f"00-{TRACE}-{SPAN}-00") == TraceContext(TRACE, SPAN, "00")
    # The bits of later versions are none of ours to hand on.
    assert read_context(f"00-{TRACE}-{SPAN}-ff") == TraceContext(TRACE, SPAN, "03")
    # A later version may say more after what this one says.
    assert read_context(f"cc-{TRACE}-{SPAN}-01-what-comes") == TraceContext(TRACE, SPAN, "01")


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "-",
        PARENT.upper(),
        f" {PARENT}",
        f"{PARENT} ",
        f"{PARENT}\n",
        f"{PARENT}-more",
        f"{PARENT}x",
        PARENT[:-1],
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}a-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-zz",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-01-" + "x" * 5000,
        "\uff10\uff10-" + PARENT[3:],
        "00-" + "\u0660" * 32 + f"-{SPAN}-01",
    ],
)
def test_a_malformed_parent_is_none(parent: str) -> None:
    assert read_context(parent) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_that_is_said_is_an_error(parent: str, state: str) -> None:
    context = read_context(parent, state)
    assert context is None or VALID.fullmatch(context.text)


def test_malformed_parents_cost_no_more_than_their_length() -> None:
    began = time.process_time()
    for text in ("-" * 1_000_000, "0" * 1_000_000, PARENT * 20_000, "00-" * 300_000):
        assert read_context(text) is None
        assert read_context(PARENT, text) == TraceContext(TRACE, SPAN)
    for _ in range(1000):
        read_context(PARENT, "a=" + " " * 300 + "," + "b" * 200)
        read_context(PARENT, ",".join(f"k{n}=v" for n in range(80)))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [
        ("", ""),
        ("vendor=1", "vendor=1"),
        ("a=1, b=2 ,\tc=3", "a=1,b=2,c=3"),
        ("tenant@vendor=x y", "tenant@vendor=x y"),
        ("a=1,,b=2,", "a=1,b=2"),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a", ""),
        ("a=", ""),
        ("a=1\r\nx: y", ""),
        ("a=\u00e9", ""),
        ("a=b=c", ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        ("a=" + "x" * MAX_STATE, ""),
    ],
)
def test_a_state_goes_on_only_whole_and_well_formed(state: str, goes_on: str) -> None:
    context = read_context(PARENT, state)
    assert context is not None and context.state == goes_on
    assert kept_context(context.kept) == context


def test_headers_are_one_parent_and_any_number_of_states() -> None:
    parent = (b"traceparent", PARENT.encode())
    assert head().trace is None
    assert head(parent).trace == TraceContext(TRACE, SPAN)
    assert head(parent, parent).trace is None
    two = head((b"tracestate", b"a=1"), parent, (b"tracestate", b"b=2")).trace
    assert two is not None and two.state == "a=1,b=2"
    assert head((b"tracestate", b"a=1")).trace is None
    assert head((b"traceparent", b"\xff\xfe")).trace is None


def test_a_trace_that_begins_here_follows_from_the_invocation() -> None:
    identity = new_invocation_id()
    context = handed_on(identity, None)
    assert VALID.fullmatch(context.text)
    assert context.trace_id == trace_of(identity) == TRACE_PREFIX + identity[4:]
    assert context.parent_id == span_of(identity) == identity[-16:]
    assert invocation_of(context.trace_id) == identity
    assert invocation_of(TRACE) == ""


@given(st.text(max_size=40), st.integers(1, 100_000))
def test_whatever_the_id_is_what_is_handed_on_is_valid(identity: str, attempt: int) -> None:
    assert VALID.fullmatch(handed_on(identity, None).text)
    again = handed_on(identity, None, attempt)
    assert again.trace_id == handed_on(identity, None).trace_id
    assert attempt == 1 or attempt % 65536 == 0 or again.parent_id != span_of(identity)


@pytest.mark.parametrize(
    ("identity", "begins"),
    [
        ("inv_01a21a5c499d6d1728d66ddc", True),
        ("inv_01a21a5c499d6d1728d66dd", False),
        ("inv_01A21A5C499D6D1728D66DDC", False),
        ("inv_01a21a5c499d6d1728d66d c", False),
        ("inv_01a21a5c" + "0" * 16, False),
        ("", False),
    ],
)
def test_which_ids_begin_a_trace_by_their_own_digits(identity: str, begins: bool) -> None:
    assert begins_trace(identity) is begins
    assert (trace_of(identity) == TRACE_PREFIX + identity[4:]) is begins


def test_ids_of_nothing_but_zeros_are_none() -> None:
    assert VALID.fullmatch(handed_on("inv_" + "0" * 24, None).text)


def test_a_caller_s_trace_goes_on_with_its_flags_and_state() -> None:
    identity = new_invocation_id()
    context = handed_on(identity, TraceContext(TRACE, SPAN, "00", "a=1"))
    assert context == TraceContext(TRACE, span_of(identity), "00", "a=1")
