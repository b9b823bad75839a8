"""The route table: each request is led to one place, once, and its credential checked once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from casemate.admission import Admission, Catalogue
from casemate.api import CHECKED
from casemate.delivery.wish import Wish
from casemate.front import API_PREFIX, AUTHORITY_PATH, DISCOVERY_PATH, INVOKE_PREFIX, KEYS_PATH
from casemate.invocation.parse import parse
from casemate.model.http import Destination, HttpResponse
from casemate.model.path import RawInvocation, RefusedError
from casemate.model.principal import Checked, Principal
from casemate.model.route import is_reserved
from casemate.triggers.hooks import HOOKS_PREFIX, MAX_HOOK_BODY
from support.core import (
    INVOKER_TOKEN,
    OWNER_TOKEN,
    PlainPolicy,
    TwoTokens,
    deployed,
    http_request,
    version,
)
from support.front import Front


class Counting(TwoTokens):
    """Counts the checks of credentials; what was checked holds until it is revoked."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0
        self.revision = 0

    def check(self, authorization: str | None, before: Checked | None = None) -> Checked:
        if before is not None and before.revision == self.revision:
            return before
        return Checked(self.authenticate(authorization), self.revision, 0.0)

    def authenticate(
        self, authorization: str | None, checked: Checked | None = None
    ) -> Principal | None:
        if checked is not None and checked.revision == self.revision:
            return checked.principal
        self.checks += 1
        return super().authenticate(authorization)

    def revoke(self, text: str) -> None:
        del self.known[f"Bearer {text}"]
        self.revision += 1


class Node:
    """A table before admission; what is admitted is kept."""

    def __init__(self) -> None:
        self.accounts = Counting()
        catalogue = Catalogue()
        catalogue.replace(
            [
                deployed(version(name="private", routes=["GET /private"])),
                deployed(version(name="public", public=True, routes=["GET /public"])),
                deployed(version(name="unrouted", public=True)),
            ]
        )
        self.front = Front(self._take, catalogue=catalogue, accounts=self.accounts)
        self.admission = Admission(catalogue, self.accounts, PlainPolicy(), self.front.store.deny)
        self.ran: list[str] = []

    async def _take(self, raw: RawInvocation, _wish: Wish) -> HttpResponse:
        try:
            admitted = self.admission.admit(parse(raw))
        except RefusedError as refusal:
            return HttpResponse(refusal.status or 401)
        self.ran.append(admitted.principal.text)
        return HttpResponse(200)

    def ask(self, *args: Any, **rest: Any) -> HttpResponse:
        return asyncio.run(self.front.handle(http_request(*args, **rest)))


@pytest.fixture
def node() -> Node:
    return Node()


def test_no_project_can_have_a_route_where_the_table_leads_elsewhere() -> None:
    own = (KEYS_PATH, DISCOVERY_PATH, AUTHORITY_PATH, INVOKE_PREFIX, API_PREFIX, HOOKS_PREFIX)
    assert all(is_reserved(path) for path in own)


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/invoke/t/private"), ("GET", "/private"), ("GET", "/nothing")]
)
@pytest.mark.parametrize("key", [INVOKER_TOKEN, "cm_wrong", ""])
def test_a_credential_is_checked_once(node: Node, method: str, path: str, key: str) -> None:
    node.ask(method, path, key=key)
    assert node.accounts.checks == 1


@pytest.mark.parametrize(("method", "path"), [("POST", "/invoke/t/unrouted"), ("GET", "/public")])
def test_what_is_public_checks_a_credential_all_the_same(
    node: Node, method: str, path: str
) -> None:
    assert node.ask(method, path, key="cm_wrong").status == 401
    assert node.accounts.checks == 1
    assert node.ask(method, path).status == 200
    assert node.accounts.checks == 1, "nobody showed any"


@pytest.mark.parametrize(("method", "path"), [("POST", "/invoke/t/private"), ("GET", "/private")])
def test_a_token_that_is_revoked_while_a_body_is_sent_is_not_let_in(
    node: Node, method: str, path: str
) -> None:
    request = http_request(method, path, key=INVOKER_TOKEN)
    found = node.front.table.find(request.head)
    assert isinstance(found, Destination)
    node.accounts.revoke(INVOKER_TOKEN)

    async def finish() -> HttpResponse:
        return await found.answer(request)

    assert asyncio.run(finish()).status == 401
    assert node.ran == []


def test_the_api_is_told_what_was_found(node: Node) -> None:
    for key, who in ((OWNER_TOKEN, "token:owner"), ("cm_wrong", None), (None, None)):
        assert node.ask("GET", "/api/v1/node", key=key).body == b"api"
        checked = node.front.api[-1][1][CHECKED]
        assert isinstance(checked, Checked)
        assert (checked.principal and checked.principal.text) == who


@pytest.mark.parametrize(
    ("path", "limit"), [("/hooks/a/b/c", MAX_HOOK_BODY), ("/hooks/", MAX_HOOK_BODY)]
)
def test_hooks_may_all_send_as_much(node: Node, path: str, limit: int) -> None:
    assert node.front.limit(http_request("POST", path)) == limit
    node.ask("POST", path)
    assert [request.head.path for request in node.front.hooked] == [path]
    assert node.accounts.checks == 1, "only then is it asked who may know that there is none"


@pytest.mark.parametrize("path", ["/hooks", "/x/hooks/a", "//hooks/a/b/c", "/Hooks/a/b/c"])
def test_other_paths_are_no_hooks(node: Node, path: str) -> None:
    assert node.ask("POST", path).status == 401
    assert node.front.hooked == []


@pytest.mark.parametrize("path", ["/hooks/t/private/x", "/invoke/t/private", "/invoke/t/none"])
def test_a_method_that_is_not_served_is_405_for_who_may_know(node: Node, path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = node.ask(method, path, key=OWNER_TOKEN)
        assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"POST")
        answer = node.ask(method, path)
        assert answer.status == 401 and b"allow" not in dict(answer.headers)
