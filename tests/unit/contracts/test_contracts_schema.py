"""A contract stands alone, checks in bounded time, and tells of an event no content."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.contracts import DIALECT, MAX_BYTES, Contract, ContractError, canonical
from casemate.contracts.cost import MAX_COST, cost
from casemate.contracts.walk import names_of, resolve, subschemas


def contract(schema: object) -> Contract:
    return Contract(json.dumps(schema))


def refused(schema: object) -> str:
    with pytest.raises(ContractError) as caught:
        contract(schema)
    return str(caught.value)


# -- what is accepted as a contract --------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        True,
        False,
        {},
        {"$schema": DIALECT, "type": "object"},
        {"$id": "https://example.com/order", "$ref": "#/$defs/a", "$defs": {"a": {}}},
        {"properties": {"$ref": {"type": "string"}, "$schema": {"type": "string"}}},
        {"const": {"$ref": "http://example.com/"}},
        {"enum": [{"$ref": "file:///etc/passwd"}]},
        {"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
        {"$defs": {"a": {"$anchor": "x", "type": "string"}}, "$ref": "#x"},
        {"unknown": {"anything": 1}},
    ],
)
def test_what_stands_alone_is_accepted(schema: object) -> None:
    contract(schema)
    assert json.loads(canonical(json.dumps(schema, indent=4))) == schema


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "neither an object nor true or false"),
        ('"object"', "neither an object"),
        ('{"a":' * 50 + "1" + "}" * 50, "deeper than"),
        (json.dumps({"description": "x" * MAX_BYTES}), "larger than 64 KiB"),
        ('{"title": "\\ud800"}', "not JSON"),
    ],
)
def test_what_is_no_schema_at_all(text: str, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Contract(text)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "strin"}, "/type"),
        ({"properties": {"a": {"minLength": -1}}}, "minLength"),
        ({"format": "no-such"}, "no-such"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "another dialect"),
        ({"$schema": 7}, "another dialect"),
        ({"properties": {"a": {"$schema": "https://example.com/x"}}}, "/properties/a: .schema"),
        ({"$defs": {"a": {"$id": "https://example.com/x"}}}, "/.defs/a: .id"),
        ({"$ref": "#/$defs/missing"}, "not a valid JSON Schema"),
        ({"pattern": "(a)\\1"}, "no look-around, no back-reference"),
        ({"pattern": "(?=a)"}, "no look-around"),
        ({"pattern": "(a{1000}){1000}"}, "/pattern"),
        ({"pattern": "^[^\\s<>]{1,1500}$"}, "bounded by maxLength, not by {1,1500}"),
    ],
)
def test_mistakes_are_told_with_their_place(schema: object, says: str) -> None:
    with pytest.raises(ContractError, match=says):
        contract(schema)


# -- nothing leaves the document -------------------------------------------------------------------


class Listener:
    """A server that notes whoever asks it for anything."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/schema"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def listener() -> Any:
    found = Listener()
    yield found
    found.close()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_no_reference_is_fetched(listener: Listener, tmp_path: Path, keyword: str) -> None:
    file = tmp_path / "secret.json"
    file.write_text("{}")
    for target in (listener.url, file.as_uri(), "other.json", "//example.com/x"):
        for schema in (
            {keyword: target},
            {"properties": {"a": {keyword: target}}},
            {"allOf": [{"if": {"contains": {keyword: target}}}]},
            {"x": {keyword: target}, "$ref": "#/x"},
            {"$id": "http://example.com/", "properties": {"a": {keyword: target}}},
        ):
            with pytest.raises(ContractError):
                contract(schema)
    assert listener.asked == []


def test_no_name_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a) or [])
    with pytest.raises(ContractError):
        contract({"$ref": "https://example.com/x"})
    assert asked == []


def test_an_id_cannot_pose_as_the_dialect() -> None:
    posing = contract({"$id": DIALECT, "type": "string", "$schema": DIALECT})
    assert posing.broken_by(7) is not None
    contract({"type": "object"})


# -- time ------------------------------------------------------------------------------------------


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize("keyword", ["anyOf", "allOf", "oneOf"])
def test_alternatives_that_multiply_are_refused(keyword: str) -> None:
    ref = {"properties": {"x": {"$ref": "#/$defs/n"}}}
    schema = {"$defs": {"n": {keyword: [ref, {**ref, "minProperties": 1}]}}, "$ref": "#/$defs/n"}
    assert "too long" in refused(schema)


def test_definitions_that_double_are_refused() -> None:
    defs: dict[str, object] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)
    }
    assert "too long" in refused({"$defs": {**defs, "a40": {}}, "$ref": "#/$defs/a0"})


def test_trees_and_lists_are_not() -> None:
    node = {"$ref": "#/$defs/n"}
    tree = {"properties": {"left": node, "right": node}, "items": node}
    contract({"$defs": {"n": tree}, "$ref": "#/$defs/n"})


def test_a_chain_of_references_ends() -> None:
    defs = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(1500)}
    started = time.process_time()
    with contextlib.suppress(ContractError):
        contract({"$defs": {**defs, "a1500": {}}, "$ref": "#/$defs/a0"})
    assert time.process_time() - started < 5


def test_references_to_itself_end() -> None:
    assert contract({"$ref": "#"}).broken_by(nested(40)) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(a+)+$", "a" * 50_000 + "b"),
        ("(x+x+)+y", "x" * 50_000),
        ("^(a|aa)+$", "a" * 50_000 + "!"),
    ],
)
def test_patterns_take_linear_time(pattern: str, text: str) -> None:
    compiled = contract({"pattern": pattern})
    started = time.process_time()
    assert compiled.broken_by(text) is not None
    assert time.process_time() - started < 1


@given(
    st.recursive(
        st.booleans() | st.just({"$ref": "#"}) | st.just({"type": "object"}),
        lambda inner: (
            st.builds(
                lambda keyword, parts: {keyword: parts},
                st.sampled_from(["anyOf", "allOf", "oneOf"]),
                st.lists(inner, min_size=1, max_size=3),
            )
            | st.builds(lambda part: {"properties": {"x": part}}, inner)
            | st.builds(lambda part: {"items": part, "not": part}, inner)
        ),
        max_leaves=12,
    )
)
def test_what_is_accepted_checks_in_time(schema: object) -> None:
    assert 0 < cost(schema) <= MAX_COST + 1
    try:
        compiled = contract(schema)
    except ContractError:
        return
    started = time.process_time()
    compiled.broken_by(nested(30))
    assert time.process_time() - started < 2


# -- what is told of an event ----------------------------------------------------------------------


def test_path_and_rule_are_told() -> None:
    compiled = contract(
        {
            "type": "object",
            "required": ["id"],
            "properties": {"id": {"type": "integer", "maximum": 9}, "a/b": {"items": {"const": 1}}},
            "additionalProperties": {"type": "string"},
        }
    )
    assert compiled.broken_by({"id": 1}) is None
    assert compiled.is_valid({"id": 1})
    assert str(compiled.broken_by({"id": 10})) == "/id: maximum"
    assert str(compiled.broken_by({})) == "/id: required"
    assert str(compiled.broken_by({"id": 1, "a/b": [1, 2]})) == "/a~1b/1: const"


def test_all_that_is_broken_is_told_and_of_much_how_much() -> None:
    compiled = contract(
        {
            "required": ["id", "mail"],
            "properties": {"n": {"type": "integer", "maximum": 3}, "mail": {"format": "email"}},
            "additionalProperties": False,
        }
    )
    found = compiled.violation({"n": 9, "mail": "x", "secret-name": 1}, 40, 4)
    assert found is not None
    told = {"/id: required", "/n: maximum", "/mail: format", "/: additionalProperties"}
    assert set(found.all.split("; ")) == told and str(found) in told
    many = contract({"items": {"type": "string"}}).violation([1] * 25, 60, 26)
    assert many is not None and len(many.more) == 9
    assert many.all.endswith("/9: type; and 15 more")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"items": {"type": "string"}}, [1] * 100_000),
        ({"required": [f"n{n}" for n in range(2000)]}, {"x": "y" * 50_000}),
        ({"items": {"anyOf": [{"const": n} for n in range(50)]}}, [-1] * 20_000),
        ({"items": {"required": [f"n{n}" for n in range(200)]}}, [{}] * 4_000),
    ],
)
def test_what_would_take_long_to_tell_is_told_by_the_first(schema: object, value: object) -> None:
    compiled, data = contract(schema), json.dumps(value)
    values = data.count(",") + data.count("[") + data.count("{") + 1
    started = time.process_time()
    found = compiled.violation(value, len(data), values)
    assert time.process_time() - started < 0.3
    assert found is not None and not found.more
    assert found.rule == "unexplained" or "others are not looked for" in found.all


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_content_is_told(name: str, value: str) -> None:
    compiled = contract({"additionalProperties": {"properties": {"known": {"maxLength": 0}}}})
    assert str(compiled.broken_by({name: {"known": value}})) == "/*/known: maxLength"


def test_a_name_of_digits_is_content_too() -> None:
    compiled = contract({"additionalProperties": {"items": {"type": "string"}}})
    assert str(compiled.broken_by({"4111111111111111": ["a", 1]})) == "/*/1: type"


def test_formats_are_checked() -> None:
    assert contract({"format": "date-time"}).broken_by("yesterday") is not None
    assert contract({"format": "email"}).broken_by("a@example.com") is None


# -- reading schemas -------------------------------------------------------------------------------


def test_where_schemas_are() -> None:
    schema = {"properties": {"a": {"items": {"not": {}}}}, "enum": [{"type": "x"}], "anyOf": [True]}
    assert [place for place, _ in subschemas(schema)] == [
        (),
        ("properties", "a"),
        ("properties", "a", "items"),
        ("properties", "a", "items", "not"),
    ]


def test_names_of_a_schema() -> None:
    schema = {
        "properties": {"a": {"required": ["b"]}},
        "dependentRequired": {"c": ["d"]},
        "const": {"properties": {"no": {}}},
    }
    assert names_of(schema) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#", "root"),
        ("#/$defs/a~1b", {"x": 1}),
        ("#/allOf/1", {"y": 2}),
        ("#/allOf/2", None),
        ("#/allOf/01x", None),
        ("#anchor", {"$anchor": "anchor"}),
        ("#nowhere", None),
    ],
)
def test_references_lead_somewhere(reference: str, found: object) -> None:
    root = {"$defs": {"a/b": {"x": 1}}, "allOf": [{"$anchor": "anchor"}, {"y": 2}]}
    assert resolve(root, reference) == (root if found == "root" else found)
