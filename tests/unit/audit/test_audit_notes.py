"""What is beyond a bound is told: no protection is skipped without a word."""

from __future__ import annotations

import json
from types import ModuleType

import pytest
from tests.support.audit import application

from casemate.audit.auditing import _findings, applications_of
from casemate.audit.code.reading import Code
from casemate.audit.flow import Analysis, Limits
from casemate.audit.importers import code_files, serverless_variables, terraform
from casemate.audit.importers.aws import application as resources
from casemate.audit.importers.aws import intrinsics, permissions, references, triggers
from casemate.audit.limits import MAX_LINE
from casemate.audit.model import Place, Unresolved
from casemate.audit.notes import Notes
from casemate.audit.rules import asked_packages, data_flow, examples, secret_search, secrets
from casemate.audit.rules.all import RULES
from casemate.audit.workspace import Workspace


def told(files: dict[str, str]) -> list[str]:
    workspace = Workspace.of(files)
    found = list(applications_of(workspace))
    list(_findings(found, RULES, workspace, Code(workspace), "2026-11-27"))
    return [n.what for n in (*workspace.notes, *(n for a in found for n in a.unresolved))]


def test_each_is_told_once_and_that_there_are_more() -> None:
    notes = Notes(2)
    for what in ("a", "a", "b", "a", "c", "d"):
        notes.say(Place("x"), what)
    assert [note.what for note in notes][:2] == ["a", "b"]
    assert len(notes) == 3 and "the rest is not listed" in notes[2].what
    notes = Notes(2)
    notes.take(Unresolved(Place("x"), str(number)) for number in range(5))
    assert len(notes) == 3 and "the rest is not listed" in notes[2].what


TEMPLATE = {
    "F": {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "CodeUri": "src/",
            "Policies": [{"Statement": [{"Action": "a:b"}, {"Action": "a:c"}]}],
            "Events": {
                "A": {"Type": "Api", "Properties": {"Path": "/a", "Method": "get"}},
                "B": {"Type": "Api", "Properties": {"Path": "/b", "Method": "get"}},
            },
        },
    },
    "Fn::ForEach::L": ["X", ["a", "b"], {"T${X}": {"Type": "AWS::SNS::Topic"}}],
    "B": {
        "Type": "AWS::S3::Bucket",
        "Properties": {"NotificationConfiguration": {"a": "${F.Arn}", "b": "${F.Arn}"}},
    },
}
FILES = {
    "template.json": json.dumps({"Resources": TEMPLATE}) + "\t",
    "src/a.py": "a = 1\n",
    "src/b.py": "a = 1\n",
    "src/requirements.txt": "a==1\nb==1\n",
    "src/requirements-dev.txt": "a==1\nb==1\n",
}


@pytest.mark.parametrize(
    ("module", "bound", "what"),
    [
        (permissions, "_MAX_STATEMENTS", "a policy has more than 1 statements"),
        (triggers, "_MAX_TRIGGERS", "F is run by more than 1"),
        (intrinsics, "_MAX_LOOPS", "a loop (Fn::ForEach) has more than 1 values"),
        (references, "_MAX_LOOKED_AT", "more than 1 values"),
        (resources, "_MAX_VARIABLES", "more than 1 texts"),
        (code_files, "_MAX_FILES", "more than 1 files of code"),
        (secrets, "_MAX_FILES", "more than 1 files: no others"),
        (asked_packages, "_MAX_FILES", "more than 1 dependency files"),
        (asked_packages, "_MAX_LINES", "it has more than 1 lines"),
    ],
)
def test_what_is_beyond_a_bound_is_told(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, bound: str, what: str
) -> None:
    assert not any(each.startswith(what) for each in told(FILES))
    monkeypatch.setattr(module, bound, 1)
    assert [each for each in told(FILES) if each.startswith(what)]


@pytest.mark.parametrize("bound", ["_MAX_MODULES", "_MAX_RESOURCES"])
def test_what_is_beyond_a_bound_of_a_plan_is_told(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    bucket = {"type": "aws_s3_bucket", "address": "aws_s3_bucket.b", "values": {}}
    module = {"resources": [bucket, bucket], "child_modules": [{}]}
    files = {"plan.json": json.dumps({"planned_values": {"root_module": module}})}
    assert told(files) == []
    monkeypatch.setattr(terraform, bound, 1)
    assert any("the rest is not read" in each for each in told(files))


@pytest.mark.parametrize(
    ("module", "bound"),
    [
        (serverless_variables, "MAX_EXPANSION"),
        (serverless_variables, "_MAX_TEXT"),
        (intrinsics, "MAX_EXPANSION"),
    ],
)
def test_what_is_beyond_a_bound_of_a_service_is_told(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, bound: str
) -> None:
    text = (
        "service: a\ncustom: {x: long-text}\nprovider:\n  name: aws\n  iamRoleStatements:\n"
        "    - {Effect: Allow, Action: '*', Resource: ['*', '*', '*', '*', '*']}\n"
        "functions: {f: {handler: 'a.${self:custom.x}'}}\n"
    )
    assert application(text, "serverless.yml").unresolved == ()
    monkeypatch.setattr(module, bound, 1)
    notes = application(text, "serverless.yml").unresolved
    assert any("than is read" in n.what or "not read" in n.what for n in notes)


def test_code_that_is_taken_for_made_by_a_program_is_told() -> None:
    long = f"# {'x' * MAX_LINE}\nprint(event)\n"
    [note] = [n for n in told({"a.js": long, "b.py": "x = 1\n"}) if "seems to be generated" in n]
    assert str(MAX_LINE) in note
    assert told({"a.min.js": long, "b.py": "x = 1\n"}) == []  # its name says it


def test_a_long_line_hides_nothing_of_python() -> None:
    text = f"# {'x' * MAX_LINE}\ndef handler(event, context):\n    return eval(event['body'])\n"
    workspace = Workspace.of({"a.py": text})
    code = Code(workspace)
    found = list(_findings(applications_of(workspace), RULES, workspace, code, "2026-11-27"))
    assert {each.place.line for each in found if each.place.file == "a.py"} == {3}
    assert list(workspace.notes) == []


def test_a_long_line_beside_a_token_is_told() -> None:
    text = f"def handler(event, context):\n    authorization = 1  # {'x' * 2000}\n"
    note = "a line of 2000 characters or more is not audited"
    assert note in told({"a.py": text})


def test_a_long_line_of_javascript_is_told_once() -> None:
    text = "const a = 1\n" + f"eval(x) // {'x' * 2000}\n" * 2
    workspace = Workspace.of({"a.js": text})
    list(_findings(applications_of(workspace), RULES, workspace, Code(workspace), "2026-11-27"))
    assert [(n.place.line, n.what) for n in workspace.notes] == [
        (2, "a line of 2000 characters or more is not audited")
    ]


def test_more_than_is_looked_at_for_secrets_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a = 'AKIAIOSFODNN7EXAMPLE'\n" * 3
    what = "more values look like secrets than are checked: the rest is not audited"
    assert what not in told({"a.py": text})
    monkeypatch.setattr(secret_search, "_MAX_FOUND", 2)
    assert told({"a.py": text}).count(what) == 1


def test_the_time_of_data_flow_is_that_of_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [0.0], []

    def analyse(files: object, entries: object, limits: Limits) -> Analysis:
        asked.append(limits.seconds)
        clock[0] += 20
        return Analysis(flows=(), unresolved=())

    monkeypatch.setattr(data_flow, "thread_time", lambda: clock[0])
    monkeypatch.setattr(data_flow, "analyse", analyse)
    functions = "".join(
        f"  F{n}:\n    Type: AWS::Serverless::Function\n    Properties: {{Runtime: python3.13, "
        f"Handler: a.handler, CodeUri: c{n}/}}\n"
        for n in range(3)
    )
    code = {f"c{n}/a.py": "def handler(event, context):\n    pass\n" for n in range(3)}
    told({"template.yaml": f"Resources:\n{functions}", **code})
    assert asked == [30, 10, -10]


def test_a_part_for_which_no_time_is_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_flow, "MAX_SECONDS", -1.0)
    assert "not analysed: the time was used up before" in told(
        dict(examples.python("x = 1\n\ndef handler(event, context):\n    pass"))
    )
