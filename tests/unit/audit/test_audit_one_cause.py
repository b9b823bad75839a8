"""What one change mends is told once, with all its places."""

from __future__ import annotations

import json
from pathlib import Path

from casemate.audit import Options, audit, baseline_text, read_baseline
from casemate.audit.finding import Finding, Report
from casemate.audit.outputs.html import html_of
from casemate.audit.outputs.json_text import json_of
from casemate.audit.outputs.junit import junit_of
from casemate.audit.outputs.sarif import sarif_of
from casemate.audit.outputs.terminal import lines_of

_HEAD = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
_CODE = "def handler(event, context):\n    return None\n"
_ROLE = (
    "    - {Effect: Allow, Action: 'lambda:CreateFunction', Resource: '*'}\n"
    "    - {Effect: Allow, Action: 'iam:PassRole', Resource: '*'}\n"
)


def _function(name: str, more: str) -> str:
    inner = "".join(f"      {line}\n" for line in more.strip("\n").split("\n"))
    return (
        f"  {name}:\n    Type: AWS::Serverless::Function\n    Properties:\n"
        f"      Runtime: python3.13\n      Handler: app.handler\n      CodeUri: src/\n{inner}"
    )


def _password(value: str, comment: str = "") -> str:
    note = f"    # casemate: allow SEC-005 until=2027-01-01 reason={comment}\n" if comment else ""
    return f"Environment:\n  Variables:\n{note}    DB_PASSWORD: {value}\n"


def _app(folder: Path, *functions: str, code: str = _CODE) -> Path:
    (folder / "src").mkdir(exist_ok=True)
    (folder / "template.yaml").write_text(_HEAD + "".join(functions))
    (folder / "src" / "app.py").write_text(code)
    return folder


def _report(folder: Path, rule: str, **more: object) -> Report:
    return audit(folder, Options(only=(rule,), today="2026-11-27", **more))  # type: ignore[arg-type]


def _found(folder: Path, rule: str, **more: object) -> tuple[Finding, ...]:
    return _report(folder, rule, **more).findings


def test_a_value_that_several_functions_hold_is_one_finding(tmp_path: Path) -> None:
    app = _app(tmp_path, *(_function(n, _password("k9Tq2wLm8z")) for n in ("A", "B", "C")))
    [found] = _found(app, "SEC-005")
    assert found.function == "A"
    assert [each.function for each in found.also] == ["B", "C"]
    assert [each.place.line for each in found.also] == [20, 29]


def test_other_values_are_findings_of_their_own(tmp_path: Path) -> None:
    app = _app(
        tmp_path,
        *(_function(n, _password(v)) for n, v in (("A", "k9Tq2wLm8z"), ("B", "p4Vn7xRc2y"))),
    )
    assert [each.also for each in _found(app, "SEC-005")] == [(), ()]


def test_copies_of_a_statement_are_one_finding(tmp_path: Path) -> None:
    policy = "Policies:\n- Statement:\n" + _ROLE
    app = _app(tmp_path, *(_function(name, policy) for name in ("A", "B")))
    [found] = _found(app, "PRIV-010")
    assert [each.function for each in found.also] == ["B"]


def test_copies_of_a_grant_are_one_finding(tmp_path: Path) -> None:
    policy = "Policies:\n- Statement:\n    - {Effect: Allow, Action: 'SERVICE:*', Resource: '*'}\n"
    wanted = ("A", "sqs"), ("B", "sqs"), ("C", "sns")
    functions = (_function(name, policy.replace("SERVICE", of)) for name, of in wanted)
    first, second = _found(_app(tmp_path, *functions), "IAM-002")
    assert ([each.function for each in first.also], second.also) == (["B"], ())


def test_data_that_comes_in_once_is_one_finding(tmp_path: Path) -> None:
    code = (
        "import os\n\ndef handler(event, context):\n"
        "    name = event['queryStringParameters']['name']\n"
        "    os.system('a ' + name)\n    os.system('b ' + name)\n"
        "    os.system('c ' + event['queryStringParameters']['other'])\n"
    )
    event = "Events:\n  Call:\n    Type: Api\n    Properties: {Path: /a, Method: get}\n"
    first, second = _found(_app(tmp_path, _function("A", event), code=code), "DF-002")
    assert [each.place.line for each in first.also] == [6]
    assert (second.place.line, second.also) == (7, ())


def test_a_place_that_may_stay_hides_no_other(tmp_path: Path) -> None:
    app = _app(
        tmp_path,
        _function("A", _password("k9Tq2wLm8z", "of a test")),
        _function("B", _password("k9Tq2wLm8z")),
        _function("C", _password("k9Tq2wLm8z")),
    )
    report = _report(app, "SEC-005")
    assert [each.finding.function for each in report.accepted] == ["A"]
    [found] = report.findings
    assert (found.function, [each.function for each in found.also]) == ("B", ["C"])


def test_a_baseline_accepts_every_place_and_no_new_one(tmp_path: Path) -> None:
    app = _app(tmp_path, *(_function(name, _password("k9Tq2wLm8z")) for name in ("A", "B")))
    kept = tmp_path / "baseline.json"
    kept.write_text(baseline_text(_found(app, "SEC-005")))
    baseline = read_baseline(kept)
    assert _found(app, "SEC-005", baseline=baseline) == ()
    _app(tmp_path, *(_function(name, _password("k9Tq2wLm8z")) for name in ("A", "B", "C")))
    [found] = _found(app, "SEC-005", baseline=baseline)
    assert (found.function, found.also) == ("C", ())


def test_every_output_tells_all_places(tmp_path: Path) -> None:
    app = _app(tmp_path, *(_function(name, _password("k9Tq2wLm8z")) for name in ("A", "B")))
    report = _report(app, "SEC-005")
    [also] = report.findings[0].also
    place = str(also.place)
    assert f"  also {place}: {also.text}" in [each.text for each in lines_of(report)]
    [told] = json.loads(json_of(report))["findings"]
    assert told["also"][0]["function"] == "B"
    assert told["also"][0]["fingerprint"] == also.fingerprint != told["fingerprint"]
    [result] = json.loads(sarif_of(report))["runs"][0]["results"]
    assert result["relatedLocations"][0]["message"]["text"] == also.text
    assert f"also {place}" in junit_of(report)
    assert place in "".join(html_of(report))


def test_copies_in_nested_stacks_are_one_finding(tmp_path: Path) -> None:
    policy = "Policies:\n- Statement:\n    - {Effect: Allow, Action: 'sqs:*', Resource: '*'}\n"
    nested = "  NAME:\n    Type: AWS::CloudFormation::Stack\n    Properties: {TemplateURL: FILE}\n"
    _app(tmp_path, *(nested.replace("NAME", n).replace("FILE", f"{n}.yaml") for n in ("A", "B")))
    for name in ("A", "B"):
        (tmp_path / f"{name}.yaml").write_text(_HEAD + _function(name, policy))
    [found] = _found(tmp_path, "IAM-002")
    assert found.place.file == "A.yaml"
    assert [each.place.file for each in found.also] == ["B.yaml"]


def test_what_is_followed_to_a_call_is_told_once(tmp_path: Path) -> None:
    event = "Events:\n  Call: {Type: Api, Properties: {Path: /a, Method: post}}\n"
    code = (
        "import os\n\ndef handler(event, context):\n    os.system('id ' + event['body'])\n"
        "    os.system('id ' + os.environ['NAME'])\n"
    )
    app = _app(tmp_path, _function("A", event), code=code)
    found = audit(app, Options(only=("PY-011", "DF-002"), today="2026-11-27")).findings
    assert [(each.rule, each.place.line) for each in found] == [("DF-002", 4), ("PY-011", 5)]
    assert [each.place.line for each in _found(app, "PY-011")] == [4, 5]
