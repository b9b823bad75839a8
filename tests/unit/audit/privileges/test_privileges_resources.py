"""Resources are compared as the template names them, through references, ARNs and environment."""

from __future__ import annotations

import json

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.importers.aws.data import expanded
from casemate.audit.privileges import Privileges, privileges_of
from casemate.audit.rules.examples import function, project
from casemate.audit.workspace import Workspace

READS = """\
import os
import boto3
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
def handler(event, context):
    return table.get_item(Key=event)
"""
TABLES = """\
Orders:
  Type: AWS::DynamoDB::Table
  Properties: {TableName: shop-orders}
People:
  Type: AWS::DynamoDB::Table
Nested:
  Type: AWS::CloudFormation::Stack
  Properties: {TemplateURL: 'https://example.com/t.yaml'}
"""


def found(files: dict[str, str]) -> Privileges:
    workspace = Workspace.of(files)
    [application] = applications_of(workspace)
    [one] = privileges_of(application, workspace, Code(workspace))
    return one


def reading(
    resource: str, variable: str = "!Ref Orders", action: str = "dynamodb:GetItem"
) -> Privileges:
    return found(
        dict(
            function(
                f"Environment: {{Variables: {{TABLE: {variable}}}}}\n"
                f"Policies: [{{Statement: [{{Effect: Allow, Action: '{action}', Resource: {resource}}}]}}]",
                TABLES,
                code=READS,
            )
        )
    )


@pytest.mark.parametrize(
    ("resource", "variable"),
    [
        ("!GetAtt Orders.Arn", "!Ref Orders"),
        ("!GetAtt Orders.Arn", "shop-orders"),
        ("!Sub '${Orders.Arn}'", "!Ref Orders"),
        ("!Sub 'arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Orders}'", "!Ref Orders"),
        ("!Sub 'arn:${AWS::Partition}:dynamodb:*:*:table/shop-orders'", "!Ref Orders"),
        ("'arn:aws:dynamodb:eu-west-1:123456789012:table/shop-*'", "!Ref Orders"),
        ("'arn:aws:dynamodb:eu-west-1:123456789012:table/shop-*'", "shop-people"),
        ("!GetAtt Orders.Arn", "!GetAtt Nested.Outputs.Table"),
        ("!GetAtt Nested.Outputs.TableArn", "!Ref Orders"),
        ("!ImportValue other-table", "!Ref Orders"),
        ("!Join ['', [!GetAtt Orders.Arn, '/index/*']]", "!Ref Orders"),
    ],
)
def test_what_may_be_the_same_is_no_surplus(resource: str, variable: str) -> None:
    one = reading(resource, variable)
    assert one.surplus == () and one.idle == ()


@pytest.mark.parametrize(
    ("resource", "variable"),
    [
        ("!GetAtt People.Arn", "!Ref Orders"),
        ("!GetAtt Orders.Arn", "!Ref People"),
        ("!GetAtt Orders.Arn", "else"),
        ("'arn:aws:dynamodb:eu-west-1:123456789012:table/shop-*'", "!Ref People"),
        ("'arn:aws:dynamodb:eu-west-1:123456789012:table/else'", "!Ref Orders"),
    ],
)
def test_the_same_action_on_another_resource_is_surplus(resource: str, variable: str) -> None:
    assert reading(resource, variable).needless == ("dynamodb:GetItem",)


def test_everything_is_too_wide_where_the_code_names_one() -> None:
    one = reading("'*'")
    assert [each.named for each in one.wide] == [("${Orders}",)]
    statements = json.loads(one.minimal)["Statement"]
    assert statements == [
        {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": ["${Orders.Arn}"]}
    ]


def test_the_minimal_policy_allows_what_is_needed_and_nothing_that_was_not_granted() -> None:
    one = reading("!GetAtt Orders.Arn", action="dynamodb:*")
    allowed = {
        action
        for statement in json.loads(one.minimal)["Statement"]
        for pattern in statement["Action"]
        for action in expanded(pattern)
    }
    assert allowed == {"dynamodb:GetItem"}


def test_a_service_that_is_not_decided_stays_in_the_minimal_policy_as_it_is() -> None:
    code = READS + "    # never\ndef other(x):\n    return x\n"
    code = code.replace(
        "return table", "getattr(boto3.client('sqs'), event['x'])()\n    return table"
    )
    files = dict(
        function(
            "Environment: {Variables: {TABLE: !Ref Orders}}\nPolicies: [{Statement: ["
            "{Effect: Allow, Action: ['dynamodb:*', 'sqs:Send*'], Resource: '*'}]}]",
            TABLES,
            code=code,
        )
    )
    one = found(files)
    assert all(action.startswith("dynamodb:") for action in one.needless)
    statements = json.loads(one.minimal)["Statement"]
    assert {"Effect": "Allow", "Action": ["sqs:Send*"], "Resource": ["*"]} in statements


def test_resources_of_a_statement_that_are_never_named_are_idle() -> None:
    one = reading("[!GetAtt Orders.Arn, !GetAtt People.Arn]")
    assert [each.resource for each in one.idle] == ["${People.Arn}"]


def test_what_the_platform_asks_for_is_no_surplus() -> None:
    files = dict(
        function(
            "Tracing: Active\nVpcConfig: {SubnetIds: [a]}\nDeadLetterQueue: {Type: SQS, TargetArn: a}\n"
            "Policies: [AWSLambdaVPCAccessExecutionRole, {SQSPollerPolicy: {QueueName: q}},"
            " {SQSSendMessagePolicy: {QueueName: q}}, AWSXRayDaemonWriteAccess]",
            event="Type: SQS\nProperties: {Queue: 'arn:aws:sqs:eu-west-1:123456789012:q'}",
        )
    )
    assert found(files).surplus == ()


def test_a_role_that_others_may_become_is_not_decided() -> None:
    files = dict(
        function(
            "Role: !GetAtt Shared.Arn",
            "Shared:\n  Type: AWS::IAM::Role\n  Properties:\n    AssumeRolePolicyDocument: {Statement: ["
            "{Effect: Allow, Principal: {Service: [lambda.amazonaws.com, ecs-tasks.amazonaws.com]}, "
            "Action: 'sts:AssumeRole'}]}\n    Policies: [{PolicyDocument: {Statement: [{Effect: Allow,"
            " Action: 'sqs:*', Resource: '*'}]}}]",
        )
    )
    one = found(files)
    assert one.surplus == ()
    assert [each.service for each in one.undecided] == ["*"]


def test_grants_of_a_manifest_are_compared_with_the_context() -> None:
    files = dict(
        project(
            "\n[function.thing.grants]\n"
            'tables = [{ name = "orders", actions = ["get", "put"] }]\n'
            'buckets = [{ name = "a", actions = ["read", "list"], prefixes = ["x/"] }]\n'
            'secrets = ["key", "other"]\ninvoke = ["thing", "else"]\nqueues = ["q"]\n'
        )
    )
    files["app.py"] = (
        "from work import go\n"
        "def handler(event, context):\n"
        "    context.secret('key')\n"
        "    context.invoke('thing', {})\n"
        "    return go(context, context.bucket('a'))\n"
    )
    files["work.py"] = (
        "def go(c, bucket):\n"
        "    orders = c.table('orders')\n"
        "    for each in bucket.list('x/'):\n"
        "        orders.get(each.key)\n"
    )
    one = found(files)
    assert set(one.needless) == {
        *("table:put", "bucket:read", "secret:read", "function:invoke", "queue:send")
    }
    assert one.minimal.split("\n") == [
        "[function.thing.grants]",
        'buckets = [{ name = "a", actions = ["list"], prefixes = ["x/"] }]',
        'tables = [{ name = "orders", actions = ["get"] }]',
        'secrets = ["key"]',
        'invoke = ["thing"]',
    ]


def test_a_context_that_leaves_the_code_decides_nothing() -> None:
    files = dict(project('\n[function.thing.grants]\nqueues = ["q"]\n'))
    files["app.py"] = "import flask\ndef handler(event, context):\n    flask.strange(context)\n"
    one = found(files)
    assert one.surplus == () and one.undecided


_CALLS = "import boto3\ndef handler(event, context):\n    boto3.client('lambda').invoke(FunctionName='charge')\n"


@pytest.mark.parametrize(
    "resource",
    [
        "{'Fn::ImportValue': ChargeArn}",
        "'{{resolve:ssm:/shop/charge}}'",
        "!Sub '${Nested.Outputs.A}'",
    ],
)
def test_what_only_a_deployment_knows_may_be_any_function(resource: str) -> None:
    policy = f"Policies: [{{Statement: [{{Effect: Allow, Action: 'lambda:InvokeFunction', Resource: {resource}}}]}}]"
    assert found(dict(function(policy, TABLES, code=_CALLS))).needless == ()


def test_another_function_is_another() -> None:
    arn = "'arn:aws:lambda:eu-west-1:123456789012:function:refund'"
    policy = f"Policies: [{{Statement: [{{Effect: Allow, Action: 'lambda:InvokeFunction', Resource: {arn}}}]}}]"
    assert found(dict(function(policy, TABLES, code=_CALLS))).needless == ("lambda:InvokeFunction",)


_ALL_OF_DECIMAL = "from decimal import *\nimport os, boto3\nfrom lib.logs import told\ndef handler(event, context):\n    told(Decimal(event['n']))\n"


def test_names_of_the_standard_library_are_its_own() -> None:
    policy = "Policies: [{Statement: [{Effect: Allow, Action: 'sqs:SendMessage', Resource: '*'}]}]"
    files = dict(function(policy, TABLES, code=_ALL_OF_DECIMAL))
    files["src/lib/logs.py"] = (
        "import logging\ndef told(n):\n    logging.getLogger().info('%s', n)\n"
    )
    files["src/lib/logging.py"] = "import logging\nhandler = logging.StreamHandler()\n"
    one = found(files)
    assert one.undecided == ()
    assert one.needless == ("sqs:SendMessage",)


def test_what_all_of_os_brings_is_not_known() -> None:
    policy = "Policies: [{Statement: [{Effect: Allow, Action: 'sqs:SendMessage', Resource: '*'}]}]"
    code = "from os import *\nimport boto3\ndef handler(event, context):\n    system(event['a'])\n"
    assert found(dict(function(policy, TABLES, code=code))).needless == ()
