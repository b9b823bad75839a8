"""CloudFormation and SAM into the model: functions of the template, conditions, policies, triggers."""

from __future__ import annotations

import json

import pytest
from tests.support.audit import application, function

from casemate.audit.auditing import applications_of
from casemate.audit.importers.aws import data
from casemate.audit.importers.aws.intrinsics import ABSENT, Scope
from casemate.audit.model import Reach
from casemate.audit.workspace import Workspace

HEAD = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\n"


def scope(**parameters: object) -> Scope:
    return Scope(
        parameters,
        {
            "M": {"eu": {"size": 5}},
            "Same": {"eu": {"mode": "on", "size": 1}, "us": {"mode": "on", "size": 2}},
        },
        {
            "Prod": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
            "Unknown": {"Fn::Equals": [{"Ref": "Given"}, "x"]},
            "Ring": {"Condition": "Ring"},
            "Either": {"Fn::Or": [{"Condition": "Unknown"}, {"Condition": "Prod"}]},
            "Both": {"Fn::And": [{"Condition": "Unknown"}, {"Condition": "Prod"}]},
        },
        frozenset(("Table", "Given")),
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "Table"}, "${Table}"),
        ({"Ref": "AWS::Region"}, "${AWS::Region}"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::NoValue"}, ABSENT),
        ({"Fn::GetAtt": ["Table", "Arn"]}, "${Table.Arn}"),
        ({"Fn::GetAtt": "Table.StreamArn"}, "${Table.StreamArn}"),
        ({"Fn::Sub": "${Stage}-${Table.Arn}-${!x}"}, "dev-${Table.Arn}-${x}"),
        ({"Fn::Sub": ["${a}/${Stage}", {"a": {"Ref": "Table"}}]}, "${Table}/dev"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, 3]]}, "a-dev-3"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        ({"Fn::Select": ["0", {"Fn::Split": ["/", "x/y"]}]}, "x"),
        ({"Fn::Select": [9, ["a"]]}, "${Fn::Select}"),
        ({"Fn::FindInMap": ["M", "eu", "size"]}, 5),
        ({"Fn::FindInMap": ["Same", {"Ref": "AWS::Region"}, "mode"]}, "on"),
        ({"Fn::FindInMap": ["Same", {"Ref": "AWS::Region"}, "size"]}, "${Fn::FindInMap}"),
        ({"Fn::FindInMap": ["Same", {"Ref": "AWS::Region"}, "none"]}, "${Fn::FindInMap}"),
        ({"Fn::FindInMap": ["M", "us", "size", {"DefaultValue": 7}]}, 7),
        ({"Fn::If": ["Prod", 1, 2]}, 2),
        ({"Fn::If": ["Either", 1, 2]}, "${Fn::If:Either}"),
        ({"Fn::If": ["Both", 1, 2]}, 2),
        ({"Fn::If": ["Ring", "a", "a"]}, "a"),
        ({"Fn::Base64": {"Fn::Sub": "x${Stage}"}}, "xdev"),
        ({"Fn::ImportValue": {"Fn::Sub": "net-${Stage}"}}, "${import:net-dev}"),
        ({"Fn::Length": ["a", "b"]}, 2),
        ({"Fn::ToJsonString": {"a": {"Ref": "Stage"}}}, '{"a": "dev"}'),
        ({"Fn::GetAZs": ""}, ["${Fn::GetAZs}"]),
        ({"Fn::Nonsense": 1}, "${Fn::Nonsense}"),
        ([{"Ref": "AWS::NoValue"}, 1], [1]),
        ({"k": {"Fn::If": ["Prod", 1, {"Ref": "AWS::NoValue"}]}}, {}),
        (
            {"Fn::ForEach::L": ["X", ["a", "b"], {"${X}": {"n": {"Ref": "X"}}}]},
            {"a": {"n": "a"}, "b": {"n": "b"}},
        ),
    ],
)
def test_functions_of_templates(value: object, found: object) -> None:
    assert scope(Stage="dev").resolve(value) == found


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": 1},
        {"Ref": ["a"]},
        {"Fn::Sub": 3},
        {"Fn::Sub": [1, 2]},
        {"Fn::Join": "x"},
        {"Fn::If": "x"},
        {"Fn::Select": {}},
        {"Fn::GetAtt": []},
        {"Fn::GetAtt": [1, {"a": 1}]},
        {"Fn::FindInMap": [1]},
        {"Fn::Split": [None, None]},
        {"Fn::Equals": 3},
        {"Fn::Transform": 3},
        {"Fn::ForEach::x": 3},
        {"Condition": 3},
        {"Fn::ImportValue": {"a": []}},
        {"Fn::If": [[], {}, {}]},
        {"Fn::Length": 3},
        {"Fn::And": {}},
        {"Fn::Select": ["²", ["a"]]},
        {"Fn::Select": ["9" * 5000, ["a"]]},
    ],
)
def test_functions_that_are_written_wrongly_are_no_crash(value: object) -> None:
    scope().resolve(value)
    scope().condition(value)


def test_what_is_neither_parameter_nor_resource_is_told_with_its_place() -> None:
    found = application(
        HEAD
        + "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties:\n      TopicName: !Ref Missing\n"
    )
    assert [(n.place.line, n.what) for n in found.unresolved] == [
        (7, "Missing is neither a parameter nor a resource of the template")
    ]


def test_globals_are_below_what_a_function_says() -> None:
    found = application(
        HEAD
        + """\
Globals:
  Function:
    Timeout: 20
    Runtime: python3.12
    Environment: {Variables: {A: all, B: all}}
    Layers: [one]
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 5
      Environment: {Variables: {B: own}}
      Layers: [two]
"""
    )
    f = function(found, "F")
    assert (f.timeout, f.runtime) == (5, "python3.12")
    assert {v.name: v.value for v in f.environment} == {"A": "all", "B": "own"}
    assert f.setting("layers") == ("one", "two")
    assert f.place.line == 10


POLICIES = """\
Resources:
  Table: {Type: AWS::DynamoDB::Table}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Policies:
        - DynamoDBReadPolicy: {TableName: !Ref Table}
        - AmazonSQSFullAccess
        - arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole
        - !Ref Own
        - Statement: {Effect: Allow, Action: 's3:GetObject', Resource: !Sub 'arn:aws:s3:::b-${AWS::AccountId}/*'}
        - NoSuchThing: {}
  Own:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: {Statement: [{Effect: Deny, NotAction: 'a:b', Resource: '*', Condition: {Bool: {x: true}}}]}
"""


def test_policies_are_expanded_wherever_they_come_from() -> None:
    found = application(HEAD + POLICIES)
    by_origin = {s.origin: s for s in function(found, "F").permissions}
    assert "dynamodb:Query" in by_origin["DynamoDBReadPolicy"].actions
    assert by_origin["DynamoDBReadPolicy"].resources[0].endswith(":table/${Table}")
    assert by_origin["AmazonSQSFullAccess"].actions == ("sqs:*",)
    assert "ec2:CreateNetworkInterface" in by_origin["AWSLambdaVPCAccessExecutionRole"].actions
    assert "logs:PutLogEvents" in by_origin["AWSLambdaBasicExecutionRole"].actions
    assert by_origin["inline"].resources == ("arn:aws:s3:::b-${AWS::AccountId}/*",)
    own = by_origin["Own"]
    assert (own.effect, own.excepted_actions, own.conditions) == (
        "Deny",
        True,
        {"Bool": {"x": True}},
    )
    assert any("NoSuchThing" in n.what for n in found.unresolved)


def test_roles_have_what_is_attached_to_them_from_anywhere() -> None:
    found = application(
        HEAD
        + """\
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Role: !GetAtt R.Arn, Code: {ZipFile: x}}}
  R:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref M, 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']
      Policies: [{PolicyName: a, PolicyDocument: {Statement: {Effect: Allow, Action: 'a:b', Resource: '*'}}}]
  M: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: [{Effect: Allow, Action: ['c:d'], Resource: '*'}]}}}
  P: {Type: AWS::IAM::Policy, Properties: {Roles: [!Ref R], PolicyDocument: '{"Statement": [{"Effect": "Allow", "Action": "e:f", "Resource": "*"}]}'}}
"""
    )
    actions = {a for s in function(found, "F").permissions for a in s.actions}
    assert {"a:b", "c:d", "e:f", "s3:Get*"} <= actions


def test_connectors_give_what_they_permit() -> None:
    found = application(
        HEAD
        + """\
Resources:
  F:
    Type: AWS::Serverless::Function
    Connectors:
      Put: {Properties: {Destination: {Id: T}, Permissions: [Write]}}
    Properties: {Handler: a.b, Runtime: python3.12}
  T: {Type: AWS::DynamoDB::Table}
  C: {Type: AWS::Serverless::Connector, Properties: {Source: {Id: F}, Destination: {Id: B}, Permissions: [Read]}}
  B: {Type: AWS::S3::Bucket}
"""
    )
    given = [s for s in function(found, "F").permissions if s.origin == "connector"]
    assert {a for s in given for a in s.actions} >= {"dynamodb:PutItem", "s3:GetObject"}
    assert "dynamodb:GetItem" not in {a for s in given for a in s.actions}
    assert any(r == "${T.Arn}" for s in given for r in s.resources)


def test_names_within_a_connector_are_names_whatever_stands_in_them() -> None:
    one, two = 'F"\\', 'T", "Action": ["iam:*"], "x": "'
    resources = {
        one: {
            "Type": "AWS::Serverless::Function",
            "Properties": {"Handler": "a.b", "Runtime": "python3.12"},
        },
        two: {"Type": "AWS::DynamoDB::Table"},
        "C": {
            "Type": "AWS::Serverless::Connector",
            "Properties": {
                "Source": {"Id": one},
                "Destination": {"Id": two},
                "Permissions": ["Write"],
            },
        },
    }
    found = application(
        json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}),
        "template.json",
    )
    given = [s for s in function(found, one).permissions if s.origin == "connector"]
    assert {a.partition(":")[0] for s in given for a in s.actions} == {"dynamodb"}
    assert any(r == "${" + two + ".Arn}" for s in given for r in s.resources)


@pytest.mark.parametrize(
    ("event", "kind", "reach", "how"),
    [
        ("Type: Api\nProperties: {Path: /a, Method: get}", "http", Reach.PUBLIC, ""),
        (
            "Type: Api\nProperties: {Path: /a, Method: get, Auth: {Authorizer: Own}}",
            "http",
            Reach.AUTHENTICATED,
            "Own",
        ),
        (
            "Type: Api\nProperties: {Path: /a, Method: get, Auth: {ApiKeyRequired: true}}",
            "http",
            Reach.AUTHENTICATED,
            "api key",
        ),
        (
            "Type: Api\nProperties: {Path: /a, Method: get, RestApiId: !Ref Guarded}",
            "http",
            Reach.AUTHENTICATED,
            "Own",
        ),
        (
            "Type: Api\nProperties: {Path: /a, Method: get, RestApiId: !Ref Guarded, Auth: {Authorizer: NONE}}",
            "http",
            Reach.PUBLIC,
            "",
        ),
        (
            "Type: Api\nProperties: {Path: /a, Method: get, RestApiId: !Ref Inner}",
            "http",
            Reach.INTERNAL,
            "private endpoint",
        ),
        ("Type: HttpApi", "http", Reach.PUBLIC, ""),
        ("Type: SQS\nProperties: {Queue: !GetAtt Q.Arn}", "queue", Reach.INTERNAL, ""),
        ("Type: Schedule\nProperties: {Schedule: rate(1 day)}", "schedule", Reach.INTERNAL, ""),
        ("Type: AlexaSkill", "skill", Reach.PUBLIC, ""),
        ("Type: Unheard", "other", Reach.UNKNOWN, "Unheard"),
    ],
)
def test_events_of_sam(event: str, kind: str, reach: Reach, how: str) -> None:
    inner = event.replace("\n", "\n          ")
    found = application(
        HEAD
        + f"""\
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        E:
          {inner}
  Guarded: {{Type: AWS::Serverless::Api, Properties: {{StageName: a, Auth: {{DefaultAuthorizer: Own}}}}}}
  Inner: {{Type: AWS::Serverless::Api, Properties: {{StageName: a, EndpointConfiguration: {{Type: PRIVATE}}}}}}
  Q: {{Type: AWS::SQS::Queue}}
"""
    )
    [trigger] = function(found, "F").triggers
    assert (trigger.kind, trigger.reach, trigger.how) == (kind, reach, how)
    assert trigger.place.line == 8


def test_triggers_of_plain_resources() -> None:
    found = application(
        HEAD
        + """\
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Code: {ZipFile: x}}}
  Alias: {Type: AWS::Lambda::Alias, Properties: {FunctionName: !Ref F, Name: live}}
  Api: {Type: AWS::ApiGateway::RestApi}
  Res: {Type: AWS::ApiGateway::Resource, Properties: {ParentId: !GetAtt Api.RootResourceId, PathPart: users, RestApiId: !Ref Api}}
  Method:
    Type: AWS::ApiGateway::Method
    Properties: {RestApiId: !Ref Api, ResourceId: !Ref Res, HttpMethod: POST, AuthorizationType: NONE, Integration: {Uri: !Sub 'arn:aws:apigateway:x/functions/${Alias}/invocations'}}
  H: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP}}
  I: {Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref H, IntegrationUri: !GetAtt F.Arn}}
  R: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref H, RouteKey: 'GET /a', AuthorizationType: JWT, AuthorizerId: !Ref J, Target: !Join [/, [integrations, !Ref I]]}}
  J: {Type: AWS::ApiGatewayV2::Authorizer}
  U: {Type: AWS::Lambda::Url, Properties: {AuthType: NONE, TargetFunctionArn: !Ref F}}
  Rule: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 day), Targets: [{Arn: !GetAtt F.Arn}]}}
  Sub: {Type: AWS::SNS::Subscription, Properties: {Protocol: lambda, Endpoint: !GetAtt F.Arn, TopicArn: !Ref T}}
  T: {Type: AWS::SNS::Topic}
  Map: {Type: AWS::Lambda::EventSourceMapping, Properties: {FunctionName: !Ref F, EventSourceArn: 'arn:aws:sqs:eu-west-1:1:q'}}
  B: {Type: AWS::S3::Bucket, Properties: {NotificationConfiguration: {LambdaConfigurations: [{Function: !GetAtt F.Arn}]}}}
"""
    )
    told = {(t.kind, t.reach.value, t.method, t.path) for t in function(found, "F").triggers}
    assert told == {
        ("http", "public", "POST", "/users"),
        ("http", "authenticated", "GET", "/a"),
        ("url", "public", "ANY", "/"),
        ("schedule", "internal", "", ""),
        ("topic", "internal", "", ""),
        ("queue", "internal", "", ""),
        ("bucket", "internal", "", ""),
    }


def test_nested_templates_are_part_of_what_brings_them_in() -> None:
    files = {
        "template.yaml": HEAD
        + "Resources:\n  In: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: sub/in.yaml, Parameters: {N: given}}}\n  Out: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: 'https://a.example/t.yaml'}}\n  Loop: {Type: AWS::Serverless::Application, Properties: {Location: template.yaml}}\n",
        "sub/in.yaml": HEAD
        + "Parameters: {N: {Type: String, Default: own}}\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {Environment: {Variables: {N: !Ref N}}, CodeUri: src/}}\n",
        "sub/src/app.py": "",
    }
    [found] = applications_of(Workspace.of(files))
    f = function(found, "In/F")
    assert f.environment[0].value == "given"
    assert f.files == ("sub/src/app.py",)
    assert [n.what for n in found.unresolved if "template" in n.what] == [
        "the template of Out (https://a.example/t.yaml) is not here",
        "the template template.yaml refers to itself, or to too many",
    ]


def test_a_template_that_expands_without_end_is_told() -> None:
    values = ", ".join(["x"] * 900)
    body = "{" + ", ".join(f"k{i}: [a, b, c, d, {{e: f}}]" for i in range(60)) + "}"
    loop = f"  Fn::ForEach::A:\n    - X\n    - [{values}]\n    - 'R${{X}}': {{Type: AWS::SNS::Topic, Properties: {body}}}\n"
    nested = f"  Fn::ForEach::B:\n    - Y\n    - [{values}]\n    - Fn::ForEach::C: [X, [{values}], {{'Q${{X}}${{Y}}': {{Type: AWS::SNS::Topic}}}}]\n"
    for text in (loop, nested):
        found = application(HEAD + "Resources:\n" + text)
        assert len(found.assets) <= 900


@pytest.mark.parametrize(
    "text",
    [
        "Resources: {A: {Type: AWS::Serverless::Function, Properties: 3}}",
        "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Events: [1], Policies: 7, Environment: x, Layers: {a: b}, VpcConfig: x}}}",
        "Resources: {A: {Type: AWS::Serverless::Function, Properties: {Events: {E: 3, G: {Type: 4}, H: {Type: Api, Properties: []}}}}}",
        "Resources: {A: 3, B: {Type: [AWS::S3::Bucket]}, C: {Type: AWS::S3::Bucket, Properties: {CorsConfiguration: 3, BucketEncryption: [x]}}}",
        "Resources: {A: {Type: AWS::IAM::Role, Properties: {Policies: {a: b}, ManagedPolicyArns: x, AssumeRolePolicyDocument: [3]}}, T: {Type: AWS::S3::Bucket}}",
        "Parameters: [1]\nMappings: 3\nConditions: [x]\nGlobals: 4\nOutputs: 3\nResources: {A: {Type: AWS::SQS::Queue, Properties: {RedrivePolicy: '{'}}}",
        "Resources: {A: {Type: AWS::ApiGatewayV2::Api, Properties: {Body: {paths: {/a: [1], /b: {get: 3}}}}}}",
        "Resources: {A: {Type: AWS::EC2::SecurityGroup, Properties: {SecurityGroupIngress: [3, {CidrIp: 0.0.0.0/0, FromPort: x}]}}}",
        "Resources: {A: {Type: AWS::CloudFront::Distribution, Properties: {DistributionConfig: [x]}}, B: {Type: AWS::Cognito::UserPool, Properties: {Policies: []}}}",
    ],
)
def test_templates_that_are_wrong_everywhere_are_no_crash(text: str) -> None:
    application(HEAD + text)


def test_wildcards_of_actions_are_expanded_by_the_table_of_services() -> None:
    assert "s3:GetObject" in data.expanded("s3:Get*")
    assert data.expanded("s3:GetObject") == ("s3:GetObject",)
    assert data.expanded("nosuch:*") == ("nosuch:*",)
    assert data.level_of("s3:PutBucketPolicy") == "Permissions management"
    assert (
        json.dumps(data.managed_policy("AdministratorAccess"))
        == '[{"Action": "*", "Effect": "Allow", "Resource": "*"}]'
    )


def _including(location: str, **files: str) -> tuple[list[str], list[str]]:
    """Return names of variables and notes of a function whose variables come from a file."""
    template = (
        f"{HEAD}Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n"
        "      Handler: a.b\n      Runtime: python3.12\n      InlineCode: x\n"
        "      Environment:\n        Variables:\n          Fn::Transform:\n"
        f"            Name: AWS::Include\n            Parameters: {{Location: '{location}'}}\n"
    )
    found = application(template, **files)
    return [v.name for v in function(found, "F").environment], [n.what for n in found.unresolved]


def test_what_a_template_includes_is_read_from_the_disk() -> None:
    names, notes = _including("vars.yaml", **{"vars.yaml": "TABLE: !Ref AWS::Region\nB: c\n"})
    assert (names, notes) == (["TABLE", "B"], [])


@pytest.mark.parametrize("location", ["s3://bucket/api.yaml", "../vars.yaml", "no.yaml", "/etc/x"])
def test_what_is_not_here_is_told_and_not_read(location: str) -> None:
    assert _including(location)[1] == ["the macro AWS::Include is not run here"]


def test_what_includes_itself_ends() -> None:
    ring = "Fn::Transform: {Name: AWS::Include, Parameters: {Location: vars.yaml}}\n"
    names, notes = _including("vars.yaml", **{"vars.yaml": ring})
    assert (names, notes) == ([], ["the macro AWS::Include is not run here"])


def test_a_ring_of_templates_beside_another_is_read() -> None:
    nested = (
        "Resources:\n  N: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {url}}}}}\n"
        "  {name}: {{Type: AWS::Serverless::Function, Properties: {{Handler: a.b}}}}\n"
    )
    texts = {
        "ring/a.yaml": nested.format(url="b.yaml", name="A"),
        "ring/b.yaml": nested.format(url="a.yaml", name="B"),
        "top.yaml": nested.format(url="inner.yaml", name="T"),
        "inner.yaml": nested.format(url="other.yaml", name="I"),
    }
    found = {each.name: each for each in applications_of(Workspace.of(texts))}
    assert set(found) == {"ring/a.yaml", "ring/b.yaml", "top.yaml"}
    assert len(found["top.yaml"].functions) == 2


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"Fn::FindInMap": ["M", "us", "size"]}, "no map has M.us.size"),
        ({"Fn::FindInMap": ["M", "eu"]}, "no map has M.eu"),
        ({"Fn::Select": [9, ["a"]]}, "Fn::Select asks for 9 of 1 values"),
        ({"Fn::FindInMap": ["M", {"Ref": "AWS::Region"}, "size"]}, ""),
        ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, ""),
        ({"Fn::FindInMap": ["M", "us", "size", {"DefaultValue": 7}]}, ""),
    ],
)
def test_what_is_not_there_is_told_and_what_a_deployment_knows_is_not(
    value: object, told: str
) -> None:
    made = scope(Stage="dev")
    made.resolve(value)
    assert [note.what for note in made.notes] == ([told] if told else [])
