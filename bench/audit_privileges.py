"""Measure the audit's comparison of rights: its time, and what it decides of real applications.

    python -m bench.audit_privileges [FOLDER] [--functions N] [--javascript] [--service] [--json]

Without a folder it audits N functions (1,000) of about 130 lines each, made for this, and prints
the processor time of the whole audit, of the comparison alone, and the memory. With `--service`
they are handlers in JavaScript of one service of the Serverless Framework, which have its folder,
its modules and its one role in common. With a folder it prints of the applications in it how many
functions there are, of how many all, a part or nothing is decided, and how many actions are
needless.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

from casemate.audit import Workspace, applications_of, audit
from casemate.audit.code.reading import Code
from casemate.audit.privileges import privileges_of

_LINES = 10
_CODE = """\
import json
import os

import boto3
import urllib3

dynamodb = boto3.resource("dynamodb")
http = urllib3.PoolManager()


class Orders:
    def __init__(self, name):
        self.table = dynamodb.Table(name)

    def read(self, key):
        return self.table.get_item(Key=key).get("Item", {})

    def change(self, key, value):
        self.table.update_item(Key=key, UpdateExpression="SET a = :a", Values={":a": value})


def total(items):
    found = http.request("POST", os.environ["TOTAL"], body=json.dumps(items))
    return json.loads(found.data)["total"]

"""
_PART = """
def step_{n}(orders, event):
    key = {{"id": event["id"], "part": "{n}-{of}"}}
    item = orders.read(key)
    if item.get("state", 0) < {n}:
        return {{"status": "err", "message": f"not yet: {{item}}"}}
    orders.change(key, total([item, event]))
    return {{"status": "ok", "item": item}}
"""
_END = """

def handler(event, context):
    orders = Orders(os.environ["ORDERS"])
    steps = [{steps}]
    found = [step(orders, event) for step in steps]
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(found))
    return found
"""
_SCRIPT = """\
const { DynamoDBClient } = require("@aws-sdk/client-dynamodb");
const { DynamoDBDocumentClient, GetCommand, UpdateCommand } = require("@aws-sdk/lib-dynamodb");
const { SQSClient, SendMessageCommand } = require("@aws-sdk/client-sqs");

const documents = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const queue = new SQSClient({});

class Orders {
  constructor(name) {
    this.name = name;
  }

  async read(key) {
    const found = await documents.send(new GetCommand({ TableName: this.name, Key: key }));
    return found.Item ?? {};
  }

  async change(key, value) {
    await documents.send(new UpdateCommand({
      TableName: this.name, Key: key, UpdateExpression: "SET a = :a",
      ExpressionAttributeValues: { ":a": value },
    }));
  }
}

async function total(items) {
  const answer = await fetch(process.env.TOTAL, { method: "POST", body: JSON.stringify(items) });
  return (await answer.json()).total;
}
"""
_SCRIPT_PART = """
async function step{n}(orders, event) {{
  const key = {{ id: event.id, part: "{n}-{of}" }};
  const item = await orders.read(key);
  if ((item.state ?? 0) < {n}) {{
    return {{ status: "err", message: `not yet: ${{JSON.stringify(item)}}` }};
  }}
  await orders.change(key, await total([item, event]));
  return {{ status: "ok", item }};
}}
"""
_SCRIPT_END = """
exports.handler = async (event) => {{
  const orders = new Orders(process.env.ORDERS);
  const found = [];
  for (const step of [{steps}]) {{
    found.push(await step(orders, event));
  }}
  await queue.send(new SendMessageCommand({{
    QueueUrl: process.env.QUEUE, MessageBody: JSON.stringify(found),
  }}));
  return found;
}};
"""
_FUNCTION = """\
  F{of}:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: {runtime}
      Handler: app.handler
      CodeUri: f{of}/
      Environment: {{Variables: {{ORDERS: !Ref Orders, QUEUE: !Ref Queue, TOTAL: 'https://x'}}}}
      Policies:
        - DynamoDBCrudPolicy: {{TableName: !Ref Orders}}
        - Statement: [{{Effect: Allow, Action: 'sqs:*', Resource: !GetAtt Queue.Arn}}]
"""
_END_OF_TEMPLATE = "  Orders: {Type: AWS::DynamoDB::Table}\n  Queue: {Type: AWS::SQS::Queue}\n"
_SHARED = "module.exports = { documents, queue, Orders, total, SendMessageCommand };\n"
_TAKEN = """\
const { queue, Orders, total, SendMessageCommand } = require("../shared/orders");
"""
_SERVICE = """\
service: orders
provider:
  name: aws
  runtime: nodejs22.x
  environment: {ORDERS: orders, QUEUE: 'https://q', TOTAL: 'https://x'}
  iam:
    role:
      statements:
        - {Effect: Allow, Action: 'dynamodb:*', Resource: 'arn:aws:dynamodb:*:*:table/orders'}
        - {Effect: Allow, Action: 'sqs:*', Resource: 'arn:aws:sqs:*:*:orders'}
functions:
"""


def make_service(folder: Path, functions: int) -> None:
    """Write a service of so many functions that have a folder, modules and a role in common."""
    steps = ", ".join(f"step{n}" for n in range(_LINES))
    (folder / "shared").mkdir()
    (folder / "shared" / "orders.js").write_text(_SCRIPT + _SHARED)
    (folder / "handlers").mkdir()
    template = _SERVICE
    for of in range(functions):
        parts = "\n".join(_SCRIPT_PART.format(n=n, of=of) for n in range(_LINES))
        text = _TAKEN + parts + _SCRIPT_END.format(steps=steps)
        (folder / "handlers" / f"f{of}.js").write_text(text)
        template += f"  f{of}: {{handler: handlers/f{of}.handler}}\n"
    (folder / "serverless.yml").write_text(template)


def make(folder: Path, functions: int, *, javascript: bool = False) -> None:
    """Write an application of so many functions."""
    head, part, end = (_SCRIPT, _SCRIPT_PART, _SCRIPT_END) if javascript else (_CODE, _PART, _END)
    file, runtime = ("app.js", "nodejs22.x") if javascript else ("app.py", "python3.13")
    template = "Transform: AWS::Serverless-2016-10-31\nResources:\n"
    steps = ", ".join(f"step{'' if javascript else '_'}{n}" for n in range(_LINES))
    for of in range(functions):
        template += _FUNCTION.format(of=of, runtime=runtime)
        (folder / f"f{of}").mkdir()
        parts = "\n".join(part.format(n=n, of=of) for n in range(_LINES))
        (folder / f"f{of}" / file).write_text(head + parts + end.format(steps=steps))
    (folder / "template.yaml").write_text(template + _END_OF_TEMPLATE)


def compared(folder: Path) -> tuple[Counter[str], float]:
    """Return what is decided in a folder, and the processor time of the comparison alone."""
    workspace, counts, spent = Workspace(folder), Counter[str](), 0.0
    code = Code(workspace)
    for application in applications_of(workspace):
        counts["applications"] += 1
        began = time.process_time()
        found = privileges_of(application, workspace, code)
        spent += time.process_time() - began
        for each in found:
            counts["functions"] += 1
            open_ = {one.service for one in each.undecided}
            decided = "none" if "*" in open_ else "in part" if open_ else "all"
            counts[f"decided: {decided}"] += 1
            counts["with needless rights"] += bool(each.surplus or each.wide or each.idle)
            counts["needless actions"] += len(each.needless)
    return counts, spent


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--functions", type=int, default=1_000)
    parser.add_argument("--javascript", action="store_true", help="functions in JavaScript")
    parser.add_argument("--service", action="store_true", help="of one service, with one role")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    figures: dict[str, float] = {}
    if chosen.folder is not None:
        counts, spent = compared(chosen.folder)
        figures = {**counts, "seconds of comparing": round(spent, 2)}
    else:
        with tempfile.TemporaryDirectory() as name:
            if chosen.service:
                make_service(Path(name), chosen.functions)
            else:
                make(Path(name), chosen.functions, javascript=chosen.javascript)
            began = time.process_time()
            audit(Path(name))
            whole = time.process_time() - began
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            counts, spent = compared(Path(name))
        figures = {
            **counts,
            "seconds of comparing": round(spent, 2),
            "seconds of the audit": round(whole, 2),
            "MiB": round(memory),
        }
    if chosen.json:
        print(json.dumps(figures))
        return
    for key, value in figures.items():
        print(f"{key:24} {value:,}")


if __name__ == "__main__":
    main()
