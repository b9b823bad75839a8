"""The description is complete and valid, and the reference is made from it."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.routing import Route

from casemate.api import app
from casemate.api.app import OPERATIONS, PREFIX, document
from casemate.api.invocation_paths import INVOCATION_PATHS
from casemate.api.reference import markdown

METHODS = {"get", "put", "post", "delete", "head", "patch", "options", "trace"}
ROOT = Path(__file__).parents[3]
OURS = {"node", "functions", "records"}
"""Tags of the operations that the fake service here can answer."""


def test_served_as_described(ask) -> None:
    assert ask("GET", "/openapi.json").json() == json.loads(json.dumps(document()))


def test_the_document_is_not_made_anew_for_each_who_asks(ask, monkeypatch) -> None:
    ask("GET", "/openapi.json")
    monkeypatch.setattr(app, "describe", lambda *_: pytest.fail("it is made again"))
    assert ask("GET", "/openapi.json").status_code == 200


def test_the_document_is_made_once_for_all_who_ask_at_once(monkeypatch) -> None:
    made: list[int] = []

    def slowly(*_: object) -> dict[str, object]:
        made.append(1)
        time.sleep(0.05)
        return {}

    monkeypatch.setattr(app, "describe", slowly)
    app._made.cache_clear()
    try:
        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(lambda _: app._encoded(), range(8))) == {b"{}"}
    finally:
        app._made.cache_clear()
    assert len(made) == 1


def test_every_route_is_described_and_nothing_else(ask) -> None:
    served = set()
    for route in ask.app.routes:
        assert isinstance(route, Route)
        methods = {m.lower() for m in route.methods}
        if "get" in methods:
            methods.discard("head")  # HEAD follows from GET (RFC 9110)
        served |= {(route.path, method) for method in methods}
    described = {
        (path, method)
        for path, item in document()["paths"].items()
        for method in item
        if method in METHODS and path not in INVOCATION_PATHS
    }
    assert served == described
    assert len(described) == len(OPERATIONS)


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [r for value in node.values() for r in references(value)]
    if isinstance(node, list | tuple):
        return [r for value in node for r in references(value)]
    return []


def test_every_reference_resolves() -> None:
    found = document()
    assert references(found)
    for reference in references(found):
        node = found
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_structure_is_what_openapi_requires() -> None:
    found = document()
    assert re.fullmatch(r"3\.1\.\d+", found["openapi"])
    assert found["info"]["title"]
    assert found["info"]["version"]
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", n) for n in found["components"]["schemas"])
    ids = []
    for path, item in found["paths"].items():
        assert path.startswith(PREFIX + "/") or path in INVOCATION_PATHS
        named = [p["name"] for p in item.get("parameters", ()) if p["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path)
        assert all(p["required"] is True for p in item.get("parameters", ()))
        for method in METHODS & item.keys():
            operation = item[method]
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["responses"]
            for status, response in operation["responses"].items():
                assert re.fullmatch(r"[1-5]\d\d", status)
                assert response["description"]
                if int(status) >= 400 and method != "head":
                    assert list(response["content"]) == ["application/problem+json"]
            for parameter in operation.get("parameters", ()):
                assert {"name", "in", "schema"} <= parameter.keys()
                assert parameter["in"] == ("header" if path in INVOCATION_PATHS else "query")
            if operation.get("security") != []:
                assert {"401", "403"} <= operation["responses"].keys()
    assert len(ids) == len(set(ids))


def test_every_operation_is_described_with_an_example() -> None:
    """A summary, a text, an example of each body and answer, and of what must be given."""
    for path, item in document()["paths"].items():
        for method in METHODS & item.keys():
            operation = item[method]
            assert operation["description"], path
            for parameter in (*item.get("parameters", ()), *operation.get("parameters", ())):
                assert "example" in parameter or not parameter["required"], (path, parameter)
            contents = [operation.get("requestBody", {}).get("content", {})]
            contents += [
                r.get("content", {}) for s, r in operation["responses"].items() if s < "400"
            ]
            for content in contents:
                for media_type in ("application/json", "application/x-ndjson"):
                    if media_type in content:
                        assert "example" in content[media_type], (method, path)


def test_what_needs_no_credential_is_health_and_getting_one() -> None:
    open_paths = {
        path
        for path, item in document()["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict) and operation.get("security") == []
    }
    assert open_paths == {
        "/api/v1/health",
        "/api/v1/ready",
        "/api/v1/login",
        "/api/v1/login/oidc",
        "/api/v1/login/oidc/begin",
        "/api/v1/login/workload",
        "/api/v1/enrol",
        "/api/v1/enrol/confirm",
    }


def test_described_query_parameters_are_those_that_are_read(ask, control, monkeypatch) -> None:
    """Of the operations on functions and records; the others have tests of their own."""

    async def there(_project: str, _function: str) -> None:
        """Stand for a function without records."""

    monkeypatch.setattr(control, "function", there)
    samples = {
        "project": "shop",
        "function": "cart",
        "invocation": "i",
        "follow": "false",
        "outcome": "ok",
        "level": "info",
        "field": "order=1",
        "by": "caller",
        "each": "day",
    }
    asked = set()
    for operation in OPERATIONS:
        if (
            operation.method != "GET"
            or "{" in operation.path
            or operation.tag not in OURS
            or operation.id == "backup"
        ):
            continue
        query = "&".join(f"{name}={samples.get(name, '1')}" for name in operation.form.in_query)
        assert ask("GET", f"{operation.path}?{query}").status_code == 200, operation.id
        asked.add(operation.id)
    assert {"listInvocations", "listDenials", "readLogs", "listFunctions", "nodeStatus"} <= asked


def test_reference_is_up_to_date() -> None:
    page = ROOT / "docs/reference/api.md"
    assert page.read_text() == markdown(), "run: python -m casemate.api.reference"


def test_answers_of_invocations_name_what_there_is() -> None:
    paths = document()["paths"]
    answers = [
        answer["description"]
        for path in INVOCATION_PATHS
        for answer in paths[path]["post"]["responses"].values()
        if "description" in answer
    ]
    named = re.findall(r"`([^`]+)`", " ".join(answers))
    assert "id" in named
    operations = [word.split() for word in named if " " in word]
    assert operations
    assert [each for each in operations if each[0].lower() not in paths.get(each[1], {})] == []
    # No header: callers without rights over functions get none that says where something is.
    assert [word for word in named if word[0].isupper() and " " not in word] == []
