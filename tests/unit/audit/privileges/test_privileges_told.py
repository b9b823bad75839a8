"""What is needless is told action by action in every output, with what would be enough."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from casemate.audit import Report, audit, outputs
from casemate.audit.rules.examples import function

CODE = """\
import boto3, os
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
def handler(event, context):
    getattr(boto3.client("sqs"), event["x"])()
    return table.get_item(Key=event)
"""
FILES = function(
    "Environment: {Variables: {TABLE: !Ref Orders}}\n"
    "Policies: [{DynamoDBCrudPolicy: {TableName: !Ref Orders}}, {Statement: [{Effect: Allow, "
    "Action: ['sqs:*', 's3:PutObject', 'dynamodb:Describe*'], Resource: '*'}]}]",
    "Orders: {Type: AWS::DynamoDB::Table}",
    code=CODE,
)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return audit(tmp_path)


def test_findings_name_actions_and_what_is_enough(report: Report) -> None:
    found = {each.rule: each for each in report.findings if each.rule.startswith("PRIV")}
    assert sorted(found) == ["PRIV-001", "PRIV-002", "PRIV-003"]
    assert "dynamodb:PutItem" in found["PRIV-002"].text
    assert "sqs" not in found["PRIV-003"].text and "s3:PutObject" in found["PRIV-003"].text
    for each in found.values():
        assert json.loads(each.instead)["Statement"]


def test_what_is_not_decided_is_noted_with_its_place(report: Report) -> None:
    [note] = [each for each in report.unresolved if "not decided" in each.what]
    assert str(note.place) == "src/app.py:4:5"
    assert "sqs" in note.what and "getattr" in note.what


def test_lines_tell_each_action_when_they_are_asked_for(report: Report) -> None:
    lines = [line.text for line in outputs.lines_of(report, privileges=True)]
    needless = [line for line in lines if line.startswith("  needless")]
    assert len(needless) == len(
        [a for each in report.privileges for s in each.surplus for a in s.actions]
    )
    assert any("dynamodb:DeleteItem on arn:aws:dynamodb" in line for line in needless)
    assert any(line.startswith("  undecided  sqs:") for line in lines)
    assert '      "Version": "2012-10-17",' in lines
    assert not any("needless" in line.text for line in outputs.lines_of(report))


def test_json_sarif_and_html_have_it(report: Report) -> None:
    document = json.loads(outputs.json_of(report))
    [one] = document["privileges"]
    assert one["needed"] == [{"action": "dynamodb:GetItem", "resources": ["${Orders}"]}]
    assert {each["granted"] for each in one["needless"]} >= {"s3:PutObject", "dynamodb:Describe*"}
    assert json.loads(one["minimal"])["Version"] == "2012-10-17"
    run = json.loads(outputs.sarif_of(report))["runs"][0]
    told = [r for r in run["results"] if r["ruleId"].startswith("PRIV")]
    assert all(json.loads(each["properties"]["instead"]) for each in told)
    page = outputs.html_of(report)
    assert "<details><summary><code>Thing</code></summary>" in page
    assert "dynamodb:PutItem" in page and "<script" not in page


def test_hostile_names_stay_texts(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b[31m"
    files = dict(
        function(
            f"Policies: [{{Statement: [{{Effect: Allow, Action: 's3:PutObject', Resource: {json.dumps(name)}}}]}}]"
        )
    )
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    found = audit(tmp_path)
    assert any(each.rule == "PRIV-003" for each in found.findings)
    page = outputs.html_of(found)
    assert "<script" not in page and "\x1b" not in page
    json.loads(outputs.json_of(found))
    json.loads(outputs.sarif_of(found))


def test_hosts_are_kept_for_no_code_tells_which_a_library_connects_to(tmp_path: Path) -> None:
    grant = '{ host = "mail.example.com", port = 8443 }'
    (tmp_path / "casemate.toml").write_text(
        '[project]\nname = "p"\n\n[function.f]\nhandler = "app:handler"\n[function.f.grants]\n'
        f'tables = [{{ name = "orders", actions = ["get", "put"] }}]\negress = [{grant}]\n'
    )
    (tmp_path / "app.py").write_text(
        "import urllib.request\n\n\ndef handler(event, context):\n"
        '    urllib.request.urlopen("https://mail.example.com:8443/")\n'
        '    return context.table("orders").get("a").value\n'
    )
    found = {each.rule: each for each in audit(tmp_path).findings}
    assert "PRIV-030" not in found
    written = found["PRIV-031"].instead
    assert tomllib.loads(written)["function"]["f"]["grants"] == {
        "tables": [{"name": "orders", "actions": ["get"]}],
        "egress": [{"host": "mail.example.com", "port": 8443}],
    }
