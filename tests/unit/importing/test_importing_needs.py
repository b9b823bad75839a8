"""What code needs, and the least grants of what its role allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.importing import run, template

RESOURCES = """\
  Users:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: users-prod
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: at, AttributeType: N}]
      KeySchema: [{AttributeName: id, KeyType: HASH}, {AttributeName: at, KeyType: RANGE}]
      TimeToLiveSpecification: {AttributeName: gone, Enabled: true}
  Uploads: {Type: AWS::S3::Bucket}
  Jobs: {Type: AWS::SQS::Queue}
  News: {Type: AWS::SNS::Topic}
"""
VARIABLES = "{TABLE: !Ref Users, BUCKET: !Ref Uploads, QUEUE: !Ref Jobs, TOPIC: !Ref News}"
EVERYTHING = "[{Statement: [{Effect: Allow, Action: '*', Resource: '*'}]}]"
CRUD = "[DynamoDBCrudPolicy: {TableName: !Ref Users}]"
BODY = "def handler(event, context):\n    "


def grants(tmp_path: Path, code: str, policies: str = EVERYTHING) -> dict[str, Any]:
    files = template(code, policies=policies, resources=RESOURCES, variables=VARIABLES)
    found: dict[str, Any] = run(tmp_path, files)[1]["function"]["one"].get("grants", {})
    return found


def table(*actions: str) -> dict[str, Any]:
    return {"tables": [{"name": "users-prod", "actions": list(actions)}]}


@pytest.mark.parametrize(
    ("code", "actions"),
    [
        (
            "import boto3, os\nt = boto3.resource('dynamodb').Table(os.environ['TABLE'])\n"
            + BODY
            + "t.put_item(Item={})",
            ("put",),
        ),
        (
            "import boto3\ndb = boto3.client('dynamodb')\n"
            + BODY
            + "db.get_item(TableName='users-prod')",
            ("get",),
        ),
        (
            "from boto3 import client as c\nimport os\n"
            + BODY
            + "c('dynamodb').delete_item(TableName=os.getenv('TABLE'))",
            ("delete",),
        ),
        (
            "import boto3\nNAME = 'users' + '-prod'\ndef table():\n    db = boto3.resource('dynamodb')\n"
            "    return db.Table(NAME)\n" + BODY + "table().update_item(Key={})",
            ("get", "put"),
        ),
        (
            "import boto3, os\n_db = None\ndef db():\n    global _db\n    if _db is None:\n"
            "        _db = boto3.client('dynamodb')\n    return _db\n"
            + BODY
            + "db().get_paginator('query').paginate(TableName=os.environ.get('TABLE'))",
            ("query",),
        ),
        (
            "import boto3\nclass Store:\n    def __init__(self):\n"
            "        self.table = boto3.resource('dynamodb').Table('users-prod')\n"
            "    def all(self):\n        return self.table.scan()\n"
            + BODY
            + "return Store().all()",
            ("query",),
        ),
        (
            "import boto3\nt = boto3.resource('dynamodb').Table('users-prod')\n"
            + BODY
            + "with t.batch_writer() as batch:\n        batch.put_item(Item={})",
            ("put",),
        ),
        (
            "import aioboto3\nasync def handler(event, context):\n    s = aioboto3.Session()\n"
            "    async with s.client('dynamodb') as db:\n"
            "        await db.get_item(TableName='arn:aws:dynamodb:eu-west-1:1:table/users-prod')",
            ("get",),
        ),
    ],
)
def test_each_way_to_use_a_table_is_granted_what_it_needs(
    tmp_path: Path, code: str, actions: tuple[str, ...]
) -> None:
    assert grants(tmp_path, code, CRUD) == table(*actions)
    assert grants(tmp_path / "wide", code) == table(*actions)  # never the wildcard of the role


def test_other_resources(tmp_path: Path) -> None:
    code = """\
import boto3, os
s3, sqs, sns = boto3.client("s3"), boto3.client("sqs"), boto3.client("sns")
bucket = boto3.resource("s3").Bucket(os.environ["BUCKET"])

def handler(event, context):
    s3.get_object(Bucket=os.environ["BUCKET"], Key="a")
    s3.upload_file("/tmp/a", os.environ["BUCKET"], "a")
    for each in bucket.objects.filter(Prefix="a"):
        each.delete()
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody="")
    sns.publish(TopicArn=os.environ["TOPIC"], Message="")
    boto3.client("secretsmanager").get_secret_value(SecretId="prod/db")
"""
    assert grants(tmp_path, code) == {
        "buckets": [{"name": "uploads", "actions": ["read", "write", "list", "delete"]}],
        "queues": ["jobs"],
        "topics": ["news"],
        "secrets": ["prod-db"],
    }


@pytest.mark.parametrize(
    "code",
    [
        "import boto3\nt = boto3.resource('dynamodb').Table(event['t'])",
        "import boto3\n" + BODY + "boto3.client(event['s']).get_item(TableName='users-prod')",
        "import boto3\n"
        + BODY
        + "getattr(boto3, event['c'])('dynamodb').get_item(TableName='users-prod')",
        "import boto3\ndef use(db):\n    db.get_item(TableName='users-prod')\n"
        + BODY
        + "use(event)",
        "import boto3\nboto3 = object()\n" + BODY + "boto3.client('s3').get_object(Bucket='x')",
    ],
)
def test_what_is_not_known_is_granted_nothing_and_told(tmp_path: Path, code: str) -> None:
    if "def handler" not in code:
        code += "\n" + BODY + "t.get_item(Key={})"
    files = template(code, policies=EVERYTHING, resources=RESOURCES, variables=VARIABLES)
    found, manifest = run(tmp_path, files)
    assert "grants" not in manifest["function"]["one"]
    assert found.changes or found.left


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            BODY + "getattr(boto3, 'client')('dynamodb').get_item(TableName='users-prod')",
            table("get"),
        ),
        (
            "def use(db, name):\n    db.get_item(TableName=name)\n"
            + BODY
            + "use(boto3.client('dynamodb'), os.environ['TABLE'])",
            table("get"),
        ),
        (
            BODY
            + "for each in ('users-prod', event['t']):\n"
            + "        boto3.resource('dynamodb').Table(each).scan()",
            table("query"),
        ),
        (
            BODY
            + "q = boto3.client('sqs')\n"
            + "    q.send_message(QueueUrl=q.get_queue_url(QueueName='jobs')['QueueUrl'])",
            {"queues": ["jobs"]},
        ),
        (
            BODY + "boto3.resource('s3').Object(key='news', bucket_name='${Uploads}').put()",
            {"buckets": [{"name": "uploads", "actions": ["write"]}]},
        ),
        (
            BODY + "boto3.resource('s3').Bucket(event['b']).upload_file('/tmp/a', 'uploads')",
            None,  # which is a key
        ),
        (
            BODY
            + "s3, source = boto3.client('s3'), {'Bucket': 'old', 'Key': 'a'}\n"
            + "    s3.copy_object(Bucket=os.environ['BUCKET'], Key='b', CopySource=source)",
            {
                "buckets": [
                    {"name": "old", "actions": ["read"]},
                    {"name": "uploads", "actions": ["write"]},
                ]
            },
        ),
        (
            BODY
            + "from aws_lambda_powertools.utilities import parameters\n"
            + "    parameters.get_secret('prod/db')",
            {"secrets": ["prod-db"]},
        ),
        (
            BODY
            + "db = boto3.client('dynamodb', aws_access_key_id=event['k'])\n"
            + "    db.get_item(TableName='users-prod')",
            None,  # of another account
        ),
        (
            BODY
            + "db = boto3.client('dynamodb')\n"
            + "    db.generate_presigned_url('get_item', Params={'TableName': 'users-prod'})",
            None,  # there are none
        ),
    ],
)
def test_what_the_audit_follows_is_known(
    tmp_path: Path, code: str, expected: dict[str, Any] | None
) -> None:
    files = template(
        "import boto3, os\n" + code, policies=EVERYTHING, resources=RESOURCES, variables=VARIABLES
    )
    found, manifest = run(tmp_path, files)
    assert manifest["function"]["one"].get("grants") == expected
    assert found.changes or found.left


def test_a_copy_of_the_sdk_beside_the_code_is_no_code_of_the_function(tmp_path: Path) -> None:
    code = "import boto3\n" + BODY + "boto3.client('dynamodb').get_item(TableName='users-prod')"
    files = template(code, policies=EVERYTHING, resources=RESOURCES)
    files["src/boto3/__init__.py"] = "def client(name):\n    return object()\n"
    assert run(tmp_path, files)[1]["function"]["one"]["grants"] == table("get")


def test_another_handler_with_a_decorator_does_not_count(tmp_path: Path) -> None:
    code = """\
import boto3
from aws_lambda_powertools import Logger
table, logger = boto3.resource("dynamodb").Table("users-prod"), Logger()
@logger.inject_lambda_context
def handler(event, context):
    table.get_item(Key={})
@logger.inject_lambda_context
def other(event, context):
    table.delete_item(Key={})
"""
    files = template(code, policies=EVERYTHING, resources=RESOURCES)
    one = files["template.yaml"].split("Resources:\n")[1].split("  Users:")[0]
    files["template.yaml"] += one.replace("One", "Two").replace("app.handler", "app.other")
    functions = run(tmp_path, files)[1]["function"]
    assert functions["one"]["grants"] == table("get")
    assert functions["two"]["grants"] == table("delete")


def test_what_may_use_more_is_told_where_the_role_allows_it(tmp_path: Path) -> None:
    code = "import boto3, s3fs\n" + BODY + "boto3.client(event['s']).get_item()"
    for policies, told in ((EVERYTHING, 2), (CRUD, 1), ("[]", 0)):
        files = template(code, policies=policies, resources=RESOURCES)
        found, _ = run(tmp_path / str(told), files)
        left = [each for each in found.left if "what it needs besides" in each.what]
        assert len(left) == told
        assert {each.place.file for each in left} <= {"functions/src/app.py"}


@pytest.mark.parametrize(
    "policies",
    [
        "[]",
        "[DynamoDBReadPolicy: {TableName: other}]",
        "[{Statement: [{Effect: Allow, Action: 'dynamodb:GetItem', Resource: '*'}]}]",
        "[{Statement: [{Effect: Allow, NotAction: 's3:*', Resource: '*'}]}]",
        "[{Statement: [{Effect: Allow, Action: '*', Resource: '*', Condition: {Bool: {a: 'true'}}}]}]",
        "[{Statement: [{Effect: Allow, Action: '*', Resource: '*'},"
        " {Effect: Deny, Action: 'dynamodb:Put*', Resource: '*'}]}]",
        "[{Statement: [{Effect: Allow, Action: '*', Resource: '*'},"
        " {Effect: Deny, NotAction: 's3:*', Resource: '*'}]}]",
    ],
)
def test_what_the_role_does_not_allow_is_not_granted(tmp_path: Path, policies: str) -> None:
    code = "import boto3\n" + BODY + "boto3.client('dynamodb').put_item(TableName='users-prod')"
    assert grants(tmp_path, code, policies) == {}


def test_prefixes_of_the_role_are_kept(tmp_path: Path) -> None:
    code = """\
import boto3, os
def handler(event, context):
    s3 = boto3.client("s3")
    s3.get_object(Bucket=os.environ["BUCKET"], Key="a")
    s3.put_object(Bucket=os.environ["BUCKET"], Key="a")
"""
    policies = (
        "[{Statement: [{Effect: Allow, Action: 's3:GetObject', Resource: !Sub '${Uploads.Arn}/in/*'},"
        " {Effect: Allow, Action: 's3:PutObject', Resource: !Sub '${Uploads.Arn}/in/new/*'}]}]"
    )
    assert grants(tmp_path, code, policies) == {
        "buckets": [{"name": "uploads", "actions": ["read", "write"], "prefixes": ["in/new/"]}]
    }
    apart = policies.replace("in/new/", "out/")
    assert grants(tmp_path / "apart", code, apart) == {}


def test_only_code_that_the_handler_comes_to_counts(tmp_path: Path) -> None:
    files = template(
        "import boto3, requests\nfrom helper import used\n"
        "t = boto3.resource('dynamodb').Table('users-prod')\n"
        "def other(event, context):\n    t.put_item(Item={})\n    requests.get('https://a.example/')\n"
        + BODY
        + "used(t)",
        policies=EVERYTHING,
        resources=RESOURCES,
    )
    files["src/helper.py"] = (
        "import boto3\ndef used(t):\n    boto3.client('dynamodb').get_item(TableName='users-prod')\n"
    )
    files["src/unrelated.py"] = "import boto3\nboto3.client('s3').get_object(Bucket='secret')\n"
    found, manifest = run(tmp_path, files)
    assert manifest["function"]["one"]["grants"] == table("get")
    assert [(c.place.file, c.place.line) for c in found.changes] == [("functions/src/helper.py", 3)]


@pytest.mark.parametrize(
    ("call", "egress"),
    [
        ("requests.get('https://api.example.com/v1')", [{"host": "api.example.com"}]),
        ("requests.request('GET', 'http://a.example')", [{"host": "a.example", "port": 80}]),
        (
            "httpx.Client(base_url='https://b.example:8443').get('/x')",
            [{"host": "b.example", "port": 8443}],
        ),
        ("urllib.request.urlopen(f'https://c.example/{event}')", [{"host": "c.example"}]),
        ("requests.post(os.environ['API'] + '/x')", [{"host": "d.example"}]),
        ("requests.get(f'https://c.example{event}')", None),  # .evil.example would fit
        ("requests.get(event['url'])", None),
        ("requests.get(event['url'] + 'https://a.example/')", None),
        ("requests.get('https://169.254.169.254/latest')", None),
        ("requests.get('http://localhost/')", None),
        ("requests.get('https://*.example.com/')", None),
        ("requests.get('https://sqs.eu-west-1.amazonaws.com/')", None),
        ("print('https://a.example/')", None),
    ],
)
def test_hosts(tmp_path: Path, call: str, egress: list[dict[str, Any]] | None) -> None:
    code = "import os, requests, httpx, urllib.request\n" + BODY + call
    variables = "{API: 'https://d.example/base'}"
    manifest = run(tmp_path, template(code, variables=variables))[1]
    assert manifest["function"]["one"].get("grants", {}).get("egress") == egress
