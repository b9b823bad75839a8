"""Commands on accounts, against the real operations: what is shown, stored, asked and refused."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from casemate.certificates import issuing as certificates
from casemate.cli import password_login
from casemate.cli.commands import login, logout, oidc, tokens, users, whoami
from casemate.cli.credentials import Credentials, store
from casemate.cli.errors import DeniedError, UsageError, exit_code_of
from casemate.model.errors import CasemateError
from support.accounts import PASSWORD, World, secret_of
from support.accounts_node import Asking, use_in_cli

URL = "http://127.0.0.1:8787"
COMMANDS = {
    "login": login.app,
    "logout": logout.app,
    "whoami": whoami.app,
    "users": users.app,
    "tokens": tokens.app,
    "oidc": oidc.app,
}


class Result(NamedTuple):
    code: int
    out: str
    err: str
    error: CasemateError | None


@pytest.fixture
def node(monkeypatch) -> Asking:
    world = World()
    world.clock.now = time.time()
    world.start()
    asking = Asking(world)
    use_in_cli(monkeypatch, asking.transport)
    return asking


@pytest.fixture
def run(node: Asking, tmp_path: Path, monkeypatch, capsys) -> Callable[..., Result]:
    """Runs one of our commands in this process; its lines are what is typed."""
    import typer

    for name in ("CASEMATE_URL", "CASEMATE_KEY", "CASEMATE_CA", "CASEMATE_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def call(name: str, *arguments: str, lines: tuple[str, ...] = ()) -> Result:
        typed = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
        capsys.readouterr()
        command = typer.main.get_command(COMMANDS[name])
        error = None
        try:
            code = command.main(list(arguments), prog_name=name, standalone_mode=False) or 0
        except CasemateError as raised:
            code, error = int(exit_code_of(raised)), raised
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err, error)

    return call


@pytest.fixture
def owner(run, node: Asking) -> Callable[..., Result]:
    """The same, logged in with the owner's token."""
    assert run("login", URL, lines=(node.world.owner_text,)).code == 0
    return run


def enrol(run, node: Asking, monkeypatch, name: str, code: str) -> Result:
    """Enrol as a person would, reading the second factor from what is printed."""
    shown: list[str] = []
    answers = iter([code, PASSWORD, PASSWORD])

    def type_in(_prompt: str) -> str:
        if (answer := next(answers, None)) is not None:
            return answer
        node.world.secrets[name] = secret_of(shown[0])
        return node.world.code(name)

    monkeypatch.setattr(password_login, "read_secret", type_in)
    monkeypatch.setattr(password_login, "print_line", shown.append)
    result = run("login", URL, "--user", name, "--enrol")
    node.world.clock.now += 30
    return result


def test_enrolling_draws_the_second_factor_on_a_terminal_alone(owner, node, monkeypatch) -> None:
    drawn: list[str] = []
    code = owner("users", "add", "ada").out.strip()
    with monkeypatch.context() as patched:
        patched.setattr(password_login, "show_qr_code", drawn.append)
        assert enrol(owner, node, patched, "ada", code).code == 0
    assert [secret_of(uri) for uri in drawn] == [node.world.secrets["ada"]]
    code = owner("users", "reset", "ada", "--yes").out.strip()
    with monkeypatch.context() as patched:
        result = enrol(owner, node, patched, "ada", code)
    assert result.code == 0 and not set("▀▄█") & set(result.out + result.err)


def test_who_is_added_and_who_has_enrolled_is_told_which_authority_to_trust(
    owner, node, monkeypatch
) -> None:
    authority = certificates.new_authority(
        certificates.Names.of(["localhost"]), datetime.now(UTC)
    ).certificate.decode()
    assert "--ca-fingerprint" not in owner("users", "add", "eve").err
    store(Credentials(URL, node.world.owner_text, ca=authority))
    added = owner("users", "add", "ada")
    named = f"--ca-fingerprint {certificates.fingerprint(authority.encode())}`."
    assert f"--user ada --enrol {named}" in " ".join(added.err.split())
    with monkeypatch.context() as patched:
        enrolled = enrol(owner, node, patched, "ada", added.out.strip())
    assert f"--user ada {named}" in " ".join(enrolled.err.split())


def test_a_person_from_added_to_logged_out(owner, node, monkeypatch, tmp_path) -> None:
    added = owner("users", "add", "ada", "--role", "developer@shop")
    code = added.out.strip()
    assert code.startswith("cmenrol_")
    assert code not in added.err
    with monkeypatch.context() as patched:
        assert enrol(owner, node, patched, "ada", code).code == 0
    totp = node.world.code("ada")
    result = owner("login", URL, "--user", "ada", "--json", lines=(PASSWORD, totp))
    assert result.code == 0, result.error
    assert json.loads(result.out)["principal"] == "user:ada"
    assert PASSWORD not in result.out + result.err
    stored = json.loads((tmp_path / "casemate/credentials.json").read_text())
    assert (tmp_path / "casemate/credentials.json").stat().st_mode & 0o777 == 0o600
    assert "developer@shop" in owner("whoami").out
    session = stored["key"]
    assert "logged out" in owner("logout").out
    assert not (tmp_path / "casemate/credentials.json").exists()
    assert node.world.who(session) is None
    assert "not logged in" in owner("logout").out


def test_a_wrong_login_stores_nothing_and_says_one_thing(run, tmp_path) -> None:
    result = run("login", URL, "--user", "nobody", lines=(PASSWORD, "123456"))
    assert result.code == 4
    assert isinstance(result.error, DeniedError)
    assert "not right" in str(result.error)
    assert PASSWORD not in str(result.error)
    assert not (tmp_path / "casemate").exists()


def test_a_code_is_digits_in_groups_or_not_and_nothing_else_is_sent(run) -> None:
    grouped = run("login", URL, "--user", "nobody", lines=(PASSWORD, "123 456"))
    assert isinstance(grouped.error, DeniedError)
    wide = "\uff11\uff12\uff13\uff14\uff15\uff16"
    for typed in ("otpauth://totp/Casemate:ada?secret=X", "12345", wide):
        refused = run("login", URL, "--user", "nobody", lines=(PASSWORD, typed))
        assert isinstance(refused.error, UsageError), typed
        assert "has 6 digits" in str(refused.error) and typed not in str(refused.error)


def test_waiting_is_told(run) -> None:
    for _ in range(5):
        run("login", URL, "--user", "nobody", lines=(PASSWORD, "123456"))
    result = run("login", URL, "--user", "nobody", lines=(PASSWORD, "123456"))
    assert result.code == 1
    assert "Try again in" in str(result.error)


def test_a_password_that_cannot_be_had_is_not_asked_for_twice(run, monkeypatch) -> None:
    asked: list[str] = []
    answers = iter(["cmenrol_x", "short"])

    def type_in(prompt: str) -> str:
        asked.append(prompt)
        return next(answers)

    monkeypatch.setattr(password_login, "read_secret", type_in)
    result = run("login", URL, "-u", "ada", "--enrol")
    assert "5 characters, expected at least 12" in str(result.error)
    assert [prompt.split()[0] for prompt in asked] == ["Enrolment", "New"]


def test_passwords_that_differ(run) -> None:
    lines = ("cmenrol_x", PASSWORD, PASSWORD + "x")
    result = run("login", URL, "-u", "ada", "--enrol", lines=lines)
    assert isinstance(result.error, UsageError)
    assert PASSWORD not in str(result.error)


@pytest.mark.parametrize(
    "options",
    [
        ("--user", "ada", "--oidc"),
        ("--user", "ada", "--token"),
        ("--oidc", "--token"),
        ("--enrol",),
    ],
)
def test_options_that_do_not_go_together(run, options) -> None:
    assert run("login", URL, *options).code == 2


@pytest.mark.parametrize("options", [("--user", "ada"), ("--oidc",), ()])
def test_nothing_is_sent_in_the_clear_to_another_machine(run, options) -> None:
    result = run("login", "http://192.0.2.1", *options, lines=("x", "1"))
    assert isinstance(result.error, DeniedError)
    assert "not encrypted" in str(result.error)


def test_a_login_to_another_node_says_whose_credentials_give_way(run, node, tmp_path) -> None:
    before = Credentials("https://other.example.org", node.world.owner_text)
    store(before, {"XDG_CONFIG_HOME": str(tmp_path)})
    told = " ".join(run("login", URL, lines=(node.world.owner_text,)).err.split())
    assert "What was stored for https://other.example.org is not kept here any more" in told
    again = run("login", URL, lines=(node.world.owner_text,))
    assert "not kept here" not in again.err


def test_logout_with_a_service_token_leaves_it_valid(owner, node) -> None:
    assert owner("logout").out == f"The credentials of {URL} are forgotten here.\n"
    assert node.world.owner


def test_logout_of_a_session_that_is_over(owner, node) -> None:
    node.world.store.by_id.clear()
    node.world.start()
    assert owner("logout").code == 0


def test_people(owner, node) -> None:
    owner("users", "add", "bob", "--role", "developer@shop")
    listed = owner("users", "ls")
    assert "developer@shop" in listed.out
    assert "code until" in listed.out
    assert owner("users", "roles", "bob").out == "developer@shop\n"
    owner("users", "roles", "bob", "--role", "auditor", "--role", "invoker@shop")
    assert owner("users", "roles", "bob").out == "auditor\ninvoker@shop\n"
    assert "no role" in owner("users", "roles", "bob", "--none").err
    assert "disabled" in owner("users", "disable", "bob").err
    assert "enabled" in owner("users", "enable", "bob").err
    assert owner("users", "reset", "bob").code == 2, "without a terminal it needs --yes"
    assert owner("users", "reset", "bob", "--yes").out.startswith("cmenrol_")
    assert owner("users", "rm", "bob", "--yes").code == 0
    assert owner("users", "rm", "bob", "--yes").code == 3
    assert owner("users", "add", "x", "--role", "god").code == 1
    assert json.loads(owner("users", "ls", "--json").out) == {"users": []}


def test_tokens(owner, node) -> None:
    made = owner("tokens", "add", "webshop", "--role", "invoker@shop")
    text = made.out.strip()
    assert node.world.who(text)
    assert text not in made.err
    token_id = text.split("_")[1]
    listed = owner("tokens", "ls").out
    assert "webshop" in listed
    assert text not in listed
    assert owner("tokens", "revoke", token_id).code == 2
    assert owner("tokens", "revoke", token_id, "--yes").code == 0
    assert node.world.who(text) is None
    assert "revoked" in owner("tokens", "ls").out
    forever = owner("tokens", "add", "forever", "--role", "auditor", "--no-expiry", "--json")
    assert json.loads(forever.out)["token"]["expires_at"] is None
    assert owner("tokens", "add", "none").code == 1
    last = owner("tokens", "revoke", node.world.owner.id, "--yes")
    assert last.code == 1
    assert "owner" in str(last.error)


def test_tokens_that_outlive_their_maker_are_told(owner, node, monkeypatch) -> None:
    code = owner("users", "add", "dev", "--role", "developer@shop").out.strip()
    with monkeypatch.context() as patched:
        enrol(owner, node, patched, "dev", code)
    dev = node.world.login("dev")
    body = {"name": "ci", "roles": ["developer@shop"]}
    made = node("POST", "/tokens", token=dev.text, json=body).json()["token"]["id"]
    assert made in owner("users", "disable", "dev").err
    assert made in owner("users", "rm", "dev", "--yes").err


def test_provider_settings(owner) -> None:
    assert "no OpenID provider" in owner("oidc", "show").err
    refused = owner("oidc", "set", "http://id.example.org", "--client-id", "casemate")
    assert refused.code == 1
    assert "https" in str(refused.error)
    assert owner("oidc", "rm", "--yes").code == 0
    assert json.loads(owner("oidc", "show", "--json").out) == {"provider": None}


def test_login_keeps_the_authority_it_was_told(run, node, tmp_path, monkeypatch) -> None:
    from casemate.cli.credentials import Credentials, store

    monkeypatch.setattr("casemate.cli.commands.login.fetch_ca", lambda *_: "PEM")
    monkeypatch.setattr("casemate.cli.client.client_context", lambda _: True)
    lines = (node.world.owner_text,)
    assert run("login", URL, "--ca-fingerprint", "0" * 64, lines=lines).code == 0
    stored = tmp_path / "casemate/credentials.json"
    assert json.loads(stored.read_text())["ca"] == "PEM"
    monkeypatch.setattr("casemate.cli.credentials.parse_ca", lambda text: text)
    assert run("login", URL, lines=lines).code == 0
    assert json.loads(stored.read_text())["ca"] == "PEM", "it is not asked for again"
    store(Credentials("https://other.example.org", lines[0], ca="OTHER"))
    assert run("login", URL, lines=lines).code == 0
    assert json.loads(stored.read_text())["ca"] is None, "one node's authority is no other's"
