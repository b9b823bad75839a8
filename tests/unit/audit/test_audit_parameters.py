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
