"""What others need to verify a function's token: public, small, and cheap however often asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from casemate.delivery.wish import Wish
from casemate.front import identity
from casemate.front.identity import DISCOVERY_PATH, KEYS_PATH
from casemate.model.errors import UnavailableError
from casemate.model.http import HttpResponse
from casemate.model.path import RawInvocation
from support.core import INVOKER_TOKEN, http_request
from support.front import ISSUER, Front

KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": "AA", "use": "sig"}]}


class Node:
    """A node whose vault is played."""

    def __init__(self) -> None:
        self.asked_vault = 0
        self.fault: Exception | None = None
        self.keys: dict[str, object] = KEYS
        self.gate: asyncio.Event | None = None
        self.front = Front(self._take, vault=self)

    async def _take(self, _raw: RawInvocation, _wish: Wish) -> HttpResponse:
        raise AssertionError("nothing is called here")

    async def public_keys(self) -> dict[str, object]:
        self.asked_vault += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return self.keys

    async def ask(self, method: str, path: str, **rest: Any) -> HttpResponse:
        return await self.front.handle(http_request(method, path, **rest))

    def get(self, path: str) -> Any:
        answer = asyncio.run(self.ask("GET", path))
        assert answer.status == 200 and isinstance(answer.body, bytes)
        return json.loads(answer.body)


@pytest.fixture
def node() -> Node:
    return Node()


def test_the_keys(node: Node) -> None:
    assert node.get(KEYS_PATH) == KEYS


def test_the_discovery_document_leads_to_the_keys(node: Node) -> None:
    document = node.get(DISCOVERY_PATH)
    assert (document["issuer"], document["jwks_uri"]) == (ISSUER, ISSUER + KEYS_PATH)
    assert document["id_token_signing_alg_values_supported"] == ["EdDSA"]
    # OpenID Connect Discovery 1.0, section 3, of what a verifier needs.
    assert {"response_types_supported", "subject_types_supported"} <= document.keys()
    assert node.asked_vault == 0


def test_both_are_json_that_may_be_kept_for_a_short_time(node: Node) -> None:
    for path in (KEYS_PATH, DISCOVERY_PATH):
        headers = dict(asyncio.run(node.ask("GET", path)).headers)
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"cache-control"] == b"public, max-age=30"


def test_no_credential_is_asked_for_and_none_is_looked_at(node: Node) -> None:
    for key in (None, "cm_x", ""):
        assert asyncio.run(node.ask("GET", KEYS_PATH, key=key)).status == 200


@pytest.mark.parametrize("path", [KEYS_PATH, DISCOVERY_PATH])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("key", [None, INVOKER_TOKEN])
def test_they_are_read_and_nothing_else(
    node: Node, method: str, path: str, key: str | None
) -> None:
    answer = asyncio.run(node.ask(method, path, body=b"x", key=key))
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"GET, HEAD")
    assert node.asked_vault == 0


@pytest.mark.parametrize(
    "path",
    [
        KEYS_PATH + "/",
        KEYS_PATH.upper(),
        "/" + KEYS_PATH,
        "/x/.." + KEYS_PATH,
        "/.well-known/",
        "/.well-known/security.txt",
        "/%2ewell-known/jwks.json",
        "/",
    ],
)
def test_no_other_path_is_answered_by_them(node: Node, path: str) -> None:
    assert asyncio.run(node.ask("GET", path)).status == 401
    assert node.asked_vault == 0


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [KEYS_PATH, DISCOVERY_PATH])
def test_no_body_may_come_with_a_request_for_them(node: Node, method: str, path: str) -> None:
    assert node.front.limit(http_request(method, path)) == 0


def test_a_query_changes_nothing(node: Node) -> None:
    answer = asyncio.run(node.ask("GET", KEYS_PATH, query="kid=../../secret"))
    assert answer.status == 200 and b"secret" not in bytes(answer.body)  # type: ignore[arg-type]


def test_the_vault_is_asked_once_in_two_seconds(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(identity.time, "monotonic", lambda: now)
    for now in (1000.0, 1001.0, 1001.9):  # noqa: B007 - read by the clock
        node.get(KEYS_PATH)
    assert node.asked_vault == 1
    node.keys = {"keys": []}
    assert node.get(KEYS_PATH) == KEYS
    now = 1002.1
    assert node.get(KEYS_PATH) == {"keys": []}
    assert node.asked_vault == 2


def test_a_flood_costs_the_vault_one_question(node: Node) -> None:
    async def flood() -> None:
        node.gate = asyncio.Event()
        asking = [asyncio.ensure_future(node.ask("GET", KEYS_PATH)) for _ in range(100)]
        await asyncio.sleep(0.01)
        node.gate.set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}

    asyncio.run(flood())
    assert node.asked_vault == 1


def test_a_vault_that_does_not_answer_leaves_no_empty_set(node: Node) -> None:
    """An empty set would be cached by verifiers, who would then refuse every token."""
    node.fault = UnavailableError("gone")
    for _ in range(2):
        with pytest.raises(UnavailableError):
            node.get(KEYS_PATH)
    node.fault = None
    assert node.get(KEYS_PATH) == KEYS
