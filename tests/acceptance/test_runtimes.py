"""The same handlers on every Python of this host: what they get, return, and write to the log."""

from __future__ import annotations

import base64
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from casemate.build import RuntimeStatus, find_interpreters
from support.node import TestNode

SHARES_NODE = True
MINORS = [
    i.minor
    for i in find_interpreters(today=datetime.now(UTC).date(), environ=os.environ)
    if i.status is not RuntimeStatus.ENDED
]
KINDS = ("plain", "async")
ROUTES = """
[[function.{name}.http]]
method = "*"
path = "/{name}/{{kind}}"
"""
BODY = """
import logging
import sys

log = logging.getLogger("shop")

RETURNS = {
    "object": {"a": [1, 2.5, None, True, "é"]},
    "list": [1, 2],
    "text": "plain",
    "number": 7,
    "none": None,
    "bytes": bytes(range(256)),
    "bytearray": bytearray(b"abc"),
    "memoryview": memoryview(b"abc"),
    "tuple": (1, 2),
    "status": {"status": 201, "headers": {"X-One": "1", "x-many": ["a", "b"]}, "body": {"b": 1}},
    "str-body": {"status": 200, "body": "text é"},
    "bytes-body": {"status": 200, "body": b"\\x00\\xff"},
    "typed-bytes": {"status": 200, "headers": {"Content-Type": "image/gif"}, "body": b"GIF89a"},
    "base64": {"status": 200, "body": "AP8=", "is_base64": True},
    "no-body": {"status": 204},
    "list-body": {"status": 200, "body": [1, 2]},
}


def answer(event, context):
    kind = event.get("kind") or event["path_parameters"]["kind"]
    if kind == "python":
        return {"version": "%d.%d" % sys.version_info[:2], "prefix": sys.prefix}
    if kind == "context":
        before = context.remaining()
        return {
            "request_id": context.request_id,
            "aws_request_id": context.aws_request_id,
            "deadline": context.deadline,
            "remaining": before,
            "millis": context.get_remaining_time_in_millis(),
            "project": context.project,
            "function": context.function_name,
            "version": context.function_version,
            "memory": context.memory_limit,
            "memory_mb": context.memory_limit_in_mb,
        }
    if kind == "log":
        print("by print", "é")
        print("to stderr", file=sys.stderr)
        log.info("by logging %d", 1)
        log.error("an error by logging")
        log.debug("not shown")
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("with its trace")
        context.log.debug("by context")
        context.log.info("with fields", order=7, name="Ada")
        context.log.warning("take care")
        context.log.error("bad")
        sys.stdout.write("no line end")
        return None
    return RETURNS[kind]
"""
PLAIN = BODY + "\n\ndef handler(event, context):\n    return answer(event, context)\n"
ASYNC = (
    "import asyncio\n"
    + BODY
    + """

async def handler(event, context):
    one, two = await asyncio.gather(asyncio.sleep(0.001, 1), asyncio.sleep(0, 2))
    assert (one, two) == (1, 2)
    return answer(event, context)
"""
)


class Function:
    """One deployed handler."""

    def __init__(self, node: TestNode, name: str, minor: str) -> None:
        self.node, self.name, self.minor = node, name, minor

    def invoke(self, kind: str) -> httpx2.Response:
        return self.node.invoke({"kind": kind}, function=f"t/{self.name}")

    def http(self, kind: str, method: str = "GET") -> httpx2.Response:
        return self.node.client.request(method, f"{self.node.url}/{self.name}/{kind}")


@pytest.fixture(scope="module", params=[f"{m}-{k}" for m in MINORS for k in KINDS])
def function(request: pytest.FixtureRequest, node: TestNode) -> Iterator[Function]:
    minor, kind = request.param.split("-")
    name = f"py{minor.replace('.', '')}-{kind}"
    node.deploy(
        PLAIN if kind == "plain" else ASYNC,
        name=name,
        settings=f'python = "{minor}"',
        limits='timeout = "9s"\nmemory = "100MB"',
        routes=ROUTES.format(name=name),
    )
    yield Function(node, name, minor)
    node.client.delete(f"{node.url}/api/v1/functions/t/{name}").raise_for_status()


def test_there_is_more_than_nothing_to_test() -> None:
    assert MINORS


def test_it_runs_on_the_python_it_asks_for(function: Function) -> None:
    assert function.invoke("python").json()["version"] == function.minor


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("object", {"a": [1, 2.5, None, True, "é"]}),
        ("list", [1, 2]),
        ("text", "plain"),
        ("number", 7),
        ("none", None),
        ("tuple", [1, 2]),
        ("str-body", {"status": 200, "body": "text é"}),
    ],
)
def test_data_is_answered_as_json(function: Function, kind: str, value: Any) -> None:
    answer = function.invoke(kind)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == value
    if kind != "str-body":
        assert function.http(kind).json() == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bytes", bytes(range(256))), ("bytearray", b"abc"), ("memoryview", b"abc")],
)
def test_bytes_are_answered_as_they_are(function: Function, kind: str, value: bytes) -> None:
    for answer in (function.invoke(kind), function.http(kind)):
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.content == value


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "body"),
    [
        ("status", 201, "application/json", b'{"b":1}'),
        ("str-body", 200, "text/plain; charset=utf-8", "text é".encode()),
        ("bytes-body", 200, "application/octet-stream", b"\x00\xff"),
        ("typed-bytes", 200, "image/gif", b"GIF89a"),
        ("base64", 200, "application/octet-stream", base64.b64decode("AP8=")),
        ("no-body", 204, None, b""),
        ("list-body", 200, "application/json", b"[1,2]"),
    ],
)
def test_a_trigger_gets_status_headers_and_body(
    function: Function, kind: str, status: int, content_type: str | None, body: bytes
) -> None:
    answer = function.http(kind)
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-type") == content_type
    if kind == "status":
        assert answer.headers["x-one"] == "1"
        assert answer.headers.get_list("x-many") == ["a", "b"]


def test_the_context_tells_what_it_should(function: Function) -> None:
    before = time.time()
    answer = function.invoke("context")
    told = answer.json()
    assert told["request_id"] == told["aws_request_id"] == answer.headers["x-request-id"]
    assert told["project"] == "t" and told["function"] == function.name
    assert told["version"] == "1"
    assert told["memory"] == 100 * 1024 * 1024 and told["memory_mb"] == 100
    assert before + 8 < told["deadline"] < time.time() + 9.1
    assert 8 < told["remaining"] <= 9
    assert 8000 < told["millis"] <= 9000


def test_print_logging_and_the_context_reach_the_log(function: Function) -> None:
    answer = function.invoke("log")
    assert answer.status_code == 200, answer.text
    invocation = answer.headers["x-request-id"]
    response = function.node.client.get(
        f"{function.node.url}/api/v1/logs", params={"invocation": invocation}
    )
    lines = [httpx2.Response(200, text=line).json() for line in response.text.splitlines()]
    assert {line["invocation"] for line in lines} == {invocation}
    assert {(line["project"], line["function"]) for line in lines} == {("t", function.name)}
    assert [line["sequence"] for line in lines] == sorted(line["sequence"] for line in lines)
    found = {(line["level"], line["text"]) for line in lines}
    assert {
        ("stdout", "by print é"),
        ("stdout", "to stderr"),
        ("stdout", "no line end"),
        ("info", "by logging 1"),
        ("error", "an error by logging"),
        ("debug", "by context"),
        ("info", 'with fields {"order": 7, "name": "Ada"}'),
        ("warning", "take care"),
        ("error", "bad"),
        ("error", "with its trace"),
        ("error", "ZeroDivisionError: division by zero"),
    } <= found
    assert not any("not shown" in line["text"] for line in lines)
    assert all(abs(line["at"] - time.time()) < 60 for line in lines)
    other = function.invoke("none").headers["x-request-id"]
    assert other != invocation and re.fullmatch(r"inv_[0-9a-f]{24}", other)
