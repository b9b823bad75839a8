"""What a handler caught and returned as its normal answer, through a real node's ways out."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.node import TestNode

SHARES_NODE = True
SECRET = "tr0ub4dor-and-3"
SOURCE = f"""
import html
import sqlite3
import traceback

try:
    raise RuntimeError("at import {SECRET}")
except RuntimeError:
    AT_IMPORT = traceback.format_exc()


def fail(kind):
    if kind == "database":
        sqlite3.connect(":memory:").execute("select * from table_of_{SECRET.replace("-", "_")}")
    if kind == "file":
        open("/function/code/{SECRET}.toml")
    raise KeyError("{SECRET}")  # line_of_source


def text(kind, error):
    if kind == "trace":
        return traceback.format_exc()
    if kind == "page":
        return "<h2>Traceback:</h2>\\n<pre>" + html.escape(traceback.format_exc()) + "</pre>"
    if kind == "source":
        return traceback.extract_tb(error.__traceback__)[-1].line
    if kind == "repr":
        return repr(error)
    return str(error)


def handler(event, context):
    asked = event.data or {{key: values[0] for key, values in event["query"].items()}}
    kind, way = asked["kind"], asked["way"]
    if kind == "import":
        found = AT_IMPORT
    elif kind == "fine":
        found = "a page about Traceback (most recent call last)"
    elif kind == "path":
        found = "see " + __file__
    else:
        try:
            fail(kind)
        except Exception as error:
            found = text(kind, error)
    if way == "header":
        return {{"status": 200, "headers": {{"x-said": " ".join(found.split())}}, "body": "ok"}}
    if way == "html":
        return {{"status": 500, "headers": {{"content-type": "text/html"}}, "body": found}}
    return {{"error": found}}


def chain(event, context):
    return {{"inner": context.invoke("tells", event)}}


def kept(event, context):
    result = event["result"]
    context.table("seen").put({{"id": result["invocation"], "of": result, "data": event.data}})
"""
MANIFEST = """
[project]
name = "sealed"
[table.seen]
key = "id"

[function.tells]
handler = "app:handler"
[[function.tells.http]]
method = "*"
path = "/tells"
[[function.tells.http]]
method = "*"
path = "/open"
[[function.tells.errors]]
place = "/open"
what = "*"
reason = "what this route is for"
[function.tells.delivery]
attempts = 1

[function.chain]
handler = "app:chain"
grants = { invoke = ["tells"] }

[function.kept]
handler = "app:kept"
grants = { tables = [{ name = "seen", actions = ["put", "get"] }] }
[[function.kept.result]]
function = "tells"
on = ["success", "failure"]
"""
KINDS = ("trace", "page", "source", "repr", "database", "file", "import", "path")
WAYS = ("json", "header", "html")
INSIDE = (SECRET, SECRET.replace("-", "_"), "Traceback", "/function", "app.py", "line_of_source")


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> Iterator[None]:
    node.deploy_project(MANIFEST, SOURCE)
    yield


def everything(answer: httpx2.Response) -> str:
    return "\n".join((*map(": ".join, answer.headers.items()), answer.text))


def assert_sealed(node: TestNode, answer: httpx2.Response, outcome: str = "exposed") -> None:
    assert answer.status_code == 500, answer.text
    assert [word for word in INSIDE if word in everything(answer)] == []
    error = node.error(answer)
    assert error["outcome"] == outcome, error


@pytest.mark.parametrize(("kind", "way"), itertools.product(KINDS, WAYS))
def test_a_route_tells_an_error_id_and_its_owner_the_rest(
    node: TestNode, kind: str, way: str
) -> None:
    answer = node.client.get(f"{node.url}/tells", params={"kind": kind, "way": way})
    assert_sealed(node, answer)
    error = node.error(answer)
    told = error["message"] + error["trace"]
    assert kind == "path" or SECRET in told or SECRET.replace("-", "_") in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_and_a_chain_of_calls_tell_nothing(node: TestNode, kind: str) -> None:
    event = {"kind": kind, "way": "json"}
    assert_sealed(node, node.invoke(event, function="sealed/tells"))
    assert_sealed(node, node.invoke(event, function="sealed/chain"), "handler-error")


@pytest.mark.parametrize("kind", ["trace", "repr", "database"])
def test_what_is_kept_of_an_asynchronous_call_tells_nothing(node: TestNode, kind: str) -> None:
    event = {"kind": kind, "way": "json"}
    given = node.invoke(event, function="sealed/tells", headers={"prefer": "respond-async"})
    assert given.status_code == 202
    identity = given.json()["id"]
    address = f"{node.url}/api/v1/functions/sealed/tells/invocations/{identity}"

    def status() -> dict[str, Any]:
        answer = node.client.get(address)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    end = time.monotonic() + 20
    while status().get("finished_at") is None and time.monotonic() < end:
        time.sleep(0.05)
    found = status()
    assert (found["state"], found["reason"]) == ("failed", "exposed"), found
    assert found["error_id"].startswith("err_")
    assert [word for word in INSIDE if word in json.dumps(found)] == []


def test_what_destinations_are_sent_tells_nothing(node: TestNode) -> None:
    def told() -> str:
        address = f"{node.url}/api/v1/tables/sealed/seen/query"
        return node.client.post(address, json={"limit": 1000}).text

    for kind in ("fine", *KINDS):
        event = {"kind": kind, "way": "json"}
        node.invoke(event, function="sealed/tells", headers={"prefer": "respond-async"})
    node.wait_until(lambda: told().count('"outcome":"exposed"') >= len(KINDS), 60)
    text = told()
    assert "a page about Traceback" in text
    assert [word for word in INSIDE if word in text.replace("a page about Traceback", "")] == []


def test_what_is_meant_to_be_seen_is(node: TestNode) -> None:
    asked = {"kind": "fine", "way": "json"}
    answer = node.client.get(f"{node.url}/tells", params=asked)
    assert answer.json() == {"error": "a page about Traceback (most recent call last)"}
    for kind in KINDS:
        answer = node.client.get(f"{node.url}/open", params={"kind": kind, "way": "json"})
        assert answer.status_code == 200, (kind, answer.text)
    assert SECRET in node.client.get(f"{node.url}/open", params={**asked, "kind": "repr"}).text
