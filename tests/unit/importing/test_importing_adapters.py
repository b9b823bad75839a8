"""Modules that stand between Casemate and handlers of another shape, as they run."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from casemate.audit.model import Function, Place, Platform
from casemate.importing.adapters import for_lambda, for_openfaas

ROUTE = {
    "method": "PUT",
    "path": "/function/f/x",
    "route": "/function/f/{rest...}",
    "path_parameters": {"rest": "x"},
    "query": {"a": ["1", "2"], "b": []},
    "headers": {"x-two": "2"},
    "body": "aGk=",
    "is_base64": True,
}


def adapted(lang: str, handle: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], Any]:
    """Return the handler of an adapter that calls this `handle`."""
    package, module = types.ModuleType("function"), types.ModuleType("function.handler")
    module.handle = handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "function", package)
    monkeypatch.setitem(sys.modules, "function.handler", module)
    function = Function(
        name="f", platform=Platform.OPENFAAS, settings={"lang": lang}, place=Place("stack.yml")
    )
    names: dict[str, Any] = {}
    exec(compile(for_openfaas(function), "adapter", "exec"), names)
    found: Callable[[Any, Any], Any] = names["handler"]
    return found


@pytest.mark.parametrize(
    ("returned", "answer"),
    [
        ("a", {"status": 200, "headers": {}, "body": "a"}),
        (None, {"status": 200, "headers": {}, "body": ""}),
        (("a",), {"status": 200, "headers": {}, "body": "a"}),
        (("a", 404), {"status": 404, "headers": {}, "body": "a"}),
        (("a", 201, {"x": "1"}), {"status": 201, "headers": {"x": "1"}, "body": "a"}),
        ({"status": "mine"}, {"status": 200, "headers": {}, "body": {"status": "mine"}}),
    ],
)
def test_what_a_handler_of_one_argument_returns(
    returned: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    handler = adapted("python3", lambda req: (seen.append(req), returned)[1], monkeypatch)
    assert handler(ROUTE, None) == answer
    assert seen == ["hi"]


@pytest.mark.parametrize(
    ("event", "text"), [(None, ""), ("a", "a"), ({"a": 1}, '{"a": 1}'), ([1], "[1]")]
)
def test_a_direct_call_brings_its_payload_as_text(
    event: Any, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert adapted("python3", lambda req: req, monkeypatch)(event, None) == text


def test_a_handler_of_two_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(event: Any, context: Any) -> Any:
        said = (event.method, event.path, event.query, event.headers.get("X-Two"), event.body)
        assert event.headers["X-TWO"] == "2" and "x-Two" in event.headers
        return {"statusCode": 202, "body": repr(said), "headers": {"a": context.hostname}}

    context = types.SimpleNamespace(function_name="f")
    answer = adapted("python3-http", handle, monkeypatch)(ROUTE, context)
    said = ("PUT", "/x", {"a": "1"}, "2", b"hi")
    assert answer == {"status": 202, "headers": {"a": "f"}, "body": repr(said)}
    assert (
        adapted("python3-http", lambda e, c: e.body, monkeypatch)({"a": 1}, context) == b'{"a": 1}'
    )


@pytest.mark.parametrize("name", ["a\"); import os; ('", "a'\n", "\\", "\ud800"])
def test_names_in_an_adapter_are_texts(name: str) -> None:
    text = for_lambda([name], name)
    tree = compile(text, "adapter", "exec", flags=0x400)  # ast.PyCF_ONLY_AST
    assert len(tree.body) == 3
