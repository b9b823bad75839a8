"""Every rule finds its vulnerable example and passes its fixed one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.support.advisories import import_records, record

from casemate.advisories import Place
from casemate.audit.auditing import applications_of, audit
from casemate.audit.code.reading import Code
from casemate.audit.finding import Finding
from casemate.audit.rule import OWASP, Rule, Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files, project, requirements
from casemate.audit.workspace import Workspace
from casemate.manifest import load

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


def test_that_packages_were_not_looked_up_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path / "advisories")
    monkeypatch.setenv("CASEMATE_ADVISORIES", str(place.folder))
    for name, text in requirements("demo-package==1.0.0").items():
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def told() -> list[str]:
        notes = audit(tmp_path / "project").unresolved
        return [each.what for each in notes if "known vulnerabilities" in each.what]

    [note] = told()
    assert "No advisories were imported yet." in note and "casemate advisories import" in note
    import_records(place, record(name="another"))
    assert told() == []


_LOCK = "requirements.txt.cp313-x86_64.lock"
_LOCKED = f"# casemate lock 1\npillow==13.0.0 \\\n    --hash=sha256:{'0' * 64}\n"


@pytest.mark.parametrize("rule", ["DEP-001", "DEP-002"])
def test_the_lock_that_a_build_has_made_counts(rule: str) -> None:
    one = next(each for each in RULES if each.id == rule)
    files = {**project('requirements = "requirements.txt"'), "requirements.txt": "Pillow\n"}
    assert found(one, files)
    assert not found(one, {**files, _LOCK: _LOCKED})
    # What is not in it, or not in that of each Python, is not locked; nor is anything elsewhere.
    assert found(one, {**files, _LOCK: _LOCKED.replace("pillow", "pandas")})
    other = _LOCK.replace("313", "312")
    assert found(one, {**files, _LOCK: _LOCKED, other: _LOCKED.replace("pillow", "pandas")})
    assert found(one, {**requirements("pillow"), f"src/{_LOCK}": _LOCKED})


def test_a_grant_of_other_actions_than_the_code_uses_says_which() -> None:
    rule = next(each for each in RULES if each.id == "PRIV-030")
    files = dict(rule.fixed)
    files["app.py"] = files["app.py"].replace(".get(event.body['id']).value", ".query()")
    [finding] = found(rule, files)
    assert finding.text.endswith("of table orders; what it does there is not granted: query")
    assert 'actions = ["query"]' in finding.instead


OF_PROJECTS = [
    pytest.param(files, id=f"{rule.id}-{which}")
    for rule in RULES
    for which, files in (("vulnerable", rule.vulnerable), ("fixed", rule.fixed))
    if "casemate.toml" in files
]


@pytest.mark.parametrize("files", OF_PROJECTS)
def test_the_projects_of_examples_are_such_as_can_be_deployed(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    """A rule was held against a manifest that there cannot be, and found none of those there are."""
    named = re.findall(r'(?:contract|requirements) = "([^"]+)"', files["casemate.toml"])
    for name, text in {**dict.fromkeys(named, "{}"), **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    load(tmp_path / "casemate.toml")


@pytest.mark.parametrize(("host", "count"), [("api.example.com", 1), ("127.0.0.1", 0)])
def test_ports_without_encryption_are_found_but_on_this_machine(host: str, count: int) -> None:
    rule = next(each for each in RULES if each.id == "CM-009")
    text = rule.vulnerable["casemate.toml"].replace("api.example.com", host)
    assert len(list(found(rule, {**rule.vulnerable, "casemate.toml": text}))) == count
