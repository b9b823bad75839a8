"""The default limits: the fast look never lets through what the slow one refuses."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.contracts import exceeded, limits
from casemate.contracts.limits import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_ITEMS,
    MAX_KEY,
    MAX_KEYS,
    MAX_NUMBER,
    MAX_SIZE,
    MAX_STRING,
    MAX_VALUES,
    _walked,
)


def rule(data: bytes) -> str:
    found = exceeded(data)
    assert found is None or found.is_default
    return "" if found is None else found.rule


@pytest.mark.parametrize(
    ("within", "beyond", "name"),
    [
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "depth"),
        (
            json.dumps({str(n): 1 for n in range(MAX_KEYS)}),
            json.dumps({str(n): 1 for n in range(MAX_KEYS + 1)}),
            "keys",
        ),
        (json.dumps([1] * MAX_ITEMS), json.dumps([1] * (MAX_ITEMS + 1)), "items"),
        (
            json.dumps([[1] * 9998] * 5),
            json.dumps([[1] * 9999] * (MAX_VALUES // 9999 + 1)),
            "values",
        ),
        (json.dumps({"k" * MAX_KEY: 1}), json.dumps({"k" * (MAX_KEY + 1): 1}), "key"),
        (json.dumps("x" * MAX_STRING), json.dumps("x" * (MAX_STRING + 1)), "string"),
        (str(MAX_INTEGER), str(MAX_INTEGER + 1), "number"),
        (str(-MAX_INTEGER), str(-MAX_INTEGER - 1), "number"),
        (f"{MAX_NUMBER:e}", "1.1e30", "number"),
        ('"' + "x" * (MAX_STRING - 2) + '"', " " * MAX_SIZE + "1", "size"),
    ],
)
def test_each_limit_is_where_it_is_said_to_be(within: str, beyond: str, name: str) -> None:
    assert rule(within.encode()) == ""
    assert rule(beyond.encode()) == name


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1E+31}',
        b'{"a":-1e31}',
        b"[0.5e99]",
        b"12345678901234567890",
        b"[1,\n9999999999999999999]",
        b'{"a": 1e0031}',
        b'{"e":"e","a":1e300}',
    ],
)
def test_numbers_beyond_are_found_wherever_they_stand(data: bytes) -> None:
    assert rule(data) == "number"


@pytest.mark.parametrize(
    "data",
    [
        b'"3e4567 and 12345678901234567890123"',
        b'{"id":"6f1e4500-3e45-4e99-8e10-1e2e3e4e5e6e"}',
        b'{"a":1e9,"b":2E-300,"c":123456789012345678}',
        b'["' + b'\\"' * 200 + b'"]',
    ],
)
def test_texts_that_look_like_numbers_are_texts(data: bytes) -> None:
    assert rule(data) == ""


def test_a_long_name_does_not_hide_behind_escapes() -> None:
    name = json.dumps('"' * (MAX_KEY + 1))
    assert rule(f"{{{name}:1}}".encode()) == "key"


def test_names_are_not_told() -> None:
    found = exceeded(json.dumps({"4111111111111111": [{"x": 1e31}]}).encode())
    assert str(found) == (
        "/*/0/*: default limit on number, at most 1e+30, for integers 9223372036854775807"
    )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**22), 10**22)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["x" * 300, "1e99", "9" * 25, '"' * 150]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.just("k" * 300) | st.just('"' * 260), inner)
    ),
    max_leaves=20,
)


@given(VALUES, st.sampled_from([None, 1]))
@settings(max_examples=400)
@example({"k" * 300: 1}, None)
@example({"a": 10**19}, 1)
def test_both_looks_agree(value: object, indent: int | None) -> None:
    data = json.dumps(value, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    slow = _walked(data)
    if slow is not None and slow.rule == "json":
        return  # a lone surrogate: stage 1 refuses it
    assert exceeded(data) == slow


@given(st.binary(max_size=200))
def test_anything_is_judged(data: bytes) -> None:
    exceeded(data)


def test_strings_that_never_end_take_linear_time() -> None:
    """A request's body is looked at before it is known to be JSON."""
    for unit in (b'\\"', b'"\\', b'"', b'"a', b"\\"):
        hostile = b"[" * 100 + unit * (200_000 // len(unit))
        started = time.process_time()
        limits._depth_is_bounded(hostile)
        assert time.process_time() - started < 1.0, unit
