"""Policies as a user meets them: with the command line, against a running node."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import forked_cli
from support.node import TestNode

HANDLER = "def handler(event, context):\n    return 'ok'\n"
ROLE = """\
@id("reader")
permit (
  principal in Casemate::Role::"reader",
  action in [Casemate::Action::"function:read", Casemate::Action::"read-records"],
  resource
);
"""
FROZEN = """\
@id("frozen")
forbid (
  principal,
  action == Casemate::Action::"function:invoke",
  resource in Casemate::Project::"t"
);
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(node: TestNode, tmp_path: Path) -> Run:
    """Runs the command line as the node's first owner, or with another key."""

    def run(*arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
            "CASEMATE_URL": node.url,
            "CASEMATE_KEY": key or node.key,
        }
        return forked_cli.run(arguments, env=environment, cwd=tmp_path, timeout=60)

    return run


def test_a_role_is_made_bound_used_and_taken_away(cli: Run, node: TestNode, tmp_path: Path) -> None:
    node.deploy(HANDLER)
    (tmp_path / "reader.cedar").write_text(ROLE)
    assert cli("tokens", "add", "early", "--role", "reader@t").returncode != 0
    put = cli("policy", "put", "reader", "reader.cedar")
    assert put.returncode == 0, put.stderr
    made = cli("tokens", "add", "watch", "--role", "reader@t")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert cli("show", "t/f", key=key).returncode == 0
    assert cli("invoke", "t/f", "{}", key=key).returncode == 4
    removed = cli("policy", "rm", "reader", "--yes")
    assert removed.returncode == 0, removed.stderr
    assert cli("show", "t/f", key=key).returncode == 4


def test_a_forbid_holds_for_the_next_call_and_names_itself(
    cli: Run, node: TestNode, tmp_path: Path
) -> None:
    node.deploy(HANDLER)
    (tmp_path / "frozen.cedar").write_text(FROZEN)
    assert node.invoke({}).status_code == 200
    assert cli("policy", "put", "frozen", "frozen.cedar").returncode == 0
    assert node.invoke({}).status_code == 403
    why = cli("can", "anonymous:public", "function:invoke", "function:t/f", "--why")
    assert (why.returncode, why.stdout.splitlines()) == (
        1,
        ["deny", "by casemate.anonymous", "by frozen"],
    )
    assert cli("policy", "rm", "frozen", "--yes").returncode == 0
    assert node.invoke({}).status_code == 200


def test_what_a_change_permits_is_told_before_it_is_put(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "reader.cedar").write_text(ROLE)
    wider = cli("policy", "diff", "reader.cedar")
    assert wider.returncode == 1
    assert "with reader may function:read on function:any0/any0 by reader" in wider.stdout
    refused = cli("policy", "put", "reader", "reader.cedar", "--no-wider")
    assert (refused.returncode, "with reader may" in refused.stderr) == (1, True)


def test_functions_have_nothing_that_was_not_granted(cli: Run, node: TestNode) -> None:
    node.deploy(HANDLER)
    asked = ("bucket:read", "bucket:t/uploads")
    answer = cli("can", "function:t/f", *asked, "--why")
    assert answer.returncode == 1
    assert "its live version is not granted this" in answer.stdout


def test_what_would_lock_everybody_out_is_refused(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "closed.cedar").write_text("forbid (principal, action, resource);")
    refused = cli("policy", "put", "closed", "closed.cedar")
    assert refused.returncode == 1
    assert "would lose policy:read" in refused.stderr
    assert cli("policy", "ls").returncode == 0


def test_policies_survive_a_restart(node: TestNode) -> None:
    path = f"{node.url}/api/v1/policies/kept"
    put = node.client.put(path, json={"text": ROLE.replace("reader", "kept")})
    assert put.status_code == 200, put.text
    node.stop()
    node.start()
    assert "kept" in node.get("/policies")["roles"]
    node.client.delete(path).raise_for_status()


def test_policy_files_are_tested_without_a_node(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "reader.cedar").write_text(ROLE)
    (tmp_path / "tests.toml").write_text(
        'policies = ["reader.cedar"]\n[[test]]\nprincipal = "user:ada"\nroles = ["reader@t"]\n'
        'action = "log:read"\nresource = "function:t/f"\nexpect = "allow"\nby = "reader"\n'
    )
    result = cli("policy", "test", "tests.toml", "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["passed"] == 1
