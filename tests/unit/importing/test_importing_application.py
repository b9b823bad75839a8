"""What an import makes of templates, and what it leaves to a person."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from casemate.importing import Choices, FolderError, NothingToImportError, imported
from casemate.importing.application import _Import
from support.importing import run, template, written

HANDLER = "def handler(event, context):\n    return 1\n"


def events(*lines: str) -> str:
    return "\n".join(["      Events:", *(f"        {line}" for line in lines)])


def told(found: Any) -> str:
    return "\n".join(f"{each.place} {each.what}" for each in found.left)


def test_limits_and_environment(tmp_path: Path) -> None:
    more = "      Timeout: 4.5\n      MemorySize: 512\n      ReservedConcurrentExecutions: 3\n"
    more += "      EphemeralStorage: {Size: 1024}\n"
    variables = "{LEVEL: info, TABLE: !Ref T, PYTHONPATH: x, LATER: !Sub '${Unknown}/x', N: 5}"
    table = "  T: {Type: AWS::Serverless::SimpleTable}"
    found, manifest = run(
        tmp_path, template(HANDLER, more=more, variables=variables, resources=table)
    )
    function = manifest["function"]["one"]
    assert function["limits"] == {
        "memory": "512MB",
        "timeout": "4500ms",
        "concurrency": 3,
        "tmp": "1024MB",
    }
    assert (function["python"], function["event_format"]) == ("3.12", "aws")
    assert function["environment"] == {"LEVEL": "info", "TABLE": "t", "N": "5"}
    assert manifest["table"] == {"t": {"key": "id"}}
    assert "PYTHONPATH" in told(found) and "LATER" in told(found)
    assert '# LATER = ""' in (tmp_path / "project/casemate.toml").read_text()


def test_routes_are_closed_until_they_are_accepted_by_name(tmp_path: Path) -> None:
    files = template(
        HANDLER,
        more=events(
            "A: {Type: Api, Properties: {Path: '/a/{id}', Method: get}}",
            "B: {Type: Api, Properties: {Path: '/{all+}', Method: any}}",
            "C: {Type: Api, Properties: {Path: '/api/x/', Method: POST}}",
        ),
    )
    found, manifest = run(tmp_path, files)
    one = manifest["function"]["one"]
    assert "public" not in one and not found.opened[0].accepted
    assert "--accept-public one" in (tmp_path / "project/IMPORT.md").read_text()
    assert one["http"] == [
        {"method": "GET", "path": "/a/{id}"},
        {"method": "POST", "path": "/shop/api/x"},
        {"method": "*", "path": "/{all...}"},
    ]
    opened, manifest = run(tmp_path / "open", files, "sam", "one")
    assert manifest["function"]["one"]["public"] is True and opened.opened[0].accepted
    assert "accepted at the import" in (tmp_path / "open/project/casemate.toml").read_text()
    with pytest.raises(NothingToImportError, match="accept-public other"):
        run(tmp_path / "other", files, "sam", "one", "other")


def test_what_asks_for_something_there_cannot_be_opened(tmp_path: Path) -> None:
    more = events(
        "A: {Type: Api, Properties: {Path: /a, Method: get, Auth: {Authorizer: AWS_IAM}}}"
    )
    with pytest.raises(NothingToImportError, match="does not let everybody"):
        run(tmp_path, template(HANDLER, more=more), "sam", "one")
    found, manifest = run(tmp_path / "closed", template(HANDLER, more=more))
    assert manifest["function"]["one"]["http"] and "AWS_IAM" in told(found)


@pytest.mark.parametrize(
    ("kind", "cors", "expected"),
    [
        (
            "HttpApi",
            "CorsConfiguration: {AllowOrigins: ['https://a.example'], AllowHeaders: [Content-Type, "
            "x-a], ExposeHeaders: [X-B], AllowCredentials: true}",
            {"headers": ["content-type", "x-a"], "expose": ["x-b"], "credentials": True},
        ),
        (
            "Api",
            "StageName: a, Cors: {AllowOrigin: \"'https://a.example'\", AllowHeaders: "
            "\"'Content-Type,X-A'\"}",
            {"headers": ["content-type", "x-a"]},
        ),
        (
            "HttpApi",
            "CorsConfiguration: {AllowOrigins: ['https://a.example'], AllowHeaders: ['*', x-a]}",
            {"headers": ["*", "x-a"]},
        ),
        ("HttpApi", "CorsConfiguration: {AllowOrigins: ['https://a.example']}", {}),
    ],
)
def test_pages_may_send_and_read_what_they_might_there(
    tmp_path: Path, kind: str, cors: str, expected: dict[str, Any]
) -> None:
    route = "{Path: /a, Method: get, %s: !Ref A}" % ("ApiId" if kind == "HttpApi" else "RestApiId")
    files = template(
        HANDLER,
        more=events(f"A: {{Type: {kind}, Properties: {route}}}"),
        resources=f"  A: {{Type: AWS::Serverless::{kind}, Properties: {{{cors}}}}}",
    )
    found, manifest = run(tmp_path, files)
    every = "*" in expected.get("headers", ())
    if every:
        expected = {"headers": ["x-a"]}
    assert manifest["function"]["one"]["cors"] == {"origins": ["https://a.example"], **expected}
    assert ("every header" in told(found)) is every


def test_any_method_beside_others_is_what_they_leave(tmp_path: Path) -> None:
    files = template(
        HANDLER, more=events("A: {Type: HttpApi, Properties: {Path: /a, Method: ANY}}")
    )
    files["template.yaml"] += """
  TwoFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src
      Handler: app.handler
      Runtime: python3.12
      Events:
        A: {Type: HttpApi, Properties: {Path: /a, Method: get}}
        B: {Type: HttpApi, Properties: {Path: /b, Method: get}}
        C: {Type: HttpApi, Properties: {Path: /b, Method: get}}
"""
    _, manifest = run(tmp_path, files)
    one = {each["method"] for each in manifest["function"]["one"]["http"]}
    assert one == {"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    assert len(manifest["function"]["two"]["http"]) == 2


def test_triggers_and_where_failures_go(tmp_path: Path) -> None:
    more = events(
        "S: {Type: Schedule, Properties: {Schedule: cron(0 4 ? * * *), Input: '{\"a\": 1}'}}",
        "O: {Type: Schedule, Properties: {Schedule: rate(1 hour), Enabled: false}}",
        "Q: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn, MaximumBatchingWindowInSeconds: 9}}",
        "T: {Type: SNS, Properties: {Topic: !Ref News, FilterPolicy: {a: [b]}}}",
        "D: {Type: DynamoDB, Properties: {Stream: !GetAtt Items.StreamArn, BatchSize: 3}}",
        "B: {Type: S3, Properties: {Bucket: !Ref Files, Events: 's3:ObjectCreated:Put',"
        " Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}, {Name: suffix, Value: .csv}]}}}}",
        "K: {Type: Kinesis, Properties: {Stream: x}}",
    )
    resources = """\
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 7}}
  Dead: {Type: AWS::SQS::Queue}
  News: {Type: AWS::SNS::Topic}
  Items: {Type: AWS::Serverless::SimpleTable, Properties: {PrimaryKey: {Name: k, Type: Number}}}
  Files: {Type: AWS::S3::Bucket}
"""
    found, manifest = run(tmp_path, template(HANDLER, more=more, resources=resources))
    one = manifest["function"]["one"]
    assert one["schedule"] == [{"cron": "0 4 * * *", "data": {"a": 1}}]
    assert one["queue"] == [{"queue": "jobs", "batch": 10, "window": "9s"}]
    assert one["topic"] == [{"topic": "news"}]
    assert one["table"] == [{"table": "items", "batch": 3}]
    assert one["bucket"] == [
        {"bucket": "files", "events": ["created"], "prefix": "in/", "suffix": ".csv"}
    ]
    assert one["delivery"] == {"attempts": 7, "on_failure": ["queue:dead"]}
    for part in ("switched off", "whole event", "filter of its subscription", "kind stream"):
        assert part in told(found)


def test_a_queue_has_one_consumer(tmp_path: Path) -> None:
    event = events("Q: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}")
    files = template(HANDLER, more=event, resources="  Jobs: {Type: AWS::SQS::Queue}")
    two = files["template.yaml"].split("Resources:\n")[1].split("  Jobs:")[0]
    files["template.yaml"] += two.replace("OneFunction", "TwoFunction")
    found, manifest = run(tmp_path, files)
    assert "queue" not in manifest["function"]["two"]
    assert "consumed by OneFunction already" in told(found)


def test_what_has_no_counterpart_is_told_with_its_place_and_a_step(tmp_path: Path) -> None:
    more = "      VpcConfig: {SubnetIds: [a], SecurityGroupIds: [b]}\n      Layers: ['arn:aws:x']\n"
    resources = """\
  Flow: {Type: AWS::StepFunctions::StateMachine, Properties: {}}
  JsFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src, Handler: index.handler, Runtime: nodejs20.x}
  ImageFunction:
    Type: AWS::Serverless::Function
    Properties: {PackageType: Image, ImageUri: 'x:1'}
"""
    found, _ = run(tmp_path, template(HANDLER, more=more, resources=resources))
    for part in ("VPC", "layers", "StateMachine", "JavaScript", "image of a container"):
        assert part in told(found)
    assert all(each.next and each.place.file for each in found.left)
    page = (tmp_path / "project/IMPORT.md").read_text()
    assert "StateMachine" in page and "`template.yaml:" in page


def test_packages_that_lambda_has_built_in_are_asked_for(tmp_path: Path) -> None:
    files = template("import boto3\n" + HANDLER) | {"src/requirements.txt": "requests==2.34.2"}
    _, manifest = run(tmp_path, files)
    file = manifest["function"]["one"]["requirements"]
    lines = (tmp_path / "project" / file).read_text().splitlines()
    assert lines[0] == "requests==2.34.2" and lines[1].startswith("boto3 ")
    files = template(HANDLER) | {"src/Pipfile": ""}
    found, manifest = run(tmp_path / "other", files)
    assert "requirements" not in manifest["function"]["one"] and "Pipfile" in told(found)


def test_a_layer_of_powertools_becomes_a_package(tmp_path: Path) -> None:
    layer = "arn:aws:lambda:eu-west-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python312:7"
    code = "from aws_lambda_powertools import Logger\n" + HANDLER
    found, manifest = run(tmp_path, template(code, more=f"      Layers: ['{layer}']"))
    file = tmp_path / "project" / manifest["function"]["one"]["requirements"]
    assert file.read_text().startswith("aws-lambda-powertools ")
    assert "layers" not in told(found)


def test_code_that_stands_in_the_template(tmp_path: Path) -> None:
    text = """\
Resources:
  Small:
    Type: AWS::Lambda::Function
    Properties:
      Handler: index.run
      Runtime: python3.13
      Code: {ZipFile: "import requests\\ndef run(e, c):\\n  requests.get('https://a.example/')\\n"}
"""
    _, manifest = run(tmp_path, {"template.yaml": text})
    small = manifest["function"]["small"]
    assert small["handler"] == "index:run"
    assert small["grants"] == {"egress": [{"host": "a.example"}]}
    assert "def run" in (tmp_path / "project" / small["source"] / "index.py").read_text()


def test_a_service_with_two_functions_of_one_folder(tmp_path: Path) -> None:
    service = """\
service: my_shop
provider:
  name: aws
  runtime: python3.13
  environment: {TABLE: !Ref Orders, DB_PASSWORD: hunter2-is-long}
  iam: {role: {statements: [{Effect: Allow, Action: 'dynamodb:*', Resource: !GetAtt Orders.Arn}]}}
functions:
  create-order: {handler: src/orders.create, events: [{http: POST orders}, {s3: photos}]}
  readOrder: {handler: src/orders.read, timeout: 20, events: [{httpApi: 'GET /orders/{id}'}]}
resources:
  Resources:
    Orders:
      Type: AWS::DynamoDB::Table
      Properties:
        AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
        KeySchema: [{AttributeName: id, KeyType: HASH}]
"""
    code = """\
import boto3, os
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
def create(event, context):
    table.put_item(Item={})
def read(event, context):
    return table.get_item(Key={}), os.environ["DB_PASSWORD"]
"""
    files = {"serverless.yml": service, "src/orders.py": code, "package.json": "{}"}
    found = imported(
        written(tmp_path / "app", files), "serverless", tmp_path / "project", Choices()
    )
    text = (tmp_path / "project/casemate.toml").read_text()
    assert found.project == "my-shop" and [f.name for f in found.functions] == [
        "create-order",
        "read-order",
    ]
    assert found.functions[0].grants == ("tables orders put",)
    assert found.functions[1].grants == ("tables orders get", "secrets db-password")
    assert found.functions[0].routes == ("POST /orders",)
    assert found.functions[0].triggers == ("bucket photos",)
    assert 'handler = "src.orders:create"' in text and 'source = "functions/app"' in text
    assert not (tmp_path / "project/functions/app/package.json").exists()
    assert [(c.place.line, c.instead) for c in found.changes] == [
        (4, 'context.table("orders").put(item)'),
        (
            6,
            'context.table("orders").get(key), which raises NotFoundError where get_item gives no Item',
        ),
        (6, 'context.secret("db-password")'),
    ]


def test_a_stack_of_openfaas(tmp_path: Path) -> None:
    stack = """\
provider: {name: openfaas, gateway: http://127.0.0.1:8080}
functions:
  nightly:
    lang: python3
    handler: ./nightly
    image: nightly:1
    secrets: [api-key]
    environment: {exec_timeout: 30s, MODE: fast}
    limits: {memory: 64Mi}
    annotations: {topic: cron-function, schedule: "*/5 * * * *"}
  node: {lang: node18, handler: ./node, image: node:1}
"""
    code = 'def handle(req):\n    return open("/var/openfaas/secrets/api-key").read()\n'
    files = {"stack.yml": stack, "nightly/handler.py": code, "node/handler.js": ""}
    found, manifest = run(tmp_path, files, "openfaas")
    one = manifest["function"]["nightly"]
    assert one["handler"] == "casemate_handler:handler"
    assert one["schedule"] == [{"cron": "*/5 * * * *"}]
    assert one["grants"] == {"secrets": ["api-key"]} and found.secrets == ("api-key",)
    assert one["limits"] == {"memory": "64MB", "timeout": "30s"}
    assert [each["path"] for each in one["http"]] == [
        "/function/nightly",
        "/function/nightly/{rest...}",
    ]
    assert found.changes[0].instead == 'context.secret("api-key")'
    assert "JavaScript" in told(found)


def test_what_the_code_of_a_stack_reads_through_its_package_is_found(tmp_path: Path) -> None:
    stack = """\
provider: {name: openfaas}
functions:
  tickets: {lang: python3-flask, handler: ./tickets, secrets: [db-url, unused]}
"""
    handler = "from flask import request\nfrom function.store import load\n\ndef handle(req):\n"
    files = {
        "stack.yml": stack,
        "tickets/handler.py": handler + "    return load(request.args)\n",
        "tickets/store.py": "def load(a):\n    return open('/var/openfaas/secrets/db-url').read()\n",
        "tickets/requirements.txt": "flask==3.0.3\n",
    }
    found, manifest = run(tmp_path, files, "openfaas")
    assert manifest["function"]["tickets"]["grants"] == {"secrets": ["db-url"]}
    assert "nothing was seen to read the secret unused" in told(found)
    assert "the request of Flask" in told(found)


# -- the folder ------------------------------------------------------------------------------------


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    app = written(tmp_path / "app", template(HANDLER))
    for taken in ("file", "folder", "link"):
        output = tmp_path / taken
        if taken == "file":
            output.write_text("mine")
        elif taken == "folder":
            output.mkdir()
            (output / "mine").write_text("mine")
        else:
            output.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(FolderError, match=r"nothing is overwritten|is there already"):
            imported(app, "sam", output, Choices())
    assert (tmp_path / "folder/mine").read_text() == "mine"
    assert not (tmp_path / "elsewhere").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    imported(app, "sam", empty, Choices())
    assert (empty / "casemate.toml").exists()
    assert stat.S_IMODE(empty.stat().st_mode) & 0o700 == 0o700
    assert not [each for each in tmp_path.iterdir() if each.name.endswith(".import")]


def test_a_folder_that_is_filled_meanwhile_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = written(tmp_path / "app", template(HANDLER))
    output, whole = tmp_path / "out", _Import._manifest

    def filled(self: _Import, folder: Path) -> None:
        whole(self, folder)
        output.mkdir()
        (output / "mine").write_text("mine")

    monkeypatch.setattr(_Import, "_manifest", filled)
    with pytest.raises(FolderError):
        imported(app, "sam", output, Choices())
    assert [each.name for each in output.iterdir()] == ["mine"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["app", "out"]


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_of_an_import_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    app = written(tmp_path / "app", template(HANDLER))

    def fails(self: _Import, folder: Path) -> None:
        raise fault

    monkeypatch.setattr(_Import, "_manifest", fails)
    with pytest.raises(FolderError if isinstance(fault, OSError) else KeyboardInterrupt):
        imported(app, "sam", tmp_path / "out", Choices())
    assert [each.name for each in tmp_path.iterdir()] == ["app"]


def test_where_there_is_nothing_to_import(tmp_path: Path) -> None:
    app = written(tmp_path / "app", template(HANDLER))
    for path, kind in ((app, "openfaas"), (tmp_path / "nosuch", "sam"), (tmp_path, "serverless")):
        with pytest.raises(NothingToImportError):
            imported(path, kind, tmp_path / "out", Choices())
    written(app / "other", template(HANDLER))
    with pytest.raises(NothingToImportError, match="2 applications"):
        imported(app, "sam", tmp_path / "out", Choices())
    imported(app / "template.yaml", "sam", tmp_path / "out", Choices())
    only = template(HANDLER.replace("def", "function"), handler="index.handler")
    with pytest.raises(NothingToImportError, match=r"no handler index.handler"):
        run(tmp_path / "none", {**only, "src/app.py": ""})


def test_functions_that_the_manifest_refuses_are_left_out_and_told(tmp_path: Path) -> None:
    files = template(HANDLER, handler="app.nosuch")
    files["template.yaml"] += """
  TwoFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: src, Handler: app.handler, Runtime: python3.12}
"""
    found, manifest = run(tmp_path, files)
    assert list(manifest["function"]) == ["two"]
    assert "OneFunction was left out" in told(found) and "app defines no nosuch" in told(found)


def test_what_came_of_it_is_plain_data(tmp_path: Path) -> None:
    import msgspec

    found, _ = run(tmp_path, template(HANDLER))
    document = json.loads(msgspec.json.encode(found))
    assert document["functions"][0]["handler"] == "app:handler"
