"""Every rule finds its vulnerable example and passes its fixed one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.advisories import import_records, record

from casemate.advisories import Place
from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.finding import Finding
from casemate.audit.rule import OWASP, Rule, Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files, requirements
from casemate.audit.workspace import Workspace

TODAY = "2026-11-27"


def found(rule: Rule, files: Files) -> list[Finding]:
    workspace = Workspace.of(dict(files))
    applications = list(applications_of(workspace))
    assert applications, "the example is no application"
    code = Code(workspace)
    return [f for a in applications for f in rule.findings(Subject(a, workspace, code, TODAY))]


@pytest.mark.parametrize("rule", [r for r in RULES if r.vulnerable], ids=lambda rule: rule.id)
def test_the_vulnerable_example_is_found_at_its_place(rule: Rule) -> None:
    findings = found(rule, rule.vulnerable)
    assert findings
    for finding in findings:
        assert finding.rule == rule.id
        assert finding.place.file in rule.vulnerable, finding.place
        assert 1 <= finding.place.line <= rule.vulnerable[finding.place.file].count("\n") + 1
        assert "\n" not in finding.text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_fixed_example_is_passed(rule: Rule) -> None:
    assert found(rule, rule.fixed) == []


def test_the_table_is_complete() -> None:
    assert len(RULES) >= 120
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert {rule.risk.value for rule in RULES} == {1, 2, 3, 4, 5, 6}
    for rule in RULES:
        assert re.fullmatch(r"[A-Z]{2,4}-\d{3}", rule.id)
        assert rule.owasp in OWASP
        assert rule.cwe > 0
        assert rule.attack == "" or re.fullmatch(r"T\d{4}(?:\.\d{3})?", rule.attack)
        assert (
            rule.title and rule.why.endswith((".", ")")) and rule.fix.endswith((".", "=...", ")"))
        )


def test_known_holes_come_from_the_advisories_that_were_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "advisories")
    monkeypatch.setenv("CASEMATE_ADVISORIES", str(place.folder))
    [rule] = [each for each in RULES if each.id == "DEP-010"]
    files = requirements("demo-package==1.0.0\nother==1.0")
    assert found(rule, files) == []
    import_records(place, record(name="demo-package"))
    [finding] = found(rule, files)
    assert finding.place.file == "src/requirements.txt"
    assert "demo-package 1.0.0" in finding.text and "2.0.0" in finding.text
