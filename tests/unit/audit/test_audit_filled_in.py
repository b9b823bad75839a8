"""Verdicts of November 2026: values to be filled in, secrets of nothing, lengths, expressions."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, python, told

from casemate.audit.rules.examples import Files, function, resource


def script(body: str, head: str = "") -> Files:
    template = python("")["template.yaml"].replace("python3.13", "nodejs22.x")
    code = f"{head}\nexports.handler = async (event) => {{\n  const b = JSON.parse(event.body);\n"
    return {"template.yaml": template, "src/app.js": f"{code}  {body}\n}};\n"}


@pytest.mark.parametrize(
    ("value", "severity"),
    [
        ("password", "high"),
        ("MyDatabasePassword", "medium"),
        ("change-me", "medium"),
        ("your_password_here", "medium"),
        ("db_password", "medium"),
        ("hunter", "high"),
        ("password1", "high"),
        ("k9Tq2wLm8z", "high"),
        ("correcthorse", "high"),
    ],
)
def test_a_password_that_says_its_name_is_to_be_filled_in(value: str, severity: str) -> None:
    found = findings(function(f"Environment: {{Variables: {{DB_PASSWORD: {value}}}}}"), "SEC-005")
    assert [each.severity for each in found] == [severity]


@pytest.mark.parametrize(("default", "severity"), [("password", "medium"), ("hunter", "high")])
def test_a_default_that_says_its_name_is_to_be_filled_in(default: str, severity: str) -> None:
    files = dict(function("Environment: {Variables: {DB_PASSWORD: !Ref Password}}"))
    head = f"Parameters:\n  Password: {{Type: String, Default: {default}}}\n"
    files["template.yaml"] = head + files["template.yaml"]
    assert [each.severity for each in findings(files, "SEC-005")] == [severity]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('\'{"key": ""}\'', 0),
        ('\'{"key": "", "user": null}\'', 0),
        ('!Sub [\'{ "key": "${K}" }\', {K: !Ref Key}]', 0),
        ('\'{"key": "k9Tq2wLm8z"}\'', 1),
        ("'k9Tq2wLm8z'", 1),
        ("'12345678'", 1),
    ],
)
def test_a_secret_of_nothing_is_filled_in_later(value: str, found: int) -> None:
    files = dict(resource("AWS::SecretsManager::Secret", f"SecretString: {value}"))
    key = "Parameters:\n  Key: {Type: String, NoEcho: true, Default: ''}\n"
    files["template.yaml"] = key + files["template.yaml"]
    assert told(files, "DATA-063") == found


_MODEL = (
    "const mongoose = require('mongoose');\n"
    "const User = mongoose.model('User', new mongoose.Schema({ name: String }));"
)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("b.name && b.name.length > 3", 0),
        ("b.name.length >= 1", 0),
        ("b.name.length >= 0", 1),
        ("b.name.length > -1", 1),
        ("!(b.name.length < 3)", 1),
        ("b.other.length > 3", 1),
    ],
)
def test_what_has_a_length_is_no_operator(condition: str, found: int) -> None:
    code = f"if ({condition}) {{ return User.findOne({{ name: b.name }}); }}"
    assert told(script(code, _MODEL), "DF-019") == found


@pytest.mark.parametrize(
    ("made", "found"),
    [("esc(b.a)", 0), ("_.escapeRegExp(b.a)", 0), ("`^${esc(b.a)}.*$`", 0), ("b.a", 1)],
)
def test_an_escaped_text_is_no_expression(made: str, found: int) -> None:
    head = "const esc = require('escape-string-regexp');\nconst _ = require('lodash');"
    assert told(script(f"return new RegExp({made}, 'i').test('x');", head), "DF-020") == found


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("b.a.indexOf('https://a.example/') === 0", 0),
        ("b.a.indexOf('https://a.example/') == 0", 0),
        ("b.a.startsWith('https://a.example/')", 0),
        ("!(b.a.indexOf('https://a.example/') !== 0)", 0),
        ("b.a.indexOf('https://a.example/') !== 0", 1),
        ("b.a.indexOf('https://a.example/') > -1", 1),
        ("b.a.indexOf('https://a.example') === 0", 1),
    ],
)
def test_a_text_that_is_found_at_its_begin_begins_so(condition: str, found: int) -> None:
    assert told(script(f"if ({condition}) {{ return fetch(b.a); }}"), "DF-011") == found
