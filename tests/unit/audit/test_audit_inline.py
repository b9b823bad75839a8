"""Code that stands in a template is read, also where a deployment fills something into it."""

from __future__ import annotations

import time

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.inline import parsable_python
from casemate.audit.code.reading import Code
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.workspace import Workspace

PYTHON = """\
import os
COUNT = ${Count}
REGION = "${AWS::Region}"
def handler(event, context):
    os.system("ls " + event["queryStringParameters"]["d"] + "${AWS::Region}")
    return "${X}"
"""
SCRIPT = """\
const cp = require('child_process');
const region = `${AWS::Region}`;
exports.handler = async (event) => {
  cp.execSync(`ls ${event.queryStringParameters.d}`);
  return `at ${region}`;
};
"""


def template(code: str, how: str, runtime: str) -> str:
    """Return a template with a function whose code is written in one of the ways there are."""
    lines = code.splitlines()
    before = {
        "sub": "ZipFile: !Sub |",
        "plain": "ZipFile: |",
        "list": "ZipFile:\n  Fn::Sub:\n  - |",
    }
    if how == "join":
        body = 'ZipFile:\n  Fn::Join:\n  - "\\n"\n  - ' + "\n    ".join(
            f"- {one!r}" for one in lines
        )
    else:
        inside = "    " if how == "list" else "  "
        body = before[how] + "".join(f"\n{inside}{line}" for line in lines)
        body += "\n  - {X: y}" if how == "list" else ""
    indented = body.replace("\n", "\n        ")
    return f"""\
Parameters: {{Count: {{Type: Number}}}}
Resources:
  Url:
    Type: AWS::Lambda::Url
    Properties: {{TargetFunctionArn: !GetAtt F.Arn, AuthType: NONE}}
  F:
    Type: AWS::Lambda::Function
    Properties:
      Handler: index.handler
      Runtime: {runtime}
      Code:
        {indented}
"""


def found(text: str) -> tuple[list[str], list[str]]:
    """Return the lines at which commands are injected, and the notes."""
    workspace = Workspace.of({"template.yaml": text})
    [application] = applications_of(workspace)
    subject = Subject(application, workspace, Code(workspace))
    [rule] = [each for each in RULES if each.id == "DF-002"]
    lines = [each.place.line for each in rule.findings(subject)]
    return [text.split("\n")[line - 1] for line in lines], [n.what for n in workspace.notes]


@pytest.mark.parametrize("how", ["sub", "list"])
def test_python_that_names_are_put_into_is_followed_to_its_line(how: str) -> None:
    [line], notes = found(template(PYTHON, how, "python3.13"))
    assert "os.system" in line
    assert not notes


@pytest.mark.parametrize("how", ["sub", "list"])
def test_javascript_that_names_are_put_into_is_followed_to_its_line(how: str) -> None:
    code = SCRIPT.replace("${event", "${!event").replace("${region", "${!region")
    [line], notes = found(template(code, how, "nodejs22.x"))
    assert "cp.execSync" in line
    assert not notes


def test_template_literals_are_no_names_of_a_template() -> None:
    code = SCRIPT.replace("AWS::Region", "process.env.AWS_REGION")
    [line], _ = found(template(code, "plain", "nodejs22.x"))
    assert "cp.execSync" in line


def test_lines_that_are_joined_are_code() -> None:
    code = "import os\ndef handler(event, context):\n    os.system('ls ' + event['body'])\n"
    [line], _ = found(template(code, "join", "python3.13"))
    assert "os.system" in line


def test_code_that_is_none_is_told() -> None:
    lines, notes = found(template("import os\nx = = ${Count}\n", "sub", "python3.13"))
    assert not lines
    assert any("not Python 3" in note for note in notes)


def test_what_is_replaced_keeps_its_place_and_texts_stay() -> None:
    made = parsable_python(PYTHON)
    assert len(made) == len(PYTHON)
    assert '"${AWS::Region}"' in made and "COUNT = ________" in made


def test_many_names_cost_a_bounded_time() -> None:
    hostile = "x = ${A}\n" * 7_000
    began = time.process_time()
    assert "${A}" in parsable_python(hostile)
    assert time.process_time() - began < 3
