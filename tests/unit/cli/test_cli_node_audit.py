"""`casemate audit node` and `casemate access`: what they print, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from casemate.audit.outputs import html_of, json_of, junit_of, lines_of, sarif_of
from casemate.cli.node_audit import report_of
from casemate.model.level import Level
from casemate.node_audit.judging import RULE_OF
from casemate.node_audit.state import NodeState, Settings
from casemate.operations.node_audit import NodeAuditReport, Weakness

HOSTILE = "\x1b[2J<script>alert(1)</script>\u202e\ud800]]>"


def told(**more: Any) -> NodeAuditReport:
    weakness = Weakness(
        rule="NODE-043",
        level=Level.HIGH,
        subject="function:shop/cart",
        seen=f"shop/cart is in quarantine: {HOSTILE}",
        command="casemate release shop/cart --reason TEXT",
    )
    fields = {
        "at": 1.0,
        "score": 85,
        "weaknesses": (weakness,),
        "counts": {"high": 1},
        "versions": {"Casemate": "0.1", "kernel": HOSTILE},
        "rules": (RULE_OF["NODE-043"].told,),
        **more,
    }
    return NodeAuditReport(**fields)


def test_the_writers_of_the_audit_print_what_a_node_says() -> None:
    report = report_of(told(), "http://node")
    assert "NODE-043" in html_of(report) and "<script>" not in html_of(report)
    assert "Score 85 of 100" in html_of(report)
    found = json.loads(json_of(report))
    assert found["findings"][0]["cwe"] == 778 and found["score"] == 85
    assert found["findings"][0]["line"] == 0
    sarif = json.loads(sarif_of(report))
    assert sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"] == "NODE-043"
    assert "<script>" not in junit_of(report) and "\x1b" not in junit_of(report)
    lines = [line.text for line in lines_of(report)]
    assert "  function:shop/cart" in lines
    assert lines[-1] == "Score 85 of 100. 1 finding(s): 1 high."


def test_a_node_of_another_release_is_understood_as_far_as_can_be() -> None:
    report = report_of(told(rules=(), more=7), "http://node")
    assert report.findings[0].title == "NODE-043"
    assert "7 more" in report.unresolved[0].what
    for write in (html_of, json_of, sarif_of, junit_of):
        assert "NODE-043" in write(report)


@pytest.fixture
def weak(node: Any) -> Any:
    async def look() -> NodeState:
        open_to_all = Settings(address="http://0.0.0.0:80", loopback=False, tls=False)
        return NodeState(now=1_795_000_000.0, settings=open_to_all, versions={"Casemate": "0.1"})

    node.parts.service.audit._look = look
    return node


def test_findings_are_told_with_their_commands_and_the_exit_code_follows(cli, weak: Any) -> None:
    result = cli("audit", "node")
    assert result.code == 1, result.err
    assert "CRITICAL NODE-005" in result.out and "Change: casemate serve --tls-cert" in result.out
    assert "Score 60 of 100" in result.out
    assert cli("audit", "node", "--without", "NODE-005").code == 0
    assert cli("audit", "node", "--rule", "NODE-004").code == 0
    for option in ("--rule", "--without"):
        wrong = cli("audit", "node", option, "NODE-0O5")
        assert wrong.code == 1 and "NODE-0O5" in wrong.err
    assert json.loads(cli("audit", "node", "--json").out)["score"] == 60
    history = cli("audit", "node", "--history")
    assert history.code == 0 and " 60 " in history.out
    assert json.loads(cli("audit", "node", "--history", "--json").out)["points"][0]["score"] == 60


def test_a_project_alone_is_asked_for(cli, weak: Any) -> None:
    assert cli("audit", "node", "--project", "shop").code == 0
    assert "Score 100" in cli("audit", "node", "--project", "shop").out
    assert cli("audit", "node", "--project", "S H O P").code != 0


@pytest.mark.parametrize("form", ["json", "sarif", "html", "junit", "terminal"])
def test_a_node_s_reports_go_to_files(cli, weak: Any, home: Path, form: str) -> None:
    assert cli("audit", "node", "--format", form, "--out", "report").code == 1
    assert "NODE-005" in (home / "report").read_text()


def test_a_folder_called_node_is_still_audited(cli, node: Any, home: Path) -> None:
    folder = home / "node"
    folder.mkdir()
    (folder / "app.py").write_text("import os\n\ndef handler(event, context):\n    return {}\n")
    before = len(node.requests)
    for path in ("./node", "node/", str(folder)):
        result = cli("audit", path)
        assert result.code == 0 and "finding(s)" in result.out, (path, result.err)
    assert len(node.requests) == before, "no server is asked"


def test_what_is_for_files_is_refused_of_a_node_and_the_other_way_round(cli, node: Any) -> None:
    for option in (("--fix",), ("--duties",), ("--paths",), ("--since", "HEAD")):
        result = cli("audit", "node", *option)
        assert result.code == 2 and option[0] in result.err
    for option in (("--history",), ("--project", "shop")):
        assert cli("audit", ".", *option).code == 2


def test_a_node_that_is_gone_or_forbids_it_is_told(cli, node: Any, monkeypatch: Any) -> None:
    from api_fake_control import INVOKER_TEXT

    monkeypatch.setenv("CASEMATE_KEY", INVOKER_TEXT)
    denied = cli("audit", "node")
    assert denied.code == 4 and "node:audit" in denied.err
    monkeypatch.setenv("CASEMATE_URL", "http://127.0.0.1:9")
    assert cli("audit", "node").code == 5
