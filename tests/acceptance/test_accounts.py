"""People and tokens as their users meet them: the real command line against a real node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from casemate.accounts.totp import code_at
from support import forked_cli
from support.accounts import PASSWORD, secret_of
from support.node import TestNode

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(node: TestNode, tmp_path: Path) -> Run:
    """Run `casemate` as somebody with a home folder of its own."""

    def run(*arguments: str, who: str = "olga", typed: str = "", key: str | None = None):
        home = tmp_path / who
        home.mkdir(exist_ok=True)
        environ = {n: v for n, v in os.environ.items() if not n.startswith("CASEMATE_")}
        environ |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}
        if key is not None:
            environ |= {"CASEMATE_KEY": key, "CASEMATE_URL": node.url}
        return forked_cli.run(arguments, stdin=typed, env=environ, timeout=60)

    return run


def owner(cli: Run, node: TestNode, *arguments: str) -> str:
    done = cli(*arguments, key=node.key)
    assert done.returncode == 0, done.stderr
    return done.stdout


def enrol(node: TestNode, name: str, code: str) -> bytes:
    """Enrol over HTTP, as `casemate login --enrol` does; return the second factor's secret."""
    body = {"name": name, "code": code}
    begun = httpx2.post(f"{node.url}/api/v1/enrol", json={**body, "password": PASSWORD})
    assert begun.status_code == 200, begun.text
    secret = secret_of(begun.json()["otpauth_uri"])
    totp = code_at(secret, int(time.time()) // 30 - 1)  # so that the present one is still unused
    done = httpx2.post(f"{node.url}/api/v1/enrol/confirm", json={**body, "totp": totp})
    assert done.status_code == 200, done.text
    return secret


def log_in(
    cli: Run, node: TestNode, name: str, secret: bytes, *, late: int = 0, step: int | None = None
):
    code = code_at(secret, (int(time.time()) // 30 if step is None else step) + late)
    typed = f"{PASSWORD}\n{code}\n"
    return cli("login", node.url, "--user", name, typed=typed, who=name)


def test_a_person_from_added_to_disabled(node: TestNode, cli: Run) -> None:
    code = owner(cli, node, "users", "add", "ada", "--role", "auditor").strip()
    secret = enrol(node, "ada", code)
    step = int(time.time()) // 30
    done = log_in(cli, node, "ada", secret, step=step)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    assert "user:ada" in cli("whoami", who="ada").stdout
    assert cli("ls", who="ada").returncode == 0
    assert cli("users", "add", "eve", who="ada").returncode == 4
    again = log_in(cli, node, "ada", secret, step=step)
    assert again.returncode == 4, "each code works once"
    assert "not right" in again.stderr
    owner(cli, node, "users", "roles", "ada", "--none")
    assert cli("users", "ls", who="ada").returncode == 4
    owner(cli, node, "users", "disable", "ada")
    assert cli("whoami", who="ada").returncode == 4
    owner(cli, node, "users", "rm", "ada", "--yes")


def test_logout_ends_the_session_on_the_node(node: TestNode, cli: Run, tmp_path: Path) -> None:
    secret = enrol(node, "bob", owner(cli, node, "users", "add", "bob").strip())
    assert log_in(cli, node, "bob", secret).returncode == 0
    stored = json.loads((tmp_path / "bob/config/casemate/credentials.json").read_text())
    assert cli("logout", who="bob").returncode == 0
    asked = httpx2.get(
        f"{node.url}/api/v1/whoami", headers={"authorization": f"Bearer {stored['key']}"}
    )
    assert asked.status_code == 401
    owner(cli, node, "users", "rm", "bob", "--yes")


def test_a_token_does_what_its_role_says_until_it_is_revoked(node: TestNode, cli: Run) -> None:
    node.deploy("def handler(event, context):\n    return {'ok': True}\n", name="f", project="t")
    node.deploy("def handler(event, context):\n    return {'ok': True}\n", name="g", project="u")
    text = owner(cli, node, "tokens", "add", "web", "--role", "invoker@t").strip()
    assert re.fullmatch(r"cm_[0-9a-f]{16}_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}", text)
    with httpx2.Client(headers={"authorization": f"Bearer {text}"}) as caller:
        assert caller.post(f"{node.url}/invoke/t/f", json={}).status_code == 200
        assert caller.post(f"{node.url}/invoke/u/g", json={}).status_code in (403, 404)
        assert caller.get(f"{node.url}/api/v1/users").status_code == 403
        owner(cli, node, "tokens", "revoke", text.split("_")[1], "--yes")
        revoked_at = time.monotonic()
        asked_at = revoked_at
        while caller.post(f"{node.url}/invoke/t/f", json={}).status_code == 200:
            # What is asked later than that is refused, however late a busy machine answers.
            assert asked_at - revoked_at < 1, "revocation takes effect within a second"
            asked_at = time.monotonic()
        assert caller.post(f"{node.url}/invoke/t/f", json={}).status_code == 401


def test_the_last_owner_cannot_be_locked_out(node: TestNode, cli: Run) -> None:
    token_id = node.key.split("_")[1]
    done = cli("tokens", "revoke", token_id, "--yes", key=node.key)
    assert done.returncode == 1
    assert "owner" in done.stderr
    assert cli("whoami", key=node.key).returncode == 0


def test_guessing_is_slowed_down_and_recorded(node: TestNode, cli: Run) -> None:
    owner(cli, node, "users", "add", "carl")
    body = {"name": "carl", "password": PASSWORD, "code": "000000"}
    statuses = [httpx2.post(f"{node.url}/api/v1/login", json=body).status_code for _ in range(8)]
    assert statuses[:5] == [401] * 5
    assert 429 in statuses
    node.wait_until(lambda: "user:carl" in json.dumps(node.get("/denials")))


def test_tokens_and_people_survive_a_restart(node: TestNode) -> None:
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "ci", "roles": ["auditor"]}
    ).json()["text"]
    added = node.client.post(f"{node.url}/api/v1/users", json={"name": "dora", "roles": []}).json()
    secret = enrol(node, "dora", added["code"])
    node.stop()
    node.start()
    asked = httpx2.get(f"{node.url}/api/v1/whoami", headers={"authorization": f"Bearer {made}"})
    assert asked.json()["roles"] == ["auditor"]
    body = {"name": "dora", "password": PASSWORD, "code": code_at(secret, int(time.time()) // 30)}
    assert httpx2.post(f"{node.url}/api/v1/login", json=body).status_code == 201
    assert httpx2.post(f"{node.url}/api/v1/login", json=body).status_code == 401
