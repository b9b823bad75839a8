"""Versions of playbooks on a real node: kept, signed by its vault, and not believed if changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode
from support.sealed_store import open_store

pytestmark = pytest.mark.sandbox


def done(node: TestNode, *arguments: str) -> str:
    ran = casemate(node, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def kept(node: TestNode) -> list[dict[str, Any]]:
    return list(json.loads(done(node, "playbook", "history", "mine", "--json"))["versions"])


def view(node: TestNode) -> dict[str, Any]:
    listed = json.loads(done(node, "playbook", "ls", "--json"))["playbooks"]
    return next(one for one in listed if one["name"] == "mine")


def test_versions_are_kept_and_what_is_changed_in_the_store_is_refused_and_found(
    node: TestNode, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    text = done(node, "playbook", "show", "escape-tried")
    file.write_text(text)
    assert "as version 1" in done(node, "playbook", "put", str(file))
    file.write_text(text.replace('approval = "none"', 'approval = "person"'))
    done(node, "playbook", "put", str(file))
    done(node, "vault", "rotate-keys")
    assert "as version 3" in done(node, "playbook", "revert", "mine", "--version", "1")
    assert done(node, "playbook", "show", "mine", "--version", "1") == text
    assert [(one["version"], one["signed"]) for one in kept(node)] == [
        (3, True),
        (2, True),
        (1, True),
    ]

    node.stop()
    with open_store(node) as database:
        for name, value in database.execute(
            "SELECT name, value FROM node_value WHERE name LIKE 'playbook versions %'"
        ).fetchall():
            histories = json.loads(bytes(value))
            for one in histories:
                one["versions"][-1]["text"] = one["versions"][1]["text"]
            changed = json.dumps(histories).encode()
            database.execute("UPDATE node_value SET value = ? WHERE name = ?", (changed, name))
    node.start()

    assert "is not what the vault has signed" in view(node)["problem"]
    assert [one["signed"] for one in kept(node)] == [False, True, True]
    ran = casemate(node, "playbook", "revert", "mine", "--version", "3")
    assert ran.returncode != 0 and "does not act" in ran.stderr

    def found() -> list[dict[str, Any]]:
        findings = node.get("/findings?limit=50")["findings"]
        return [one for one in findings if one["rule"] == "playbook-not-signed"]

    node.wait_until(found)
    assert found()[0]["level"] == "critical"
    assert "as version 4" in done(node, "playbook", "revert", "mine", "--version", "1")
    assert view(node)["problem"] == ""
    done(node, "playbook", "rm", "mine")
    assert kept(node)[0]["change"] == "remove"


@pytest.mark.storm
def test_a_playbook_of_the_release_before_is_signed_once_at_its_first_start(
    node: TestNode, tmp_path: Path
) -> None:
    """That release kept its text alone: no versions, and no list of the newest ones."""
    file = tmp_path / "mine.toml"
    file.write_text(done(node, "playbook", "show", "escape-suspected"))
    done(node, "playbook", "put", str(file))
    node.stop()
    with open_store(node) as database:
        database.execute("DELETE FROM node_value WHERE name LIKE 'playbook versions%'")
        database.execute("DELETE FROM node_value WHERE name = 'playbook ledger'")
    node.start()

    [one] = kept(node)
    assert (one["version"], one["change"], one["signed"]) == (1, "take-over", True)
    assert one["by"] == node.get("/whoami")["principal"]
    assert view(node)["problem"] == view(node)["unverified"] == ""
    node.stop(9)
    node.start()
    assert kept(node) == [one], "once"
    changes = [
        entry["event"]["unmapped"]["change"]
        for entry in node.get("/journal", kind="PlaybookChanged")["entries"]
    ]
    assert changes.count("take-over") == 1

    node.stop()
    with open_store(node) as database:
        database.execute("DELETE FROM node_value WHERE name LIKE 'playbook versions%'")
    node.start()
    assert "is gone" in view(node)["problem"], "nothing is taken over again"
