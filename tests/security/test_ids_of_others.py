"""Ids, names and digests of another project, wherever a request can carry one, get nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import pytest

from casemate.model.restriction import RestrictionKind
from casemate.restrictions.meaning import id_of
from support.attacks import until
from support.node import TestNode

SECRET = "line-of-the-other"
FAILING = (
    f"def handler(event, context):\n    print('{SECRET}')\n    raise ValueError('on purpose')\n"
)
ROLES = ["developer@own", "operator@own", "owner@own", "auditor@own", "invoker@own/f"]
REASON = {"reason": "x"}
TRIES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/invocations/{call}", None),
    ("GET", "/errors/{error}", None),
    ("GET", "/errors/own/{error}/snapshot", None),
    ("GET", "/traces/{call}", None),
    ("GET", "/functions/own/f/invocations/{later}", None),
    ("GET", "/recordings/own/{call}", None),
    ("DELETE", "/recordings/own/{call}", None),
    ("GET", "/logs?project=own&invocation={call}", None),
    ("GET", "/logs?project=own&function=f&search=other", None),
    ("GET", "/denials?project=own&invocation={call}", None),
    ("GET", "/journal?project=own&search=other", None),
    ("GET", "/usage?project=own&by=account", None),
    ("GET", "/usage?by=function", None),
    ("GET", "/metrics?project=other", None),
    ("POST", "/functions/own/f/versions", {"digest": "{digest}"}),
    ("POST", "/functions/own/f/versions", {"digest": "{digest}", "dry_run": True}),
    ("HEAD", "/bundles/{digest}", None),
    ("POST", "/restrictions/{restriction}/lift", REASON),
    ("POST", "/restrictions", {"kind": "alias", "project": "own", "function": "../o/f", **REASON}),
    ("POST", "/restrictions", {"kind": "alias", "function": "f", **REASON}),
    ("POST", "/restrictions", {"kind": "host", "what": "*", **REASON}),
    ("GET", "/restrictions", None),
    ("POST", "/functions/own/f/advisory-exceptions/{exception}/end", {}),
    ("GET", "/advisories/live?project=other", None),
    ("DELETE", "/budgets/own/theirs", None),
    ("POST", "/budgets/own/theirs/lift", {"seconds": 60, **REASON}),
    ("PUT", "/budgets/own/x", {"amount": 1, "unit": "requests", "function": "../other/f"}),
    ("GET", "/budgets", None),
    ("GET", "/findings?project=other", None),
    ("GET", "/incidents?project=other", None),
    ("GET", "/playbook-runs?project=other", None),
    ("GET", "/access?project=other", None),
    ("GET", "/node/audit?project=other", None),
    ("GET", "/secrets/other", None),
    ("POST", "/decoys/other/rotate", None),
    ("POST", "/vault/rotate", {"project": "other"}),
    ("GET", "/backup", None),
    ("DELETE", "/nodes/x", None),
    ("POST", "/functions/own/f/dead-letters/redrive", {"ids": ["{later}"]}),
    ("GET", "/functions/own/f/dead-letters/{later}", None),
    ("GET", "/error-groups?function=f", None),
    ("GET", "/functions/Other/f", None),
    ("GET", "/functions/own%2F..%2Fother/f", None),
    ("GET", "/functions/%EF%BD%8Fther/f", None),
    ("GET", "/functions/othe/f", None),
]  # fmt: skip


class Both(NamedTuple):
    """A node with two projects, tokens of one, and ids of the other."""

    node: TestNode
    tokens: dict[str, str]
    ids: dict[str, str]


def _asked(node: TestNode, method: str, path: str, body: object) -> Any:
    answer = node.client.request(method, f"{node.url}/api/v1{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def both(node: TestNode) -> Iterator[Both]:
    for project in ("own", "other"):
        deployed = node.deploy(FAILING, project=project)
    failed = node.invoke({}, function="other/f")
    later = node.invoke({}, function="other/f", headers={"prefer": "respond-async"})
    about = {"advisory": "GHSA-aaaa-bbbb-cccc", "package": "x", "version": "1", "seconds": 3600}
    excepted = _asked(node, "POST", "/functions/other/f/advisory-exceptions", {**about, **REASON})
    where = {"kind": "alias", "project": "other", "function": "f"}
    restricted = _asked(node, "POST", "/restrictions", {**where, **REASON})
    _asked(node, "PUT", "/budgets/other/theirs", {"amount": 9, "unit": "requests"})
    tokens = {
        role: _asked(node, "POST", "/tokens", {"name": f"t{number}", "roles": [role]})["text"]
        for number, role in enumerate(ROLES)
    }
    ids = {
        "call": failed.headers["x-request-id"],
        "error": failed.json()["error_id"],
        "later": later.json()["id"],
        "digest": deployed["digest"],
        "restriction": restricted["id"],
        "exception": excepted["id"],
    }
    yield Both(node, tokens, ids)


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, ids) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, ids) for each in value]
    return value.format_map(ids) if isinstance(value, str) else value


def _state(node: TestNode) -> list[Any]:
    """Return what none of them may change."""
    budgets = node.get("/budgets")["budgets"]
    ordered = [(each["budget"], each["lifted_by"]) for each in budgets]
    shown = node.get("/functions/other/f")  # with how many instances it has now, which changes
    kept = [shown[name] for name in ("versions", "aliases", "quarantine")]
    return [kept, node.get("/restrictions"), ordered]


@pytest.mark.parametrize("role", ROLES)
def test_nothing_of_another_project_is_got_or_done(both: Both, role: str) -> None:
    node, ids = both.node, both.ids
    headers = {"authorization": f"Bearer {both.tokens[role]}"}
    before = _state(node)
    with httpx2.Client(headers=headers, timeout=30) as client:
        for method, path, body in TRIES:
            url = f"{node.url}/api/v1{path.format_map(ids)}"
            answer = client.request(method, url, json=_filled(body, ids))
            tried = f"{role}: {method} {path} {body}: {answer.status_code} {answer.text[:200]}"
            assert answer.status_code < 500, tried
            assert method == "GET" or not answer.is_success or answer.json() == {"letters": 0}, (
                tried
            )
            if answer.is_success:
                assert SECRET not in answer.text and '"other"' not in answer.text, tried
    assert _state(node) == before


@pytest.mark.parametrize("role", ["owner@own", "developer@own"])
def test_the_digest_of_another_project_is_that_of_none(both: Both, role: str) -> None:
    """The refusal told whether anybody had put that bundle: who runs which code."""
    told = []
    with httpx2.Client(headers={"authorization": f"Bearer {both.tokens[role]}"}) as client:
        for digest in (both.ids["digest"], "0" * 64):
            url = f"{both.node.url}/api/v1/functions/own/f/versions"
            answer = client.post(url, json={"digest": digest})
            body = {key: value for key, value in answer.json().items() if key != "error_id"}
            told.append(
                (answer.status_code, {**body, "detail": body["detail"].replace(digest, "")})
            )
    assert told[0] == told[1]
    assert told[0][0] in (403, 404)


def test_digests_that_nobody_put_are_not_kept_as_damaged(both: Both) -> None:
    """A thousand of them were all that is kept: what was damaged then was told by no health."""
    url = f"{both.node.url}/api/v1/functions/own/f/versions"
    with httpx2.Client(headers={"authorization": f"Bearer {both.tokens['owner@own']}"}) as client:
        for number in range(3):
            assert client.post(url, json={"digest": f"{number:064x}"}).status_code == 404
    assert f"{2:064x}" not in both.node.errors.read_text()


def _told(answer: httpx2.Response, *names: str) -> tuple[int, int, dict[str, Any]]:
    """Return the answer without what is made anew each time, and without what was asked for."""
    text = answer.text
    for name in names:
        text = text.replace(name, "")
    body = {key: value for key, value in json.loads(text).items() if key != "error_id"}
    return answer.status_code, len(text), body


@pytest.mark.parametrize("role", ROLES)
def test_nobody_learns_by_its_id_what_is_held_back_elsewhere(both: Both, role: str) -> None:
    """The id follows from project and function, and the refusal named the two if there was one."""
    there, other = (id_of(RestrictionKind.ALIAS, "other", name, "") for name in ("f", "g"))
    assert there == both.ids["restriction"]
    told = []
    with httpx2.Client(headers={"authorization": f"Bearer {both.tokens[role]}"}) as client:
        for id in (there, other):
            url = f"{both.node.url}/api/v1/restrictions/{id}/lift"
            told.append(_told(client.post(url, json=REASON), id))
    assert told[0] == told[1]
    assert told[0][0] == 403 and "other" not in str(told[0])
    denied = both.node.get("/denials", project="other", limit=20)["denials"]
    assert any(one["action"] == "restriction:write" for one in denied), "nobody is told of it"


@pytest.mark.parametrize("what", ["findings", "incidents"])
def test_nobody_learns_by_its_id_what_was_found_of_another_project(both: Both, what: str) -> None:
    """The id of a finding follows from events, whose own have numbers that go up."""
    node = both.node
    lister = _asked(node, "POST", "/tokens", {"name": f"lists-{what}", "roles": ["owner@other"]})
    headers = {"authorization": f"Bearer {lister['text']}"}
    asked = httpx2.get(f"{node.url}/api/v1/decoys?project=other", headers=headers)
    assert asked.status_code == 200
    found = until(lambda: node.get(f"/{what}", project="other")[what], 20)
    there = found[0]["id"]
    none = there[:-4] + ("0000" if there[-4:] != "0000" else "1111")
    told = []
    with httpx2.Client(headers={"authorization": f"Bearer {both.tokens['owner@own']}"}) as client:
        for id in (there, none):
            url = f"{node.url}/api/v1/{what}/{id}?project=own"
            told.append(_told(client.get(url), id))
    assert told[0] == told[1]
    assert told[0][0] == 404


def test_a_token_s_name_is_its_maker_s_own(both: Both) -> None:
    """Of another's it would tell that it is there, and who took it first kept others from it."""
    _asked(both.node, "POST", "/tokens", {"name": "deploys-other", "roles": ["developer@other"]})
    wanted = {"name": "deploys-other", "roles": ["developer@own"]}
    url = f"{both.node.url}/api/v1/tokens"
    with httpx2.Client(headers={"authorization": f"Bearer {both.tokens['owner@own']}"}) as client:
        assert client.post(url, json=wanted).status_code == 201
        again = client.post(url, json=wanted)
    assert again.status_code == 409
    assert "You have" in again.json()["detail"]


@pytest.mark.parametrize("path", ["/hidden-b7/{id}", "/hidden-b7/x", "/{any}"])
def test_a_route_that_another_project_has_tells_not_whose_it_is(both: Both, path: str) -> None:
    """The refusal of a deploy named project, function, method and path of the other side."""
    node = both.node
    route = '[[function.{}.http]]\nmethod = "GET"\npath = "{}"'
    theirs, wanted = route.format("routed", "/hidden-b7/{id}"), route.format("wants", path)
    node.deploy(FAILING, project="other", name="routed", routes=theirs)
    named = node.deploy(FAILING, project="own", name="wants", routes=wanted, expect=409)
    assert "other/routed" in named["detail"], "who may see all is told"
    all_mine = node.client.headers["authorization"]
    for role in ("owner@own", "developer@own"):
        node.client.headers["authorization"] = f"Bearer {both.tokens[role]}"
        try:
            told = node.deploy(FAILING, project="own", name="wants", routes=wanted, expect=409)
        finally:
            node.client.headers["authorization"] = all_mine
        assert "of own/wants overlaps with what another project has" in told["detail"]
        assert "routed" not in str(told) and "other/" not in str(told)
