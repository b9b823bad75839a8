"""No rule fails on an application of any kind, however odd, and no input makes an importer fail."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.audit.auditing import _findings, applications_of
from casemate.audit.code.reading import Code
from casemate.audit.importers.aws.assets import KINDS
from casemate.audit.rules import examples
from casemate.audit.rules.all import RULES
from casemate.audit.workspace import Workspace

EVERY_TYPE = json.dumps({"Resources": {f"R{i}": {"Type": kind} for i, kind in enumerate(KINDS)}})
EMPTY = json.dumps(
    {
        "Resources": {
            f"R{i}": {"Type": kind, "Properties": {}}
            for i, kind in enumerate(
                (
                    *KINDS,
                    "AWS::Serverless::Function",
                    "AWS::Lambda::Function",
                    "AWS::Lambda::Permission",
                )
            )
        }
    }
)


def failures(files: dict[str, str]) -> list[str]:
    workspace = Workspace.of(files)
    applications = list(applications_of(workspace))
    list(_findings(applications, RULES, workspace, Code(workspace), "2026-11-27"))
    return [note.what for note in workspace.notes if "failed here" in note.what]


@pytest.mark.parametrize(
    "files",
    [
        {"template.json": EVERY_TYPE},
        {"template.json": EMPTY},
        dict(examples.function()),
        dict(examples.python("import os\nx = [y for y in os.environ]")),
        dict(examples.javascript("eval(x)")),
        dict(
            examples.project(
                '[function.thing.grants]\nqueues = ["a"]\n[queue.a]\n[bucket.b]\n[table.t]\n[topic.x]'
            )
        ),
        dict(examples.stack()),
        dict(examples.service()),
        {
            "a.py": "import functions_framework\n@functions_framework.http\ndef f(r):\n    return r\n"
        },
        {
            "serverless.yml": "service: a\nprovider: {name: aws}\nfunctions: {f: {handler: a.b}}",
            "package.json": "[1]",
            "requirements.txt": "-r\n--\n==\n\\\n",
        },
    ],
)
def test_no_rule_fails_on_any_kind_of_application(files: dict[str, str]) -> None:
    assert failures(files) == []


_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.sampled_from(["", "*", "${A}", "${A.Arn}", "AWS_IAM", "x", "0.0.0.0/0", "s3:*"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "Ref",
                    "Fn::Sub",
                    "Fn::If",
                    "Type",
                    "Properties",
                    "Statement",
                    "Action",
                    "Events",
                    "Auth",
                    "A",
                    "Fn::GetAtt",
                    "Principal",
                ]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
_keys = [
    "Policies",
    "Events",
    "Environment",
    "Role",
    "Layers",
    "PolicyDocument",
    "AccessControl",
    "CorsConfiguration",
    "DefinitionBody",
    "Auth",
    "Tags",
    "AssumeRolePolicyDocument",
    "KeyPolicy",
    "RedrivePolicy",
    "DistributionConfig",
    "MethodSettings",
    "SecurityGroupIngress",
    "Timeout",
    "Code",
    "Integration",
    "Targets",
    "Policy",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "C"]),
        st.tuples(
            st.sampled_from(
                [
                    *KINDS,
                    "AWS::Serverless::Function",
                    "AWS::Lambda::Permission",
                    "AWS::ApiGateway::Method",
                ]
            ),
            st.dictionaries(st.sampled_from(_keys), _values, max_size=5),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_templates_of_random_shapes_are_no_crash(resources: dict[str, tuple[str, object]]) -> None:
    template = {
        "Resources": {
            name: {"Type": kind, "Properties": properties}
            for name, (kind, properties) in resources.items()
        }
    }
    assert failures({"template.json": json.dumps(template)}) == []


@pytest.mark.parametrize(
    "number", [".inf", "-.inf", ".nan", "'1e999'", "'1e308G'", "1e308", "9" * 400]
)
def test_numbers_that_no_setting_has_are_no_crash(number: str) -> None:
    lambda_function = f"Properties: {{Timeout: {number}, MemorySize: {number}, Handler: a.b}}"
    stack = f"limits: {{memory: {number}}}, environment: {{exec_timeout: {number}}}"
    files = {
        "template.yaml": f"Resources: {{F: {{Type: AWS::Lambda::Function, {lambda_function}}}}}",
        "stack.yml": f"provider: {{name: openfaas}}\nfunctions: {{f: {{lang: python3, {stack}}}}}",
    }
    assert failures(files) == []


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_random_texts_are_no_crash(text: str) -> None:
    for name in ("casemate.toml", "template.yaml", "serverless.yml", "app.py", "requirements.txt"):
        failures({name: text, "x.yml": f"functions: {text}"})
