"""The operations on accounts: statuses, what is shown, and who may do what."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from casemate.model.principal import RoleBinding
from support.accounts import PASSWORD, World, secret_of
from support.accounts_node import OPERATIONS, Asking


@pytest.fixture
def ask() -> Asking:
    world = World()
    world.clock.now = time.time()  # the operations count days from now
    world.start()
    return Asking(world)


def enrolled(ask: Asking, name: str, *roles: str) -> str:
    """Add a person, enrol it over the API, and return the text of a session."""
    added = ask("POST", "/users", json={"name": name, "roles": roles})
    assert added.status_code == 201, added.text
    body = {"name": name, "code": added.json()["code"]}
    begun = ask("POST", "/enrol", token=None, json={**body, "password": PASSWORD})
    assert begun.status_code == 200, begun.text
    ask.world.secrets[name] = secret_of(begun.json()["otpauth_uri"])
    totp = ask.world.code(name)
    confirmed = ask("POST", "/enrol/confirm", token=None, json={**body, "totp": totp})
    assert confirmed.status_code == 200, confirmed.text
    ask.world.clock.now += 30
    return login(ask, name)


def login(ask: Asking, name: str) -> str:
    body = {"name": name, "password": PASSWORD, "code": ask.world.code(name)}
    answer = ask("POST", "/login", token=None, json=body)
    assert answer.status_code == 201, answer.text
    ask.world.clock.now += 30
    return str(answer.json()["text"])


def test_a_person_from_added_to_removed(ask: Asking) -> None:
    session = enrolled(ask, "ada", "developer@shop")
    me = ask("GET", "/whoami", token=session).json()
    assert (me["principal"], me["roles"]) == ("user:ada", ["developer@shop"])
    assert ask("PUT", "/users/ada/roles", json={"roles": ["auditor"]}).status_code == 200
    assert ask("GET", "/whoami", token=session).json()["roles"] == ["auditor"]
    shown = ask("GET", "/users/ada").json()
    assert shown["enrolled"] is True
    assert ask("PUT", "/users/ada/state", json={"disabled": True}).status_code == 200
    assert ask("GET", "/whoami", token=session).status_code == 401
    assert ask("PUT", "/users/ada/state", json={"disabled": False}).status_code == 200
    reset = ask("POST", "/users/ada/reset").json()
    assert reset["code"].startswith("cmenrol_")
    assert reset["user"]["enrolled"] is False
    assert ask("DELETE", "/users/ada").status_code == 200
    assert ask("GET", "/users/ada").status_code == 404


def test_no_answer_shows_a_hash_or_a_second_factor(ask: Asking) -> None:
    session = enrolled(ask, "ada", "owner")
    user = ask.world.store.by_name["ada"]
    for path in ("/users", "/users/ada", "/tokens?sessions=true", "/whoami", "/oidc"):
        text = ask("GET", path).text
        for secret in (session, ask.world.owner_text, "sha256", "$argon2", user.password or "$"):
            assert secret not in text, path


def test_logout(ask: Asking) -> None:
    session = enrolled(ask, "ada")
    assert ask("POST", "/logout", token=session).json() == {"ended": True}
    assert ask("GET", "/whoami", token=session).status_code == 401
    assert ask("POST", "/logout").json() == {"ended": False}


def test_failures_and_waits_have_their_statuses(ask: Asking) -> None:
    body = {"name": "nobody", "password": PASSWORD, "code": "123456"}
    for _ in range(5):
        answer = ask("POST", "/login", token=None, json=body)
        assert answer.status_code == 401
        assert PASSWORD not in answer.text
    waiting = ask("POST", "/login", token=None, json=body)
    assert waiting.status_code == 429
    assert int(waiting.headers["retry-after"]) >= 1
    assert ask.world.denials[-1].remote_address == "10.0.0.9"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/login", {"name": "a", "password": "b"}),
        ("/login", {"name": "a", "password": "b", "code": "1", "extra": 1}),
        ("/login", {"name": "a", "password": "x" * 1025, "code": "1"}),
        ("/login", {"name": ["a"], "password": "b", "code": "1"}),
        ("/login", []),
        ("/enrol", {"name": "a", "code": "b"}),
        ("/login/oidc", {"id_token": "x" * 20_000}),
    ],
)
def test_wrong_bodies_do_not_come_back(ask: Asking, path: str, body: object) -> None:
    answer = ask("POST", path, token=None, json=body)
    assert answer.status_code in (400, 413)
    assert "xxx" not in answer.text


def test_large_bodies_are_cut_off(ask: Asking) -> None:
    answer = ask(
        "POST", "/login", token=None, content=b" " * 30_000,
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/login", "/enrol", "/login/oidc"])
def test_large_bodies_whose_length_is_not_told_are_cut_off(ask: Asking, path: str) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 1024

    headers = {"content-type": "application/json", "transfer-encoding": "chunked"}
    answer = ask("POST", path, token=None, content=parts(), headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/logout"), ("POST", "/login/oidc/begin"), ("GET", "/whoami")]
)
def test_large_bodies_are_refused_where_none_is_expected(
    ask: Asking, method: str, path: str
) -> None:
    assert ask(method, path, content=b" " * 30_000).status_code == 413


@pytest.mark.parametrize("role", ["root", "owner@", "OWNER", "owner@a/b/c", "owner\n"])
def test_what_is_no_binding(ask: Asking, role: str) -> None:
    for path, body in (
        ("/users", {"name": "x", "roles": [role]}),
        ("/tokens", {"name": "x", "roles": [role]}),
    ):
        assert ask("POST", path, json=body).status_code in (400, 422)


def test_tokens_in_projects(ask: Asking) -> None:
    dev = ask.token("dev", "developer@shop")
    made = ask("POST", "/tokens", token=dev, json={"name": "ci", "roles": ["developer@shop/cart"]})
    assert made.status_code == 201, made.text
    for role in ("developer", "developer@other", "owner@shop", "invoker@other"):
        body = {"name": "more", "roles": [role]}
        refused = ask("POST", "/tokens", token=dev, json=body)
        assert refused.status_code == 403, role
    assert ask("POST", "/tokens", json={"name": "y", "roles": []}).status_code == 422
    body = {"name": "y", "roles": ["invoker"], "days": 366}
    assert ask("POST", "/tokens", json=body).status_code == 400
    for more in ({"days": 1, "minutes": 1}, {"days": 1, "no_expiry": True}):
        refused = ask("POST", "/tokens", json={"name": "y", "roles": ["invoker"], **more})
        assert refused.status_code in (400, 422) and "More than one" in refused.text
    short = ask("POST", "/tokens", json={"name": "y", "roles": ["invoker"], "minutes": 15}).json()
    assert 890 < short["token"]["expires_at"] - short["token"]["created_at"] < 901
    assert any(d.principal.startswith("token:") for d in ask.world.denials)


def test_everybody_sees_and_revokes_its_own(ask: Asking) -> None:
    dev = ask.token("dev", "developer@shop")
    body = {"name": "ci", "roles": ["developer@shop"]}
    own = ask("POST", "/tokens", token=dev, json=body).json()["token"]["id"]
    seen = ask("GET", "/tokens", token=dev).json()["tokens"]
    assert {t["name"] for t in seen} == {"dev", "ci"}
    assert len(ask("GET", "/tokens").json()["tokens"]) == 3
    assert ask("DELETE", f"/tokens/{ask.world.owner.id}", token=dev).status_code == 403
    assert ask("DELETE", f"/tokens/{'0' * 16}", token=dev).status_code == 403
    assert ask("DELETE", f"/tokens/{'0' * 16}").status_code == 404
    assert ask("DELETE", f"/tokens/{own}", token=dev).status_code == 200
    itself = ask("GET", "/whoami", token=dev).json()["principal"].partition(":")[2]
    assert ask("DELETE", f"/tokens/{itself}", token=dev).status_code == 200
    assert ask("GET", "/whoami", token=dev).status_code == 401


def test_tokens_of_who_had_the_name_before_are_not_ones_own(ask: Asking) -> None:
    world = ask.world

    def person() -> str:
        world.person("ada", RoleBinding(role="developer", project="shop"))
        return world.login("ada").text

    body = {"name": "ci", "roles": ["developer@shop"]}
    former = ask("POST", "/tokens", token=person(), json=body).json()["token"]["id"]
    ask("DELETE", "/users/ada")
    world.clock.now += 1
    later = person()
    own = ask("POST", "/tokens", token=later, json={**body, "name": "own"}).json()["token"]["id"]
    assert [t["id"] for t in ask("GET", "/tokens", token=later).json()["tokens"]] == [own]
    assert ask("DELETE", f"/tokens/{former}", token=later).status_code == 403
    assert ask("DELETE", f"/tokens/{own}", token=later).status_code == 200
    assert ask("DELETE", f"/tokens/{former}").status_code == 200


def test_the_last_owner_is_a_conflict(ask: Asking) -> None:
    answer = ask("DELETE", f"/tokens/{ask.world.owner.id}")
    assert answer.status_code == 409
    assert "owner" in answer.json()["next_step"]


@pytest.mark.parametrize("role", ["developer", "operator", "auditor", "invoker", "owner@shop"])
def test_only_owners_manage_accounts(ask: Asking, role: str) -> None:
    ask("POST", "/users", json={"name": "ada", "roles": []})
    other = ask.token("other", role)
    calls = [
        ("POST", "/users", {"name": "eve", "roles": []}),
        ("PUT", "/users/ada/roles", {"roles": ["owner"]}),
        ("PUT", "/users/ada/state", {"disabled": True}),
        ("POST", "/users/ada/reset", None),
        ("DELETE", "/users/ada", None),
        ("PUT", "/oidc", {"issuer": "https://evil.example", "client_id": "x"}),
        ("DELETE", "/oidc", None),
    ]
    for method, path, body in calls:
        answer = ask(method, path, token=other, json=body)
        assert answer.status_code == 403, (method, path, answer.text)
    reads = 200 if role == "auditor" else 403
    for path in ("/users", "/users/ada", "/oidc"):
        assert ask("GET", path, token=other).status_code == reads


def test_nothing_but_logging_in_goes_without_a_credential(ask: Asking) -> None:
    for operation in OPERATIONS:
        path = operation.path.replace("{name}", "ada").replace("{id}", "x")
        answer = ask(operation.method, path, token=None, json={})
        if operation.authenticated:
            assert answer.status_code == 401, path
        else:
            assert path.startswith(("/login", "/enrol"))
            assert answer.status_code in (400, 404), path


def test_oidc_without_a_provider(ask: Asking) -> None:
    assert ask("POST", "/login/oidc/begin", token=None).status_code == 404
    assert ask("POST", "/login/oidc", token=None, json={"id_token": "x"}).status_code == 404
    assert ask("GET", "/oidc").json() == {"provider": None}
    body = {"issuer": "http://id.example.org", "client_id": "x"}
    assert ask("PUT", "/oidc", json=body).status_code == 422
    body = {"name": "ada", "roles": [], "oidc_subject": "1"}
    assert ask("POST", "/users", json=body).status_code == 409
