"""The report in all its forms, with names that try to be more than names."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from casemate.audit import outputs
from casemate.audit.finding import Accepted, Finding, Report, Severity, Step
from casemate.audit.model import Place, Unresolved
from casemate.audit.rules.all import RULES
from casemate.cli.node_audit import report_of
from casemate.model.level import Level
from casemate.operations.node_audit import NodeAuditReport, Weakness

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e\ud800\x00]]>"


def finding(rule: str = "PY-001", severity: Severity = Severity.HIGH, **more: object) -> Finding:
    values = {
        "title": "T",
        "risk": 4,
        "place": Place("src/a b.py", 3, 5),
        "text": "it is wrong",
        "fix": "Change it.",
        "function": "f",
        **more,
    }
    return Finding(rule=rule, severity=severity, **values)  # type: ignore[arg-type]


def report(*findings: Finding, **more: object) -> Report:
    return Report(
        root="app",
        applications=(("app", "sam", 2),),
        findings=findings,
        functions=2,
        rules=3,
        **more,
    )  # type: ignore[arg-type]


EVERYTHING = report(
    finding(steps=(Step(Place("a.py", 1), "event"), Step(Place("a.py", 2), "query"))),
    finding("API-001", Severity.MEDIUM, text=HOSTILE, function=HOSTILE, place=Place(HOSTILE, 1)),
    accepted=(
        Accepted(finding=finding("FN-001"), by="comment", reason=HOSTILE, until="2027-01-01"),
        Accepted(finding=finding("FN-004"), by="baseline"),
    ),
    unresolved=(Unresolved(Place("t.yaml", 2), HOSTILE),),
)

_PLACE = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "additionalProperties": False,
                    "properties": {
                        "uri": {"type": "string", "format": "uri-reference"},
                        "uriBaseId": {"type": "string"},
                    },
                },
                "region": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "startLine": {"type": "integer", "minimum": 1},
                        "startColumn": {"type": "integer", "minimum": 1},
                    },
                },
            },
        },
        "message": {"$ref": "#/$defs/message"},
        "logicalLocations": {"type": "array"},
    },
    "additionalProperties": False,
}
SARIF = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "message": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": {"type": "string", "minLength": 1}},
            "additionalProperties": False,
        },
        "location": _PLACE,
    },
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {
                                                "defaultConfiguration": {
                                                    "properties": {
                                                        "level": {
                                                            "enum": [
                                                                "none",
                                                                "note",
                                                                "warning",
                                                                "error",
                                                            ]
                                                        }
                                                    }
                                                }
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "originalUriBaseIds": {"type": "object"},
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful"],
                            "properties": {
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": {"type": "object", "required": ["message"]},
                                }
                            },
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "additionalProperties": False,
                            "properties": {
                                "ruleId": {"type": "string"},
                                "ruleIndex": {"type": "integer", "minimum": -1},
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"$ref": "#/$defs/message"},
                                "locations": {
                                    "type": "array",
                                    "items": {"$ref": "#/$defs/location"},
                                },
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                                "properties": {"type": "object"},
                                "codeFlows": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["threadFlows"],
                                        "properties": {
                                            "threadFlows": {
                                                "type": "array",
                                                "minItems": 1,
                                                "items": {
                                                    "type": "object",
                                                    "required": ["locations"],
                                                    "properties": {
                                                        "locations": {
                                                            "type": "array",
                                                            "minItems": 1,
                                                            "items": {
                                                                "type": "object",
                                                                "properties": {
                                                                    "location": {
                                                                        "$ref": "#/$defs/location"
                                                                    }
                                                                },
                                                            },
                                                        }
                                                    },
                                                },
                                            }
                                        },
                                    },
                                },
                                "suppressions": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["kind"],
                                        "additionalProperties": False,
                                        "properties": {
                                            "kind": {"enum": ["inSource", "external"]},
                                            "justification": {"type": "string"},
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What the standard (SARIF 2.1.0, OASIS) asks of all that is written here."""


def test_sarif_is_as_the_standard_asks() -> None:
    document = json.loads(outputs.sarif_of(EVERYTHING))
    jsonschema_rs.validator_for(SARIF).validate(document)
    [run] = document["runs"]
    assert [r["level"] for r in run["results"]] == ["error", "warning", "error", "error"]
    assert (
        run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        == "src/a%20b.py"
    )
    assert len(run["results"][0]["codeFlows"][0]["threadFlows"][0]["locations"]) == 2
    assert [s["kind"] for r in run["results"] for s in r.get("suppressions", ())] == [
        "inSource",
        "external",
    ]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"].encode()


def test_fingerprints_stay_when_lines_move_and_differ_when_things_do() -> None:
    one = finding(subject="s")
    assert (
        one.fingerprint
        == finding(subject="s", place=Place("src/a b.py", 90, 1), severity=Severity.LOW).fingerprint
    )
    others = [
        finding("PY-002", subject="s"),
        finding(subject="t"),
        finding(subject="s", function="g"),
        finding(subject="s", place=Place("b.py", 3, 5)),
    ]
    assert one.fingerprint not in {other.fingerprint for other in others}


def test_html_asks_nothing_of_anybody_and_runs_nothing() -> None:
    page = outputs.html_of(EVERYTHING)
    page.encode()
    assert (
        "<script" not in page and "\x1b" not in page and "\u202e" not in page and "\x00" not in page
    )
    assert "default-src 'none'" in page
    assert not re.search(r"(?:src|href)\s*=|@import|url\(", page)
    assert "&lt;script&gt;" in page


def test_no_form_for_people_has_text_that_is_not_seen() -> None:
    """A filler, a joiner, tags, and a selector behind a selector: none of them has a picture."""
    unseen = "\u3164\u034f\U000e0041\ufe0f\ufe0f"
    told = report(finding(text=f"a{unseen}b", function=f"a{unseen}b", place=Place(unseen, 1)))
    for page in (outputs.html_of(told), outputs.junit_of(told), outputs.sarif_of(told)):
        assert not set(unseen) & set(page if isinstance(page, str) else page.decode())


def test_junit_is_xml_whatever_the_names_are() -> None:
    root = ET.fromstring(outputs.junit_of(EVERYTHING))
    assert root.attrib == {"tests": "2", "failures": "1"}
    assert [case.get("classname") for case in root.iter("testcase")] == [
        "audit.API-001",
        "audit.PY-001",
    ]
    assert ET.fromstring(outputs.junit_of(EVERYTHING, Severity.MEDIUM)).get("failures") == "2"
    assert ET.fromstring(outputs.junit_of(report())).get("tests") == "0"


OBEYED = (
    "[Fixed, see](https://evil.example/x) [[ATTACHMENT|/etc/passwd]] a\nCRITICAL PY-001 gone\n"
    "::error::x\u202e\u2066\u2028\x85\U000e0041\uffff"
)


def test_no_viewer_or_build_server_obeys_what_is_named_in_a_report() -> None:
    """Viewers of SARIF make links, build servers attach files, and lines look like others."""
    found = finding(
        text=OBEYED,
        title=OBEYED,
        function=OBEYED,
        place=Place(OBEYED, 1),
        steps=(Step(Place(OBEYED, 1), OBEYED),),
    )
    hostile = report(
        found,
        accepted=(Accepted(finding=found, by="comment", reason=OBEYED),),
        unresolved=(Unresolved(Place("t.yaml", 2), OBEYED),),
    )

    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [each for item in value.values() for each in texts(item)]
        if isinstance(value, list):
            return [each for item in value for each in texts(item)]
        return [value] if isinstance(value, str) else []

    told = texts(json.loads(outputs.sarif_of(hostile))["runs"][0])
    junit = [*ET.fromstring(outputs.junit_of(hostile)).itertext()]
    assert not any("](" in each for each in told)
    for text in (*told, *(line for each in junit for line in each.split("\n"))):
        assert not any(char in text for char in "\u202e\u2066\u2028\x85\U000e0041")
        assert not re.search("^CRITICAL", text, re.M)
    assert not any("[[" in each for each in junit)


def test_json_has_everything() -> None:
    document = json.loads(outputs.json_of(EVERYTHING))
    assert document["findings"][0]["cwe"] == 209
    assert document["findings"][0]["owasp"] == "SAS-06"
    assert document["findings"][0]["fingerprint"] == EVERYTHING.findings[0].fingerprint
    assert document["accepted"][0]["until"] == "2027-01-01"
    assert document["counts"] == {"files": 0, "functions": 2, "rules": 3}


def test_lines_tell_place_text_and_change() -> None:
    lines = [line.text for line in outputs.lines_of(EVERYTHING, least=Severity.HIGH)]
    assert lines[:3] == ["HIGH PY-001 T", "  src/a b.py:3:5", "  it is wrong"]
    assert "  Change: Change it." in lines
    assert any("1 high, 1 medium (1 not shown" in line for line in lines)
    assert "2 accepted by a comment or the baseline." in lines[-1]


@pytest.mark.parametrize(
    ("fix", "line"),
    [
        ("casemate show shop/f", "  Look: casemate show shop/f"),
        ("casemate audit node --rule NODE-009", "  Look: casemate audit node --rule NODE-009"),
        ("casemate backup FILE", "  Change: casemate backup FILE"),
        ("casemate users rm show", "  Change: casemate users rm show"),
        ("Do not show it.", "  Change: Do not show it."),
        ("", "  Change: "),
    ],
)
def test_a_command_that_only_shows_something_is_no_change(fix: str, line: str) -> None:
    found = msgspec.structs.replace(EVERYTHING.findings[0], fix=fix)
    report = msgspec.structs.replace(EVERYTHING, findings=(found,))
    assert line in [each.text for each in outputs.lines_of(report)]


def test_who_has_accepted_nothing_is_told_how() -> None:
    told = [line.text for line in outputs.lines_of(report(finding("CM-002")))]
    assert "casemate: allow RULE until=" in told[-1]
    assert "allow RULE" not in [line.text for line in outputs.lines_of(report())][-1]


@pytest.mark.parametrize("rule", RULES[::20], ids=lambda rule: rule.id)
def test_every_rule_can_be_told_in_every_form(rule: object) -> None:
    made = report(finding(rule.id))  # type: ignore[attr-defined]
    for form in (outputs.sarif_of, outputs.html_of, outputs.junit_of, outputs.json_of):
        assert rule.id in form(made)  # type: ignore[attr-defined, operator]


def node_told() -> NodeAuditReport:
    return NodeAuditReport(
        at=1.0,
        score=60,
        counts={},
        weaknesses=(
            Weakness(
                rule="NODE-005",
                level=Level.CRITICAL,
                subject=HOSTILE,
                seen=HOSTILE,
                command="casemate serve",
            ),
        ),
    )


def test_sarif_of_a_node_is_as_the_standard_asks() -> None:
    document = json.loads(outputs.sarif_of(report_of(node_told(), "http://node")))
    jsonschema_rs.validator_for(SARIF).validate(document)
    [run] = document["runs"]
    [result] = run["results"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "NODE-005"


@pytest.mark.skipif(
    "CASEMATE_SARIF_SCHEMA" not in os.environ,
    reason="the schema of OASIS is not part of this repository: name its file",
)
@pytest.mark.parametrize("hostile", [False, True])
def test_sarif_is_valid_by_the_schema_of_oasis(hostile: bool) -> None:
    schema = json.loads(Path(os.environ["CASEMATE_SARIF_SCHEMA"]).read_text())
    assert "sarif-schema-2.1.0" in schema["id"]
    valid = jsonschema_rs.validator_for(schema, validate_formats=True)
    every = [report(finding(rule.id)) for rule in RULES]  # type: ignore[attr-defined]
    for each in (EVERYTHING, report_of(node_told(), "http://node"), *every):
        if hostile:
            place = Place(f"../{HOSTILE}\n%\udcff", 0, 0)
            odd = msgspec.structs.replace(each.findings[0], place=place, text=HOSTILE)
            each = msgspec.structs.replace(each, findings=(odd, *each.findings))
        valid.validate(json.loads(outputs.sarif_of(each)))
