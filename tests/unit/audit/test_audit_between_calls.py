"""Items that another call may change meanwhile, and answers of other functions that are passed on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files, javascript, python
from casemate.audit.workspace import Workspace


def told(files: Files, rule: str) -> int:
    workspace = Workspace.of(dict(files))
    [found] = applications_of(workspace)
    [checked] = [each for each in RULES if each.id == rule]
    return len(list(checked.findings(Subject(found, workspace, Code(workspace)))))


HEAD = "import boto3, json\nT = boto3.resource('dynamodb').Table('t')\n\ndef handler(event, context):\n"
READ = "    r = T.get_item(Key={'id': event['id']})\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        # decided by what was read, and written without asking again
        (READ + "    if r['Item']['n'] < 1:\n        return 1\n    T.delete_item(Key={'id': event['id']})\n", 1),
        (READ + "    if r['Item']['n'] < 1:\n        T.delete_item(Key={'id': event['id']})\n", 1),
        (READ + "    i = r['Item']\n    if i['n'] == 0:\n        raise KeyError\n    i['n'] -= 1\n    T.put_item(Item=i)\n", 1),
        ("    k = {'id': event['id']}\n    c = boto3.client('dynamodb')\n    r = c.get_item(TableName='t', Key=k)\n    s = r['Item']['s']['S']\n    if s != 'open':\n        return\n    c.update_item(TableName='t', Key=k, UpdateExpression='SET a = :a')\n", 1),
        # asks again, or decides by something else
        (READ + "    if r['Item']['n'] < 1:\n        return 1\n    T.delete_item(Key={'id': event['id']}, ConditionExpression='n > :z')\n", 0),
        (READ + "    if 'Item' not in r:\n        return 1\n    T.delete_item(Key={'id': event['id']})\n", 0),
        (READ + "    if r['ResponseMetadata']['HTTPStatusCode'] != 200:\n        return 1\n    T.delete_item(Key={'id': event['id']})\n", 0),
        (READ + "    if r['Item']['owner'] != event['me']:\n        return 1\n    T.delete_item(Key={'id': event['id']})\n", 0),
        (READ + "    if r['Item']['used'] == True:\n        return 1\n    T.delete_item(Key={'id': event['id']})\n", 1),
        (READ + "    if event['n'] < 1:\n        return 1\n    T.delete_item(Key={'id': event['id']})\n", 0),
        (READ + "    if r['Item']['n'] < 1:\n        return 1\n    T.delete_item(Key={'id': event['other']})\n", 0),
        (READ + "    if r['Item']['n'] < 1:\n        print('few')\n    T.delete_item(Key={'id': event['id']})\n", 0),
        (READ + "    if r['Item']['n'] < 1:\n        return 1\n    T.delete_item(**event['how'])\n", 0),
        (READ + "    if r['Item']['n'] < 1:\n        return 1\n    T.put_item(Item={'id': 'log'})\n", 0),
        ("    U = boto3.resource('dynamodb').Table('u')\n" + READ + "    if r['Item']['n'] < 1:\n        return 1\n    U.delete_item(Key={'id': event['id']})\n", 0),
    ],
)  # fmt: skip
def test_decisions_in_python(body: str, found: int) -> None:
    assert told(python(HEAD + body), "PY-028") == found


CALL = "    r = boto3.client('lambda').invoke(FunctionName='f', Payload=b'{}')\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (CALL + "    return {'statusCode': 200, 'body': r['Payload'].read().decode()}\n", 1),
        (CALL + "    d = json.loads(r['Payload'].read())\n    return {'statusCode': 200, 'body': json.dumps({'of': d})}\n", 1),
        (CALL + "    d = json.load(r.get('Payload'))\n    return d\n", 1),
        (CALL + "    d = json.load(r['Payload'])\n    return {'statusCode': 200, 'body': json.dumps(d['price'])}\n", 0),
        (CALL + "    d = json.load(r['Payload'])\n    if 'errorMessage' in d:\n        raise KeyError\n    return {'statusCode': 200, 'body': json.dumps(d)}\n", 0),
        (CALL + "    return {'statusCode': r['StatusCode'], 'body': ''}\n", 0),
        ("    p = {'Payload': event}\n    return {'statusCode': 200, 'body': p['Payload']}\n", 0),
    ],
)  # fmt: skip
def test_answers_in_python(body: str, found: int) -> None:
    assert told(python(HEAD + body), "PY-029") == found


SCRIPT = """\
const {{ DynamoDB, LambdaClient, InvokeCommand }} = require('x');
const d = new AWS.DynamoDB.DocumentClient();
exports.handler = async (event, context, callback) => {{
{}
}};
"""
GET = "const r = await d.get({ TableName: 't', Key: { id: event.id } }).promise();\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (GET + "if (r.Item.n < 1) { return 1; }\nawait d.delete({ TableName: 't', Key: { id: event.id } }).promise();", 1),
        (GET + "const { Item } = r;\nif (Item.n > 1) {\n await d.put({ TableName: 't', Item }).promise(); }", 1),
        (GET + "if (r.Item.n < 1) throw new Error();\nconst p = { TableName: 't', Key: { id: event.id } };\nawait d.update(p).promise();", 1),
        (GET + "if (r.Item === undefined) { return 1; }\nawait d.delete({ TableName: 't', Key: { id: event.id } }).promise();", 0),
        (GET + "if (r.Item.userId !== event.user) { return 1; }\nawait d.delete({ TableName: 't', Key: { id: event.id } }).promise();", 0),
        (GET + "if (r.Item.used === true) { return 1; }\nawait d.delete({ TableName: 't', Key: { id: event.id } }).promise();", 1),
        (GET + "if (!r.Item) { return 1; }\nawait d.delete({ TableName: 't', Key: { id: event.id } }).promise();", 0),
        (GET + "if (r.Item.n < 1) { return 1; }\nawait d.delete({ TableName: 'u', Key: { id: event.id } }).promise();", 0),
        (GET + "if (r.Item.n < 1) { log(1); }\nawait d.delete({ TableName: 't', Key: { id: event.id } }).promise();", 0),
        (GET + "if (r.Item.n < 1) { return 1; }\nawait d.delete({ TableName: 't', Key: { id: event.id }, ConditionExpression: 'n > :z' }).promise();", 0),
        (GET + "if (r.Item.n < 1) { return 1; }\nmap.delete(event.id); cache.put({ Key: 1 });", 0),
    ],
)  # fmt: skip
def test_decisions_in_javascript(body: str, found: int) -> None:
    assert told(javascript(SCRIPT.format(body)), "JS-020") == found


INVOKE = "const r = await c.send(new InvokeCommand({ FunctionName: 'f', Payload: JSON.stringify(event) }));\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (INVOKE + "return { statusCode: 200, body: Buffer.from(r.Payload).toString() };", 1),
        ("const { Payload } = await c.send(new InvokeCommand({ FunctionName: 'f' }));\nreturn { statusCode: 200, body: new TextDecoder().decode(Payload) };", 1),
        ("l.invoke({ FunctionName: 'f' }, (e, r) => { callback(null, r.Payload); });", 1),
        ("c.send(new InvokeCommand({ FunctionName: 'f' })).then((r) => {\n const data = JSON.parse(r.Payload);\n const a = { statusCode: 200, body: JSON.stringify(data) };\n callback(null, a); });\nconst data = { ok: 1 };\ncallback(null, data);\ncallback(null, { statusCode: 200, body: JSON.stringify(data) });", 1),
        (INVOKE + "const d = JSON.parse(r.Payload);\nreturn { statusCode: 200, body: JSON.stringify({ price: d.price }) };", 0),
        (INVOKE + "if (r.FunctionError) throw new Error();\nreturn { statusCode: 200, body: Buffer.from(r.Payload).toString() };", 0),
        (INVOKE + "let d = null;\nreturn { statusCode: 200, body: JSON.stringify(d) };", 0),
        (INVOKE + "return { statusCode: r.StatusCode, body: '' };", 0),
    ],
)  # fmt: skip
def test_answers_in_javascript(body: str, found: int) -> None:
    assert told(javascript(SCRIPT.format(body)), "JS-021") == found


def _many(lines: int) -> Files:
    one = "    r{0} = T.get_item(Key=k)\n    if r{0}['n'] < 1:\n        return 1\n    T.delete_item(Key=k)\n"
    return python(
        HEAD + "    k = " + "[" * 40 + "]" * 40 + "\n" + "".join(map(one.format, range(lines)))
    )


def _many_scripts(lines: int) -> Files:
    one = (
        "const r{0} = await d.get({{ TableName: 't', Key: k }}).promise();\n"
        "if (r{0}.Item.n < 1) return 1;\nawait d.delete({{ TableName: 't', Key: k }}).promise();\n"
    )
    return javascript(SCRIPT.format("".join(map(one.format, range(lines)))))


@pytest.mark.parametrize(("make", "rule"), [(_many, "PY-028"), (_many_scripts, "JS-020")])
def test_long_functions_take_a_bounded_time(make: Callable[[int], Files], rule: str) -> None:
    files = make(700)
    told(files, "PY-010")  # parsed for all, and the machine warm
    began = time.process_time()
    told(files, rule)
    assert time.process_time() - began < 3.0
