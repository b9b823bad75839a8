"""What the API tells of grants: that of one version, with its own uses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from casemate.api.grants import OPERATIONS, FunctionGrants
from casemate.api.problems import response_to
from casemate.model.denial import Denial, DenialKind, GrantApproval, GrantUse
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.errors import NotFoundError
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.principal import Action, ResourceKind
from casemate.operations.grants import ListApprovals, ListUses
from casemate.operations.records import Denials, ListDenials

JOBS = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
PATH = "/functions/shop/cart/grants"


def version(number: int, *grants: Grant) -> Version:
    return Version(
        project="shop",
        function="cart",
        number=number,
        digest="a" * 64,
        spec=FunctionSpec(name="cart", handler="a:b", grants=grants),
        created_at=float(number),
        created_by="user:ada",
    )


def use(number: int) -> GrantUse:
    return GrantUse(
        project="shop",
        function="cart",
        version=number,
        grant="queue jobs",
        action="send",
        first_at=1.0,
        last_at=2.0,
        count=number,
    )


def denial(kind: DenialKind) -> Denial:
    return Denial(
        at=1.0,
        kind=kind,
        by="function:shop/cart",
        action="bucket:read",
        resource="bucket:shop/uploads",
        reason="not granted",
        project="shop",
        function="cart",
    )


class FakeNode:
    """Control and store in one, with a function that has two live versions."""

    def __init__(self) -> None:
        targets = (AliasTarget(version=1, weight=95), AliasTarget(version=2, weight=5))
        live = Alias(project="shop", function="cart", name="live", targets=targets, changed_at=1.0)
        self.deployed = DeployedFunction(
            project="shop", name="cart", versions=(version(1), version(2, JOBS)), aliases=(live,)
        )
        self.asked: list[object] = []

    async def function(self, project: str, name: str) -> DeployedFunction:
        if (project, name) != ("shop", "cart"):
            raise NotFoundError("There is no such function.")
        return self.deployed

    async def recorded(self, operation: ListUses | ListDenials) -> Any:
        self.asked.append(operation)
        if isinstance(operation, ListUses):
            mine = [use(n) for n in (2, 1) if operation.version in (None, n)]
            of_package = {"grant": "package requests", "action": "egress"}
            acted = [msgspec.structs.replace(use(3), version=n, **of_package) for n in (2, 1)]
            return (*mine, *acted)
        return Denials(denials=tuple(denial(kind) for kind in DenialKind))

    async def read(self, operation: ListApprovals) -> tuple[GrantApproval, ...]:
        return (
            GrantApproval(
                project=operation.project,
                function=operation.function,
                version=2,
                added=(JOBS,),
                by="user:ada",
                at=2.0,
            ),
        )


@pytest.fixture
def fake() -> FakeNode:
    return FakeNode()


@pytest.fixture
def ask(fake: FakeNode):
    (operation,) = OPERATIONS

    async def endpoint(request: Request):
        try:
            return await operation.endpoint(request, SimpleNamespace(control=fake, store=fake))
        except Exception as error:
            return response_to(error)

    app = Starlette(routes=[Route(operation.path, endpoint)])

    def get(path: str) -> httpx2.Response:
        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.get(path)

        return asyncio.run(send())

    return get


def shown(response: httpx2.Response) -> FunctionGrants:
    assert response.status_code == 200, response.text
    return msgspec.json.decode(response.content, type=FunctionGrants)


def test_the_version_most_callers_are_sent_to_is_shown(ask, fake) -> None:
    found = shown(ask(PATH))
    assert (found.version, found.granted, found.deployed_at) == (1, (), 1.0)
    assert [u.count for u in found.uses] == [1]
    assert [(u.version, u.grant) for u in found.others] == [(2, "queue jobs")]
    assert found.approvals[0].by == "user:ada"
    assert fake.asked == [
        ListUses(project="shop", function="cart"),
        ListDenials(project="shop", function="cart", limit=100),
    ]


def test_another_version_can_be_asked_for(ask) -> None:
    found = shown(ask(PATH + "?version=2"))
    assert (found.version, found.granted) == (2, (JOBS,))
    assert [u.count for u in found.uses] == [2]


def test_what_packages_did_is_no_use_of_a_grant(ask) -> None:
    found = shown(ask(PATH))
    assert [u.grant for u in found.uses] == ["queue jobs"]
    [did] = found.packages
    assert (did.package, did.act, did.count) == ("requests", "egress", 3)


def test_denials_of_other_kinds_are_left_to_who_may_read_them(ask) -> None:
    kinds = {d.kind for d in shown(ask(PATH)).denials}
    assert kinds == {
        DenialKind.CAPABILITY,
        DenialKind.EGRESS,
        DenialKind.GRANTS,
        DenialKind.PACKAGE,
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (PATH + "?version=3", 404),
        (PATH + "?version=-1", 400),
        (PATH + "?version=x", 400),
        (PATH + "?other=1", 400),
        ("/functions/shop/other/grants", 404),
        ("/functions/other/cart/grants", 404),
        ("/functions/SHOP/cart/grants", 400),
        ("/functions/shop/cart%0a/grants", 400),
    ],
)
def test_what_is_not_there_or_not_asked_well(ask, path, status) -> None:
    assert ask(path).status_code == status


def test_without_a_live_version_one_must_be_named(ask, fake) -> None:
    fake.deployed = msgspec.structs.replace(fake.deployed, aliases=())
    response = ask(PATH)
    assert response.status_code == 404
    assert "version=N" in response.json()["next_step"]
    assert ask(PATH + "?version=1").status_code == 200


def test_it_is_asked_of_the_policy_as_reading_grants_of_that_function() -> None:
    (operation,) = OPERATIONS
    request = Request(
        {"type": "http", "path_params": {"project": "shop", "function": "cart"}, "headers": []}
    )
    assert operation.authenticated
    assert operation.action is Action.GRANT_READ
    resource = operation.resource(request)
    assert (resource.kind, resource.text) == (ResourceKind.FUNCTION, "function:shop/cart")
