"""What got tighter is told, what got wider is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.contracts import Contract, infer, tightened


def told(before: object, after: object) -> list[str]:
    return tightened(json.dumps(before), json.dumps(after))


def field(**schema: Any) -> dict[str, Any]:
    return {"properties": {"a": schema}}


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({}, {"required": ["b", "a"]}, "/: required a, b"),
        (field(type=["string", "null"]), field(type="string"), "/a: type null is no longer"),
        (field(type="number"), field(type="integer"), "/a: type number is no longer accepted"),
        (field(), field(type="string"), "/a: only type string is accepted"),
        (field(enum=[1, "x"]), field(enum=[1]), '/a: enum without "x"'),
        (field(enum=[1, True]), field(enum=[1]), "/a: enum without true"),
        (field(), field(enum=[1]), "/a: only 1 values"),
        (field(maximum=10), field(maximum=9.5), "/a: maximum 9.5, was 10"),
        (field(), field(maximum=10), "/a: maximum 10 added"),
        (field(minimum=0), field(minimum=1), "/a: minimum 1, was 0"),
        (field(), field(minimum=-5), "/a: minimum -5 added"),
        (field(minLength=1), field(minLength=2), "/a: minLength 2, was 1"),
        (field(maxItems=5), field(maxItems=4), "/a: maxItems 4, was 5"),
        (field(), field(pattern="x"), "/a: pattern added"),
        (field(format="uri"), field(format="uuid"), "/a: format changed"),
        ({}, {"additionalProperties": False}, "/: additionalProperties is closed"),
        (
            {"additionalProperties": {"type": "string"}},
            {"additionalProperties": {"type": "string", "maxLength": 3}},
            "/*: maxLength 3 added",
        ),
        (
            {"properties": {"a": {}, "b": {}}, "additionalProperties": False},
            {"properties": {"a": {}}, "additionalProperties": False},
            "/b: is no longer accepted",
        ),
        ({"items": {}}, {"items": {"type": "string"}}, "/*: only type string"),
        (
            {"items": field()},
            {"items": field(maxLength=1)},
            "/*/a: maxLength 1 added",
        ),
        ({}, {"anyOf": [{}]}, "/: anyOf added"),
        ({"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}, "/: $ref changed"),
        ({"$defs": {"a": {}}}, {"$defs": {"a": False}}, "/: $defs changed"),
        (True, False, "/: nothing is accepted now"),
    ],
)
def test_what_got_tighter(before: object, after: object, line: str) -> None:
    assert any(found.startswith(line) for found in told(before, after)), told(before, after)
    # The other way round it got wider, unless it is a composition that merely changed.
    if not line.endswith(("changed", "added")) or "Length" in line:
        assert not any(found.startswith(line) for found in told(after, before))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"required": ["a"]}, {}),
        (field(type="integer"), field(type="number")),
        (field(type="string"), field(type=["string", "null"])),
        (field(enum=[1]), field(enum=[1, 2])),
        (field(maximum=9), field(maximum=10)),
        (field(minLength=2), field(minLength=1)),
        ({}, field(minLength=0)),
        ({"additionalProperties": False}, {"additionalProperties": True}),
        (field(title="x"), field(title="y")),
        (False, {}),
    ],
)
def test_what_got_wider_is_not_told(before: object, after: object) -> None:
    assert told(before, after) == []


def test_from_and_to_no_contract() -> None:
    assert tightened("", '{"type":"object"}') == ["/: a contract where there was none"]
    assert tightened("", "true") == []
    assert tightened('{"type":"object"}', "") == []
    assert tightened("", "") == []


def test_the_list_is_bounded() -> None:
    after = {"properties": {f"p{n:03}": {"type": "string"} for n in range(200)}}
    lines = told({}, after)
    assert len(lines) == 51
    assert lines[-1] == "and more"


SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", ["string", "null"], "object"]),
        "enum": st.lists(st.sampled_from([1, "a", None, True]), min_size=1, unique_by=repr),
        "maximum": st.integers(-2, 2),
        "minimum": st.integers(-2, 2),
        "maxLength": st.integers(0, 3),
        "minLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^a", "b"]),
        "required": st.lists(st.sampled_from(["x", "y"]), unique=True),
        "additionalProperties": st.booleans(),
        "properties": st.dictionaries(
            st.sampled_from(["x", "y"]), st.sampled_from([{}, {"type": "string"}, {"maximum": 1}])
        ),
    },
)
VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.text("ab", max_size=4)
    | st.dictionaries(
        st.sampled_from(["x", "y", "z"]), st.integers(0, 2) | st.text("ab", max_size=2)
    )
)


@given(SIMPLE, SIMPLE, st.lists(VALUE, max_size=8))
def test_whatever_is_refused_now_and_was_not_is_told(
    before: Any, after: Any, values: list[Any]
) -> None:
    old, new = Contract(json.dumps(before)), Contract(json.dumps(after))
    if any(old.is_valid(value) and not new.is_valid(value) for value in values):
        assert told(before, after)


# -- inference -----------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(st.lists(JSON, min_size=1, max_size=6))
def test_what_it_was_made_of_satisfies_it(values: list[Any]) -> None:
    compiled = Contract(json.dumps(infer(values)))
    for value in values:
        assert compiled.broken_by(value) is None


def test_what_is_proposed() -> None:
    orders = [
        {
            "id": n,
            "kind": ["new", "paid"][n % 2],
            "at": f"2026-01-{n + 1:02}T00:00:00Z",
            "total": n / 2,
            "lines": [{"sku": "ABC"}] * (n % 3),
            **({"note": "hello"} if n else {}),
        }
        for n in range(12)
    ]
    schema = infer(orders)
    assert schema["required"] == ["at", "id", "kind", "lines", "total"]
    assert schema["additionalProperties"] is False
    properties: Any = schema["properties"]
    assert properties["kind"] == {"type": "string", "enum": ["new", "paid"]}
    assert properties["at"]["format"] == "date-time"
    assert properties["id"] == {"type": "integer", "minimum": 0}
    assert properties["total"] == {"type": "number", "minimum": 0}
    assert properties["lines"]["maxItems"] == 4
    assert properties["lines"]["items"]["required"] == ["sku"]
    refused = Contract(json.dumps(schema)).broken_by({**orders[0], "admin": True})
    assert str(refused) == "/: additionalProperties"


def test_many_names_are_a_table_of_values() -> None:
    schema = infer([{f"user-{n}": {"n": n} for n in range(100)}])
    assert "properties" not in schema
    assert schema["additionalProperties"] == {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0}},
        "additionalProperties": False,
        "required": ["n"],
    }
