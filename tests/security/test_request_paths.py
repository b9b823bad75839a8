"""Other spellings of a path: none of them reaches what the plain one is denied.

The caller's token may invoke `t/open`, and nothing else. Whatever it writes, `t/closed` never runs,
and no operation of the API answers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.attacks import AUTHENTICATION, AUTHORIZATION, REQUEST, denials, until
from support.node import TestNode
from support.raw_http import Answer, exchange, request

SHARES_NODE = True
OPEN = "def handler(event, context):\n    return 'open'\n"
CLOSED = "def handler(event, context):\n    return 'closed'\n"


@dataclass(frozen=True)
class Caller:
    """Asks byte by byte, as nobody or with the token."""

    node: TestNode
    token: str

    def __call__(self, target: str, *, known: bool, method: str = "POST") -> Answer:
        key = self.token if known else None
        body = b"{}" if method == "POST" else b""
        return exchange(self.node.port, request(target, body, method=method, key=key), method)


@pytest.fixture(scope="module")
def caller(node: TestNode) -> Iterator[Caller]:
    node.deploy(OPEN, name="open")
    node.deploy(CLOSED, name="closed")
    node.deploy(CLOSED, name="closed", project="other")
    answer = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "caller", "roles": ["invoker@t/open"]}
    )
    assert answer.status_code == 201, answer.text
    yield Caller(node, answer.json()["text"])
    for project in ("t", "other"):
        ran = node.get("/invocations", project=project, function="closed")["invocations"]
        assert not [each for each in ran if each["outcome"] != "denied"]


def refused_invocations(node: TestNode, since: float) -> list[dict[str, Any]]:
    """Return the records of what led nowhere. They are of no function."""
    found = node.get("/invocations", limit=20)["invocations"]
    return [each for each in found if each["started_at"] >= since - 0.01 and each["status"] >= 400]


def test_the_plain_path_is_decided(caller: Caller) -> None:
    """Or the tests below would prove nothing."""
    assert caller("/invoke/t/open", known=True).body == b'"open"'
    since = time.time()
    assert caller("/invoke/t/closed", known=True).status == 403
    assert denials(caller.node, kind=AUTHORIZATION, since=since, project="t", function="closed")


INVOKE = [
    "/invoke/T/closed", "/invoke/t/Closed", "/invoke/t/CLOSED", "/INVOKE/t/closed",
    "/Invoke/t/closed", "/invoke/t/close%64", "/invoke/%74/closed", "/invoke/t%2fclosed",
    "/invoke%2ft%2fclosed", "/%69nvoke/t/closed", "//invoke/t/closed", "/invoke//t/closed",
    "/invoke/t//closed", "/invoke/t/closed/", "/invoke/t/closed.", "/invoke/t./closed",
    "/invoke/t/closed%20", "/invoke/t/%20closed", "/invoke/t/closed;open", "/invoke/t/open;/closed",
    "/invoke/t/closed,open", "/invoke/t/open/../closed", "/invoke/t/open/%2e%2e/closed",
    "/invoke/t/open%2f..%2fclosed", "/invoke/t/open/..%5cclosed", "/invoke/t/./closed",
    "/invoke/t/open/./closed", "/invoke/t/closed%00", "/invoke/t/open%00closed",
    "/invoke/t/closed%0d%0a", "/invoke/t/closed?x=/invoke/t/open", "/invoke/t/closed@live",
    "/invoke/t/closed@1", "/invoke/t/closed@LIVE", "/invoke/t/closed@", "/invoke/t/closed@open",
    "/invoke/t/closed%40live", "/invoke/t/closed@1@2", "/invoke/t/%63%6c%6f%73%65%64",
    "/invoke/t/%25%36%33losed", "/invoke/t/%ef%bd%83losed", "/invoke/t/clo%c5%bfed",
    "/invoke/t/closed%cc%81", "/invoke/t/%e2%80%8bclosed", "/invoke/t/%c0%afclosed",
    "/invoke/t/%d1%81losed", "/invoke/t:closed", "/invoke/t/closed:80", "/invoke/*/closed",
    "/invoke/t/*", "/invoke/t/", "/invoke/t", "/invoke/", "/invoke/../invoke/t/closed",
    "/api/v1/../../invoke/t/closed", "/invoke/other/closed", "/invoke/t/../other/closed",
    "/invoke/t/open/invoke/t/closed", "/invoke/t/t/closed", "http://node/invoke/t/closed",
    "http://other/invoke/t/closed", "HTTP://node/invoke/t/closed", "http:///invoke/t/closed",
    "http://user@node/invoke/t/closed", "node/invoke/t/closed", "*", "invoke/t/closed",
    "/invoke/t/closed#/open", "\\invoke\\t\\closed", "/invoke\\t\\closed", "/.;/invoke/t/closed",
    "/..;/invoke/t/closed", "/invoke/t/closed/..;/open", "/~/invoke/t/closed",
]  # fmt: skip
API = [
    "/api/v1/functions", "/API/v1/functions", "/api/V1/functions", "/api/v1/Functions",
    "//api/v1/functions", "/api//v1/functions", "/api/v1//functions", "/api/v1/functions/",
    "/api/v1/functions.", "/api/v1/functions%2f", "/api/v1%2ffunctions", "/api%2fv1%2ffunctions",
    "/api/v1/%66unctions", "/api/v1/./functions", "/api/v1/health/../functions",
    "/api/v1/health%2f..%2ffunctions", "/api/v1/health/%2e%2e/functions",
    "/api/v1/health;/../functions", "/api/v1/health;/functions", "/api/v1/health/functions",
    "/api/v1/health/", "/api/v1/health%00", "/api/v1/health%20", "/api/v1/Health",
    "/api/v1/functions;x=/health", "/api/v1/functions?x=/api/v1/health", "/api/v1/functions%23",
    "/api/v2/functions", "/api/v1", "/api/v1/", "/api/", "/api/v1/login/../users",
    "/api/v1/login/users", "/api/v1/users%3f", "/.well-known/../api/v1/users",
    "/.well-known/jwks.json/../../api/v1/users", "/.well-known/jwks.json/api/v1/users",
    "/invoke/../api/v1/users", "/invoke/t/open/../../../api/v1/users", "http://node/api/v1/users",
    "http://other/api/v1/users", "/api/v1/users\\..\\health", "/api/v1/secrets/t",
    "/api/v1/secrets/t/../t", "/api/v1/secrets/%74", "/api/v1/backup", "/api/v1/Backup",
    "/api/v1/users/..%2f..%2fhealth", "/api/v1/%75sers", "/api/v1/users%0a",
]  # fmt: skip


def _is_recorded(node: TestNode, since: float, kind: str) -> bool:
    """Tell whether there is a denial, or the record of an invocation of nothing."""
    return bool(
        until(
            lambda: (
                denials(node, kind=kind, since=since, seconds=0.0)
                or refused_invocations(node, since)
            )
        )
    )


@pytest.mark.parametrize("target", INVOKE)
@pytest.mark.parametrize("known", [True, False], ids=["token", "nobody"])
def test_no_spelling_invokes_it(caller: Caller, target: str, known: bool) -> None:
    since = time.time()
    answer = caller(target, known=known)
    assert answer.status in ((400, 403, 404, 405) if known else (400, 401)), answer.body
    assert b"closed" not in answer.body
    kind = AUTHORIZATION if known else AUTHENTICATION
    assert _is_recorded(caller.node, since, REQUEST if answer.status == 400 else kind)


@pytest.mark.parametrize("target", API)
@pytest.mark.parametrize("known", [True, False], ids=["token", "nobody"])
def test_no_spelling_reaches_the_api(caller: Caller, target: str, known: bool) -> None:
    since = time.time()
    answer = caller(target, known=known, method="GET")
    if known and "unctions" in target and answer.status == 200:
        # The list itself is for everybody, and shows what the caller may see: nothing.
        assert json.loads(answer.body) == {"functions": []}
        return
    assert answer.status in ((400, 403, 404, 405) if known else (400, 401)), answer.body
    assert not {"functions", "users", "secrets"} & set(json.loads(answer.body))
    kind = {400: REQUEST, 401: AUTHENTICATION, 403: AUTHORIZATION}.get(answer.status)
    if kind is not None and "?" not in target:  # else it names nothing, or a parameter that is none
        assert _is_recorded(caller.node, since, kind)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "post"])
def test_no_other_method_invokes_it(caller: Caller, method: str) -> None:
    for target in ("/invoke/t/closed", "/invoke/t/open"):
        since = time.time()
        answer = caller(target, known=True, method=method)
        # Who has no role on the whole node does not learn by which method it could be called.
        assert answer.status == (403 if method != "post" else 501), target
        assert b"closed" not in answer.body
        kind = AUTHORIZATION if answer.status == 403 else REQUEST
        assert _is_recorded(caller.node, since, kind)


@pytest.mark.parametrize(
    "target", ["/invoke/t/open/../closed", "/api/v1/health/%2e%2e/users", "/invoke/t/closed%00"]
)
def test_a_malformed_target_is_recorded(caller: Caller, target: str) -> None:
    time.sleep(0.05)
    since = time.time()
    assert caller(target, known=False).status == 400
    (denial, *_) = denials(caller.node, kind=REQUEST, since=since)
    assert denial["reason"].startswith("400")


def test_the_owner_can_read_what_led_nowhere(caller: Caller) -> None:
    answer = caller("/invoke/T/closed", known=True)
    identity = answer.headers["x-request-id"]
    assert caller.node.get(f"/invocations/{identity}")["outcome"] == "denied"
