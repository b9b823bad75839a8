"""Secrets and the vault over the API: values go in sealed, and nothing brings them out."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).parents[1] / "vault"))

from vault_samples import VALUE, EngineVault, master_key, open_engine, put, value_of

from casemate.api.problems import response_to
from casemate.api.secrets import BINARY, OPERATIONS
from casemate.facts import FactStream
from casemate.model.errors import NotFoundError
from casemate.model.principal import Action, Principal, PrincipalKind, ResourceKind
from casemate.model.vault import MAX_SEALED_BYTES
from casemate.operations.resources import RekeyProject
from casemate.vault.sealed import seal_value
from support.parts import unused_parts
from support.recorder import FakeRecorder

ADA = Principal(kind=PrincipalKind.USER, id="ada")


class Rekeyed:
    """Stands for the store and the projects' data: notes what is to be encrypted anew."""

    def __init__(self) -> None:
        self.projects: list[object] = []

    async def functions(self) -> tuple[()]:
        return ()

    async def reseal_bundles(self) -> None:
        self.projects.append("bundles")

    async def rekey(self, what: object) -> None:
        self.projects.append(what)
        if what == "empty":
            raise NotFoundError

    async def change(self, operation: RekeyProject) -> None:
        await self.rekey(operation.project)


class Others:
    """Stands for the nodes: which others are there."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()

    async def others(self) -> tuple[str, ...]:
        return self.names


@pytest.fixture
def service(tmp_path):
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    asked: list[tuple[Action, str]] = []
    store = Rekeyed()
    facts = FactStream()
    yield SimpleNamespace(
        facts=facts,
        **{**unused_parts(facts), "nodes": SimpleNamespace(membership=Others())},
        recorder=FakeRecorder(),
        vault=EngineVault(engine),
        engine=engine,
        rekey_store=store.rekey,
        store=store,
        data=Rekeyed(),
        control=Rekeyed(),
        may=lambda request, action, resource: (
            action is Action.SECRET_LIST and resource.project == "shop"
        ),
        has_project=lambda name: name != "none",
        asked=asked,
        require=lambda request, action, resource, **_told: asked.append((action, resource.text)),
    )
    engine.close()


@pytest.fixture
def ask(service):
    def route(operation):
        async def endpoint(request):
            request.scope["casemate.principal"] = ADA
            try:
                operation.resource(request)
                return await operation.endpoint(request, service)
            except Exception as error:
                return response_to(error)

        return Route(operation.path, endpoint, methods=[operation.method])

    app = Starlette(routes=[route(operation) for operation in OPERATIONS])

    def call(method: str, path: str, **rest) -> httpx2.Response:
        async def body() -> httpx2.Response:
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
                return await client.request(method, path, **rest)

        return asyncio.run(body())

    return call


def send(ask, path: str, content: bytes, kind: str = BINARY) -> httpx2.Response:
    return ask("PUT", path, content=content, headers={"content-type": kind})


def test_put_list_show_delete(ask, service) -> None:
    public = base64.b64decode(ask("GET", "/vault/key").json()["public_key"])
    sealed = seal_value(public, "shop", "key", VALUE)
    kept = send(ask, "/secrets/shop/key", sealed)
    assert kept.status_code == 201
    assert kept.json()["version"] == 1
    assert kept.json()["created_by"] == "user:ada"
    assert value_of(service.engine, "key") == VALUE
    put(service.engine, project="mail")
    everything = ""
    for path, count in (("/secrets", 1), ("/secrets/shop", 1), ("/secrets/empty", 0)):
        answer = ask("GET", path)
        assert len(answer.json()["secrets"]) == count, path
        everything += answer.text
    assert ask("GET", "/secrets/none").status_code == 404, "a wrong name has no secrets either"
    shown = ask("GET", "/secrets/shop/key")
    assert shown.json()["versions"][0]["version"] == 1
    everything += shown.text + kept.text
    assert VALUE.decode() not in everything
    assert base64.b64encode(VALUE).decode() not in everything
    assert ask("DELETE", "/secrets/shop/key").status_code == 204
    assert ask("GET", "/secrets/shop/key").status_code == 404
    gone = ask("DELETE", "/secrets/shop/key")
    assert gone.status_code == 404
    assert "`casemate secrets ls shop` lists them" in gone.text, "it said to set it"


def test_no_operation_returns_a_value() -> None:
    assert not any(o.action is Action.SECRET_READ for o in OPERATIONS)
    writing = [o for o in OPERATIONS if o.action is Action.SECRET_WRITE]
    assert {(o.method, o.path) for o in writing} == {
        ("PUT", "/secrets/{project}/{name}"),
        ("DELETE", "/secrets/{project}/{name}"),
    }
    undecided = {o.path for o in OPERATIONS if o.action is None}
    assert undecided == {"/vault/key", "/secrets", "/secrets/{project}"}
    assert all(o.authenticated for o in OPERATIONS)


def test_the_resource_is_the_secret() -> None:
    (operation,) = [o for o in OPERATIONS if o.id == "putSecret"]
    request = SimpleNamespace(path_params={"project": "shop", "name": "key"})
    resource = operation.resource(request)
    assert (resource.kind, resource.project, resource.name) == (ResourceKind.SECRET, "shop", "key")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/secrets/shop/other", 422),
        ("/secrets/mail/key", 422),
        ("/secrets/Shop/key", 400),
        ("/secrets/shop/k_ey", 400),
        ("/secrets/shop/key%0A", 400),
        ("/secrets/shop/key?x=1", 400),
    ],
)
def test_a_sealed_value_for_another_place(ask, service, path, status) -> None:
    sealed = seal_value(service.engine.public_key(), "shop", "key", VALUE)
    assert send(ask, path, sealed).status_code == status
    assert service.engine.secrets(None) == ()


def test_bodies_that_are_refused(ask, service) -> None:
    sealed = seal_value(service.engine.public_key(), "shop", "key", VALUE)
    assert send(ask, "/secrets/shop/key", VALUE).status_code == 422
    assert send(ask, "/secrets/shop/key", b"").status_code == 422
    assert send(ask, "/secrets/shop/key", sealed, "application/json").status_code == 415
    assert send(ask, "/secrets/shop/key", bytes(MAX_SEALED_BYTES + 1)).status_code == 413
    assert service.engine.secrets(None) == ()


def test_several_at_once(ask, service) -> None:
    def entry(name: str, value: bytes = VALUE, place: str = "shop") -> dict[str, str]:
        sealed = seal_value(service.engine.public_key(), place, name, value)
        return {"name": name, "sealed": base64.b64encode(sealed).decode()}

    body = {"secrets": [entry("key"), entry("other")]}
    kept = ask("PUT", "/secrets/shop", json=body)
    assert kept.status_code == 201, kept.text
    assert [one["version"] for one in kept.json()["versions"]] == [1, 1]
    assert [action for action, _ in service.asked] == [Action.SECRET_WRITE] * 2
    assert [text.rpartition("/")[2] for _, text in service.asked] == ["key", "other"]
    count = len(service.engine.secrets("shop"))
    refused = (
        ({"secrets": []}, 422),
        ({"secrets": [entry("third"), entry("third")]}, 422),
        ({"secrets": [entry("third"), entry("fourth", place="mail")]}, 422),
        ({"secrets": [entry("third"), {"name": "K", "sealed": ""}]}, 422),
        ({"secrets": [entry("third"), {"name": "k", "sealed": "?"}]}, 422),
        ({"secrets": [entry("third")] * 101}, 422),
        ({"secrets": [entry(f"large-{n}", b"x" * 60_000) for n in range(20)]}, 413),
    )
    for wrong, status in refused:
        answer = ask("PUT", "/secrets/shop", json=wrong)
        assert answer.status_code in (status, 400), (status, answer.text)
        assert VALUE.decode() not in answer.text
    assert len(service.engine.secrets("shop")) == count


def test_a_replay_of_an_older_value(ask, service) -> None:
    public = service.engine.public_key()
    first = seal_value(public, "shop", "key", VALUE)
    send(ask, "/secrets/shop/key", first)
    send(ask, "/secrets/shop/key", seal_value(public, "shop", "key", b"rotated"))
    assert send(ask, "/secrets/shop/key", first).status_code == 409
    assert value_of(service.engine, "key") == b"rotated"


def test_status_tells_no_key(ask, service) -> None:
    answer = ask("GET", "/vault")
    assert answer.json()["secrets"] == 0
    assert service.engine._opened.master.hex() not in answer.text


def test_rotation_has_everything_encrypted_anew(ask, service) -> None:
    put(service.engine)
    put(service.engine, project="empty")
    key = service.engine.wrap("x", b"value")
    answer = ask("POST", "/vault/rotate", json={"key": "data"})
    assert answer.json() == {"projects": ["", "empty", "shop"], "kid": None}
    assert service.data.projects == ["empty", "shop"]
    assert len(service.store.projects) == 1
    assert service.control.projects == ["bundles"]
    assert service.engine.unwrap("x", key) == b"value"
    answer = ask("POST", "/vault/rotate", json={"key": "data", "project": "shop"})
    assert answer.json()["projects"] == ["shop"]
    assert {r.key for r in service.engine._opened.state.secrets if r.project == "shop"} == {3}
    assert value_of(service.engine) == VALUE
    missing = ask("POST", "/vault/rotate", json={"key": "data", "project": "nothing"})
    assert (missing.status_code, service.data.projects[-1]) == (404, "shop")
    kid = ask("POST", "/vault/rotate", json={"key": "signing"}).json()["kid"]
    assert kid in str(service.engine.public_keys())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"key": "master"},
        {"key": "signing", "project": "shop"},
        {"key": "data", "project": "../shop"},
        {"key": "data", "project": "shop\n"},
        {"key": "data", "project": ""},
        {"key": "data", "more": 1},
    ],
)
def test_rotations_that_are_refused(ask, body) -> None:
    assert ask("POST", "/vault/rotate", json=body).status_code == 400


def test_a_master_key_without_proof_is_refused(ask, service) -> None:
    assert send(ask, "/vault/master-key", bytes(200)).status_code == 422


def test_a_master_key_is_not_changed_under_nodes_that_could_not_follow(ask, service) -> None:
    service.nodes.membership.names = ("web-2", "web-3")
    state = service.engine._opened.state
    answer = send(ask, "/vault/master-key", bytes(200))
    assert answer.status_code == 409 and "web-2, web-3" in answer.text
    assert service.engine._opened.state is state
    service.nodes.membership.names = tuple(f"web-{number}" for number in range(20))
    assert "web-7, ..." in send(ask, "/vault/master-key", bytes(200)).text
