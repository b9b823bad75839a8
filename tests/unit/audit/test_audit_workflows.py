"""What workflows, pipes and schedules may do, and how events of Kafka come."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, told

from casemate.audit.finding import Severity
from casemate.audit.rules.examples import Files, resource, service

_ALL = "{Effect: Allow, Action: '*', Resource: '*'}"
_ONE = "{Effect: Allow, Action: 'lambda:InvokeFunction', Resource: !GetAtt Other.Arn}"


def role(statement: str, by: str = "states.amazonaws.com", kind: str = "Service") -> Files:
    trust = f"{{Effect: Allow, Principal: {{{kind}: {by}}}, Action: 'sts:AssumeRole'}}"
    return resource(
        "AWS::IAM::Role",
        f"AssumeRolePolicyDocument: {{Statement: [{trust}]}}\n"
        f"Policies:\n  - PolicyName: all\n    PolicyDocument: {{Statement: [{statement}]}}",
    )


@pytest.mark.parametrize(
    ("files", "rule", "found"),
    [
        (role(_ALL), "IAM-001", 1),
        (role(_ALL, "scheduler.amazonaws.com"), "IAM-001", 1),
        (role(_ALL.replace("'*', R", "'s3:*', R")), "IAM-002", 1),
        (role(_ONE), "IAM-001", 0),
        (role(_ALL, "'arn:aws:iam::123456789012:root'", "AWS"), "IAM-001", 0),
    ],
)
def test_roles_of_workflows(files: Files, rule: str, found: int) -> None:
    assert told(files, rule) == found


@pytest.mark.parametrize(
    ("policies", "found"),
    [
        (f"- Statement: [{_ALL}]", 1),
        (f"- Statement: [{_ONE}]", 0),
        ("- LambdaInvokePolicy: {FunctionName: !Ref Other}", 0),
        ("- AdministratorAccess", 1),
    ],
)
def test_policies_of_a_workflow_of_sam(policies: str, found: int) -> None:
    machine = f"DefinitionUri: a.asl.json\nPolicies:\n  {policies}"
    assert told(resource("AWS::Serverless::StateMachine", machine), "IAM-001") == found


def kafka(spec: str) -> Files:
    source = f"apiVersion: sources.knative.dev/v1\nkind: KafkaSource\nmetadata: {{name: a}}\nspec: {spec}\n"
    return {"service.yaml": service()["service.yaml"] + "---\n" + source}


_FAR, _NEAR = "bootstrapServers: ['kafka.shop.io:9092']", "bootstrapServers: ['b.kafka:9092']"


@pytest.mark.parametrize(
    ("spec", "severity"),
    [
        (f"{{{_FAR}}}", Severity.MEDIUM),
        (f"{{{_FAR}, net: {{tls: {{enable: false}}}}}}", Severity.MEDIUM),
        (f"{{{_NEAR}, net: {{sasl: {{enable: true}}}}}}", Severity.MEDIUM),
        (f"{{{_NEAR}, net: {{tls: {{enable: false}}}}}}", Severity.LOW),
        (f"{{{_NEAR}}}", None),
        (f"{{{_FAR}, net: {{tls: {{enable: true}}}}}}", None),
        ("{bootstrapServers: ['kafka.apps.svc:9092']}", None),
    ],
)
def test_events_of_kafka(spec: str, severity: Severity | None) -> None:
    found = [each.severity for each in findings(kafka(spec), "KN-008")]
    assert [each or Severity.MEDIUM for each in found] == ([severity] if severity else [])
