"""Operations on policies: stored is what is in force; questions tell no more than one may know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from casemate.api.policy import OPERATIONS
from casemate.api.problems import response_to
from casemate.api.service import Service
from casemate.model.account import PolicyFile
from casemate.model.denial import Denial
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.principal import Principal, PrincipalKind, RoleBinding
from casemate.operations.policies import KeepPolicy, RemovePolicy
from casemate.policy import CedarPolicy, parse_principal
from support.facts import stream
from support.fake_monitor import FakeMonitor
from support.parts import unused_parts
from support.recorder import FakeRecorder

ROLE = """\
@id("deployer")
permit (
  principal in Casemate::Role::"deployer",
  action == Casemate::Action::"function:deploy",
  resource
);
"""
OWNER = Principal(kind=PrincipalKind.USER, id="olga", bindings=(RoleBinding(role="owner"),))
ADA = Principal(
    kind=PrincipalKind.USER, id="ada", bindings=(RoleBinding(role="deployer", project="shop"),)
)
RESIZE = FunctionSpec(
    name="resize",
    handler="app:handler",
    internal=True,
    grants=(
        Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read",), prefixes=("in/",)),
        Grant(kind=GrantKind.EGRESS, name="*.example.com:443", actions=("connect",)),
    ),
)


class FakeStore:
    def __init__(self) -> None:
        self.files: dict[str, PolicyFile] = {}
        self.fault: Exception | None = None

    async def change(self, operation: KeepPolicy | RemovePolicy) -> None:
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        if isinstance(operation, KeepPolicy):
            self.files[operation.file.name] = operation.file
        else:
            del self.files[operation.name]


class FakeControl:
    async def function(self, project: str, name: str) -> DeployedFunction:
        if (project, name) != ("shop", "resize"):
            raise NotFoundError(f"There is no function {project}/{name}.")
        old = msgspec.structs.replace(RESIZE, internal=False, grants=())
        versions = tuple(
            Version(
                project=project,
                function=name,
                number=number,
                digest="a" * 64,
                spec=spec,
                created_at=1.0,
                created_by="user:olga",
            )
            for number, spec in ((1, old), (2, RESIZE), (3, old))
        )
        target = AliasTarget(version=2, weight=100)
        live = Alias(project=project, function=name, name="live", targets=(target,), changed_at=1.0)
        return DeployedFunction(project=project, name=name, versions=versions, aliases=(live,))


class FakeAccounts:
    def __init__(self, by: Callable[[], Principal | None]) -> None:
        self.by = by

    def authenticate(self, _authorization: str | None) -> Principal | None:
        return self.by()

    def principal_of(self, text: str) -> Principal | None:
        known = {OWNER.text: OWNER, ADA.text: ADA}
        if text.startswith("user:"):
            return known.get(text)
        return parse_principal(text)


class Node:
    """The operations on policies, without the rest of the API."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.denials: list[Denial] = []
        self.policy = CedarPolicy()
        self.accounts = FakeAccounts(lambda: self.by)
        facts = stream(self.denials.append)
        service: Any = Service(
            control=FakeControl(),  # type: ignore[arg-type]
            spool=None,  # type: ignore[arg-type]
            accounts=self.accounts,  # type: ignore[arg-type]
            policy=self.policy,
            vault=SimpleNamespace(),  # type: ignore[arg-type]
            data=SimpleNamespace(),  # type: ignore[arg-type]
            store=self.store,  # type: ignore[arg-type]
            rekey_store=None,  # type: ignore[arg-type]
            facts=facts,
            **unused_parts(facts, store=self.store),
            recorder=FakeRecorder(),
            monitor=FakeMonitor(),
            checks=None,  # type: ignore[arg-type]
            make_backup=None,  # type: ignore[arg-type]
            sources=tuple,
            schedules=lambda *_: (),
            ensure_inbox=None,  # type: ignore[arg-type]
        )
        self.by = OWNER

        def endpoint(operation):
            async def answer(request: Request):
                request.scope["casemate.principal"] = self.by
                try:
                    if operation.action is not None:
                        service.require(request, operation.action, operation.resource(request))
                    return await operation.endpoint(request, service)
                except Exception as error:
                    return response_to(error)

            return answer

        self.app = Starlette(
            routes=[Route(o.path, endpoint(o), methods=[o.method]) for o in OPERATIONS]
        )

    async def ask(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(self.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.request(method, path, **rest)

    def __call__(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        return asyncio.run(self.ask(method, path, **rest))

    def can(self, principal: str, action: str, resource: str) -> httpx2.Response:
        question = {"principal": principal, "action": action, "resource": resource}
        return self("POST", "/policy/decide", json=question)


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_new_text_is_refused_for_what_is_not_seen_and_others_stay(node: Node) -> None:
    """One that was put before the character was known stays in force, also beside a new one."""
    node.policy.replace(
        [PolicyFile(name="old", text=f"// \u3164\n{ROLE}", changed_at=0.0, changed_by="")]
    )
    refused = put(node, f"// \U000e0041\n{ROLE}", "new")
    assert refused.status_code == 422 and "new:1" in refused.text and "U+E0041" in refused.text
    assert put(node, ROLE.replace("deployer", "other"), "new").status_code == 200
    assert [file.name for file in node.policy.files] == ["new", "old"]


def put(node: Node, text: str = ROLE, name: str = "deployer") -> httpx2.Response:
    return node("PUT", f"/policies/{name}", json={"text": text})


def test_put_show_list_remove(node: Node) -> None:
    stored = put(node)
    assert stored.status_code == 200, stored.text
    assert stored.json()["changed_by"] == "user:olga"
    assert stored.json()["policies"] == [
        {"id": "deployer", "file": "deployer.cedar", "line": 1, "effect": "permit"}
    ]
    assert node("GET", "/policies/deployer").json()["text"] == ROLE
    listed = node("GET", "/policies").json()
    assert (listed["revision"], [f["name"] for f in listed["files"]]) == (2, ["deployer"])
    assert "deployer" in listed["roles"]
    assert node.store.files["deployer"].text == ROLE
    assert node("DELETE", "/policies/deployer").status_code == 204
    assert node.store.files == {}
    assert node("GET", "/policies").json()["files"] == []
    assert node("GET", "/policies/deployer").status_code == 404
    assert node("DELETE", "/policies/deployer").status_code == 404


@pytest.mark.parametrize("way", ["PUT", "DELETE"])
@pytest.mark.parametrize("left", [None, ADA.bindings])
def test_rights_that_are_taken_while_policies_are_checked_count(
    node: Node, monkeypatch: pytest.MonkeyPatch, way: str, left: Any
) -> None:
    """To check that nothing is widened takes seconds, and what waits for that waits as long."""
    put(node)
    kept = dict(node.store.files)
    genuine = node.policy.prepare

    def slow(*given: Any, **rest: Any) -> Any:
        asking = None if left is None else msgspec.structs.replace(OWNER, bindings=left)
        node.accounts.by = lambda: asking
        return genuine(*given, **rest)

    monkeypatch.setattr(node.policy, "prepare", slow)
    body = {"text": ROLE.replace("deployer", "other")} if way == "PUT" else None
    answer = node(way, "/policies/deployer", json=body)
    assert answer.status_code == (401 if left is None else 403), answer.text
    assert node.store.files == kept and node.policy.files == tuple(kept.values())


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("permit (principal, action, resource);", "deployer.cedar:1"),
        ("forbid (principal, action, resource);", "would lose policy:read"),
        ("\n\nnonsense;", "deployer.cedar:3"),
    ],
)
def test_what_is_refused_is_not_stored(node: Node, text: str, part: str) -> None:
    answer = put(node, text)
    assert answer.status_code == 422
    assert part in answer.json()["detail"]
    assert answer.json()["next_step"]
    assert node.store.files == {}
    assert node.policy.revision == 1


def test_what_cannot_be_stored_is_not_in_force(node: Node) -> None:
    node.store.fault = UnavailableError("The store is closing.")
    assert put(node).status_code == 503
    assert node.policy.files == ()
    node.store.fault = None
    put(node)
    node.store.fault = UnavailableError("The store is closing.")
    assert node("DELETE", "/policies/deployer").status_code == 503
    assert len(node.policy.files) == 1


def test_changes_at_the_same_time_are_all_kept(node: Node) -> None:
    async def together() -> list[httpx2.Response]:
        texts = {f"r{n}": ROLE.replace("deployer", f"r{n}") for n in range(6)}
        return await asyncio.gather(
            *(node.ask("PUT", f"/policies/{n}", json={"text": t}) for n, t in texts.items())
        )

    assert {answer.status_code for answer in asyncio.run(together())} == {200}
    assert {file.name for file in node.policy.files} == set(node.store.files)
    assert len(node.policy.files) == 6
    assert node.policy.revision == 7


@pytest.mark.parametrize("name", ["A", "a.cedar", "..", "a%2Fb", "%D0%B0", "a" * 64])
def test_names_that_are_none(node: Node, name: str) -> None:
    assert put(node, name=name).status_code in (400, 404, 405)
    assert node.store.files == {}


def test_wrong_bodies(node: Node) -> None:
    for body in ({}, {"text": 1}, {"text": ROLE, "by": "me"}, []):
        assert node("PUT", "/policies/a", json=body).status_code == 400
    assert put(node, "/" * 100_000).status_code == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/policies"),
        ("GET", "/policies/deployer"),
        ("PUT", "/policies/deployer"),
        ("DELETE", "/policies/deployer"),
    ],
)
def test_who_may_not_is_refused_and_recorded(node: Node, method: str, path: str) -> None:
    put(node)
    node.by = ADA
    assert node(method, path, json={"text": ROLE}).status_code == 403
    assert node.denials[0].principal == "user:ada"
    assert node.policy.revision == 2


def test_a_decision_with_stored_roles(node: Node) -> None:
    put(node)
    answer = node.can("user:ada", "function:deploy", "function:shop/cart").json()
    assert (answer["allowed"], answer["reasons"]) == (True, ["deployer"])
    answer = node.can("user:ada", "function:deploy", "function:other/cart").json()
    assert (answer["allowed"], answer["reasons"]) == (False, [])


@pytest.mark.parametrize(
    ("action", "resource", "roles"),
    [
        ("function:deploy", "function:other/cart", ["deployer", "developer", "owner"]),
        ("function:invoke", "function:shop/cart", ["developer", "invoker", "owner"]),
        ("function:invoke", "function:shop/resize", []),  # internal: no role helps
        ("policy:read", "node", ["auditor", "owner"]),
        ("function:deploy", "function:shop/cart", []),  # allowed
    ],
)
def test_who_may_not_is_told_which_roles_would_allow_it(
    node: Node, action: str, resource: str, roles: list[str]
) -> None:
    put(node)
    assert node.can("user:ada", action, resource).json()["roles"] == roles


def test_roles_that_somebody_wrote_are_named_to_who_may_read_policies_only(node: Node) -> None:
    put(node)
    node.by = ADA
    answer = node.can("user:ada", "function:deploy", "function:other/cart").json()
    assert answer["roles"] == ["developer", "owner"]
    # Nor does what would help tell of a function that one may not read, and how it is set.
    there, not_there = (
        node.can("user:ada", "function:invoke", f"function:shop/{name}").json()["roles"]
        for name in ("resize", "nothing")
    )
    assert there == not_there == ["developer", "invoker", "owner"]


def test_a_forbidding_policy_leaves_no_role_that_would_allow_it(node: Node) -> None:
    frozen = '@id("frozen") forbid (principal, action in [ACTION], resource);'
    action = 'Casemate::Action::"function:deploy"'
    assert put(node, frozen.replace("ACTION", action), "frozen").status_code == 200
    answer = node.can("user:ada", "function:deploy", "function:shop/cart").json()
    assert (answer["reasons"], answer["roles"]) == (["frozen"], [])


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("bucket:read", "bucket:shop/uploads", True),
        ("bucket:write", "bucket:shop/uploads", False),
        ("bucket:read", "bucket:shop/other", False),
        ("bucket:read", "bucket:other/uploads", False),
        ("bucket:read", "project:shop", False),
        ("egress:connect", "host:shop/api.example.com:443", True),
        ("egress:connect", "host:shop/example.com:443", False),
        ("egress:connect", "host:shop/api.example.com:80", False),
        ("egress:connect", "host:shop/api.example.org:443", False),
        ("policy:write", "node", False),
        ("function:invoke", "function:shop/resize", False),
    ],
)
def test_functions_have_what_their_live_version_is_granted(
    node: Node, action: str, resource: str, allowed: bool
) -> None:
    answer = node.can("function:shop/resize", action, resource)
    assert answer.json()["allowed"] is allowed
    assert answer.json()["granted"] is allowed
    assert node.can("function:shop/gone", action, resource).status_code == 404, "no denial"


def test_internal_is_that_of_the_live_version(node: Node) -> None:
    answer = node.can("user:olga", "function:invoke", "function:shop/resize").json()
    assert (answer["allowed"], answer["reasons"]) == (False, ["casemate.internal-function"])


def test_about_others_only_who_may_read_policies(node: Node) -> None:
    node.by = ADA
    assert node.can("user:ada", "node:read", "node").json()["allowed"] is False
    answer = node.can("user:olga", "node:read", "node")
    assert answer.status_code == 403
    assert node.denials[0].action == "policy:read"
    assert node.can("user:nobody", "node:read", "node").status_code == 403


def test_a_question_about_oneself_does_not_tell_of_functions_one_may_not_read(node: Node) -> None:
    put(node)
    node.by = ADA
    there = node.can("user:ada", "function:invoke", "function:shop/resize").json()
    not_there = node.can("user:ada", "function:invoke", "function:shop/nothing").json()
    assert there["reasons"] == not_there["reasons"] == []


@pytest.mark.parametrize(
    ("principal", "action", "resource", "status"),
    [
        ("user:nobody", "node:read", "node", 404),
        ("ada", "node:read", "node", 422),
        ("user:Ada", "node:read", "node", 422),
        ("user:ada", "Node:Read", "node", 422),
        ("user:ada", "node:read", "node:x", 422),
        ("user:ada", "node:read", "function:a/../b", 422),
    ],
)
def test_questions_that_are_none(
    node: Node, principal: str, action: str, resource: str, status: int
) -> None:
    assert node.can(principal, action, resource).status_code == status


FROZEN = """\
@id("frozen")
forbid (
  principal in Casemate::Role::"deployer",
  action == Casemate::Action::"function:deploy",
  resource
);
"""
THAWED = FROZEN.replace("function:deploy", "function:alias")


def narrowly(node: Node, name: str, text: str) -> Any:
    return node.ask("PUT", f"/policies/{name}", json={"text": text, "no_wider": True})


def test_what_permits_more_is_put_only_if_that_is_not_ruled_out(node: Node) -> None:
    refused = asyncio.run(narrowly(node, "deployer", ROLE))
    assert refused.status_code == 422
    assert "may function:deploy on" in refused.json()["detail"]
    assert "--no-wider" in refused.json()["next_step"]
    assert (node.store.files, node.policy.revision) == ({}, 1)
    assert asyncio.run(narrowly(node, "frozen", FROZEN)).status_code == 200
    assert asyncio.run(narrowly(node, "deployer", ROLE)).status_code == 200  # it stays forbidden


@pytest.mark.parametrize("turn", range(2))
def test_two_that_permit_more_only_together_are_not_both_put(node: Node, turn: int) -> None:
    assert put(node, FROZEN, "frozen").status_code == 200

    async def together() -> list[httpx2.Response]:
        asked = [narrowly(node, "deployer", ROLE), narrowly(node, "frozen", THAWED)]
        return await asyncio.gather(*(asked[::-1] if turn else asked))

    assert sorted(answer.status_code for answer in asyncio.run(together())) == [200, 422]
    may = node.can("user:ada", "function:deploy", "function:shop/cart").json()
    assert may["allowed"] is False


def test_a_comparison_tells_nothing_to_who_may_not_read_policies(node: Node) -> None:
    writer = (
        '@id("writer")\npermit (principal == Casemate::User::"ada", '
        'action == Casemate::Action::"policy:write", resource);'
    )
    assert put(node, writer, "writer").status_code == 200
    node.by = ADA
    assert put(node, FROZEN, "frozen").status_code == 200
    refused = asyncio.run(narrowly(node, "deployer", ROLE))
    assert (refused.status_code, node.denials[-1].action) == (403, "policy:read")
