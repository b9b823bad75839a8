"""Access reviews over HTTP: what is listed, who may keep and take, and what is recorded of it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import httpx2
import pytest

from casemate.accounts.issuing import issue
from casemate.api import access as api
from casemate.model.deployment import LIVE, Alias, AliasTarget, DeployedFunction, Version
from casemate.model.facts import AccessReviewed, Fact, OperationPerformed
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.principal import RoleBinding
from casemate.model.trigger import RepositoryTrigger
from casemate.model.usage import Usage
from casemate.model.workload import Workload
from casemate.operations.accounts import KeepToken
from support.accounts import World
from support.accounts_node import Asking

DAY = 86_400.0


@pytest.fixture
def ask() -> Asking:
    world = World()
    world.clock.now = time.time()
    world.start()
    return Asking(world)


@pytest.fixture
def told(ask: Asking) -> list[Fact]:
    found: list[Fact] = []
    for kind in (AccessReviewed, OperationPerformed):
        ask.world.facts.listen(kind, found.append)
    return found


def function(project: str = "shop", name: str = "cart", **spec: Any) -> DeployedFunction:
    made = time.time() - 5.0
    version = Version(
        project=project,
        function=name,
        number=1,
        digest="a" * 64,
        spec=FunctionSpec(name=name, handler="app:handler", **spec),
        created_at=made,
        created_by="user:ada",
    )
    alias = Alias(
        project=project,
        function=name,
        name=LIVE,
        targets=(AliasTarget(version=1, weight=100),),
        changed_at=made,
    )
    return DeployedFunction(project=project, name=name, versions=(version,), aliases=(alias,))


def add(ask: Asking, name: str, *roles: str) -> None:
    added = ask("POST", "/users", json={"name": name, "roles": roles})
    assert added.status_code == 201, added.text


def id_of(ask: Asking, name: str) -> str:
    listed = ask("GET", "/tokens").json()["tokens"]
    return "token:" + next(one["id"] for one in listed if one["name"] == name)


def listed(ask: Asking, query: str = "", **more: Any) -> dict[str, dict[str, Any]]:
    answer = ask("GET", f"/access{query}", **more)
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["entries"]}


def test_everybody_who_has_rights_is_listed(ask: Asking) -> None:
    add(ask, "bob", "developer@shop", "deployer@shop/cart")
    add(ask, "gone")
    ask.token("ci", "invoker@shop/cart")
    hook = RepositoryTrigger(name="push", provider="github", secret="hook")
    grant = Grant(kind=GrantKind.BUCKET, name="in", actions=("read",), prefixes=("a/",))
    ask.service.control.found = [function(grants=(grant,), triggers=(hook,), public=True)]
    ask.service.control.used = (
        Usage(project="shop", function="cart", start=1000 * DAY, requests=3),
        Usage(project="shop", function="cart", start=1001 * DAY, requests=0),
    )
    found = listed(ask)
    assert next(iter(found)) == "user:bob" and "user:gone" not in found
    assert "deploys, calls" in found["user:bob"]["rights"][1]
    assert "what the policies say" in found["user:bob"]["rights"][0]
    assert found["user:bob"].get("last_used") is None
    assert "calls functions, on the function shop/cart" in found[id_of(ask, "ci")]["rights"][0]
    assert found[id_of(ask, "bootstrap")]["last_used"] == pytest.approx(time.time(), abs=60)
    assert found["hook:shop/cart/push"]["name"] == "github"
    cart = found["function:shop/cart"]
    assert cart["rights"][0] == "bucket in: read below a/"
    assert "is called by everybody, without a credential" in cart["rights"]
    assert cart["last_used"] == 1000 * DAY
    assert listed(ask, "?kind=hook").keys() == {"hook:shop/cart/push"}
    assert ask("GET", "/access?kind=colour").status_code == 400


def test_pages_go_on_where_one_ended_though_it_is_gone(ask: Asking) -> None:
    for number in range(7):
        add(ask, f"u{number}", "auditor")
    found: list[str] = []
    after = ""
    for _ in range(9):
        page = ask("GET", f"/access?kind=user&limit=2&after={after}").json()
        found += [one["id"] for one in page["entries"]]
        assert page["total"] in (7, 6)
        after = page["after"]
        if after == "user:u3":
            ask("DELETE", "/users/u3")
        if not after:
            break
    assert found == [f"user:u{number}" for number in range(7)]
    assert listed(ask, "?after=zzz").keys() == set()
    assert len(listed(ask, "?after=user:zzz")) == 1, "the token behind all people"


def test_keeping_is_recorded_with_who_and_why(ask: Asking, told: list[Fact]) -> None:
    ask.token("ci", "invoker@shop")
    add(ask, "bob", "developer@shop")
    body = {"id": "user:bob", "reason": "on the \x1b[2J team"}
    kept = ask("POST", "/access/keep", json=body)
    assert kept.status_code == 200 and kept.json()["own"] is False, kept.text
    [fact] = [one for one in told if isinstance(one, AccessReviewed)]
    assert (fact.subject, fact.decision, fact.reason) == ("user:bob", "keep", body["reason"])
    assert fact.by.startswith("token:") and fact.remote_address
    assert listed(ask)["user:bob"]["review"]["by"] == fact.by
    for id, reason in (("user:bob", ""), ("user:bob", " "), ("user:bob", "\t\n"), ("user:B", "x")):
        wrong = {"id": id, "reason": reason}
        assert ask("POST", "/access/keep", json=wrong).status_code == 400
    for id in ("user:nobody", "function:shop/cart", "provider:oidc", "token:ff"):
        assert ask("POST", "/access/keep", json={"id": id, "reason": "x"}).status_code == 404


def test_a_review_of_oneself_or_of_what_one_made_is_marked(ask: Asking, told: list[Fact]) -> None:
    other = ask.token("other", "owner")
    for name in ("bootstrap", "other"):
        body = {"id": id_of(ask, name), "reason": "me"}
        assert ask("POST", "/access/keep", json=body).json()["own"] is True
    body = {"id": id_of(ask, "other"), "reason": "me"}
    assert ask("POST", "/access/keep", json=body, token=other).json()["own"] is True
    assert all(one.own for one in told if isinstance(one, AccessReviewed))


def test_other_rights_than_those_that_were_kept_are_due(ask: Asking) -> None:
    add(ask, "bob", "invoker@shop")
    ask.world.run(ask.service.reviews.load())
    assert ask("PUT", "/access/rules", json={"days": 1}).json() == {"days": 1}
    ask.service.reviews._clock = lambda: time.time() + 10 * DAY
    ask("POST", "/access/keep", json={"id": "user:bob", "reason": "x"})
    due = listed(ask)["user:bob"]["due"]
    assert due > time.time() + 10 * DAY
    ask("PUT", "/users/bob/roles", json={"roles": ["owner"]})
    assert listed(ask)["user:bob"]["due"] < due - 9 * DAY
    ask("DELETE", "/users/bob")
    ask.service.reviews._clock = time.time
    ask.world.clock.now += 100 * DAY
    add(ask, "bob", "invoker@shop")
    assert "review" not in {k for k, v in listed(ask)["user:bob"].items() if v}, "of another bob"


def test_tokens_and_roles_are_taken_by_the_operations_that_take_them(
    ask: Asking, told: list[Fact]
) -> None:
    text = ask.token("ci", "developer@shop")
    child = ask("POST", "/tokens", token=text, json={"name": "c", "roles": ["developer@shop"]})
    add(ask, "bob", "developer@shop", "auditor")
    body = {"id": id_of(ask, "ci"), "reason": "nobody knows it"}
    done = ask("POST", "/access/remove", json=body).json()
    assert done["done"] == "the token is revoked, with 1 made with it"
    assert ask("GET", "/whoami", token=text).status_code == 401
    assert ask("GET", "/whoami", token=child.json()["text"]).status_code == 401
    assert ask("POST", "/access/remove", json=body).status_code == 404
    one = {"id": "user:bob", "reason": "moved", "role": "developer@shop"}
    done = ask("POST", "/access/remove", json=one).json()
    assert done["undo"] == "casemate users roles bob --role auditor --role developer@shop"
    assert ask("GET", "/users/bob").json()["roles"] == ["auditor"]
    assert ask("POST", "/access/remove", json=one).status_code == 404
    ask("POST", "/access/remove", json={"id": "user:bob", "reason": "left"})
    assert ask("GET", "/users/bob").json()["roles"] == []
    done_by = [one.operation for one in told if isinstance(one, OperationPerformed)]
    assert done_by.count("revokeToken") == 1 and done_by.count("setUserRoles") == 2
    reviews = [one for one in told if isinstance(one, AccessReviewed)]
    assert [one.decision for one in reviews] == ["remove"] * 3 and all(one.done for one in reviews)


def test_a_pipeline_is_listed_without_its_tokens_and_trusted_no_more(ask: Asking) -> None:
    workload = Workload(
        name="ci",
        issuer="https://ci.example.org",
        audience="casemate",
        claims={"repository": ("example/shop",)},
        bindings=(RoleBinding(role="developer", project="shop"),),
        created_at=time.time() - 50,
        created_by="user:ada",
    )
    accounts = ask.world.accounts
    accounts.workloads._trusted["ci"] = workload
    session = issue(
        name="ci-1",
        created_by="workload:ci",
        created_at=time.time() - 5,
        expires_at=time.time() + 900,
        bindings=workload.bindings,
    )
    kept = KeepToken(token=session.token)
    ask.world.run(accounts._directory.apply(lambda: ((kept,), None)))
    accounts.workloads._seen["ci"] = session.token.created_at
    found = listed(ask)
    assert f"token:{session.token.id}" not in found
    assert found["workload:ci"]["last_used"] == session.token.created_at
    assert listed(ask, "?project=shop").keys() == {"workload:ci"}
    assert ask("GET", "/whoami", token=session.text).status_code == 200
    done = ask("POST", "/access/remove", json={"id": "workload:ci", "reason": "gone"})
    assert done.status_code == 200 and "1 of its sessions" in done.json()["done"], done.text
    assert ask("GET", "/whoami", token=session.text).status_code == 401


def test_the_last_owner_stays(ask: Asking, told: list[Fact]) -> None:
    body = {"id": id_of(ask, "bootstrap"), "reason": "too much"}
    refused = ask("POST", "/access/remove", json=body)
    assert refused.status_code == 409, refused.text
    assert ask("GET", "/whoami").status_code == 200
    assert not [one for one in told if isinstance(one, AccessReviewed)]


def test_what_a_manifest_grants_is_the_manifest_s(ask: Asking) -> None:
    ask.service.control.found = [function()]
    body = {"id": "function:shop/cart", "reason": "x"}
    refused = ask("POST", "/access/remove", json=body)
    assert refused.status_code == 409 and "casemate quarantine" in refused.json()["next_step"]
    body = {"id": id_of(ask, "bootstrap"), "reason": "x", "role": "owner"}
    assert ask("POST", "/access/remove", json=body).status_code == 409


@pytest.mark.parametrize("role", ["developer", "operator", "invoker", "owner@shop"])
def test_who_is_no_reviewer_sees_and_does_nothing(ask: Asking, role: str) -> None:
    text = ask.token("t", role)
    assert ask("GET", "/access", token=text).status_code == 403
    body = {"id": id_of(ask, "bootstrap"), "reason": "x"}
    for path in ("/access/keep", "/access/remove"):
        assert ask("POST", path, json=body, token=text).status_code == 403
    assert ask("PUT", "/access/rules", json={"days": 400}, token=text).status_code == 403
    assert ask("GET", "/whoami").status_code == 200


def test_an_auditor_keeps_and_takes_nothing(ask: Asking, told: list[Fact]) -> None:
    text = ask.token("audit", "auditor")
    add(ask, "bob", "developer@shop")
    ask.token("ci", "invoker@shop")
    assert len(listed(ask, token=text)) == 4
    keep = {"id": "user:bob", "reason": "asked his lead"}
    assert ask("POST", "/access/keep", json=keep, token=text).status_code == 200
    for id in ("user:bob", id_of(ask, "ci")):
        taken = ask("POST", "/access/remove", json={"id": id, "reason": "x"}, token=text)
        assert taken.status_code == 403, taken.text
    assert ask("GET", "/users/bob").json()["roles"] == ["developer@shop"]
    assert [one.decision for one in told if isinstance(one, AccessReviewed)] == ["keep"]


def test_an_auditor_of_a_project_sees_that_project_alone(ask: Asking) -> None:
    text = ask.token("audit", "auditor@shop")
    add(ask, "bob", "developer@shop", "developer@mine")
    add(ask, "eve", "developer@mine")
    ask.token("secret-name", "owner@mine")
    ask.service.control.found = [function(), function("mine", "hidden")]
    assert ask("GET", "/access", token=text).status_code == 403
    assert ask("GET", "/access?project=mine", token=text).status_code == 403
    page = ask("GET", "/access?project=shop", token=text)
    found = {one["id"]: one for one in page.json()["entries"]}
    assert found.keys() == {"user:bob", id_of(ask, "audit"), "function:shop/cart"}
    assert found["user:bob"]["rights"] == [
        "developer@shop: deploys, calls and sees functions, reads and changes data, sets secrets, "
        "in the project shop"
    ]
    assert not [one for one in ("mine", "user:eve", "hidden", "secret-name") if one in page.text]
    assert page.json()["node_wide"] == 1 and page.json()["total"] == 3


def test_of_two_who_take_the_same_one_is_told_that_it_is_gone(
    ask: Asking, told: list[Fact]
) -> None:
    ask.token("ci", "invoker@shop")
    body = {"id": id_of(ask, "ci"), "reason": "x"}
    found: list[int] = []

    async def both() -> None:
        app = ask.transport._app
        headers = {"authorization": f"Bearer {ask.world.owner_text}"}
        transport = httpx2.ASGITransport(app, client=("10.0.0.9", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            answers = await asyncio.gather(
                *(
                    client.post("/api/v1/access/remove", json=body, headers=headers)
                    for _ in range(8)
                )
            )
        found.extend(answer.status_code for answer in answers)

    asyncio.run(both())
    assert sorted(found) == [200] + [404] * 7
    assert len([one for one in told if isinstance(one, AccessReviewed)]) == 1


def test_of_two_owners_who_take_each_other_s_rights_one_stays(ask: Asking) -> None:
    texts = (ask.world.owner_text, ask.token("other", "owner"))
    targets = (id_of(ask, "other"), id_of(ask, "bootstrap"))

    async def both() -> list[int]:
        transport = httpx2.ASGITransport(ask.transport._app, client=("10.0.0.9", 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            answers = await asyncio.gather(
                *(
                    client.post(
                        "/api/v1/access/remove",
                        json={"id": id, "reason": "x"},
                        headers={"authorization": f"Bearer {text}"},
                    )
                    for text, id in zip(texts, targets, strict=True)
                )
            )
        return [answer.status_code for answer in answers]

    assert sorted(asyncio.run(both()))[0] == 200
    alive = [text for text in texts if ask("GET", "/whoami", token=text).status_code == 200]
    assert len(alive) == 1


def test_ten_thousand_tokens_are_listed_by_pages_off_the_loop(ask: Asking) -> None:
    directory = ask.world.accounts._directory
    for number in range(10_000):
        made = issue(
            name=f"t{number}",
            created_by="user:ada",
            created_at=time.time() - 200 * DAY,
            expires_at=None,
            bindings=(RoleBinding(role="invoker", project="shop"),),
        )
        directory.tokens[made.token.id] = made.token
    began = time.process_time()
    page = ask("GET", "/access?kind=token&limit=200").json()
    assert (len(page["entries"]), page["total"], page["overdue"]) == (200, 10_001, 10_001)
    second = ask("GET", f"/access?kind=token&limit=200&after={page['after']}").json()
    assert not {o["id"] for o in page["entries"]} & {o["id"] for o in second["entries"]}
    assert time.process_time() - began < 5.0
    assert threading.active_count() < 50


def test_taking_one_role_gives_back_none_that_was_taken_meanwhile(
    ask: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(ask, "bob", "auditor", "developer@shop")
    genuine = api._found

    async def slow(id: str, call: Any) -> Any:
        found = await genuine(id, call)
        people = ask.world.accounts.people
        left = (RoleBinding(role="auditor"),)
        await people.set_roles("bob", left, by=ask.world.owner)
        return found

    monkeypatch.setattr(api, "_found", slow)
    one = {"id": "user:bob", "reason": "moved", "role": "auditor"}
    done = ask("POST", "/access/remove", json=one)
    assert done.status_code == 200, done.text
    assert ask("GET", "/users/bob").json()["roles"] == []
    assert done.json()["undo"] == "casemate users roles bob --role auditor"


def test_rights_that_nobody_looked_at_are_not_kept(ask: Asking, told: list[Fact]) -> None:
    """They may have grown between the list and the word of who has read it."""
    add(ask, "bob", "auditor")
    body = {"id": "user:bob", "reason": "x", "digest": listed(ask)["user:bob"]["digest"]}
    ask("PUT", "/users/bob/roles", json={"roles": ["auditor", "owner"]})
    refused = ask("POST", "/access/keep", json=body)
    assert refused.status_code == 409 and "reviewed" in refused.text
    assert listed(ask)["user:bob"]["review"] is None
    assert not [one for one in told if isinstance(one, AccessReviewed)]
    body["digest"] = listed(ask)["user:bob"]["digest"]
    assert ask("POST", "/access/keep", json=body).status_code == 200
    assert ask("POST", "/access/keep", json=body | {"digest": "x"}).status_code == 400
