"""Attacks on accounts: real accounts on the real encrypted store, behind the real operations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from casemate.accounts import Accounts, LoginRefusedError, TooManyAttemptsError, parse_binding
from casemate.model.back_off import FREE_PER_ACCOUNT
from casemate.model.principal import BUILT_IN_ROLES
from casemate.store.sqlite.store import SqliteStore
from support.accounts import PASSWORD, World
from support.accounts_node import OPERATIONS, PREFIX, Asking, application

_AUDITS = {"auditNode", "listNodeScores"}
ALLOWED = {
    "auditor": {
        *("listUsers", "showUser", "showOidc", "listWorkloads", "reviewAccess", "keepAccess"),
        *_AUDITS,
    },
    "operator": _AUDITS,
}
"""What a role may do to accounts on the whole node beside what everybody with a token may."""
OWN = {"logout", "whoami", "listTokens"}
BODIES = {
    "addUser": {"name": "eve", "roles": ["owner"]},
    "setUserRoles": {"roles": ["owner"]},
    "setUserState": {"disabled": True},
    "addToken": {"name": "more", "roles": ["owner"]},
    "setOidc": {"issuer": "https://evil.example", "client_id": "x"},
    "addWorkload": {
        "name": "eve",
        "issuer": "https://evil.example",
        "audience": "x",
        "claims": ["sub=eve"],
        "roles": ["owner@shop"],
    },
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    class Stored(World):
        def start(self) -> Accounts:
            if getattr(self, "opened", None) is not None:
                self.run(self.opened.close())
            self.opened = SqliteStore.open(tmp_path / "store", key=b"k" * 32)
            self.store = self.opened
            self.clock.now = max(self.clock.now, time.time())
            return super().start()

    made = Stored()
    yield made
    made.run(made.opened.close())


@pytest.fixture
def ask(world: World) -> Asking:
    return Asking(world)


@pytest.mark.parametrize("role", [r for r in BUILT_IN_ROLES if r != "owner"] + ["owner@shop"])
@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o.authenticated], ids=lambda o: o.id
)
def test_no_role_but_owner_changes_accounts(ask: Asking, operation, role: str) -> None:
    ask("POST", "/users", json={"name": "ada", "roles": []})
    token = ask.token("attacker", role)
    target = ask.world.owner.id
    path = operation.path.replace("{name}", "ada").replace("{id}", target)
    before = (ask("GET", "/users").text, len(ask("GET", "/tokens").json()["tokens"]))
    denials = len(ask.world.denials)
    body = BODIES.get(operation.id)
    if operation.id in ("keepAccess", "removeAccess"):
        body = {"id": f"token:{target}", "reason": "x"}
    answer = ask(operation.method, path, token=token, json=body)
    if operation.id in OWN | ALLOWED.get(role, set()):
        assert answer.status_code == 200, answer.text
        return
    assert answer.status_code == 403, answer.text
    assert len(ask.world.denials) > denials, "the attempt is recorded"
    assert (ask("GET", "/users").text, len(ask("GET", "/tokens").json()["tokens"])) == before


def test_a_crowd_of_guesses_gets_no_further_than_one_after_the_other(world: World) -> None:
    world.person("ada")
    world.start()

    async def guess(number: int) -> object:
        return await world.accounts.sessions.login(
            "ada", PASSWORD, f"{number:06}", f"192.0.2.{number}"
        )

    async def crowd() -> list[object]:
        return await asyncio.gather(*map(guess, range(100)), return_exceptions=True)

    found = asyncio.run(crowd())
    looked_at = [f for f in found if isinstance(f, LoginRefusedError)]
    assert len(looked_at) <= FREE_PER_ACCOUNT
    assert sum(isinstance(f, TooManyAttemptsError) for f in found) >= 100 - FREE_PER_ACCOUNT
    assert sum(d.count for d in world.denials) >= FREE_PER_ACCOUNT


def test_a_code_seen_over_the_shoulder_is_worth_nothing_after_a_restart(world: World) -> None:
    world.person("ada")
    code = world.code("ada")
    assert world.run(world.accounts.sessions.login("ada", PASSWORD, code, "10.0.0.9"))
    world.start()
    with pytest.raises(LoginRefusedError):
        world.run(world.accounts.sessions.login("ada", PASSWORD, code, "10.0.0.9"))


def test_revocation_holds_after_a_restart(world: World, ask: Asking) -> None:
    token = ask.token("ci", "developer@shop")
    token_id = token.split("_")[1]
    assert ask("DELETE", f"/tokens/{token_id}").status_code == 200
    assert ask("GET", "/whoami", token=token).status_code == 401
    world.start()
    assert ask("GET", "/whoami", token=token).status_code == 401


def test_a_stolen_token_makes_no_longer_and_no_wider_one(ask: Asking) -> None:
    body = {"name": "short", "roles": ["owner"], "days": 1}
    stolen = ask("POST", "/tokens", json=body).json()["text"]
    for wish in ({"days": 2}, {"no_expiry": True}):
        body = {"name": "keep", "roles": ["owner"], **wish}
        assert ask("POST", "/tokens", token=stolen, json=body).status_code == 403


@pytest.mark.parametrize(
    "header",
    ["Bearer {t}, Bearer {t}", "Bearer {t} {t}", "Basic {t}", "Bearer {t}\x00", "{t}", "Bearer",
     "Bearer {t}=", "Token {t}", "Bearer {i}", "Bearer cm_{i}_", "bearer  "],
)  # fmt: skip
def test_headers_that_are_nearly_right(ask: Asking, header: str) -> None:
    text = ask.world.owner_text
    value = header.format(t=text, i=ask.world.owner.id)
    answer = ask("GET", "/whoami", token=None, headers={"authorization": value})
    assert answer.status_code == 401
    assert ask.world.denials


def test_two_headers_are_refused(world: World) -> None:
    transport = httpx2.ASGITransport(application(world))

    async def work() -> int:
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            value = f"Bearer {world.owner_text}"
            headers = [("authorization", value), ("authorization", value)]
            return (await client.get(PREFIX + "/whoami", headers=headers)).status_code

    assert asyncio.run(work()) == 401


@pytest.mark.parametrize(
    "path",
    ["/users/ADA", "/users/ada%2f..", "/users/%2e%2e", "/users/ada%00", "/users/ada%0a",
     "/users/a%CC%81da", "/tokens/..%2fusers", "/users/ada/roles/%2e%2e", "//users", "/Users"],
)  # fmt: skip
def test_names_in_paths_are_exact(ask: Asking, path: str) -> None:
    ask("POST", "/users", json={"name": "ada", "roles": []})
    assert ask("DELETE", path).status_code in (400, 404, 405)
    assert ask("GET", "/users/ada").status_code == 200


def test_an_old_enrolment_code_takes_nobody_over(ask: Asking, world: World) -> None:
    code = ask("POST", "/users", json={"name": "ada", "roles": []}).json()["code"]
    world.run(world.enrol("ada", code))
    body = {"name": "ada", "code": code, "password": "attacker-otter-granite-six"}
    assert ask("POST", "/enrol", token=None, json=body).status_code == 401
    assert world.login("ada")


def test_the_disk_holds_no_credential(world: World, ask: Asking, tmp_path: Path) -> None:
    world.person("ada", parse_binding("auditor"))
    session = world.login("ada").text
    token = ask.token("ci", "invoker@shop")
    world.run(world.accounts.flush())
    secrets = [PASSWORD, session, session[20:63], token, token[20:63], world.owner_text[20:63]]
    planted = [s.encode() for s in secrets] + [world.secrets["ada"], b"$argon2id$", b"developer"]
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not [p for p in planted if p in content], path
