"""What `json` makes of a value or a text, and the errors that it raises."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.runner import json_codec

_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers() | st.none() | st.floats(), inner)
        | st.tuples(inner, inner)
    ),
)
circular: list[Any] = []
circular.append(circular)
deep: list[Any] = []
for _ in range(200_000):
    deep = [deep]


class Failing(dict[str, object]):
    def items(self) -> Any:
        raise ValueError("theirs")


def _outcome(make: Any, value: Any) -> Any:
    try:
        return make(value)
    except (TypeError, ValueError, RecursionError) as error:
        # How deep it came depends on how many calls there were before it.
        return type(error), "" if isinstance(error, RecursionError) else str(error)


@given(VALUES)
def test_values(value: Any) -> None:
    assert _outcome(json_codec.encode, value) == _outcome(_plain.encode, value)


@pytest.mark.parametrize(
    "value",
    [circular, deep, {(): 1}, {"a": object()}, {"a": {1, 2}}, math.nan, [math.inf], Failing(a=1)],
    ids=str.split("circular deep key object set nan infinite failing"),
)
def test_values_that_have_no_text(value: Any) -> None:
    found = _outcome(json_codec.encode, value)
    assert found == _outcome(_plain.encode, value) and isinstance(found, tuple)
    assert json_codec.encode({"after": ["it"]}) == '{"after":["it"]}'


@given(st.text() | VALUES.map(lambda value: json.dumps(value, skipkeys=True)))
def test_texts(text: str) -> None:
    for each in (text, f" {text}\n", f"{text}x", text[:-1]):
        same = repr(_outcome(json_codec.decode, each)) == repr(_outcome(json.loads, each))
        assert same or each.startswith("\ufeff"), each
