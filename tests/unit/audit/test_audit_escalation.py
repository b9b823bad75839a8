"""Rights that lead to more rights: only where what is made may get the role that is passed."""

from __future__ import annotations

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import function
from casemate.audit.workspace import Workspace


def told(policies: str, id: str = "PRIV-010") -> list[str]:
    workspace = Workspace.of(dict(function(f"Policies: {policies}")))
    [application] = applications_of(workspace)
    [rule] = [each for each in RULES if each.id == id]
    return [f.text for f in rule.findings(Subject(application, workspace, Code(workspace)))]


def passing(action: str, service: str = "") -> str:
    condition = (
        f", Condition: {{StringEquals: {{'iam:PassedToService': {service}}}}}" if service else ""
    )
    return (
        f"[{{Statement: [{{Effect: Allow, Action: ['{action}'], Resource: '*'}}, "
        f"{{Effect: Allow, Action: 'iam:PassRole', Resource: '*'{condition}}}]}}]"
    )


@pytest.mark.parametrize(
    "policies",
    [
        passing("lambda:CreateFunction"),
        passing("lambda:*", "lambda.amazonaws.com"),
        passing("ecs:RunTask", "[ec2.amazonaws.com, ecs-tasks.amazonaws.com]"),
        passing("cloudformation:CreateStack"),
        "[AWSLambda_FullAccess]",
    ],
)
def test_who_may_make_what_runs_with_any_role_is_told(policies: str) -> None:
    assert told(policies)


@pytest.mark.parametrize(
    "policies",
    [
        passing("lambda:CreateFunction", "ec2.amazonaws.com"),
        passing("dynamodb:PutItem"),
        "[AmazonDynamoDBReadOnlyAccess]",
        "[{Statement: [{Effect: Deny, Action: '*', Resource: '*'}]}]",
    ],
)
def test_who_may_not_is_passed(policies: str) -> None:
    assert told(policies) == []
