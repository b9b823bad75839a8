"""Templates in which one long text stands in many places, or is put together many times."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from casemate.audit import audit, outputs
from casemate.audit.auditing import NothingToAuditError
from casemate.audit.limits import MAX_KEY

LONG = "x" * 300_000
CODE = (
    "import boto3\n\ndef h(event, context):\n"
    "    boto3.client('s3').get_object(Bucket='b', Key=event['k'])\n"
)
MAX_REPORT = 16 << 20
MAX_MEMORY = 160 << 20


def function(**properties: Any) -> dict[str, Any]:
    given = {"Handler": "a.h", "CodeUri": ".", "Runtime": "python3.13", **properties}
    return {"Type": "AWS::Serverless::Function", "Properties": given}


def template(resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"X": {"Type": "String", "Default": LONG}},
        "Resources": resources,
        **more,
    }


def granted(resource: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": resource}
    return function(Policies=[{"Statement": [statement]}])


def written(folder: Path, content: dict[str, Any]) -> Path:
    (folder / "template.json").write_text(json.dumps(content))
    (folder / "a.py").write_text(CODE)
    return folder


def many(properties: dict[str, Any]) -> dict[str, Any]:
    return {f"F{n}": function(**properties) for n in range(150)}


@pytest.mark.parametrize(
    "content",
    [
        template({f"F{n}": granted({"Ref": "X"}) for n in range(150)}),
        template(
            many({}), Globals={"Function": {"Environment": {"Variables": {"DB_PASSWORD": LONG}}}}
        ),
        template(many({"Role": {"Ref": "X"}})),
        template(many({"FunctionName": {"Ref": "X"}})),
        template(
            many(
                {
                    "Events": {
                        "e": {"Type": "Api", "Properties": {"Path": {"Ref": "X"}, "Method": "get"}}
                    }
                }
            )
        ),
    ],
    ids=["resource", "variable", "role", "name", "path"],
)
def test_a_report_is_in_proportion_to_what_is_read(tmp_path: Path, content: dict[str, Any]) -> None:
    """A template of half a megabyte made one of 1.4 GB."""
    report = audit(written(tmp_path, content))

    assert report.findings
    for made in (outputs.sarif_of, outputs.html_of, outputs.json_of, outputs.junit_of):
        assert len(made(report)) < MAX_REPORT
    assert sum(len(line.text) for line in outputs.lines_of(report)) < MAX_REPORT


@pytest.mark.parametrize(
    "text",
    [
        {"Fn::Sub": "${X}" * 2_000},
        {"Fn::Sub": ["${Y}" * 2_000, {"Y": {"Ref": "X"}}]},
        {"Fn::Sub": ["${Y}", {"Y": [{"Ref": "X"}] * 2_000}]},
        {"Fn::Join": ["", [{"Ref": "X"}] * 2_000]},
        {"Fn::Join": [{"Ref": "X"}, ["a"] * 2_000]},
        {"Fn::ToJsonString": [{"Ref": "X"}] * 2_000},
        [{"Fn::Split": ["x", {"Ref": "X"}]}] * 200,
        [{"Fn::Sub": "a${X}"}] * 2_000,
    ],
    ids=["sub", "given", "list", "join", "between", "json", "split", "many"],
)
def test_texts_that_a_template_puts_together_are_bounded(tmp_path: Path, text: Any) -> None:
    """A template of a megabyte took more memory than the machine has."""
    folder = written(tmp_path, template({"A": function(Description=text)}))

    tracemalloc.start()
    try:
        report = audit(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert report.files == 2
    assert peak < MAX_MEMORY


def test_texts_of_the_serverless_framework_are_bounded(tmp_path: Path) -> None:
    service = {
        "service": "s",
        "provider": {"name": "aws", "runtime": "python3.13"},
        "custom": {"x": LONG[:199_000]},
        "functions": {
            f"f{n}": {"handler": "a.h", "description": "b${self:custom.x}"} for n in range(1_000)
        },
    }
    (tmp_path / "serverless.json").write_text(json.dumps(service))
    (tmp_path / "a.py").write_text(CODE)

    tracemalloc.start()
    try:
        report = audit(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert any("longer than is read" in each.what for each in report.unresolved)
    assert peak < MAX_MEMORY


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("spaces", ["", "\t"])
def test_a_key_that_no_platform_takes_is_told(
    tmp_path: Path, indent: int | None, spaces: str
) -> None:
    """What frameworks add is named after it: 3,000 events made 3 GB of names."""
    content = json.dumps(template({"L" * (MAX_KEY + 1): function()}), indent=indent)
    (tmp_path / "template.json").write_text(spaces + content)

    with pytest.raises(NothingToAuditError, match="a key has more than"):
        audit(tmp_path)
