"""What callers without a token can do to a node: nothing to others, to its history or its disk."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

from casemate.delivery.verdict import KEEPER_DENIED
from support.node import TestNode
from support.processes import processor_seconds

ECHO = """
def handler(event, context):
    return event
"""
ANSWER = """
def handler(event, context):
    return {"status": 200, "headers": {"Set-Cookie": ["a=1; Path=/; Domain=x.test"],
            "Strict-Transport-Security": "max-age=1"}, "body": "ok"}
"""
ROUTE = '[[function.{name}.http]]\nmethod = "{method}"\npath = "{path}"\n'
CORS = '[function.{name}.cors]\norigins = ["https://app.example.com"]\n'


def route(name: str, method: str, path: str) -> str:
    return ROUTE.format(name=name, method=method, path=path)


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> Iterator[None]:
    routes = route("open", "GET", "/pay/{id}") + route("open", "POST", "/pay/{id}")
    node.deploy(
        ANSWER, name="open", settings="public = true", routes=routes + CORS.format(name="open")
    )
    node.deploy(ECHO, name="echo", settings="public = true")
    yield


@pytest.fixture(scope="module")
def stranger() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=30) as client:
        yield client


def test_nobody_without_a_token_forges_what_a_route_tells(
    node: TestNode, stranger: httpx2.Client
) -> None:
    """By a direct call the caller would write the whole event, its own address included."""
    node.deploy(
        ECHO, name="routed", settings="public = true", routes=route("routed", "GET", "/pay/seen")
    )
    assert stranger.get(f"{node.url}/pay/seen").json()["remote_address"] == "127.0.0.1"
    forged = {"remote_address": "203.0.113.1", "route": "/pay/seen", "method": "GET"}
    for name in ("routed", "routed@1", "routed@live"):
        for wish in ({}, {"prefer": "respond-async"}):
            answer = stranger.post(f"{node.url}/invoke/t/{name}", json=forged, headers=wish)
            assert answer.status_code == 401, name
    assert node.invoke(forged, function="t/routed").json() == forged, "with a right to invoke it"
    refused = [
        one for one in node.get("/denials", limit=100)["denials"]
        if one["resource"] == "function:t/routed"
    ]  # fmt: skip
    assert refused and sum(one["count"] for one in refused) == 6


@pytest.mark.parametrize("closed", ["", "public = true"])
def test_what_a_stranger_had_kept_is_not_handled_once_a_function_is_closed_to_that(
    node: TestNode, stranger: httpx2.Client, closed: str
) -> None:
    """With a route it is open by that alone; what waited from before was handled all the same."""
    name = f"kept-{len(closed)}"
    slow = "import time\ndef handler(event, context):\n    time.sleep(1)\n"
    held = {"name": name, "routes": route(name, "GET", f"/{name}"), "limits": "concurrency = 1"}
    node.deploy(slow, name=name, settings="public = true", limits="concurrency = 1")
    url = f"{node.url}/invoke/t/{name}"
    for _ in range(12):
        assert stranger.post(url, json=1, headers={"prefer": "respond-async"}).status_code == 202
    node.deploy(slow, settings=closed, **held)
    letters = f"/functions/t/{name}/dead-letters"
    node.wait_until(lambda: node.get(letters)["letters"], 30)
    assert {each["reason"] for each in node.get(letters)["letters"]} == {KEEPER_DENIED}


def test_nobody_without_a_token_comes_past_the_contract_of_a_route(
    node: TestNode, stranger: httpx2.Client
) -> None:
    manifest = """
[project]
name = "t"
[function.held]
handler = "app:handler"
public = true
""" + route("held", "POST", "/pay/held")
    contract = '{"type": "object", "required": ["amount"]}'
    files = {"c.json": contract}
    node.deploy_project(manifest + 'contract = "c.json"\n', ECHO, files=files)
    url, path = f"{node.url}/invoke/t/held", f"{node.url}/pay/held"
    assert stranger.post(path, json={"amount": 1}).status_code == 200
    assert stranger.post(path, json={"other": 1}).status_code == 400
    for spelled in (url, f"{url}@1", f"{url}@live"):
        for wish in ({}, {"prefer": "respond-async"}):
            assert stranger.post(spelled, json={"other": 1}, headers=wish).status_code == 401
    assert node.client.post(url, json={"other": 1}).status_code == 200
    own = manifest.replace("public = true", 'public = true\ncontract = "c.json"')
    node.deploy_project(own + 'contract = "c.json"\n', ECHO, files=files)
    assert stranger.post(url, json={"amount": 1}).status_code == 200
    assert stranger.post(url, json={"other": 1}).status_code == 400


@pytest.mark.parametrize("pump", ["${", "{%", "<%", "__proto__", '"', "[[", "\\ud83d\\ude00"])
def test_no_event_of_a_stranger_holds_the_node(
    node: TestNode, stranger: httpx2.Client, pump: str
) -> None:
    raw = json.dumps({"a": pump * (192_000 // len(pump))})
    gateway = node.part("gateway")
    before = processor_seconds(gateway)
    answer = stranger.post(
        f"{node.url}/invoke/t/echo", content=raw, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (200, 400)
    assert processor_seconds(gateway) - before < 5, "it was 37 s"


def test_what_json_sends_for_an_emoji_is_taken(node: TestNode, stranger: httpx2.Client) -> None:
    raw = b'{"text":"hi \\ud83d\\ude00"}'
    headers = {"content-type": "application/json"}
    answer = stranger.post(f"{node.url}/invoke/t/echo", content=raw, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"text": "hi 😀"})
    assert stranger.post(f"{node.url}/pay/1", content=raw, headers=headers).status_code == 200
    half = b'{"text":"\\ud83d"}'
    for path in ("/invoke/t/echo", "/pay/1"):
        assert stranger.post(node.url + path, content=half, headers=headers).status_code == 400


@pytest.mark.parametrize("header", ["Casemate-Delay", "Casemate-Priority", "Casemate-Max-Age"])
def test_a_stranger_does_not_choose_how_an_event_is_kept(
    node: TestNode, stranger: httpx2.Client, header: str
) -> None:
    headers = {"prefer": "respond-async"}
    url = f"{node.url}/invoke/t/echo"
    assert stranger.post(url, json={}, headers={**headers, header: "9"}).status_code == 401
    assert stranger.post(url, json={}, headers=headers).status_code == 202


def test_a_function_that_was_closed_is_closed_by_its_old_versions(
    node: TestNode, stranger: httpx2.Client
) -> None:
    node.deploy(ECHO, name="door", settings="public = true")
    assert stranger.post(f"{node.url}/invoke/t/door", json=1).status_code == 200
    node.deploy(ECHO, name="door")
    for name in ("door", "door@1", "door@2", "door@live"):
        assert stranger.post(f"{node.url}/invoke/t/{name}", json=1).status_code == 401
    assert node.invoke(1, function="t/door@1").status_code == 200, "an owner may"
    removed = node.client.delete(f"{node.url}/api/v1/functions/t/door/versions/1")
    assert removed.status_code == 204
    assert node.invoke(1, function="t/door@1").status_code == 404
    removed = node.client.delete(f"{node.url}/api/v1/functions/t/door/versions/2")
    assert removed.status_code == 409


def test_random_names_leave_what_is_on_record(node: TestNode, stranger: httpx2.Client) -> None:
    node.client.post(f"{node.url}/invoke/t/none-such", headers={"authorization": "Bearer x"})
    before = node.get("/denials", limit=1000)["denials"]
    for number in range(200):
        stranger.post(f"{node.url}/invoke/none-{number}/f", json=1)
    after = node.get("/denials", limit=1000)["denials"]
    assert len(after) - len(before) <= 25
    assert sum(one["count"] for one in after) - sum(one["count"] for one in before) == 200
    # Each is told by its name, and none is a project that could take room from those there are.
    assert "function:none-0/f" in {one["resource"] for one in after}
    assert {one["project"] for one in after if "none-" in one["resource"]} <= {"", "t"}
    assert node.client.get(f"{node.url}/api/v1/invocations?project=none-0").status_code == 404


def test_another_project_cannot_cover_a_route(node: TestNode) -> None:
    for path in ("/pay/{id}", "/pay/special", "/{rest...}", "/pay"):
        refused = node.deploy(ECHO, name="g", project="u", routes=route("g", "*", path), expect=409)
        assert "t/open" in refused["detail"] and "u/g" in refused["detail"]


def test_on_a_shared_host_an_answer_sets_nothing_for_all_of_it(
    node: TestNode, stranger: httpx2.Client
) -> None:
    node.deploy(ECHO, name="other", project="u")
    answer = stranger.get(f"{node.url}/pay/1")
    assert answer.headers["set-cookie"] == "a=1; Path=/pay"
    routes = route("door", "GET", "/w;x")
    node.deploy(ANSWER, name="door", project="u", settings="public = true", routes=routes)
    answer = stranger.get(f"{node.url}/w;x")
    assert answer.status_code == 200 and "set-cookie" not in answer.headers
    worker = stranger.get(f"{node.url}/w;x", headers={"service-worker": "script"})
    assert worker.status_code == 401
    assert "strict-transport-security" not in answer.headers
    claims = f"{node.url}/api/v1/route-claims/t"
    assert node.client.put(claims, json={"hosts": ["pay.example.com"]}).status_code == 200
    try:
        there = {"host": "pay.example.com"}
        answer = stranger.get(f"{node.url}/pay/1", headers=there)
        assert "strict-transport-security" in answer.headers
        assert stranger.get(f"{node.url}/pay/1").status_code == 401
    finally:
        assert node.client.put(claims, json={}).status_code == 200


def test_head_405_404_and_preflights_are_true(node: TestNode, stranger: httpx2.Client) -> None:
    url = f"{node.url}/pay/1"
    got, head = stranger.get(url), stranger.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    wrong = stranger.delete(url)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, POST")
    assert stranger.get(f"{url}/2").status_code == 404
    asked = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    answer = stranger.options(url, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-origin" in stranger.get(url, headers=asked).headers
    wrong = stranger.delete(url, headers=asked)
    assert wrong.status_code == 405
    assert wrong.headers["access-control-allow-origin"] == "https://app.example.com"
    asked["origin"] = "https://evil.example.com"
    assert "access-control-allow-origin" not in stranger.options(url, headers=asked).headers
    assert "access-control-allow-origin" not in stranger.delete(url, headers=asked).headers
