"""Applications of other platforms, imported, deployed and called over HTTP."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx2

from casemate.importing import Choices, imported
from casemate.manifest import load
from support.node import TestNode

SHARES_NODE = True
SAM = """\
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {CodeUri: src, Runtime: python3.11, Environment: {Variables: {GREETING: Hello}}}
Resources:
  GreetFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: greet.handler
      Events:
        One: {Type: Api, Properties: {Path: '/greet/{name}', Method: get}}
        All: {Type: Api, Properties: {Path: '/echo/{proxy+}', Method: any}}
  CountFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: my-count.handler
      Events: {Post: {Type: HttpApi, Properties: {Path: /count, Method: post}}}
  WorkFunction:
    Type: AWS::Serverless::Function
    Properties:
      Handler: calendar.handler
      Events: {Jobs: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}}
  Jobs: {Type: AWS::SQS::Queue}
"""
GREET = """\
import json, os


def handler(event, context):
    inner = event["pathParameters"]
    words = [os.environ["GREETING"], event["httpMethod"], event["resource"], inner]
    return {"statusCode": 203, "headers": {"x-one": "1"}, "body": json.dumps(words)}
"""
COUNT = """\
import json


def handler(event, context):
    assert event["version"] == "2.0" and event["requestContext"]["http"]["method"] == "POST"
    return {"statusCode": 200, "body": str(len(json.loads(event["body"])))}
"""
WORK = """\
def handler(event, context):
    return [record["body"] for record in event["Records"]]
"""
SERVERLESS = """\
service: shop-api
provider: {name: aws, runtime: python3.11, environment: {CURRENCY: EUR}}
functions:
  getPrice:
    handler: handlers/price.get
    events:
      - httpApi: 'GET /price/{item}'
      - schedule: rate(1 day)
"""
PRICE = """\
import os
from handlers.table import PRICES


def get(event, context):
    return {"currency": os.environ["CURRENCY"], "price": PRICES[event["pathParameters"]["item"]]}
"""
OPENFAAS = """\
provider: {name: openfaas, gateway: http://127.0.0.1:8080}
functions:
  upper: {lang: python3, handler: ./upper, image: upper:1}
  reply: {lang: python3-http, handler: ./reply, image: reply:1, environment: {write_debug: true}}
"""
UPPER = """\
from .words import changed


def handle(req):
    return changed(req)
"""
REPLY = """\
import base64


def handle(event, context):
    said = f"{event.method} {event.path} {event.query.get('a')} {event.headers.get('X-Two')}"
    body = said + " " + base64.b64encode(event.body).decode()
    return {"statusCode": 201, "body": body, "headers": {"x-three": "3"}}
"""


def made(folder: Path, files: dict[str, str], kind: str, *public: str) -> Path:
    """Write an application, import it, and return the folder of the project."""
    for name, text in files.items():
        (folder / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "app" / name).write_text(text)
    choices = Choices(name=f"from-{kind}", accept_public=frozenset(public))
    found = imported(folder / "app", kind, folder / "project", choices)
    assert not [each for each in found.left if each.blocking]
    return folder / "project"


def deployed(node: TestNode, project: Path) -> None:
    loaded = load(project / "casemate.toml")
    for spec in loaded.functions:
        node.publish(project, loaded, spec, approve=True)


def test_an_application_of_sam(node: TestNode, tmp_path: Path) -> None:
    files = {
        "template.yaml": SAM,
        "src/greet.py": GREET,
        "src/my-count.py": COUNT,
        "src/calendar.py": WORK,
    }
    deployed(node, made(tmp_path, files, "sam", "greet"))
    answer = httpx2.get(f"{node.url}/greet/Ada")
    assert (answer.status_code, answer.headers["x-one"]) == (203, "1")
    assert answer.json() == ["Hello", "GET", "/greet/{name}", {"name": "Ada"}]
    answer = node.client.delete(f"{node.url}/echo/a/b")
    assert answer.json() == ["Hello", "DELETE", "/echo/{proxy+}", {"proxy": "a/b"}]
    assert node.client.post(f"{node.url}/count", json=[1, 2, 3]).json() == 3
    # What was not accepted stays closed, though everybody may call it there.
    closed = httpx2.post(f"{node.url}/count", json=[])
    assert closed.status_code == 401
    url = f"{node.url}/api/v1/functions/from-sam/work/triggers/queue-1/fire"
    assert node.client.post(url, json={}).status_code in (200, 202)
    node.wait_until(lambda: outcomes(node, "work") == ["ok"])


def outcomes(node: TestNode, function: str) -> list[str]:
    found = node.get("/invocations", project="from-sam", function=function)["invocations"]
    return [each["outcome"] for each in found]


def test_a_service_of_the_serverless_framework(node: TestNode, tmp_path: Path) -> None:
    files = {
        "serverless.yml": SERVERLESS,
        "handlers/price.py": PRICE,
        "handlers/table.py": "PRICES = {'tea': 3}\n",
    }
    deployed(node, made(tmp_path, files, "serverless"))
    answer = node.client.get(f"{node.url}/price/tea")
    assert answer.json() == {"currency": "EUR", "price": 3}


def test_a_stack_of_openfaas(node: TestNode, tmp_path: Path) -> None:
    files = {
        "stack.yml": OPENFAAS,
        "upper/handler.py": UPPER,
        "upper/words.py": "def changed(text):\n    return text.upper()\n",
        "reply/handler.py": REPLY,
    }
    deployed(node, made(tmp_path, files, "openfaas", "upper"))
    url = f"{node.url}/function"
    assert httpx2.post(f"{url}/upper", content="tea").text == "TEA"
    for body in (b"text", b"\xff\x00", b""):
        answer = node.client.put(f"{url}/reply/x?a=1", content=body, headers={"x-two": "2"})
        told = f"PUT /x 1 2 {base64.b64encode(body).decode()}"
        assert (answer.status_code, answer.text) == (201, told)
        assert answer.headers["x-three"] == "3"


STORE = """\
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def save(event, context):
    table.put_item(Item={"id": event["id"]})
    return "kept"


def load(event, context):
    return table.get_item(Key={"id": event["id"]})["Item"]
"""
STORE_TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {CodeUri: src, Runtime: python3.11, Environment: {Variables: {TABLE: !Ref T}}}}
Resources:
  T: {Type: AWS::Serverless::SimpleTable}
  SaveFunction:
    Type: AWS::Serverless::Function
    Properties: {Handler: store.save, Policies: [AmazonDynamoDBFullAccess]}
  LoadFunction:
    Type: AWS::Serverless::Function
    Properties: {Handler: store.load, Policies: [AmazonDynamoDBFullAccess]}
"""


def test_code_that_is_changed_as_told_has_what_it_needs_and_no_more(
    node: TestNode, tmp_path: Path
) -> None:
    project = made(tmp_path, {"template.yaml": STORE_TEMPLATE, "src/store.py": STORE}, "sam")
    page = (project / "IMPORT.md").read_text()
    assert '`context.table("t").put(item)`' in page
    assert '`context.table("t").get(key)`, which raises NotFoundError where ' in page
    (project / "functions/src/store.py").write_text(
        "def save(event, context):\n"
        "    context.table('t').put({'id': event['id']})\n"
        "    return context.table('t').get('a').value if event.get('read') else 'kept'\n\n\n"
        "def load(event, context):\n"
        "    return context.table('t').get(event['id']).value\n"
    )
    manifest = project / "casemate.toml"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(one for one in lines if not one.startswith("requirements")))
    deployed(node, project)
    assert node.invoke({"id": "a"}, function="from-sam/save").json() == "kept"
    assert node.invoke({"id": "a"}, function="from-sam/load").json() == {"id": "a"}
    refused = node.invoke({"id": "a", "read": True}, function="from-sam/save")
    assert node.error(refused)["type"].endswith("DeniedError")
