"""A real node is audited, its score stands in its journal, and access to it is reviewed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode

pytestmark = pytest.mark.sandbox
CODE = "def handler(event, context):\n    return {}\n"


def audited(node: TestNode, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = node.get("/node/audit", **query)
    return found


def weak(report: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in report["weaknesses"]}


def test_a_node_is_audited_and_its_score_is_in_the_journal(node: TestNode, tmp_path: Path) -> None:
    node.deploy(CODE, name="open", settings="public = true")
    node.wait_until(lambda: "NODE-011" not in weak(audited(node)))  # its parts are all there
    first = audited(node)
    assert {"NODE-022", "NODE-042", "NODE-060", "NODE-062", "NODE-063"} <= weak(first)
    assert "NODE-014" not in weak(first), "every part of it was looked at"
    assert first["versions"]["Casemate"] and first["versions"]["kernel"]
    ran = casemate(node, "backup", str(tmp_path / "node.tar"))
    assert ran.returncode == 0, ran.stderr
    node.wait_until(lambda: "NODE-060" not in weak(audited(node)))
    points = node.get("/node/audit/history")["points"]
    assert points[0]["score"] == first["score"] + 5
    change = f'"score": {points[0]["score"]}, "before": {first["score"]}'
    node.wait_until(lambda: change in json.dumps(node.get("/journal", kind="NodeAudited")))
    page = node.client.get(f"{node.url}/metrics").text
    assert f"casemate_node_audit_score {points[0]['score']}" in page
    own = audited(node, project="t")
    assert "NODE-042" in weak(own) and not own["versions"]
    assert {one["project"] for one in own["weaknesses"]} == {"t"}
    shown = casemate(node, "audit", "node", "--fail-on", "critical")
    assert shown.returncode == 0 and "casemate users add NAME --role owner" in shown.stdout


def test_access_is_reviewed_kept_and_taken(node: TestNode) -> None:
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "ci", "roles": ["invoker@t"]}
    ).json()["token"]
    id = f"token:{made['id']}"
    kept = casemate(node, "access", "keep", id, "--reason", "builds it")
    assert kept.returncode == 0 and "your own" in kept.stderr, kept.stderr
    found = {one["id"]: one for one in node.get("/access", project="t")["entries"]}
    assert found[id]["review"]["reason"] == "builds it" and found[id]["last_used"] is None
    taken = casemate(node, "access", "remove", id, "--reason", "not any more", "--yes")
    assert taken.returncode == 0 and "revoked" in taken.stdout
    left = [one["id"] for one in node.get("/access", kind="token")["entries"]]
    assert id not in left
    told = json.dumps(node.get("/journal", kind="AccessReviewed"))
    assert "builds it" in told and "not any more" in told
    [mine] = left
    last = node.client.post(
        f"{node.url}/api/v1/access/remove", json={"id": mine, "reason": "too much"}
    )
    assert last.status_code == 409 and "without an owner" in last.text
