"""Patterns of actions are what they stand for; policies that cannot be read are told."""

from __future__ import annotations

import json
import time

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.importers.aws.data import expanded
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import function, statement
from casemate.audit.workspace import Workspace


def told(files: dict[str, str]) -> tuple[set[str], list[str]]:
    """The rules about IAM that are told, and the notes."""
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    subject = Subject(application, workspace, Code(workspace))
    iam = (rule for rule in RULES if rule.id.startswith("IAM-"))
    found = {finding.rule for rule in iam for finding in rule.findings(subject)}
    return found, [each.what for each in (*workspace.notes, *application.unresolved)]


def allowed(action: str, resource: str = "*") -> set[str]:
    text = f"Effect: Allow\nAction: ['{action}']\nResource: '{resource}'"
    return told(dict(statement(text)))[0]


@pytest.mark.parametrize(
    ("action", "rules"),
    [
        ("iam:P*", {"IAM-007", "IAM-008"}),
        ("iam:Pass*", {"IAM-007"}),
        ("IAM:pass?ole", {"IAM-007"}),
        ("iam:P*a*s*s*R*o*l*e*", {"IAM-007"}),
        ("iam:P*a*s*s*R*o*l*e*?", set()),
        ("iam:*Policy", {"IAM-008"}),
        ("iam:A*", {"IAM-008"}),
        ("iam:**", {"IAM-002"}),
        ("*:*", {"IAM-001"}),
        ("sts:A*", {"IAM-009"}),
        ("secretsmanager:*Value", {"IAM-010"}),
        ("kms:De*", {"IAM-012"}),
    ],
)
def test_a_pattern_is_what_it_stands_for(action: str, rules: set[str]) -> None:
    found = allowed(action)
    assert rules <= found
    if not rules:
        assert found.isdisjoint({"IAM-007", "IAM-008"})


@pytest.mark.parametrize("action", ["iam:Get*", "iam:List*", "s3:ListAll*", "sts:Get*", "x:P*"])
def test_a_pattern_that_stands_for_nothing_grave_is_passed(action: str) -> None:
    assert allowed(action).isdisjoint({f"IAM-{n:03d}" for n in (1, 2, 7, 8, 9, 10, 11, 12)})


def test_a_pattern_on_a_named_role_hands_out_that_role_alone() -> None:
    assert "IAM-007" not in allowed("iam:Pass*", "arn:aws:iam::123456789012:role/worker")


def test_patterns_take_time_that_grows_with_their_length() -> None:
    started = time.process_time()
    expanded("iam:" + "*a" * 120 + "*")
    assert time.process_time() - started < 0.5
    long = "iam:" + "*a" * 200
    assert expanded(long) == (long,)


def policy(text: object) -> dict[str, str]:
    template = {
        "Resources": {
            "Worker": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": {"Statement": []},
                    "Policies": [{"PolicyName": "a", "PolicyDocument": text}],
                },
            },
            "Thing": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"Role": {"Fn::GetAtt": ["Worker", "Arn"]}, "Handler": "a.b"},
            },
        }
    }
    return {"template.json": json.dumps(template)}


@pytest.mark.parametrize("text", ["{'Statement': []}", "Statement: [", "[" * 5000, "nonsense"])
def test_a_policy_that_is_no_json_is_told(text: str) -> None:
    notes = told(policy(text))[1]
    assert "the policy document is not JSON: what it allows is unknown" in notes


def test_what_only_a_deployment_knows_and_an_empty_one_are_told_apart() -> None:
    assert "the policy document could not be resolved" in told(policy({"Ref": "Unknown"}))[1]
    assert [n for n in told(policy(" "))[1] if "policy document" in n] == []
    good = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    found, notes = told(policy(good))
    assert "IAM-001" in found and not [n for n in notes if "policy document" in n]
    assert told(dict(function()))[1] == []
