"""What a service's parameters and the names of variables say is not passed over."""

from __future__ import annotations

import pytest
from tests.support.audit import application, function

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files
from casemate.audit.rules.examples import function as example
from casemate.audit.workspace import Workspace


def told(files: Files, rule: str) -> int:
    workspace = Workspace.of(dict(files))
    [found] = applications_of(workspace)
    [checked] = [each for each in RULES if each.id == rule]
    return len(list(checked.findings(Subject(found, workspace, Code(workspace)))))


@pytest.mark.parametrize(
    ("value", "is_"),
    [
        ("${strToBool(${self:custom.flag})}", "true"),
        ("${strToBool('0')}", "false"),
        ("${strToBool(${env:NOT_HERE})}", "${strToBool(${env:NOT_HERE})}"),
        ("${param:size}", "large"),
        ("${param:both}", "of dev"),
        ("${param:new}", "of version 4"),
        ("${param:none, 'other'}", "other"),
    ],
)
def test_variables_of_a_service(value: str, is_: str) -> None:
    found = application(
        f"""\
service: shop
custom: {{flag: "True"}}
provider: {{name: aws, runtime: python3.13, environment: {{V: "{value}"}}}}
params:
  default: {{size: large, both: of all}}
  dev: {{both: of dev}}
stages: {{default: {{params: {{new: of version 4}}}}}}
functions: {{one: {{handler: a.b}}}}
""",
        "serverless.yml",
    )
    [variable] = function(found, "OneLambdaFunction").environment
    assert variable.value == is_


@pytest.mark.parametrize("name", ["DB_PASS", "PASS", "dbPassword", "DbPass", "jwtSecret"])
def test_a_password_is_one_however_its_variable_is_spelt(name: str) -> None:
    files = example(f"Environment: {{Variables: {{{name}: k9Tq2wLm8z}}}}")
    assert told(files, "SEC-005") == 1


@pytest.mark.parametrize("name", ["PASS_THROUGH", "BYPASS", "passPath", "PASSENGERS"])
def test_other_names_hold_no_password(name: str) -> None:
    files = example(f"Environment: {{Variables: {{{name}: k9Tq2wLm8z}}}}")
    assert told(files, "SEC-005") == 0


def test_a_function_of_firebase_has_no_runtime_of_a_table_of_aws() -> None:
    code = "import { onRequest } from 'firebase-functions/v2/https';\n"
    code += "export const go = onRequest(async (req, res) => { res.send('ok'); });\n"
    assert told({"index.js": code}, "FN-001") == 0


def test_what_extensions_add_to_the_role_of_all_is_granted() -> None:
    found = application(
        """\
service: shop
provider: {name: aws, runtime: python3.13}
functions: {one: {handler: a.b}}
resources:
  extensions:
    OneLambdaFunction: {Properties: {ReservedConcurrentExecutions: 7}}
    IamRoleLambdaExecution:
      Properties:
        Policies:
          - PolicyName: more
            PolicyDocument: {Statement: [{Effect: Allow, Action: 'ec2:*', Resource: '*'}]}
""",
        "serverless.yml",
    )
    one = function(found, "OneLambdaFunction")
    assert ("ec2:*",) in [statement.actions for statement in one.permissions]
    assert one.concurrency == 7


def test_extensions_of_what_is_not_known_are_told() -> None:
    service = "service: a\nprovider: {name: aws}\nfunctions: {one: {handler: a.b}}\n"
    service += "resources: {extensions: {Other: {Properties: {A: 1}}, IamRoleLambdaExecution: 7}}\n"
    told_of = [note.what for note in application(service, "serverless.yml").unresolved]
    assert [what for what in told_of if "extensions" in what and "Other" in what]
    assert [what for what in told_of if "extensions" in what and "IamRole" in what]


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ("CodeUri: src/, Handler: gone.handler", "the handler gone.handler is not in the code"),
        ("CodeUri: lost/, Handler: app.handler", "the code lost/ of F is not here"),
        ("CodeUri: 's3://bucket/key.zip', Handler: app.handler", ""),
        ("CodeUri: src/, Handler: app.handler", ""),
    ],
)
def test_code_that_is_not_there_is_told(settings: str, note: str) -> None:
    text = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n"
    text += f"    Type: AWS::Serverless::Function\n    Properties: {{Runtime: python3.13, {settings}}}\n"
    notes = [n.what for n in application(text, **{"src__app.py": ""}).unresolved]
    assert len(notes) == (1 if note else 0)
    assert all(note in what for what in notes)


def test_code_of_another_function_below_in_another_language_is_told_once() -> None:
    script = "import { onCall } from 'firebase-functions/v2/https';\n"
    script += "export const c = onCall(async (r) => { eval(r.data.x); });\n"
    python = (
        "import functions_framework\n@functions_framework.http\ndef hello(request):\n    pass\n"
    )
    workspace = Workspace.of({"main.py": python, "lib/part.py": "", "ts/index.ts": script})
    found = {f.name: f.files for a in applications_of(workspace) for f in a.functions}
    assert found == {"hello": ("lib/part.py", "main.py"), "c": ("ts/index.ts",)}
