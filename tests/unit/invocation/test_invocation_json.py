"""Events are checked as a decoder would, without objects being made of them, in linear time."""

from __future__ import annotations

import contextlib
import json
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.invocation.parse import MAX_DEPTH, _check_json, _depth_is_bounded

decode = msgspec.json.Decoder().decode
_FAULTS = (msgspec.MsgspecError, UnicodeError, RecursionError)


def accepts(check: object, body: bytes) -> bool:
    try:
        check(body)  # type: ignore[operator]
    except _FAULTS:
        return False
    return True


PIECES = st.sampled_from(
    [b"[", b"]", b"{", b"}", b'"', b"\\", b"\\\\", b'\\"', b",", b":", b"1", b"e", b"999", b"+",
     b"-", b".", b"0", b" ", b"null", b"\xff", b"\xc3\xa9", b"\n", b"\\u00e9", b"1e400",
     b"1e-400", b'"1e999"', b'"["', b"9" * 320]
)  # fmt: skip


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_what_a_decoder_takes_is_taken(body: bytes) -> None:
    assert accepts(_check_json, body) == accepts(decode, body)


TEXTS = st.sampled_from(['"', "\\", '\\"', "[[", "}}", "1e999", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e300, 1e300) | st.text() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(0, MAX_DEPTH + 4), st.booleans())
def test_the_depth_is_that_of_the_value(value: object, levels: int, padded: bool) -> None:
    if padded:  # so that it is looked at closely
        value = [value, [[]] * (MAX_DEPTH + 1)]
    for _ in range(levels):
        value = [value]
    body = json.dumps(value).encode()
    _check_json(body)
    assert _depth_is_bounded(body) == (depth(value) <= MAX_DEPTH)


HOSTILE = [b"[],", b"[[1]],", b'"[",', b'["["],', b'"\\\\\\"",', b"1e100,", b"9" * 200 + b","]
HOSTILE += [b"[" * 50 + b"]" * 50 + b",", b'"a",', b'{"a":1},', b"0.1e300,", b'"\\u005b",']


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_events_take_linear_time(piece: bytes) -> None:
    times = []
    for size in (100_000, 1_000_000):
        body = b"[" + piece * (size // len(piece)) + b"0]"
        best = 1e9
        for _ in range(3):
            began = time.thread_time()
            with contextlib.suppress(msgspec.ValidationError):  # so many numbers are refused
                _check_json(body)
            _depth_is_bounded(body)
            best = min(best, time.thread_time() - began)
        times.append(best)
    assert times[1] <= 30 * times[0] + 0.5
