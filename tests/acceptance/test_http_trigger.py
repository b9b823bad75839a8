"""Routes: from any HTTP request to the event a handler gets, and back."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support.bundles import deploy, make_bundle, publish, upload
from support.node import TestNode
from support.raw_http import exchange, request

SHARES_NODE = True
ECHO = """
import base64
def handler(event, context):
    if event["route"] == "/raw/{how}":
        body = event["body"] or ""
        data = base64.b64decode(body) if event["is_base64"] else body.encode()
        return {"status": 200, "headers": {"content-type": "x/raw"}, "body": data}
    if event["route"] == "/answer/{status}":
        return {"status": int(event["path_parameters"]["status"]), "headers": {
            "Set-Cookie": ["a=1", "b=2"], "X-Name": "wert", "Connection": "close",
            "Content-Length": "99", "Server": "evil", "Transfer-Encoding": "chunked"},
            "body": {"status": event["path_parameters"]["status"]}}
    return {"function": context.function_name, **event}
"""


def route(name: str, method: str, path: str) -> str:
    return f'[[function.{name}.http]]\nmethod = "{method}"\npath = "{path}"\n'


def routes(name: str, *pairs: tuple[str, str]) -> str:
    return "".join(route(name, method, path) for method, path in pairs)


PRIVATE = (
    ("*", "/echo"),
    ("GET", "/users/{id}"),
    ("PUT", "/users/{id}"),
    ("GET", "/users/me"),
    ("*", "/users/{id}/posts/{post}"),
    ("GET", "/files/{rest...}"),
    ("GET", "/files/special"),
    ("GET", "/files/{name}/meta"),
    ("POST", "/raw/{how}"),
    ("GET", "/answer/{status}"),
    ("*", "/any"),
)
PUBLIC = (("GET", "/open"), ("POST", "/open/{what}"))


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> Iterator[None]:
    node.deploy(ECHO, name="private", routes=routes("private", *PRIVATE))
    node.deploy(ECHO, name="open", settings="public = true", routes=routes("open", *PUBLIC))
    yield


def call(node: TestNode, method: str, path: str, **rest: Any) -> httpx2.Response:
    return node.client.request(method, node.url + path, **rest)


def event(node: TestNode, method: str, path: str, **rest: Any) -> dict[str, Any]:
    answer = call(node, method, path, **rest)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def anonymous(node: TestNode, method: str, path: str, **rest: Any) -> httpx2.Response:
    return httpx2.request(method, node.url + path, **rest)


# -- the event ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_reaches_a_route_for_all(node: TestNode, method: str) -> None:
    assert event(node, method, "/echo")["method"] == method


def test_head_is_answered_without_a_body(node: TestNode) -> None:
    answer = call(node, "HEAD", "/echo")
    assert answer.status_code == 200 and answer.content == b""
    assert int(answer.headers["content-length"]) > 0


def test_the_event_holds_what_was_sent(node: TestNode) -> None:
    found = event(
        node,
        "POST",
        "/users/7/posts/a%20b?q=1&q=2&empty=&plus=a+b&pct=%C3%A9",
        content="naïve".encode(),
        headers={"content-type": "text/plain", "x-own": "yes"},
    )
    assert found["path"] == "/users/7/posts/a%20b"
    assert found["route"] == "/users/{id}/posts/{post}"
    assert found["path_parameters"] == {"id": "7", "post": "a b"}
    assert found["query"] == {"q": ["1", "2"], "empty": [""], "plus": ["a b"], "pct": ["é"]}
    assert found["headers"]["x-own"] == "yes"
    assert found["headers"]["host"] == f"127.0.0.1:{node.port}"
    assert (found["body"], found["is_base64"]) == ("naïve", False)
    assert found["remote_address"] == "127.0.0.1"


def test_without_a_body_there_is_none(node: TestNode) -> None:
    found = event(node, "GET", "/echo")
    assert (found["body"], found["is_base64"], found["query"]) == (None, False, {})


def test_the_callers_key_stays_outside(node: TestNode) -> None:
    found = event(node, "GET", "/echo", headers={"proxy-authorization": "Basic c2VjcmV0"})
    assert not {"authorization", "proxy-authorization"} & set(found["headers"])
    assert node.key not in str(found)


def test_repeated_headers_are_joined_in_order(node: TestNode) -> None:
    raw = request(
        "/echo",
        method="GET",
        key=node.key,
        headers=(("X-Many", "one"), ("x-many", "two"), ("X-MANY", "three")),
    )
    answer = exchange(node.port, raw, "GET")
    found = httpx2.Response(200, content=answer.body).json()
    assert found["headers"]["x-many"] == "one, two, three"


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("application/json", b'{"a": 1}', '{"a": 1}'),
        ("application/json", b"{not json", "{not json"),
        ("application/problem+json", b"{}", "{}"),
        ("text/html; charset=utf-8", "é".encode(), "é"),
        ("application/x-www-form-urlencoded", b"a=1&b=2", "a=1&b=2"),
        ("text/plain", b"\xff\xfe", None),
        ("application/octet-stream", b"abc", None),
        ("image/png", b"\x89PNG", None),
        ("", b"abc", None),
    ],
)
def test_a_body_is_text_where_it_says_so_and_is(
    node: TestNode, content_type: str, body: bytes, text: str | None
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    found = event(node, "POST", "/echo", content=body, headers=headers)
    if text is None:
        assert found["is_base64"] is True
        assert base64.b64decode(found["body"]) == body
    else:
        assert (found["body"], found["is_base64"]) == (text, False)


@pytest.mark.parametrize("size", [1, 65_536, 3_000_000])
def test_binary_bodies_come_and_go_unchanged(node: TestNode, size: int) -> None:
    data = os.urandom(size)
    answer = call(node, "POST", "/raw/x", content=data, headers={"content-type": "x/y"})
    assert answer.status_code == 200, answer.text
    assert answer.content == data
    assert answer.headers["content-type"] == "x/raw"


def test_a_chunked_body_is_one_body(node: TestNode) -> None:
    pieces = iter([b"one ", b"two ", b"three"])
    found = event(node, "POST", "/echo", content=pieces, headers={"content-type": "text/plain"})
    assert found["body"] == "one two three"


def test_a_query_of_too_many_fields_is_refused(node: TestNode) -> None:
    answer = call(node, "GET", "/echo?" + "&".join(f"a{n}=1" for n in range(300)))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


# -- the answer --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 301, 400, 404, 418, 500, 503, 599])
def test_a_function_chooses_its_status(node: TestNode, status: int) -> None:
    answer = call(node, "GET", f"/answer/{status}", follow_redirects=False)
    assert answer.status_code == status
    assert answer.json() == {"status": str(status)}
    record = node.get(f"/invocations/{answer.headers['x-request-id']}")
    assert (record["outcome"], record["status"]) == ("ok", status)


@pytest.mark.parametrize("status", [100, 101, 199, 600, 999, 0])
def test_a_status_that_is_none_fails_sealed(node: TestNode, status: int) -> None:
    answer = call(node, "GET", f"/answer/{status}")
    assert answer.status_code == 500
    assert node.outcome(answer) == "bad-result"


def test_headers_of_the_connection_are_not_the_functions(node: TestNode) -> None:
    answer = call(node, "GET", "/answer/200")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-name"] == "wert"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "evil" not in answer.headers.get("server", "")
    assert answer.headers.get("connection") != "close"
    assert "transfer-encoding" not in answer.headers


# -- who may call ------------------------------------------------------------------------------


def test_a_public_function_needs_no_key(node: TestNode) -> None:
    assert anonymous(node, "GET", "/open").json()["function"] == "open"
    assert anonymous(node, "POST", "/open/x", json={}).status_code == 200
    assert anonymous(node, "POST", "/invoke/t/open", json={"route": ""}).status_code == 401


def test_a_wrong_key_is_refused_even_there(node: TestNode) -> None:
    answer = anonymous(node, "GET", "/open", headers={"authorization": "Bearer cm_x_y"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/echo", "/users/7", "/nothing", "/answer/200"])
def test_everything_else_needs_one_and_tells_nothing(node: TestNode, path: str) -> None:
    answer = anonymous(node, "GET", path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    document = answer.json()
    assert set(document) == {"type", "title", "status", "detail", "error_id"}
    assert document["detail"] == "This needs a valid token."


def test_a_method_that_a_private_route_lacks_is_not_told_without_a_key(node: TestNode) -> None:
    answer = anonymous(node, "DELETE", "/users/7")
    assert answer.status_code == 401
    assert "allow" not in answer.headers


# -- which route -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "template", "parameters"),
    [
        ("GET", "/users/me", "/users/me", {}),
        ("GET", "/users/7", "/users/{id}", {"id": "7"}),
        ("PUT", "/users/me", "/users/{id}", {"id": "me"}),
        ("GET", "/users/me/posts/1", "/users/{id}/posts/{post}", {"id": "me", "post": "1"}),
        ("GET", "/files/special", "/files/special", {}),
        ("GET", "/files/a", "/files/{rest...}", {"rest": "a"}),
        ("GET", "/files/a/b/c", "/files/{rest...}", {"rest": "a/b/c"}),
        ("GET", "/files/a/meta", "/files/{name}/meta", {"name": "a"}),
        ("GET", "/files/a/meta/x", "/files/{rest...}", {"rest": "a/meta/x"}),
        ("GET", "/files/special/x", "/files/{rest...}", {"rest": "special/x"}),
        ("DELETE", "/any", "/any", {}),
        ("PATCH", "/any", "/any", {}),
        ("GET", "/users/%C3%A9", "/users/{id}", {"id": "é"}),
        ("GET", "/users/a+b", "/users/{id}", {"id": "a+b"}),
    ],
)
def test_the_most_specific_route_wins(
    node: TestNode, method: str, path: str, template: str, parameters: dict[str, str]
) -> None:
    found = event(node, method, path)
    assert (found["route"], found["path_parameters"]) == (template, parameters)


@pytest.mark.parametrize(
    "path",
    ["/users", "/users/", "/users/7/", "/users//7", "/USERS/7", "/users/7/posts", "/files",
     "/files/", "/", "/users/a%2Fb", "/users/a%5Cb", "/echo/x"],
)  # fmt: skip
def test_a_path_without_a_route_is_404(node: TestNode, path: str) -> None:
    answer = call(node, "GET", path)
    assert answer.status_code == 404, answer.text
    assert answer.json()["detail"] == "There is no such path."


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/users/7", {"GET", "HEAD", "PUT"}),
        ("POST", "/users/me", {"GET", "HEAD", "PUT"}),
        ("POST", "/files/a/b", {"GET", "HEAD"}),
        ("PUT", "/raw/x", {"POST"}),
    ],
)
def test_a_method_without_a_route_is_405_with_those_there_are(
    node: TestNode, method: str, path: str, allow: set[str]
) -> None:
    answer = call(node, method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == allow


def test_a_route_of_another_function_is_a_conflict(node: TestNode) -> None:
    for method, path in (
        ("GET", "/users/{name}"),
        ("*", "/any"),
        ("DELETE", "/any"),
        ("*", "/users/me"),
        ("GET", "/files/{all...}"),
    ):
        bundle = make_bundle(ECHO, name="rival", routes=routes("rival", (method, path)))
        assert upload(node, bundle.digest, bundle.archive()).status_code in (200, 201)
        answer = deploy(node, bundle)
        assert answer.status_code == 409, answer.text
        assert "t/private" in answer.json()["detail"]
        assert answer.json()["next_step"]
    names = [f["name"] for f in node.get("/functions")["functions"]]
    assert "rival" not in names


def test_routes_beside_those_of_another_function_are_none(node: TestNode) -> None:
    """A more specific one takes its own part away, and gives it back when it goes."""
    own = ("POST", "/users/me"), ("GET", "/files/special/{name}")
    publish(node, make_bundle(ECHO, name="beside", routes=routes("beside", *own)))
    assert event(node, "GET", "/files/special/a")["function"] == "beside"
    assert event(node, "GET", "/files/special/a/b")["function"] == "private"
    assert event(node, "POST", "/users/me")["function"] == "beside"
    assert event(node, "GET", "/users/me")["function"] == "private"
    call(node, "DELETE", "/api/v1/functions/t/beside").raise_for_status()
    assert call(node, "POST", "/users/me").status_code == 405
    assert event(node, "GET", "/files/special/a")["function"] == "private"


def test_the_routes_are_those_of_the_live_version(node: TestNode) -> None:
    first = make_bundle(ECHO, name="moves", routes=routes("moves", ("GET", "/old")))
    second = make_bundle(ECHO, name="moves", routes=routes("moves", ("GET", "/new")))
    publish(node, first)
    publish(node, second)
    assert call(node, "GET", "/old").status_code == 404
    assert event(node, "GET", "/new")["function"] == "moves"
    call(node, "POST", "/api/v1/functions/t/moves/rollback", json={}).raise_for_status()
    assert event(node, "GET", "/old")["function"] == "moves"
    assert call(node, "GET", "/new").status_code == 404


def test_a_rollback_to_a_route_that_is_taken_by_now_is_a_conflict(node: TestNode) -> None:
    first = make_bundle(ECHO, name="leaves", routes=routes("leaves", ("GET", "/place")))
    second = make_bundle(ECHO, name="leaves", routes=routes("leaves", ("GET", "/elsewhere")))
    taker = make_bundle(ECHO, name="takes", routes=routes("takes", ("GET", "/place")))
    for bundle in (first, second, taker):
        publish(node, bundle)
    back = call(node, "POST", "/api/v1/functions/t/leaves/rollback", json={})
    point = call(
        node,
        "PUT",
        "/api/v1/functions/t/leaves/aliases/live",
        json={"targets": [{"version": 1, "weight": 100}]},
    )
    assert (back.status_code, point.status_code) == (409, 409)
    assert event(node, "GET", "/place")["function"] == "takes"
    assert event(node, "GET", "/elsewhere")["function"] == "leaves"


# -- what a body takes -------------------------------------------------------------------------

WEIGH = """
import resource
def handler(event, context):
    held = event.data if event["query"].get("data") else event["body"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"peak": peak, "of": len(held or "")}
"""


def test_a_body_takes_as_much_memory_as_is_documented(node: TestNode) -> None:
    """docs/howto/write-a-function.md has these figures: of 10 MB, beside an empty function."""
    limits = 'memory = "256MB"\nrequest = "16MB"'
    peaks = []
    for name, query, size in (
        ("none", "", 0),
        ("text", "", 10_000_000),
        ("data", "?data=1", 10_000_000),
    ):
        path = f"/weigh/{name}"
        node.deploy(WEIGH, name=name, limits=limits, routes=route(name, "POST", path))
        answer = event(node, "POST", path + query, content=os.urandom(size))
        assert answer["of"] >= size
        peaks.append(answer["peak"])
    empty, text, data = peaks
    assert 15 < empty < 35
    assert 40 < text - empty < 65
    assert 40 < data - empty < 65
