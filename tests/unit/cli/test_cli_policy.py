"""`casemate policy` and `casemate can`: what they print, send, and end with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from casemate.cli import operation_command
from casemate.cli.client import PREFIX
from casemate.cli.commands import can, policy
from casemate.operations.declaration import Operation
from casemate.operations.form import form_of
from casemate.policy import SCHEMA, PolicyError

ROLE = """\
@id("deployer")
permit (
  principal in Casemate::Role::"deployer",
  action == Casemate::Action::"function:deploy",
  resource
);
"""
TESTS = """\
policies = ["deployer.cedar"]
[[test]]
name = "deploys"
principal = "user:ada"
roles = ["deployer@shop"]
action = "function:deploy"
resource = "function:shop/cart"
expect = "allow"
"""
FILE = {
    "name": "deployer",
    "changed_at": 1.0,
    "changed_by": "user:olga",
    "policies": [{"id": "deployer", "file": "deployer.cedar", "line": 1, "effect": "permit"}],
}
ANSWER: dict[str, Any] = {
    "principal": "user:ada",
    "action": "function:deploy",
    "resource": "function:shop/cart",
    "granted": False,
    "allowed": True,
    "reasons": ["deployer"],
    "errors": [],
    "revision": 2,
}


class FakeClient:
    """Answers what it is told to, and keeps what it was asked."""

    url = "http://node"

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, Any]] = []

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, operation: Operation[Any]) -> Any:
        form = form_of(type(operation))
        path = PREFIX + form.target(operation)
        self.asked.append((form.method, path, form.json(operation)))
        return form.answer and msgspec.convert(self.answers[path], form.answer)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    fake = FakeClient()
    for module in (can, policy, operation_command):
        monkeypatch.setattr(module, "connect", lambda: fake)
    return fake


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deployer.cedar").write_text(ROLE)
    (tmp_path / "tests.toml").write_text(TESTS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(app: typer.Typer, *arguments: str) -> int:
    """Run a command as `casemate.cli.main` does and return its exit code."""
    command: Any = typer.main.get_command(app)
    result = command.main(list(arguments), standalone_mode=False)
    return result if isinstance(result, int) else 0


def test_validate(folder: Path, capsys) -> None:
    assert run(policy.app, "validate", "deployer.cedar") == 0
    assert "deployer.cedar:1" in capsys.readouterr().out
    run(policy.app, "validate", "deployer.cedar", "--json")
    assert "deployer" in json.loads(capsys.readouterr().out)["roles"]


def test_validate_refuses_with_the_place(folder: Path) -> None:
    (folder / "bad.cedar").write_text("\npermit (princpal, action, resource);")
    with pytest.raises(PolicyError, match=r"bad\.cedar:2: .*princpal"):
        run(policy.app, "validate", "deployer.cedar", "bad.cedar")
    (folder / "closed.cedar").write_text("forbid (principal, action, resource);")
    with pytest.raises(PolicyError, match="would lose policy:read"):
        run(policy.app, "validate", "closed.cedar")


def test_test_passes_and_fails(folder: Path, capsys) -> None:
    assert run(policy.app, "test", "tests.toml") == 0
    captured = capsys.readouterr()
    assert "ok" in captured.out
    assert "1 passed, 0 failed." in captured.err
    (folder / "tests.toml").write_text(TESTS.replace('"allow"', '"deny"'))
    assert run(policy.app, "test", "tests.toml") == 1
    assert "FAILED" in capsys.readouterr().out
    assert run(policy.app, "test", "tests.toml", "--json") == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["passed"], result["failed"]) == (0, 1)
    assert result["tests"][0]["reasons"] == ["deployer"]


def test_test_takes_more_policies(folder: Path, capsys) -> None:
    (folder / "frozen.cedar").write_text(
        'forbid (principal, action == Casemate::Action::"function:deploy", resource);'
    )
    assert run(policy.app, "test", "tests.toml", "--policy", "frozen.cedar") == 1
    assert "frozen.cedar#1" in capsys.readouterr().out


def test_schema(capsys) -> None:
    assert run(policy.app, "schema") == 0
    assert capsys.readouterr().out == SCHEMA


def test_ls_and_show(client: FakeClient, capsys) -> None:
    client.answers["/api/v1/policies"] = {
        "revision": 2,
        "roles": ["deployer", "owner"],
        "files": [FILE],
    }
    client.answers["/api/v1/policies/deployer"] = {**FILE, "text": ROLE}
    assert run(policy.app, "ls") == 0
    captured = capsys.readouterr()
    assert "permit" in captured.out
    assert "Roles: deployer, owner." in captured.err
    assert run(policy.app, "show", "deployer") == 0
    assert capsys.readouterr().out == ROLE


def test_put_checks_before_it_sends(folder: Path, client: FakeClient, capsys) -> None:
    client.answers["/api/v1/policies/deployer"] = FILE
    assert run(policy.app, "put", "deployer", "deployer.cedar") == 0
    assert client.asked == [("PUT", "/api/v1/policies/deployer", {"text": ROLE})]
    (folder / "deployer.cedar").write_text("nonsense;")
    with pytest.raises(PolicyError, match=r"deployer\.cedar:1"):
        run(policy.app, "put", "deployer", "deployer.cedar")
    assert len(client.asked) == 1


WIDER = ROLE.replace(
    'action == Casemate::Action::"function:deploy"',
    'action in [Casemate::Action::"function:deploy", Casemate::Action::"grant:approve"]',
)


@pytest.fixture
def stored(client: FakeClient) -> FakeClient:
    """A node with one policy file."""
    client.answers["/api/v1/policies"] = {"revision": 2, "roles": [], "files": [FILE]}
    client.answers["/api/v1/policies/deployer"] = {**FILE, "text": ROLE}
    return client


def test_diff_of_files_shows_a_request(folder: Path, client: FakeClient, capsys) -> None:
    (folder / "new.cedar").write_text(WIDER)
    assert run(policy.app, "diff", "new.cedar", "--before", "deployer.cedar") == 1
    assert "with deployer may grant:approve on" in capsys.readouterr().out
    assert run(policy.app, "diff", "new.cedar", "--before", "deployer.cedar", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["widens"] and found["permitted"][0]["action"] == "grant:approve"
    assert run(policy.app, "diff", "deployer.cedar", "--before", "new.cedar") == 0
    assert "Nothing becomes permitted that is not." in capsys.readouterr().out
    assert client.asked == []


def test_diff_with_the_node_replaces_the_file_of_that_name(
    folder: Path, stored: FakeClient, capsys
) -> None:
    assert run(policy.app, "diff", "deployer.cedar") == 0
    (folder / "deployer.cedar").write_text(WIDER)
    assert run(policy.app, "diff", "deployer.cedar") == 1
    assert "may grant:approve" in capsys.readouterr().out


def test_put_leaves_it_to_the_node_whether_it_permits_more(
    folder: Path, stored: FakeClient
) -> None:
    stored.answers["/api/v1/policies/deployer"] = FILE
    assert run(policy.app, "put", "deployer", "deployer.cedar", "--no-wider") == 0
    asked = ("PUT", "/api/v1/policies/deployer", {"text": ROLE, "no_wider": True})
    assert stored.asked == [asked]


def test_rm(client: FakeClient) -> None:
    assert run(policy.app, "rm", "deployer", "--yes") == 0
    assert client.asked == [("DELETE", "/api/v1/policies/deployer", None)]


@pytest.mark.parametrize(
    ("change", "code", "lines"),
    [
        ({}, 0, ["allow", "by deployer"]),
        ({"allowed": False, "reasons": []}, 1, ["deny", "no policy allows it"]),
        ({"allowed": False, "reasons": ["frozen"]}, 1, ["deny", "by frozen"]),
        (
            {"allowed": False, "reasons": [], "roles": ["deployer", "owner"]},
            1,
            [
                "deny",
                "no policy allows it",
                "roles that would allow it: deployer@shop, owner@shop",
                "`casemate users roles ada --role ROLE` gives one; name each to keep as well",
            ],
        ),
        (
            {
                "allowed": False,
                "reasons": [],
                "roles": ["auditor"],
                "resource": "node",
                "principal": "token:abc",
            },
            1,
            [
                "deny",
                "no policy allows it",
                "roles that would allow it: auditor",
                "a token keeps its roles: `casemate tokens add NAME --role ROLE` makes another",
            ],
        ),
        ({"allowed": False, "errors": ["overflow"]}, 1, ["deny", "error: overflow"]),
        (
            {"allowed": False, "reasons": [], "principal": "function:shop/a"},
            1,
            ["deny", "no policy allows it", "its live version is not granted this"],
        ),
    ],
)
def test_can(client: FakeClient, capsys, change: dict, code: int, lines: list[str]) -> None:
    client.answers["/api/v1/policy/decide"] = {**ANSWER, **change}
    asked = ("user:ada", "function:deploy", "function:shop/cart")
    assert run(can.app, *asked, "--why") == code
    assert capsys.readouterr().out.splitlines() == lines
    assert run(can.app, *asked) == code
    assert capsys.readouterr().out.splitlines() == lines[:1]
    assert run(can.app, *asked, "--json") == code
    assert json.loads(capsys.readouterr().out)["allowed"] is (code == 0)
    assert client.asked[0][2] == dict(zip(("principal", "action", "resource"), asked, strict=True))


def test_a_question_that_is_not_understood_does_not_end_as_a_no(cli, node) -> None:
    for words in (
        ("usr:ada", "function:deploy", "node"),
        ("user:ada", "function:deply", "node"),
        ("user:ada", "function:deploy", "fnction:shop/cart"),
    ):
        asked = cli("can", *words)
        assert asked.code == 2, asked
        assert "expected" in asked.err
