"""Rules about what is between calls: items that another call changes, answers of other functions."""

from __future__ import annotations

from casemate.audit.finding import Severity
from casemate.audit.rule import Risk, entries
from casemate.audit.rules.examples import javascript, python
from casemate.audit.rules.javascript_code import seen_at
from casemate.audit.rules.looks import look_at
from casemate.audit.rules.python_between import passed_on, undecided

_race = entries(Risk.INPUT, "SAS-05", 367, "")
_errors = entries(Risk.ERRORS, "SAS-06", 209, "T1592.002")
_RACE = (
    "Two calls at the same time both read the old value: an order is changed after it was "
    "paid for, a voucher is used twice, the last piece is sold to two people."
)
_ASK = (
    "Check again in the write: with a ConditionExpression on the value that decided, or in a "
    "transaction."
)
_PASSED = (
    "A function that fails answers with its exception, and in Python with its trace: paths, "
    "lines of code, names of tables."
)
_LOOK = "Check FunctionError first, and answer with an id of your own if it is set."


def _order(write: str) -> str:
    return f"""\
import boto3

table = boto3.resource("dynamodb").Table("orders")


def handler(event, context):
    key = {{"id": event["pathParameters"]["id"]}}
    found = table.get_item(Key=key)
    if found["Item"]["state"] == "paid":
        return {{"statusCode": 409}}
    {write}
    return {{"statusCode": 204}}
"""


def _asked(between: str) -> str:
    return f"""\
import boto3, json

functions = boto3.client("lambda")


def handler(event, context):
    answer = functions.invoke(FunctionName="prices", Payload=json.dumps(event["body"]))
{between}    return {{"statusCode": 200, "body": json.dumps(json.load(answer["Payload"]))}}
"""


def _script(between: str) -> str:
    return f"""\
const {{ LambdaClient, InvokeCommand }} = require("@aws-sdk/client-lambda");
const client = new LambdaClient();

exports.handler = async (event) => {{
  const answer = await client.send(new InvokeCommand({{ FunctionName: "prices" }}));
{between}  const found = JSON.parse(Buffer.from(answer.Payload).toString());
  return {{ statusCode: 200, body: JSON.stringify(found) }};
}};
"""


def _script_order(condition: str) -> str:
    return f"""\
const {{ DynamoDBDocumentClient, GetCommand, UpdateCommand }} = require("@aws-sdk/lib-dynamodb");
const client = DynamoDBDocumentClient.from(new DynamoDBClient());

exports.handler = async (event) => {{
  const Key = {{ id: event.pathParameters.id }};
  const found = await client.send(new GetCommand({{ TableName: "orders", Key }}));
  if (found.Item.state === "paid") {{
    return {{ statusCode: 409 }};
  }}
  await client.send(new UpdateCommand({{
    TableName: "orders", Key, UpdateExpression: "SET goods = :g",
    ExpressionAttributeValues: {{ ":g": "tea", ":paid": "paid" }},{condition}
  }}));
  return {{ statusCode: 204 }};
}};
"""


_UPDATE = 'table.update_item(Key=key, UpdateExpression="SET goods = :g"{})'
RULES = (
    _race(
        "PY-028",
        "Decision on an item that can change meanwhile",
        Severity.LOW,
        _RACE,
        _ASK,
        look_at(undecided),
        python(_order(_UPDATE.format(""))),
        python(_order(_UPDATE.format(', ConditionExpression="#s <> :paid"'))),
    ),
    _errors(
        "PY-029",
        "Another function's errors are passed on",
        Severity.LOW,
        _PASSED,
        _LOOK,
        look_at(passed_on),
        python(_asked("")),
        python(_asked('    if "FunctionError" in answer:\n        return {"statusCode": 502}\n')),
        by_reach=True,
    ),
    _race(
        "JS-020",
        "Decision on an item that can change meanwhile",
        Severity.LOW,
        _RACE,
        _ASK,
        seen_at("undecided"),
        javascript(_script_order("")),
        javascript(_script_order('\n    ConditionExpression: "#s <> :paid",')),
    ),
    _errors(
        "JS-021",
        "Another function's errors are passed on",
        Severity.LOW,
        _PASSED,
        _LOOK,
        seen_at("passed on"),
        javascript(_script("")),
        javascript(_script("  if (answer.FunctionError) return { statusCode: 502 };\n")),
        by_reach=True,
    ),
)
